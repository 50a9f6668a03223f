"""What decides a result, as plain values: its digest, and in which of them two runs differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any


def fingerprint(facts: Mapping[str, Any]) -> str:
    """SHA-256 of facts: results belong together where it is equal."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def differences(before: Any, now: Any, *, but: Collection[tuple[str, str]] = (), name: str = "") -> list[str]:
    """Where two trees of plain values differ, with both values, such as "settings.epochs (30 there, 40 now)".

    Args:
        but: (dotted name of a place, key there) that do not count.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [key for key in {**before, **now} if (name, key) not in but]
        return [
            each
            for key in keys
            for each in differences(before.get(key), now.get(key), but=but, name=f"{name}.{key}" if name else str(key))
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [
            each
            for index, (old, new) in enumerate(zip(before, now, strict=True))
            for each in differences(old, new, but=but, name=f"{name}[{index}]")
        ]
    return [] if before == now else [f"{name} ({_short(before)} there, {_short(now)} now)"]


def _short(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return " + ".join(str(each.get("kind", each)) for each in value)
    return repr(value)
