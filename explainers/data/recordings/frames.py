"""A folder of numbered images as one clip."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np

from explainers.data.images.find import SUFFIXES
from explainers.data.images.read import MAX_PIXELS, read_image
from explainers.data.recordings.recording import MOST_VALUES, Recording, check_count
from explainers.errors import ImageError, counted
from explainers.storage.paths import shown


def frames_in(folder: Path) -> list[Path]:
    """The image files right in a folder, by the last number in their names: `frame2.png` before `frame10.png`.

    Files without a number come after those with one, by name.
    """
    found = [path for path in folder.iterdir() if not path.name.startswith(".") and path.suffix.lower() in SUFFIXES]
    return sorted(found, key=lambda path: (_number(path) is None, _number(path) or 0, path.name))


def read_frames(folder: Path, most: int) -> Recording:
    """A clip (3, frame, row, column), values 0 … 1.

    Raises:
        ImageError: frames without a number or with one number twice, of several sizes, damaged, or more than `most`
            values together, which is seen at the first frame.
    """
    files = frames_in(folder)
    if not files:
        raise ImageError(f"{shown(folder)} has no frames: images right in the folder")
    numbers = Counter(map(_number, files))
    if None in numbers:
        nameless = next(path for path in files if _number(path) is None)
        raise ImageError(f"{shown(nameless)} has no number in its name, so that its place in the clip is not known")
    twice = [number for number, count in numbers.items() if count > 1]
    if twice:
        raise ImageError(f"{shown(folder)} has {numbers[twice[0]]} frames of number {twice[0]}; leave one of each")
    frames: list[np.ndarray] = []
    notes: list[str] = []
    for path in files:
        photo = read_image(path, max_pixels=MAX_PIXELS if most == MOST_VALUES else most)
        if not frames:
            check_count(folder, (3, len(files), *photo.pixels.shape[:2]), most)
        elif photo.pixels.shape != frames[0].shape:
            sizes = " and ".join(f"{each.shape[1]} × {each.shape[0]}" for each in (frames[0], photo.pixels))
            raise ImageError(f"{shown(folder)} has frames of different sizes ({sizes} of {shown(path)})")
        frames.append(photo.pixels)
        notes += photo.notes
    values = np.stack(frames).transpose(3, 0, 1, 2).astype(np.float32) / np.float32(255)
    told = [f"{note} ({counted(count, 'frame')})" for note, count in Counter(notes).items()]
    told += _gaps(sorted(number for number in numbers if number is not None))
    return Recording(np.ascontiguousarray(values), notes=tuple(told), axis_names=("frame", "row", "column"))


def _gaps(numbers: list[int]) -> list[str]:
    """What is said where the numbers of frames do not go up evenly."""
    steps = np.diff(numbers)
    if not len(steps) or steps.min() == steps.max():
        return []
    usual = int(np.median(steps))
    where = int((steps != usual).argmax())
    return [
        f"the numbers of frames are not evenly spaced (behind {numbers[where]} comes {numbers[where + 1]}); they are "
        "taken as if they were"
    ]


def _number(path: Path) -> int | None:
    found = re.findall(r"[0-9]+", path.stem)
    return int(found[-1]) if found else None
