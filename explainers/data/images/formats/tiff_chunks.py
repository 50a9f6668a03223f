"""The values of a TIFF page with any number of bands, strip by strip or tile by tile.

OpenCV gives up beyond four bands, and Pillow with any that are no picture. What is left for a reader to do is little:
strips and tiles are plain bytes, compressed one by one, so that each can be unpacked by zlib or, as a gray picture of
bytes, by Pillow.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from explainers.data.images.formats.pillow import pillow_image
from explainers.data.images.formats.tiff_tags import Page, byte_order, tags_of

if TYPE_CHECKING:
    import numpy as np

BITS, COMPRESSION, ORIENTATION, PLANAR, PREDICTOR, FORMAT = 258, 259, 274, 284, 317, 339
STRIP_OFFSETS, STRIP_ROWS, STRIP_COUNTS = 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
NO_DATA = 42113  # GDAL's, in letters
WANTED = frozenset((
    BITS, COMPRESSION, ORIENTATION, PLANAR, PREDICTOR, FORMAT, STRIP_OFFSETS, STRIP_ROWS, STRIP_COUNTS, TILE_WIDTH,
    TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, NO_DATA,
))  # fmt: skip
MOST_CHUNKS = 1 << 22
SMALL = 1 << 26  # bytes that a tile may take beyond the picture, whose edge it may reach over
PLAIN, DEFLATE, BY_PILLOW = (1,), (8, 32946), (5, 32773, 34925, 50000)  # LZW, PackBits, LZMA, ZSTD
OTHERS = {6: "JPEG", 7: "JPEG", 34712: "JPEG 2000", 34887: "LERC", 50001: "WebP"}
NO_PREDICTOR, DIFFERENCES, FLOAT_DIFFERENCES = 1, 2, 3
KINDS = {1: "u", 2: "i", 3: "f"}


class UnreadableBandsError(ValueError):
    """A sound file of a form that is not read here."""


@dataclass(frozen=True)
class Layout:
    """Where the values of a page lie.

    kind: of a value, in the file's byte order; separate: each band has chunks of its own; tiled: chunks are tiles,
    which go on beyond the picture, not strips; chunk: (height, width) of one; spans: (offset, bytes) of each;
    no_data: what the file calls missing, as written there, or "".
    """

    kind: np.dtype
    separate: bool
    compression: int
    predictor: int
    tiled: bool
    chunk: tuple[int, int]
    spans: tuple[tuple[int, int], ...]
    orientation: int
    no_data: str


def layout_of(data: bytes, page: Page) -> Layout:
    """Where the values of a page lie.

    Raises:
        UnreadableBandsError: in a form that is not read. struct.error, ValueError, KeyError: the file is damaged.
    """
    tags = tags_of(data, page.at, WANTED, MOST_CHUNKS)
    kind = _kind(byte_order(data), tags)
    compression, predictor = tags.get(COMPRESSION, (1,))[0], tags.get(PREDICTOR, (1,))[0]
    if compression not in (*PLAIN, *DEFLATE, *BY_PILLOW):
        name = OTHERS.get(compression, f"method {compression}")
        raise UnreadableBandsError(f"compressed by {name}")
    if predictor not in (NO_PREDICTOR, DIFFERENCES) and (predictor, kind.kind) != (FLOAT_DIFFERENCES, "f"):
        raise UnreadableBandsError(f"{kind.name} with predictor {predictor}")
    tiled = TILE_OFFSETS in tags
    if tiled:
        chunk = tags[TILE_HEIGHT][0], tags[TILE_WIDTH][0]
        spans = zip(tags[TILE_OFFSETS], tags[TILE_COUNTS], strict=True)
    else:
        chunk = min(tags.get(STRIP_ROWS, (page.height,))[0], page.height), page.width
        spans = zip(tags[STRIP_OFFSETS], tags[STRIP_COUNTS], strict=True)
    if min(chunk) < 1:
        raise ValueError("strips or tiles without pixels")
    separate = tags.get(PLANAR, (1,))[0] == 2 and page.samples > 1
    no_data = bytes(tags.get(NO_DATA, ())).rstrip(b"\0 ").decode("ascii", "replace")
    orientation = tags.get(ORIENTATION, (1,))[0]
    return Layout(kind, separate, compression, predictor, tiled, chunk, tuple(spans), orientation, no_data)


def values_of(data: bytes, page: Page, layout: Layout) -> np.ndarray:
    """(H, W, bands) values as they stand in the file, in this machine's byte order, not turned.

    Raises:
        UnreadableBandsError: blocks that were never written. Anything else: the file is damaged.
    """
    import numpy as np

    high, wide = layout.chunk
    down, across = -(-page.height // high), -(-page.width // wide)
    planes, bands = (page.samples, 1) if layout.separate else (1, page.samples)
    if len(layout.spans) != planes * down * across:
        raise ValueError(f"{len(layout.spans)} strips or tiles where {planes * down * across} belong")
    if high * wide * bands * layout.kind.itemsize > SMALL + page.height * page.width * bands * layout.kind.itemsize:
        raise ValueError(f"tiles of {high} × {wide} pixels in a picture of {page.height} × {page.width}")
    values = np.empty((page.height, page.width, page.samples), layout.kind.newbyteorder("="))
    for span, (plane, row, column) in zip(
        layout.spans, product(range(planes), range(down), range(across)), strict=True
    ):
        top, left = row * high, column * wide
        inside = min(high, page.height - top), min(wide, page.width - left)
        shape = (*(layout.chunk if layout.tiled else inside), bands)
        chunk = _chunk(data, span, layout, shape)[: inside[0], : inside[1]]
        values[top : top + inside[0], left : left + inside[1], plane : plane + bands] = chunk
    return values


def _kind(order: str, tags: dict[int, tuple[int, ...]]) -> np.dtype:
    import numpy as np

    bits, formats = set(tags.get(BITS, (1,))), set(tags.get(FORMAT, (1,)))
    if len(bits) > 1 or len(formats) > 1:
        raise UnreadableBandsError("of different kinds")
    (wide,), (form,) = bits, formats
    if form not in KINDS or wide not in ((16, 32, 64) if form == 3 else (8, 16, 32, 64)):
        raise UnreadableBandsError(f"of {wide} bits in sample format {form}")
    return np.dtype(f"{order}{KINDS[form]}{wide // 8}")


def _chunk(data: bytes, span: tuple[int, int], layout: Layout, shape: tuple[int, int, int]) -> np.ndarray:
    """(h, w, bands) values of one strip or tile."""
    import numpy as np

    height, width, bands = shape
    row = width * bands * layout.kind.itemsize
    offset, count = span
    if not count:
        raise UnreadableBandsError("with blocks that were never written (a sparse file)")
    raw = _unpacked(data[offset : offset + count], layout.compression, height, row)
    if len(raw) < height * row:
        raise ValueError(f"a strip or tile has {len(raw):,} of {height * row:,} bytes")
    flat = np.frombuffer(raw, np.uint8, height * row).reshape(height, row)
    if layout.predictor == FLOAT_DIFFERENCES:  # of the bytes, which lie plane by plane, the highest first
        summed = (
            flat.reshape(height, -1, bands).cumsum(axis=1, dtype=np.uint8).reshape(height, layout.kind.itemsize, -1)
        )
        return np.ascontiguousarray(summed.swapaxes(1, 2)).view(layout.kind.newbyteorder(">")).reshape(shape)
    if layout.predictor == DIFFERENCES:  # modulo the size of a value, whatever it means; so GDAL has it for floats too
        unsigned = np.dtype(f"u{layout.kind.itemsize}")
        words = flat.view(unsigned.newbyteorder(layout.kind.byteorder)).reshape(shape)
        return words.cumsum(axis=1, dtype=unsigned).view(layout.kind.newbyteorder("="))
    return flat.view(layout.kind).reshape(shape)


def _unpacked(raw: bytes, compression: int, height: int, row: int) -> bytes:
    if compression in PLAIN:
        return raw
    if compression in DEFLATE:
        return zlib.decompressobj().decompress(raw, height * row)
    with pillow_image(_gray_picture(raw, compression, height, row)) as image:
        return bytes(image.tobytes())


def _gray_picture(raw: bytes, compression: int, height: int, width: int) -> bytes:
    """A TIFF file of 8 bits a pixel with one strip: these bytes."""
    tags = {256: width, 257: height, BITS: 8, COMPRESSION: compression, 262: 1, STRIP_OFFSETS: 0, 277: 1,
            STRIP_ROWS: height, STRIP_COUNTS: len(raw)}  # fmt: skip
    tags[STRIP_OFFSETS] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return struct.pack("<4sIH", b"II*\0", 8, len(tags)) + entries + struct.pack("<I", 0) + raw
