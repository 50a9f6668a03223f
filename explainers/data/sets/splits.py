"""Splits of image files, and the deterministic division of images into parts by a hash of their names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from explainers.data.data_set import Split
from explainers.data.images import MAX_PIXELS, ImageFile, read_image
from explainers.data.images.companions import read_mask
from explainers.errors import DataError, MapError
from explainers.storage.paths import shown

if TYPE_CHECKING:
    import numpy as np

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class FileSplit(Split):
    """Image files with their classes, and for some of them files of masks.

    Args:
        files: images, whose names are the split's; labels: the class index of each; masks: by an image's name the files
            whose union is its mask.
    """

    def __init__(
        self, files: Sequence[ImageFile], labels: Sequence[int], masks: Mapping[str, tuple[Path, ...]] | None = None
    ) -> None:
        self.files, self.labels = tuple(files), tuple(labels)
        self.names = tuple(file.name for file in self.files)
        known = masks or {}
        self.masks = {name: known[name] for name in self.names if name in known}

    def pixels(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB of an image; ImageError where its file cannot be read."""
        return read_image(self.files[index].path, max_pixels=MAX_PIXELS).pixels

    def mask(self, index: int) -> np.ndarray | None:
        """(H, W) bool, the union of an image's masks; None where it has none.

        Raises:
            MapError: a mask with nothing inside, or of another size than its image. ImageError: unreadable.
        """
        paths = self.masks.get(self.names[index])
        if not paths:
            return None
        size, union = self.pixels(index).shape[:2], None
        for path in paths:
            mask = read_mask(path, max_pixels=MAX_PIXELS)
            if mask.shape != size:
                raise MapError(
                    f"the mask {shown(path)} has {mask.shape[0]} × {mask.shape[1]} pixels, its image "
                    f"{shown(self.files[index].path)} has {size[0]} × {size[1]}"
                )
            union = mask if union is None else union | mask
        return union


def folder_of(rest: str, kind: str) -> Path:
    """The folder that a specification `kind:PATH` names; rest: what follows the colon.

    Raises:
        DataError: nothing follows, or there is no such folder.
    """
    if not rest:
        raise DataError(f"{kind}: names no folder; write {kind}:PATH")
    root = Path(rest).expanduser()
    if not root.is_dir():
        raise DataError(f"{kind}:{shown(rest)}: no folder {shown(root)}")
    return root


def fraction_of(name: str) -> float:
    """A number in 0 … 1 (1 excluded) that depends on the name alone and is spread evenly over names."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def divided(names: Sequence[str], shares: Sequence[float]) -> list[list[int]]:
    """Indices of the names in each part: a part gets about its share of the names, and of any class among them.

    Each name is placed by itself, so that a new image moves no other one. The price is that the shares hold on average:
    of 20 images 0.15 may be one or six.

    Args:
        shares: of each part, summing to 1.
    """
    parts: list[list[int]] = [[] for _ in shares]
    for index, name in enumerate(names):
        place, part = fraction_of(name) - shares[0], 0
        while place >= 0 and part < len(shares) - 1:
            part += 1
            place -= shares[part]
        parts[part].append(index)
    return parts


def held_out(names: Sequence[str], labels: Sequence[int], share: float) -> tuple[list[int], list[int]]:
    """(kept, held out) indices: of each class `share` of the images, rounded and at least one, are held out.

    For a collection that does not grow: the shares are exact, but a new image may move another one.

    Raises:
        DataError: a class of a single image.
    """
    chosen = set()
    for label in sorted(set(labels)):
        mine = [index for index, own in enumerate(labels) if own == label]
        if len(mine) < 2:
            raise DataError(
                f"class {label} has one image, {shown(names[mine[0]])}; it needs one to train and one to validate"
            )
        ranked = sorted(mine, key=lambda index: fraction_of(names[index]))
        chosen.update(ranked[: min(max(1, round(share * len(ranked))), len(ranked) - 1)])
    return [index for index in range(len(names)) if index not in chosen], sorted(chosen)
