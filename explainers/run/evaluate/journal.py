"""Rows of an evaluation as lines of a run folder's journal, to the last bit."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Collection, Iterable

import numpy as np

from explainers.core.maps import CONSTANT
from explainers.evaluation.measuring.curves import Curve
from explainers.evaluation.rows import Row
from explainers.storage.run_folder import RunFolder


def note(folder: RunFolder, key: str, rows: list[Row], files: Collection[str] = ()) -> None:
    """Note a unit as done; files: that it has written."""
    folder.note(key, [_packed(row) for row in rows], files)


def noted(folder: RunFolder, keys: Iterable[str]) -> list[Row]:
    """All rows of these units, in their order."""
    return [_unpacked(row) for row in folder.journal.rows(keys)]


def whole(rows: list[Row]) -> bool:
    """Whether a unit still counts as done: what has failed is tried again."""
    return all(row["status"] in ("ok", CONSTANT) for row in rows)


def dropped(folder: RunFolder, keys: Collection[str]) -> list[str]:
    """Images of earlier starts that are in none of these units."""
    present = set(keys)
    old, now = ({}, {})  # type: dict[str, None], dict[str, None]
    for entry in folder.journal.entries():
        (now if entry["id"] in present else old).update(dict.fromkeys(row["image"] for row in entry["rows"]))
    return [name for name in old if name not in now]


def _packed(row: Row) -> Row:
    """Arrays as text, to the last bit."""
    packed = dict(row)
    if (curve := row.get("curve")) is not None:
        packed["curve"] = [curve.shares.tolist(), curve.values.tolist()]
    if (parts := row.get("parts")) is not None:
        data = zlib.compress(np.ascontiguousarray(parts, np.float64).tobytes(), 6)
        packed["parts"] = {"shape": list(parts.shape), "data": base64.b85encode(data).decode()}
    return packed


def _unpacked(row: Row) -> Row:
    unpacked = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    if (curve := row.get("curve")) is not None:
        unpacked["curve"] = Curve(np.array(curve[0]), np.array(curve[1]))
    if (parts := row.get("parts")) is not None:
        data = zlib.decompress(base64.b85decode(parts["data"]))
        unpacked["parts"] = np.frombuffer(data, np.float64).reshape(parts["shape"])
    return unpacked
