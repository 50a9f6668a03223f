"""What a TIFF file holds, by its tags: its pages, and which of their channels are a picture's."""

from __future__ import annotations

import struct
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from explainers.errors import ImageError
from explainers.storage.paths import shown

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WIDTH, HEIGHT, SAMPLES, PHOTOMETRIC = 256, 257, 277, 262
SUBFILE, OLD_SUBFILE, EXTRA = 254, 255, 338
TAGS = (WIDTH, HEIGHT, SAMPLES, PHOTOMETRIC, SUBFILE, OLD_SUBFILE, EXTRA)
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
SIZES = {1: "B", 2: "B", 3: "H", 4: "I", 16: "Q"}
MOST_PAGES = 100_000
INSTEAD = (
    "which of them make a picture is not known: name them, counted from 1 (--bands 4,3,2; picture=(4, 3, 2)), "
    "give the preprocessing of a network that takes them all (--channels 13; Preprocessing(channels=13, …)), or read "
    "the file yourself and pass tensors (N, C, H, W)"
)


@dataclass(frozen=True)
class Page:
    """A page's tags. extra: what its channels beyond the colours are: 0 unspecified, 1 and 2 alpha; at: where in the
    file its directory lies."""

    width: int
    height: int
    samples: int
    photometric: int
    extra: tuple[int, ...]
    part: bool  # a smaller copy or a mask of another page
    at: int

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel tells what is transparent."""
        return self.samples in (2, 4) and self.extra[:1] in ((1,), (2,))

    def is_smaller_than(self, other: Page) -> bool:
        """Small enough to be a copy for quick looks and no picture of its own."""
        return 4 * self.width <= 3 * other.width and 4 * self.height <= 3 * other.height


def picture(path: Path, data: bytes) -> tuple[Page, list[str]]:
    """The page that is a TIFF file's picture, and notes.

    Smaller copies and masks of it do not count.

    Raises:
        ImageError: several pages, or channels that are no gray, RGB or CMYK picture; or the file is damaged.
    """
    found = pages(path, data)
    first = found[0]
    if first.part or len(full_pages(found)) > 1:
        raise ImageError(f"{shown(path)} has {len(found)} pages (a stack, bands or a document), and {INSTEAD}")
    notes = [f"first of {len(found)} pages, the others are smaller"] if len(found) > 1 else []
    colours = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, 3: 1, 5: 4, 6: 3, 8: 3}.get(first.photometric)
    if colours is None:
        raise ImageError(f"{shown(path)} is a TIFF of colour space {first.photometric}; save it as RGB or gray")
    more = first.samples - colours
    if more < 0 or more > 1 or (more == 1 and not first.has_alpha and colours != 3):
        raise ImageError(f"{shown(path)} has {first.samples} bands, and {INSTEAD}")
    if more == 1 and not first.has_alpha:
        notes.append("the first 3 of 4 bands were read as RGB; the fourth is not marked as transparency")
    return first, notes


def pages(path: Path, data: bytes) -> list[Page]:
    """Every page of a TIFF file, in their order.

    Args:
        path: for errors.

    Raises:
        ImageError: the file is damaged.
    """
    try:
        return _pages(data)
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise ImageError(f"{shown(path)} is damaged: its TIFF tags cannot be read ({error})") from error


def full_pages(found: list[Page]) -> list[Page]:
    """The pages that are no smaller copies or masks of the first."""
    return [page for page in found if not page.part and not page.is_smaller_than(found[0])]


def tags_of(data: bytes, at: int, wanted: Container[int], most: int) -> dict[int, tuple[int, ...]]:
    """Tags of the directory at this place, as numbers; those with more than so many values are left out.

    Raises:
        struct.error, ValueError: the file is damaged.
    """
    order, big = _form(data)
    return _directory(data, at, (order, big), wanted, most)[0]


def byte_order(data: bytes) -> str:
    """Of a TIFF file's numbers, as `struct` and NumPy spell it."""
    return _form(data)[0]


def _form(data: bytes) -> tuple[str, bool]:
    """The byte order, and whether offsets have 64 bits."""
    return "<" if data[:2] == b"II" else ">", data[2:4] in (b"+\0", b"\0+")


def _pages(data: bytes) -> list[Page]:
    order, big = _form(data)
    at = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)[0]
    seen: set[int] = set()
    found: list[Page] = []
    while at and len(found) < MOST_PAGES:
        if at in seen:
            raise ValueError("pages in a circle")
        seen.add(at)
        tags, following = _directory(data, at, (order, big), TAGS, 64)
        found.append(_page(tags, at))
        at = following
    if not found:
        raise ValueError("no page")
    return found


def _directory(
    data: bytes, at: int, form: tuple[str, bool], wanted: Container[int], most: int
) -> tuple[dict[int, tuple[int, ...]], int]:
    """The tags of a page as numbers, and where the next page is."""
    order, big = form
    head, entry, word = ("Q", 20, "Q") if big else ("H", 12, "I")
    count = struct.unpack_from(order + head, data, at)[0]
    if count > 4096:
        raise ValueError(f"{count} tags")
    start = at + struct.calcsize("=" + head)
    tags = {}
    for number in range(count):
        where = start + number * entry
        tag, kind, values = struct.unpack_from(f"{order}HH{word}", data, where)
        if tag not in wanted or kind not in SIZES or not 0 < values <= most:
            continue
        inside = where + 4 + struct.calcsize("=" + word)
        layout = f"{order}{values}{SIZES[kind]}"
        if struct.calcsize(layout) > struct.calcsize("=" + word):
            inside = struct.unpack_from(order + word, data, inside)[0]
        tags[tag] = struct.unpack_from(layout, data, inside)
    return tags, struct.unpack_from(order + word, data, start + count * entry)[0]


def _page(tags: dict[int, tuple[int, ...]], at: int) -> Page:
    part = bool(tags.get(SUBFILE, (0,))[0] & 5) or tags.get(OLD_SUBFILE, (1,))[0] == 2
    width, height = tags[WIDTH][0], tags[HEIGHT][0]
    if not width or not height:
        raise ValueError("a picture without pixels")
    samples = tags.get(SAMPLES, (1,))[0]
    photometric = tags.get(PHOTOMETRIC, (RGB if samples > 2 else BLACK_IS_ZERO,))[0]
    return Page(width, height, samples, photometric, tags.get(EXTRA, ()), part, at)
