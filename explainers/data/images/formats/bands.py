"""The bands of a TIFF file: their values for a network that takes them, and a picture of some of them for the eye."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from explainers.data.images.formats.eight_bits import eight_bits
from explainers.data.images.formats.tiff_chunks import Layout, UnreadableBandsError, layout_of, values_of
from explainers.data.images.formats.tiff_tags import BLACK_IS_ZERO, RGB, Page, full_pages, pages
from explainers.errors import ImageError
from explainers.storage.paths import shown

if TYPE_CHECKING:
    import numpy as np

LOWEST, HIGHEST = 2, 98  # percentiles of a picture's values that are black and white
MOST_SAMPLED = 1 << 20  # values that percentiles are taken of


@dataclass(frozen=True)
class Bands:
    """values: (H, W, bands) as they stand in the file, upright; notes: what was read, for the user."""

    values: np.ndarray
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """The pages of a file that hold its bands, and where their values lie."""

    pages: tuple[Page, ...]
    layouts: tuple[Layout, ...]

    @property
    def size(self) -> tuple[int, int, int]:
        """(H, W, bands) before it is turned upright."""
        first = self.pages[0]
        return first.height, first.width, sum(page.samples for page in self.pages)

    @property
    def bytes(self) -> int:
        """What the values take."""
        height, width, bands = self.size
        return height * width * bands * int(self.layouts[0].kind.itemsize)


def source_of(path: Path, data: bytes) -> Source:
    """Where the bands of a TIFF file lie: in its one page, or in pages of one size and kind with one band each.

    Args:
        path: for errors.

    Raises:
        ImageError: they are stored in a form that is not read, pages differ, or the file is damaged.
    """
    found = full_pages(pages(path, data))
    try:
        layouts = tuple(layout_of(data, page) for page in found)
    except UnreadableBandsError as error:
        raise _unreadable(path, error) from error
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise ImageError(f"{shown(path)} is damaged: its TIFF tags cannot be read ({error})") from error
    if any(page.photometric not in (BLACK_IS_ZERO, RGB) for page in found):
        raise _unreadable(path, f"of colour space {found[0].photometric}")
    alike = {
        (page.height, page.width, layout.kind, layout.orientation) for page, layout in zip(found, layouts, strict=True)
    }
    if len(found) > 1 and (len(alike) > 1 or any(page.samples > 1 for page in found)):
        raise ImageError(
            f"{shown(path)} has {len(found)} pages that are not one band each, of one size and kind; write its bands "
            "as one page, as GeoTIFF files have them"
        )
    return Source(tuple(found), layouts)


def read_bands(path: Path, data: bytes, source: Source) -> Bands:
    """The values of all bands, in the order of the file.

    Raises:
        ImageError: the file is damaged, or holds values that are no numbers.
    """
    import numpy as np

    try:
        parts = [values_of(data, page, layout) for page, layout in zip(source.pages, source.layouts, strict=True)]
    except UnreadableBandsError as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # decoders raise anything on damaged bytes
        raise ImageError(f"{shown(path)} is damaged: {error}") from error
    values = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
    layout = source.layouts[0]
    values = np.ascontiguousarray(rotated(values, layout.orientation))
    if values.dtype.kind == "f" and (lost := int((~np.isfinite(values)).sum())):
        raise ImageError(f"{shown(path)}: {lost:,} of {values.size:,} values are NaN or infinite; fill them first")
    told = f"{values.shape[2]} bands of {values.dtype.name}"
    notes = [f"{len(parts)} pages were read as {told}" if len(parts) > 1 else f"{told} were read"]
    if share := _share_of(values, layout.no_data):
        notes.append(f"{share:.2g} of the values are {layout.no_data}, which the file calls missing; taken as they are")
    return Bands(values, tuple(notes))


def picture_of(
    path: Path, values: np.ndarray, chosen: Sequence[int] | None, white: float | None
) -> tuple[np.ndarray, str]:
    """(H, W, 3) uint8 RGB of three bands, or gray of one, and words on how it was made.

    Black is 0 and white `white`, where that is given, or 255 of 8-bit values; else black and white are percentiles of
    the values of the chosen bands together, so that the picture is neither black nor of changed colours.

    Args:
        path: for errors; values: (H, W, bands); chosen: which bands, counted from 1; None: the first three, or the
            first of fewer.

    Raises:
        ImageError: there is no such band.
    """
    import numpy as np

    bands = values.shape[2]
    chosen = tuple(chosen or ((1, 2, 3) if bands >= 3 else (1,)))
    if max(chosen) > bands:
        raise ImageError(f"{shown(path)} has {bands} bands; there is no band {max(chosen)} for its picture")
    picked = values[..., [band - 1 for band in chosen]]
    told = f"the picture shows band{'s' if len(chosen) > 1 else ''} {', '.join(map(str, chosen))}"
    if white is None and picked.dtype == np.uint8:
        return eight_bits(picked)[0], told
    low, high = (0.0, float(white)) if white is not None else _percentiles(picked)
    scaled = ((picked.astype(np.float32) - low) / (high - low)).clip(0, 1)
    return eight_bits(scaled)[0], f"{told} from {low:.6g} (black) to {high:.6g} (white)"


def highest(values: np.ndarray) -> float:
    """The highest value that integers of this kind can have, or 1: white where nothing else is said."""
    import numpy as np

    return 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)


def rotated(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 … 8, to (H, W) or (H, W, K)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    import numpy as np

    flat = values.reshape(-1)
    low, high = np.percentile(flat[:: max(1, flat.size // MOST_SAMPLED)], (LOWEST, HIGHEST))
    return float(low), float(high) if high > low else float(low) + 1


def _share_of(values: np.ndarray, no_data: str) -> float:
    try:
        missing = float(no_data)
    except ValueError:
        return 0.0
    return float((values == missing).mean())


def _unreadable(path: Path, what: object) -> ImageError:
    return ImageError(
        f"{shown(path)} has bands {what}, which are not read; write them as integers or floats of 8 to 64 bits, "
        "compressed with deflate or LZW or not at all, or read the file yourself and pass tensors (N, C, H, W)"
    )
