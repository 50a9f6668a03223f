"""Files that belong to images by their names: ground-truth masks, and heat maps made elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np

from explainers.data.images.arrays import SUFFIXES as ARRAYS, read_array
from explainers.data.images.find import SUFFIXES, shortened, stem_of, told_apart
from explainers.data.images.read import read_image
from explainers.errors import MapError
from explainers.storage.files import content_hash
from explainers.storage.paths import not_there, shown, unreadable

NIFTI = (".nii.gz", ".nii")
RAW_AND_COPIES = {".npz", ".npy", ".nii.gz"}  # of one map of `explain run`
NAMED = 3  # files that an error lists
INSIDE = 128  # gray value from which a mask's pixel is inside
CLASSES, VOID = 64, 255  # gray values below are classes in a map of classes; what has none


class Beside:
    """A folder with a file for each image, found by the image's name with or without its suffix.

    Args:
        folder: of files such as `a.png` or `a.npy` for the image `a.jpg`, in the same subfolders; kind: how errors call
            such a file.

    Raises:
        MapError: there is no such folder.
    """

    def __init__(self, folder: str | PathLike[str], kind: str) -> None:
        self.folder, self.kind = Path(folder), kind
        self._owners: dict[Path, dict[str, None]] = {}  # of each file, the images whose it could be
        if not self.folder.is_dir():
            raise MapError(f"{not_there(self.folder, f'folder of {kind}s')}")

    def find(self, name: str, ending: str = "") -> Path | None:
        """The file of an image: its name, then `ending`, then a suffix; None where there is none.

        Of the files that a run leaves of one map of a volume it is the raw one.

        Raises:
            MapError: there are several, and none has the image's very name, or it could be another image's, too (see
                `note_shared`).
        """
        found = self._all(name, ending)
        if len(found) > 1:
            raise MapError(
                f"several {self.kind}s of {shown(name)}: {', '.join(map(shown, found))}; leave the one that is meant"
            )
        if not found:
            return None
        if len(owners := self._owners.get(found[0], {})) > 1:
            each = " and of ".join(map(shown, islice(owners, NAMED))) + " …" * (len(owners) > NAMED)
            raise MapError(
                f"{shown(found[0])} could be the {self.kind} of {each}; give each a file with its whole name, such as "
                f"{shown(name)}{ending}{found[0].suffix}"
            )
        return found[0]

    def _all(self, name: str, ending: str) -> list[Path]:
        """Every file that may be meant."""
        base = PurePosixPath(name)
        same = self.folder / f"{name}{ending}"
        if not ending and _is_file(same):
            return [same]
        paths = [
            self.folder / f"{stem}{ending}{suffix}"
            for stem in _stems(name)
            for suffix in (*ARRAYS, *NIFTI, *sorted(SUFFIXES))
        ]
        found = [path for path in paths if _is_file(path)]
        if len(found) > 1 and (very := [path for path in found if path.name.startswith(f"{base.name}{ending}.")]):
            found = very  # the image's whole name, which no other image has
        if len(found) > 1 and ending and {path.name.partition(ending)[2] for path in found} <= RAW_AND_COPIES:
            found = [path for path in found if path.suffix == ".npz"] or found  # of a run, which writes both
        return found

    def path(self, name: str, ending: str = "") -> Path:
        """The same, where there has to be one.

        Raises:
            MapError: there is none.
        """
        found = self.find(name, ending)
        if found is None:
            stem = stem_of(name)
            raise MapError(
                f"{shown(self.folder)} has no {self.kind} of {shown(name)}: looked for {shown(stem)}{ending} with "
                f"{', '.join(ARRAYS)} or an image's suffix"
            )
        return found

    def note_shared(self, names: Sequence[str], endings: Sequence[str] = ("",)) -> None:
        """Note which files could be those of two images, such as `a.npy` of `a.jpg` and `a.png`: `find` refuses them.

        Args:
            names: of all images that there are; endings: of the files that an image may have, see `find`.
        """
        for name in names:
            for found in (self._all(name, ending) for ending in endings):
                if len(found) == 1:  # several cost this image anyway
                    self._owners.setdefault(found[0], {})[name] = None

    def digest(self, name: str, ending: str = "") -> bytes:
        """SHA-256 of an image's file.

        Raises:
            MapError: there is none, or it cannot be read.
        """
        path = self.path(name, ending)
        try:
            return content_hash(path)
        except OSError as error:
            raise MapError(unreadable(path, error)) from error

    def refuse_foreign(self, names: Sequence[str], endings: Sequence[str] = ("",)) -> None:
        """See that the folder has to do with the images: a single one without its file is a matter of that image.

        Args:
            endings: of the files that an image may have, see `find`; one of them is enough.

        Raises:
            MapError: none of them has one.
        """
        if not names or any(self._all(name, ending) for name in names for ending in endings):
            return
        if len(names) == 1:
            self.path(names[0], endings[0])
        wanted = ", ".join(f"{shown(stem_of(name))}{endings[0]}{ARRAYS[0]}" for name in names[:NAMED])
        held = [path.name for path in islice((path for path in self.folder.rglob("*") if path.is_file()), NAMED)]
        raise MapError(
            f"{shown(self.folder)} has no {self.kind} of any of the {len(names)} images: expected files such as "
            f"{wanted} (or another of {', '.join(ARRAYS)}, or a picture); it holds "
            + (", ".join(map(shown, held)) + " …" if held else "no file")
        )


def _stems(name: str) -> list[str]:
    """What files of an image may begin with: its name, that without its suffix, and what a run calls its outputs."""
    plain = dict.fromkeys((name, stem_of(name)))
    return list(dict.fromkeys((*plain, *map(shortened, plain), told_apart(shortened(name)))))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system allows
        return False


def read_mask(path: Path, *, max_pixels: int) -> np.ndarray:
    """(H, W) bool of a mask file: gray values from 128 on, or non-zero values of an array, are inside.

    Raises:
        MapError: not two-dimensional, NaN in it, nothing inside, or a map of classes with a void. ImageError: a picture
            that cannot be read.
    """
    if path.suffix.lower() in ARRAYS:
        values = read_array(path, "mask", max_pixels=max_pixels)
        if (values != values).any():  # would be inside, as it is not 0
            raise MapError(f"the mask {shown(path)} has NaN in it; expected 0 outside and another number inside")
        mask = values != 0
    else:
        pixels = read_image(path, max_pixels=max_pixels).pixels
        _refuse_void(path, pixels)
        mask = pixels.max(axis=2) >= INSIDE
    if not mask.any():
        raise MapError(f"the mask {shown(path)} has nothing inside (no value of {INSIDE} or more)")
    return mask


def _refuse_void(path: Path, pixels: np.ndarray) -> None:
    """Of a map of classes, 0, 1, 2 … with 255 for what has no class, the void alone would be inside.

    Edges that are smoothed, and JPEG, leave values in between.
    """
    if (pixels != pixels[..., :1]).any():
        return
    counts = np.bincount(pixels[..., 0].ravel(), minlength=256)
    classes = np.flatnonzero(counts[1:CLASSES]) + 1
    if len(classes) and counts[VOID] and not counts[CLASSES:VOID].any():
        told = ", ".join(map(str, classes[:3])) + (" …" if len(classes) > 3 else "")
        raise MapError(
            f"the mask {shown(path)} looks like a map of classes: it has the values {told} and {VOID} (void), of which "
            f"the void alone would be inside; write a mask of one class, with {VOID} inside and 0 outside"
        )


def read_map(path: Path, *, max_pixels: int) -> np.ndarray:
    """(H, W) float32 of a heat map: an array, or the gray values of a picture.

    Raises:
        MapError: not two-dimensional, not numbers, or a coloured picture, whose values no longer tell an order.
    """
    if path.suffix.lower() in ARRAYS:
        values = read_array(path, "map", max_pixels=max_pixels)
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
            return values.astype(np.float32)
    pixels = read_image(path, max_pixels=max_pixels).pixels
    if (pixels != pixels[..., :1]).any():
        raise MapError(f"the map {shown(path)} is a coloured picture; give raw values (.npy, .npz) or a gray picture")
    return pixels[..., 0].astype(np.float32)


def methods_of(folder: str | PathLike[str], names: list[str], *, numbered: bool = False) -> Iterator[str]:
    """Endings such as `.grad-cam` under which a run of `explain` has left maps of these images, sorted.

    Args:
        numbered: whether a number may follow, as in `a.grad-cam.2.npz`, which is no part of the ending.
    """
    root = Path(folder)
    found = set()
    for name in names[:8]:
        for stem in _stems(name):
            parent = (root / stem).parent
            prefix = PurePosixPath(stem).name + "."
            for path in parent.glob("*.npz") if parent.is_dir() else ():
                # Nothing where the file is called like the image alone; the image's suffix in a.jpg.npz.
                ending = path.name[len(prefix) - 1 : -len(".npz")]
                if numbered:
                    ending = re.sub(r"\.\d+$", "", ending)
                if path.name.startswith(prefix) and ending.count(".") == 1 and stem + ending != name:
                    found.add(ending)
    yield from sorted(found)
