"""A class of a segmentation network over a region that is said of each photo: `box:10,20,50,60`, `mask:FOLDER`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from explainers.core.preprocessing import Preprocessing
from explainers.data.images import MAX_PIXELS, ImageFile, Photo
from explainers.data.images.companions import Beside, read_mask
from explainers.errors import ImageError, OptionError
from explainers.run.targets.objects import ImageTargets
from explainers.run.targets.placed import box_in_input, placed
from explainers.storage.paths import shown
from explainers.targets import Region

if TYPE_CHECKING:
    from explainers.targets import Target

ALL, PREDICTED, MASK, BOX, PIXEL = "all", "predicted", "mask:", "box:", "pixel:"
SPELLINGS = "predicted, all, mask:FOLDER, box:X0,Y0,X1,Y1 or pixel:X,Y"


def region_of(index: int | None, where: str, *, max_pixels: int | None = None) -> Target | ImageTargets:
    """What `--where` means.

    Args:
        index: the class; None: the one that is predicted most in the region; where: "predicted", "all",
            "mask:FOLDER", "box:X0,Y0,X1,Y1" or "pixel:X,Y", of each photo; max_pixels: larger masks are refused.

    Raises:
        OptionError: it means nothing. MapError: there is no such folder.
    """
    if where in (ALL, PREDICTED):
        return Region(index, None if where == ALL else PREDICTED)
    if where.startswith(MASK) and where != MASK:
        return MaskRegions(index, Beside(where.removeprefix(MASK), "mask"), max_pixels)
    for kind, count in ((BOX, 4), (PIXEL, 2)):
        if where.startswith(kind):
            return BoxRegions(index, _numbers(where, kind, count), where)
    raise OptionError(f"where={where!r}: expected {SPELLINGS}")


@dataclass(frozen=True)
class BoxRegions(ImageTargets):
    """A class over a box (x0, y0, x1, y1) or pixel (x, y) of each photo."""

    index: int | None
    numbers: tuple[float, ...]
    spelled: str

    @property
    def key(self) -> str:
        """Class and place."""
        return f"Region({self.index}, {self.spelled})"

    def of(self, file: ImageFile, photo: Photo, preprocessing: Preprocessing) -> Region:
        """With the box as it lies in the network's input, cut to what the network sees.

        Raises:
            ImageError: it does not lie in the photo, or not in what the network sees of it.
        """
        height, width = photo.pixels.shape[:2]
        x, y = self.numbers[:2]
        x0, y0, x1, y1 = self.numbers if len(self.numbers) == 4 else (x, y, x + 1, y + 1)
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            raise ImageError(f"{self.spelled} does not lie in the photo, which is {width} wide and {height} high")
        box = box_in_input((x0, y0, x1, y1), (height, width), preprocessing)
        if not (box[0] < box[2] and box[1] < box[3]):
            raise ImageError(f"{self.spelled} lies outside of the part of the photo that the network sees")
        return Region(self.index, box, f"in {self.spelled}")

    def check(self, files: Sequence[ImageFile]) -> None:
        """The numbers are all it is made of."""


@dataclass(frozen=True)
class MaskRegions(ImageTargets):
    """A class over a mask of each photo, a file named like it."""

    index: int | None
    masks: Beside
    max_pixels: int | None = None

    @property
    def key(self) -> str:
        """Class and folder; the masks' contents are part of what each image is known by."""
        return f"Region({self.index}, mask:{self.masks.folder.resolve()})"

    def of(self, file: ImageFile, photo: Photo, preprocessing: Preprocessing) -> Region:
        """With the mask as it lies over the network's input.

        Raises:
            MapError: it does not fit the photo, or nothing of it is seen by the network.
        """
        path = self.masks.path(file.name)
        seen = photo.pixels.shape[:2]
        size = preprocessing.crop or preprocessing.resized_size(*seen)
        mask = read_mask(path, max_pixels=MAX_PIXELS if self.max_pixels is None else self.max_pixels)
        field = placed(mask, seen, size, preprocessing, str(path), True) > 0
        if not bool(field.any()):
            raise ImageError(f"the mask {shown(path)} has nothing inside the part of the photo that the network sees")
        return Region(self.index, field, "in its mask")

    def check(self, files: Sequence[ImageFile]) -> None:
        """See that there are masks of the images, and none that could be another's.

        Raises:
            MapError: there are none, or one is.
        """
        names = [file.name for file in files]
        self.masks.note_shared(names)
        self.masks.refuse_foreign(names)

    def digest(self, file: ImageFile) -> bytes:
        """Of the mask."""
        return self.masks.digest(file.name)


def _numbers(where: str, kind: str, count: int) -> tuple[float, ...]:
    example = "box:10,20,50,60" if count == 4 else "pixel:10,20"
    try:
        found = tuple(float(part) for part in where.removeprefix(kind).split(","))
    except ValueError:
        found = ()
    if len(found) != count or (count == 2 and not all(each.is_integer() for each in found)):
        raise OptionError(f"where={where!r}: expected {count} numbers, in pixels of the photo, such as {example}")
    if count == 4 and not (found[0] < found[2] and found[1] < found[3]):
        raise OptionError(f"where={where!r}: the box is empty; expected X0 < X1 and Y0 < Y1")
    return found
