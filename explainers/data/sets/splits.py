"""Splits of image files, and the deterministic division of images into parts by a hash of their names."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from explainers.data.data_set import Split
from explainers.data.images import MAX_PIXELS, ImageFile, read_image
from explainers.data.images.companions import read_mask
from explainers.errors import DataError, MapError
from explainers.storage.paths import not_there, shown

if TYPE_CHECKING:
    import numpy as np

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


BOX = "box"  # the mask of this name is filled boxes, which say nothing of a shape
MaskReader = Callable[[Path, int], "np.ndarray"]  # from a mask's file and the image's class to (H, W) bool


class Box(NamedTuple):
    """The sides of a box in pixels from the upper left corner of the image: right and bottom are just outside."""

    left: float
    top: float
    right: float
    bottom: float


def gray_mask(path: Path, label: int) -> np.ndarray:
    """(H, W) bool of a mask file that is white inside, whatever the class."""
    return read_mask(path, max_pixels=MAX_PIXELS)


class FileSplit(Split):
    """Image files with their classes, and for some of them files of masks.

    Args:
        files: images, whose names are the split's; labels: the class index of each; masks: by an image's name the files
            whose union is its mask; read: what reads such a file.
        boxes: from an image's name to the boxes around what decides. They are a mask only under the name "box": a
            metric of shapes would take a box for one.
    """

    def __init__(
        self,
        files: Sequence[ImageFile],
        labels: Sequence[int],
        masks: Mapping[str, tuple[Path, ...]] | None = None,
        *,
        boxes: Callable[[str], Sequence[Box]] | None = None,
        read: MaskReader = gray_mask,
    ) -> None:
        self.files, self.labels = tuple(files), tuple(labels)
        self.names = tuple(file.name for file in self.files)
        known = masks or {}
        self.masks = {name: known[name] for name in self.names if name in known}
        self._boxes, self._read = boxes, read
        plain = Split.mask_names if self.masks or boxes is None else ()
        self.mask_names = plain if boxes is None else (*plain, BOX)

    def pixels(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB of an image; ImageError where its file cannot be read."""
        return read_image(self.files[index].path, max_pixels=MAX_PIXELS).pixels

    def mask(self, index: int) -> np.ndarray | None:
        """(H, W) bool, the union of an image's masks; None where it has none.

        Raises:
            MapError: a mask with nothing inside, or of another size than its image. ImageError: unreadable.
        """
        if self.names[index] not in self.masks:
            return None
        return self._union(index, self.pixels(index).shape[:2])

    def named_mask(self, index: int, name: str) -> np.ndarray | None:
        """(H, W) bool, of "mask" or "box", whichever there are; MapError where no box is inside the image."""
        if name != BOX or self._boxes is None:
            return super().named_mask(index, name)
        height, width = self.pixels(index).shape[:2]
        return box_mask(self._boxes(self.names[index]), height, width, self.names[index])

    def check_mask(self, index: int, size: tuple[int, int]) -> None:
        """Read mask and boxes of an image of (height, width) pixels."""
        if self.names[index] in self.masks:
            self._union(index, size)
        if self._boxes is not None:
            box_mask(self._boxes(self.names[index]), *size, self.names[index])

    def _union(self, index: int, size: tuple[int, ...]) -> np.ndarray | None:
        union = None
        for path in self.masks[self.names[index]]:
            mask = self._read(path, self.labels[index])
            if mask.shape != size:
                raise MapError(
                    f"the mask {shown(path)} has {mask.shape[0]} × {mask.shape[1]} pixels, its image "
                    f"{shown(self.files[index].path)} has {size[0]} × {size[1]}"
                )
            union = mask if union is None else union | mask
        return union


def box_mask(boxes: Sequence[Box], height: int, width: int, name: str) -> np.ndarray:
    """(H, W) bool, every pixel that a box of the image touches, as far as it is inside the image.

    Raises:
        MapError: there is no box, or one has nothing inside the image.
    """
    import numpy as np

    mask = np.zeros((height, width), bool)
    for box in boxes:
        left, top = max(math.floor(box.left), 0), max(math.floor(box.top), 0)
        right, bottom = min(math.ceil(box.right), width), min(math.ceil(box.bottom), height)
        if right <= left or bottom <= top:
            raise MapError(
                f"the box of {shown(name)} from ({box.left:g}, {box.top:g}) to ({box.right:g}, {box.bottom:g}) has "
                f"nothing inside its {width} × {height} pixels"
            )
        mask[top:bottom, left:right] = True
    if not boxes:
        raise MapError(f"there is no box of {shown(name)}")
    return mask


def folder_of(rest: str, kind: str) -> Path:
    """The folder that a specification `kind:PATH` names; rest: what follows the colon.

    Raises:
        DataError: nothing follows, or there is no such folder.
    """
    if not rest:
        raise DataError(f"{kind}: names no folder; write {kind}:PATH")
    root = Path(rest).expanduser()
    if not root.is_dir():
        raise DataError(f"{kind}:{shown(rest)}: {not_there(root, 'folder')}")
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


def held_out(
    names: Sequence[str], labels: Sequence[int], share: float, whole: Callable[[float], int] = round
) -> tuple[list[int], list[int]]:
    """(kept, held out) indices: of each class `share` of the images, made whole and at least one, are held out.

    For a collection that does not grow: the shares are exact, but a new image may move another one.

    Raises:
        DataError: a class of a single image.
    """
    of_class: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        of_class.setdefault(label, []).append(index)
    chosen = set()
    for label, mine in sorted(of_class.items()):
        if len(mine) < 2:
            raise DataError(
                f"class {label} has one image, {shown(names[mine[0]])}; it needs one to train and one to validate"
            )
        ranked = sorted(mine, key=lambda index: fraction_of(names[index]))
        chosen.update(ranked[: min(max(1, whole(share * len(ranked))), len(ranked) - 1)])
    return [index for index in range(len(names)) if index not in chosen], sorted(chosen)
