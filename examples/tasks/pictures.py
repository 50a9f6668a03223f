"""Maps beside what they explain, for images, volumes and signals."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from explaining import METHODS, Cases
from matplotlib.figure import Figure
from torch import Tensor

from explainers.render.overlay import overlay
from explainers.render.sheet import contact_sheet
from explainers.render.style import Style, limits_of
from explainers.targets import Similarity

LARGER = 3
CELL = 104  # pixels


def write_picture(path: Path, cases: Cases, maps: dict[str, Tensor], rows: Sequence[int]) -> None:
    """The inputs of these rows, with a line around what was planted, beside the maps of all methods."""
    path.parent.mkdir(parents=True, exist_ok=True)
    axes = cases.truth.ndim - 1
    shown = {name: maps[name].numpy() for name in METHODS if name in maps}
    picture = _signals(cases, shown, rows) if axes == 1 else _sheet(cases, shown, rows)
    path.write_bytes(small_png(picture))


def _sheet(cases: Cases, maps: dict[str, np.ndarray], rows: Sequence[int]) -> np.ndarray:
    cells = []
    for row in rows:
        pixels, mask, place = _photo(cases, row)
        photo = outlined(pixels, mask)
        line = [(cases.targets[row].label(cases.names) if cases.names else "input", photo)]
        if isinstance(cases.targets[row], Similarity):
            reference = _uint8(cases.targets[row].reference.numpy())
            line.insert(0, ("reference", outlined(reference, np.zeros(reference.shape[:2], bool))))
        for name, values in maps.items():
            line.append((name, overlay(photo, values[row][place], style=Style(limits=limits_of(values[row])))))
        cells.append(line)
    return contact_sheet(cells, cell=CELL)


def _photo(cases: Cases, row: int) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Pixels (H, W, 3), the mask (H, W), and which part of a map belongs to them: of a volume the slice with most of
    what was planted."""
    values, mask = cases.inputs[row].numpy(), cases.truth[row].numpy()
    if mask.ndim == 2:
        return _uint8(values), mask, ()
    depth = int(mask.sum(axis=(1, 2)).argmax())
    return _uint8(np.repeat(values[:, depth] / 3 + 0.35, 3, axis=0)), mask[depth], (depth,)


def _uint8(values: np.ndarray) -> np.ndarray:
    """(H, W, 3) of (3, H, W) values of 0 … 1."""
    return np.rint(values.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def outlined(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A picture three times as large, with a white line around a mask."""
    large, inside = (each.repeat(LARGER, axis=0).repeat(LARGER, axis=1) for each in (pixels, mask))
    near = np.pad(inside, 1)
    within = near[:-2, 1:-1] & near[2:, 1:-1] & near[1:-1, :-2] & near[1:-1, 2:]
    large[inside & ~within] = 255
    return large


def _signals(cases: Cases, maps: dict[str, np.ndarray], rows: Sequence[int]) -> np.ndarray:
    """Each signal above a strip of colours for each method; what was planted lies between the lines."""
    from PIL import Image

    figure = Figure(figsize=(4.4 * len(rows), 4.6), layout="constrained")
    axes = figure.subplots(2, len(rows), squeeze=False, sharex="col", height_ratios=(1, 1.1))
    for (above, below), row in zip(axes.T, rows, strict=True):
        places = cases.truth[row].nonzero()[:, 0]
        above.plot(cases.inputs[row].T.numpy(), linewidth=0.8)
        above.set_title(cases.targets[row].label(cases.names), fontsize=9)
        strips = np.stack([_scaled(values[row].clip(0)) for values in maps.values()])
        below.imshow(strips, aspect="auto", cmap="inferno", interpolation="nearest", vmin=0, vmax=1)
        below.set_yticks(range(len(maps)), maps if row == rows[0] else [""] * len(maps), fontsize=8)
        for axis in (above, below):
            axis.tick_params(labelsize=7)
            for place in (places[0] - 0.5, places[-1] + 0.5):
                axis.axvline(float(place), color="0.5", linewidth=1, linestyle="--")
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=80)
    return np.asarray(Image.open(held).convert("RGB"))


def _scaled(values: np.ndarray) -> np.ndarray:
    """0 … 1 from the least value to the largest but for a few."""
    low, high = limits_of(values)
    return ((values - low) / max(high - low, 1e-12)).clip(0, 1)


def small_png(pixels: np.ndarray) -> bytes:
    """The file of a picture, of 255 colours so that it is small."""
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(pixels).quantize(255, dither=Image.Dither.NONE).save(held, "PNG", optimize=True)
    return held.getvalue()
