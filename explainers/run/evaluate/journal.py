"""Rows of an evaluation as lines of a run folder's journal, to the last bit."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable

import numpy as np

from explainers.evaluation.measuring.curves import Curve
from explainers.evaluation.rows import Row
from explainers.storage.run_folder import RunFolder


def note(folder: RunFolder, key: str, rows: list[Row]) -> None:
    """Note a unit as done."""
    folder.journal.append(key, [_packed(row) for row in rows])


def noted(folder: RunFolder, keys: Iterable[str]) -> list[Row]:
    """All rows of these units, in their order."""
    found = dict(folder.journal.entries())
    return [_unpacked(row) for key in keys for row in found[key]]


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
