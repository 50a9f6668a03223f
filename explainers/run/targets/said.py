"""What the file of a map that `explain run` wrote says of its target, held against the target that is asked for."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np

from explainers.core.targets import NOT
from explainers.errors import MapError
from explainers.storage.paths import shown
from explainers.targets import ClassScore, Region, Target
from explainers.targets.where import PREDICTED

LIKE = 0.9  # intersection over union of a predicted region with itself, should a few positions of it flip


@dataclass(frozen=True)
class Said:
    """The target of a map: as results.csv calls it, and (*axes) bool where in the input, None for all of it."""

    target: int | str
    outline: np.ndarray | None = None


def said_in(path: Path) -> Said | None:
    """What a file says; None where it says nothing, as one that was made elsewhere, or is damaged as a whole.

    Raises:
        MapError: what it says cannot be read.
    """
    if path.suffix != ".npz":
        return None
    try:
        with path.open("rb") as file:
            return _said(path, file)
    except OSError:
        return None  # who reads the map says what is wrong with it


def _said(path: Path, file: BinaryIO) -> Said | None:
    try:
        saved = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, BadZipFile):
        return None
    if isinstance(saved, np.ndarray) or not {"target", "method"} <= set(saved.files):
        return None
    try:
        target = saved["target"]
        outline = np.asarray(saved["outline"], dtype=bool) if "outline" in saved.files else None
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise MapError(f"cannot read of what target {shown(path)} is: {error}") from error
    return None if target.ndim else Said(target.item(), outline)


def refuse_other(path: Path, asked: int | str | Target, size: tuple[int, ...]) -> None:
    """See that a map is of the target that is asked for, as far as its file says.

    Args:
        asked: a class, "not", or a settled target object; size: of the network's input.

    Raises:
        MapError: it is of another one.
    """
    said = said_in(path)
    if said is None:
        return
    one, other = _called(said.target), _called(asked)
    if one != other:
        raise MapError(
            f"{shown(path)} is a map of {one}, and {other} is asked for: score it with the target that it was made "
            "for, or make maps of this one (explain run with the same target)"
        )
    if isinstance(asked, Region) and not _same_place(said.outline, asked, size):
        raise MapError(
            f"{shown(path)} is a map of {one} in another place than the one that is asked for: score it with the "
            "--where that it was made for, or make maps of this one (explain run with the same --where)"
        )


def _called(target: Any) -> str:
    """A target as the same words, whether it is a class's index or an object."""
    if isinstance(target, int):
        return ClassScore(target).label()
    if isinstance(target, Target):
        return target.label()
    return "the other class (not)" if target == NOT else str(target)


def _same_place(said: np.ndarray | None, asked: Region, size: tuple[int, ...]) -> bool:
    """Whether an outline is that of a region: to the position, but for predicted ones and inputs of another size."""
    outline = asked.outline(size)
    if said is None or outline is None:
        return said is None and outline is None
    own = outline.cpu().numpy()
    needed = LIKE if isinstance(asked.where, str) and asked.where == PREDICTED else 1.0
    if said.ndim != own.ndim:
        return False
    if said.shape != own.shape:
        needed = LIKE
        said = said[np.ix_(*(np.arange(o) * s // o for o, s in zip(own.shape, said.shape, strict=True)))]
    return bool((said & own).sum() >= needed * (said | own).sum())
