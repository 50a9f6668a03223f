"""What decides a result, as plain values: its digest, and in which of them two runs differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

NAMED = 8  # differences that an error names
LONGEST = 80  # letters of a value that an error shows


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
    if before == now:
        return []
    if before is None and isinstance(now, dict):
        return [f"{name} (not asked for there, asked for now)"]
    if now is None and isinstance(before, dict):
        return [f"{name} (asked for there, not now)"]
    old, new = _shortened(_short(before), _short(now))
    return [f"{name} ({old} there, {new} now)"]


def named(differing: Sequence[str]) -> str:
    """Differences as an error names them, the first few."""
    more = f"; and {len(differing) - NAMED} more" if len(differing) > NAMED else ""
    return "; ".join(differing[:NAMED]) + more


def _short(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return " + ".join(str(each.get("kind", each)) for each in value)
    return repr(value)


def _shortened(old: str, new: str) -> tuple[str, str]:
    """Long texts from a little before where they part."""
    part = next((place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    first = max(0, part - LONGEST // 4) if max(len(old), len(new)) > LONGEST else 0

    def cut(text: str) -> str:
        window = text[first : first + LONGEST]
        return f"{'…' * (first > 0)}{window}{'…' * (first + LONGEST < len(text))}"

    return cut(old), cut(new)
