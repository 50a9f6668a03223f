"""A volume or clip in the widget of a notebook: its slices as pictures, and what maps have there.

A notebook keeps every output in its file, so less is kept than in a report: at most 32 slices (of a longer axis evenly
chosen, with those where a map is strongest), as pictures of at most 256 pixels, and at most 131,072 values of a map,
all of 64 × 64 in each slice: some 250 KB of text. Where values are left out, each that stays is the largest in
magnitude of its block.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from explainers.core.maps import CONSTANT, is_constant
from explainers.errors import OptionError
from explainers.render.arrays.blocks import on_grid
from explainers.render.arrays.plain import gray_slices, slice_file, true_size
from explainers.render.arrays.recorded import Recorded, flattened, spacing_of, walked
from explainers.render.arrays.volumes import strongest
from explainers.render.report.cuts import below_each_other, bounded, chosen, cut, nearest, place_in, seen_along
from explainers.render.report.packing import pack_bits, packed
from explainers.render.style import limits_of

SLICES = 32  # at most
MOST = 1 << 17  # values of a map at most
CHANNELS = "of several channels the largest magnitude is shown"


@dataclass(frozen=True)
class WidgetMap:
    """A map of a method.

    values: (H, W) float32, finite, or (C, H, W), of which the largest magnitude is shown, or (A, B, C) and (K, A, B, C)
    of a volume, on its grid or another one over the same place; said: what it is of; region: (H, W) or (A, B, C) bool
    of what is explained, outlined on it.
    """

    title: str
    values: np.ndarray
    said: str = ""
    region: np.ndarray | None = None


@dataclass(frozen=True)
class WidgetVolume:
    """A volume or clip with its maps. subject: of three axes; kind: what it is called; window: what is black and what
    white, None for what `gray_of` chooses; said: a line above it."""

    name: str
    subject: Recorded
    kind: str = "volume"
    window: Sequence[float] | None = None
    said: str = ""
    maps: list[WidgetMap] = field(default_factory=list)


def volume_head(volume: WidgetVolume) -> dict[str, Any]:
    """What a script needs of a volume, without its maps: pictures of its slices, and where these lie.

    Raises:
        OptionError: a map has NaN or infinite values.
    """
    values, axis = volume.subject.values, walked(None, volume.subject)
    axes, spacing = values.shape[1:], spacing_of(volume.subject.affine)
    places = chosen(axes[axis], [_peak(each, axes)[axis] for each in volume.maps], SLICES)
    down, across = (other for other in range(3) if other != axis)
    size = true_size(axes[down], axes[across], (spacing[down], spacing[across]))
    slices = gray_slices(np.moveaxis(values.take(places, axis + 1), axis + 1, 1), volume.window)
    photos = [base64.b64encode(slice_file(each, size)).decode("ascii") for each in slices]
    return {
        "photos": [f"data:image/jpeg;base64,{photo}" for photo in photos],
        "size": [size[1], size[0]],
        "box": [0, 0, 1, 1],
        "slices": seen_along(axis, places, axes, volume.subject.axis_names, spacing),
    }


def volume_map(map_: WidgetMap, slices: dict[str, Any]) -> dict[str, Any]:
    """The same of a map: its slices below each other, at the places of `slices`, with the scale of all of it."""
    values = _flat(map_)
    low, high = limits_of(values)
    axis, places = slices["along"], slices["at"]
    peak = _peak(map_, [each["length"] for each in slices["axes"]])
    whole = cut(values, axis, places, slices["of"])
    flat, of = below_each_other(whole, *bounded(whole.shape, MOST))
    made = packed(flat)
    return made.head() | {
        "status": CONSTANT if is_constant(torch.from_numpy(values)) else "ok",
        "note": CHANNELS if map_.values.ndim == 4 else "",
        "limits": [low, high],
        "signed": low < 0,
        "data": made.data,
        "mask": None if map_.region is None else _packed_region(map_.region, slices, whole.shape[1:]),
        "of": of,
        "slice": places.index(peak[axis]) if peak[axis] in places else len(places) // 2,
        "peak": peak,
    }


def _packed_region(region: np.ndarray, slices: dict[str, Any], grid: Sequence[int]) -> dict[str, Any]:
    """Its slices below each other where those of the volume are, on the grid (h, w) of the map's."""
    full = on_grid(region, [each["length"] for each in slices["axes"]])
    cuts = np.moveaxis(full.take(slices["at"], slices["along"]), slices["along"], 0)
    return pack_bits(nearest(cuts, grid[0], grid[1]).reshape(-1, grid[1]))


def _flat(map_: WidgetMap) -> np.ndarray:
    values = flattened(np.asarray(map_.values, np.float32))
    if not np.isfinite(values).all():
        raise OptionError("the map has NaN or infinite values and cannot be drawn")
    return values


def _peak(map_: WidgetMap, axes: Sequence[int]) -> list[int]:
    """Where of the volume a map is strongest."""
    values = _flat(map_)
    found = zip(strongest(values), values.shape, axes, strict=True)
    return [place_in(index, count, length) for index, count, length in found]
