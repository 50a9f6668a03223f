"""A class of a segmentation network over a region that is said of each file: `box:10,20,50,60`, `mask:FOLDER`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from explainers.core.preprocessing import AnyPreprocessing
from explainers.core.preprocessing.arrays import AXES
from explainers.data.images import ImageFile, Photo
from explainers.data.images.companions import Beside
from explainers.errors import ImageError, OptionError
from explainers.run.kinds import kind_of
from explainers.run.targets.objects import ImageTargets
from explainers.run.targets.placed import box_in_input, placed, seen_size
from explainers.storage.paths import shown
from explainers.targets import Region

if TYPE_CHECKING:
    from explainers.targets import Target

ALL, PREDICTED, MASK, BOX, PIXEL = "all", "predicted", "mask:", "box:", "pixel:"
VOXEL, SAMPLE = "voxel:", "sample:"
PHOTO = "photo"
EXAMPLES = {1: ("box:100:300", "sample:120"), 3: ("box:10:40,0:64,8:24", "voxel:12,30,8")}  # by axes
SPELLINGS = {  # by how a kind of input is called
    PHOTO: "predicted, all, mask:FOLDER, box:X0,Y0,X1,Y1 or pixel:X,Y",
    "volume": "predicted, all, mask:FOLDER, box:A0:A1,B0:B1,C0:C1 or voxel:A,B,C (the file's axes in order)",
    "clip": "predicted, all, mask:FOLDER, box:T0:T1,Y0:Y1,X0:X1 or voxel:T,Y,X",
    "signal": "predicted, all, mask:FOLDER, box:FROM:TO or sample:T",
}


def region_of(
    index: int | None, where: str, *, max_pixels: int | None = None, kind: str = PHOTO
) -> Target | ImageTargets:
    """What `--where` means.

    Args:
        index: the class; None: the one that is predicted most in the region; where: "predicted", "all", "mask:FOLDER";
            "box:X0,Y0,X1,Y1" or "pixel:X,Y" of each photo; of volumes, clips and signals "box:" with a range of each of
            the file's axes, "voxel:A,B,C" or "sample:T"; max_pixels: larger masks are refused; kind: "photo", "volume",
            "clip" or "signal".

    Raises:
        OptionError: it means nothing of this kind. MapError: there is no such folder.
    """
    if where in (ALL, PREDICTED):
        return Region(index, None if where == ALL else PREDICTED)
    if where.startswith(MASK) and where != MASK:
        return MaskRegions(index, Beside(where.removeprefix(MASK), "mask"), max_pixels)
    if kind != PHOTO:
        if where.startswith((BOX, SAMPLE if kind == "signal" else VOXEL)):
            return SpanRegions(index, _spans(where, kind), where)
        raise OptionError(f"where={where!r}: expected {SPELLINGS[kind]}")
    for begins, count in ((BOX, 4), (PIXEL, 2)):
        if where.startswith(begins):
            return BoxRegions(index, _numbers(where, begins, count), where)
    raise OptionError(f"where={where!r}: expected {SPELLINGS[PHOTO]}")


@dataclass(frozen=True)
class ClassRegions(ImageTargets):
    """A class over a region; index: None is the one that is predicted most in it."""

    index: int | None

    @property
    def anywhere(self) -> Region:
        """The class."""
        return Region(self.index)

    def check(self, files: Sequence[ImageFile]) -> None:
        """Numbers are all that a box or a place is made of."""


@dataclass(frozen=True)
class BoxRegions(ClassRegions):
    """A class over a box (x0, y0, x1, y1) or pixel (x, y) of each photo."""

    numbers: tuple[float, ...]
    spelled: str

    @property
    def key(self) -> str:
        """Class and place."""
        return f"Region({self.index}, {self.spelled})"

    def of(self, file: ImageFile, subject: Photo, preprocessing: AnyPreprocessing) -> Region:
        """With the box as it lies in the network's input, cut to what the network sees.

        Raises:
            ImageError: it does not lie in the photo, or not in what the network sees of it.
        """
        height, width = subject.pixels.shape[:2]
        x, y = self.numbers[:2]
        x0, y0, x1, y1 = self.numbers if len(self.numbers) == 4 else (x, y, x + 1, y + 1)
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            raise ImageError(f"{self.spelled} does not lie in the photo, which is {width} wide and {height} high")
        box = box_in_input((x0, y0, x1, y1), (height, width), preprocessing)
        if not (box[0] < box[2] and box[1] < box[3]):
            raise ImageError(f"{self.spelled} lies outside of the part of the photo that the network sees")
        return Region(self.index, box, f"in {self.spelled}")


@dataclass(frozen=True)
class SpanRegions(ClassRegions):
    """A class over a range of each axis (start, stop) of each volume, clip or signal file."""

    spans: tuple[tuple[int, int], ...]
    spelled: str

    @property
    def key(self) -> str:
        """Class and place."""
        return f"Region({self.index}, {self.spelled})"

    def of(self, file: ImageFile, subject: Any, preprocessing: AnyPreprocessing) -> Region:
        """With the ranges as they lie in the network's input.

        Raises:
            ImageError: they do not lie in the file.
        """
        kind = kind_of(preprocessing)
        axes = kind.size(subject)
        if any(stop > side for (_, stop), side in zip(self.spans, axes, strict=True)):
            told = " × ".join(map(str, axes)) + (" samples long" if len(axes) == 1 else "")
            raise ImageError(f"{self.spelled} does not lie in the {kind.name}, which is {told}")
        size = seen_size(preprocessing, axes)
        spans = tuple(
            (start * seen / side, min(stop * seen / side, float(seen)))
            for (start, stop), seen, side in zip(self.spans, size, axes, strict=True)
        )
        return Region(self.index, spans, f"in {self.spelled}")


@dataclass(frozen=True)
class MaskRegions(ClassRegions):
    """A class over a mask of each photo, a file named like it."""

    masks: Beside
    max_pixels: int | None = None

    @property
    def key(self) -> str:
        """Class and folder, wherever that lies; the masks' contents are part of what each image is known by."""
        return f"Region({self.index}, mask:{self.masks.folder.resolve().name})"

    def of(self, file: ImageFile, subject: Any, preprocessing: AnyPreprocessing) -> Region:
        """With the mask as it lies over the network's input.

        Raises:
            MapError: it does not fit the photo or volume, or lies elsewhere. ImageError: nothing of it is seen by the
                network.
        """
        path, kind = self.masks.path(file.name), kind_of(preprocessing)
        seen = kind.size(subject)
        mask = kind.mask_in(path, self.max_pixels, subject)
        field = placed(mask, seen, seen_size(preprocessing, seen), preprocessing, str(path), True) > 0
        if not bool(field.any()):
            raise ImageError(f"the mask {shown(path)} has nothing inside what the network sees of the {kind.name}")
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


def _spans(where: str, kind: str) -> tuple[tuple[int, int], ...]:
    """(start, stop) of each axis of a box, as `--roi` spells it, or of one place."""
    axes, box = AXES[kind], where.startswith(BOX)
    parts = where.partition(":")[2].split(",")
    try:
        ends = [tuple(int(end) for end in part.split(":")) for part in parts]
    except ValueError:
        ends = []
    spans = tuple((each[0], each[-1] if box else each[0] + 1) for each in ends)
    if len(spans) != axes or any(len(each) != (2 if box else 1) for each in ends):
        raise OptionError(f"where={where!r}: expected {SPELLINGS[kind]}, such as {EXAMPLES[axes][0 if box else 1]}")
    if any(not 0 <= start < stop for start, stop in spans):
        why = "the box is empty" if all(start >= 0 for start, _ in spans) else "it begins before the first place"
        raise OptionError(f"where={where!r}: {why}; expected whole numbers from 0, each start below its stop")
    return spans


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
