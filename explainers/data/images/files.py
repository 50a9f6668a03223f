"""Image files as people have them: found, read, refused with a reason, written. The one place that knows OpenCV."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explainers.errors import DependencyError, ImageError
from explainers.storage.atomic import write_bytes
from explainers.storage.paths import shown

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".png",
        ".webp",
        ".bmp",
        ".tif",
        ".tiff",
        ".gif",
        ".jp2",
        ".ppm",
        ".pgm",
        ".avif",
        ".heic",
        ".heif",
    )
)
MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class ImageFile:
    """A file to explain. name: its path relative to the folder searched, with forward slashes."""

    path: Path
    name: str


@dataclass(frozen=True)
class Photo:
    """pixels: (H, W, 3) uint8 RGB, upright; notes: what was done that a user may want to know."""

    pixels: np.ndarray
    notes: tuple[str, ...] = ()


def find_images(folder: str | PathLike[str]) -> list[ImageFile]:
    """All image files below a folder, by suffix, sorted by name; a single file gives itself.

    Dot files are skipped, links are followed once, and what only looks like an image stays in the list, so that it can
    be reported. A folder with an image's suffix is listed and searched.

    Raises:
        ImageError: there is no such folder, it cannot be read, or there is no image below it.
    """
    root = Path(folder)
    if root.is_file():
        return [ImageFile(root, root.name)]
    if not root.exists():
        raise ImageError(f"no file or folder {shown(root)}")
    found = sorted(_walk(root, root, set()), key=lambda image: image.name)
    if not found:
        raise ImageError(f"no images below {shown(root)} (looked for {', '.join(sorted(SUFFIXES))})")
    return found


def _walk(folder: Path, root: Path, seen: set[str]) -> Iterator[ImageFile]:
    real = os.path.realpath(folder)
    if real in seen:
        return  # a link back to a folder that was searched already
    seen.add(real)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        if folder == root:
            raise ImageError(f"cannot read the folder {shown(folder)}: {error.strerror}") from error
        yield ImageFile(folder, folder.relative_to(root).as_posix())
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if path.suffix.lower() in SUFFIXES:
            yield ImageFile(path, path.relative_to(root).as_posix())
        if entry.is_dir():
            yield from _walk(path, root, seen)


def read_image(path: str | PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode an image file: EXIF orientation applied, alpha on white, 8 bits a channel, first frame of an animation.

    Raises:
        ImageError: not an image, truncated, empty, unreadable, or more than `max_pixels` pixels by its header.
        DependencyError: OpenCV cannot be imported, or a HEIC file without pillow-heif.
    """
    path = Path(path)
    data = _bytes_of(path)
    kind, frames, opaque = _header(path, data, max_pixels)
    notes = []
    if frames > 1:
        notes.append(f"first of {frames} frames")
    pixels = _by_pillow(path, data) if kind == "HEIF" else _by_opencv(path, data, kind)
    if not opaque:
        notes.append("transparency composited on white")
    return Photo(pixels, tuple(notes))


def as_pixels(image: Any) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a path, a PIL image or an array (H, W), (H, W, 1), (H, W, 3), uint8 or float 0 … 1.

    Raises:
        ImageError: anything else.
    """
    import numpy as np

    if isinstance(image, (str, PathLike)):
        return read_image(image).pixels
    if hasattr(image, "getexif"):
        return _upright(image)
    if not isinstance(image, np.ndarray):
        raise ImageError(f"expected a path, a PIL image, an array or a tensor, got {type(image).__name__}")
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim == 2:
        image = np.stack([image] * 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f"expected an array of shape (H, W, 3) or (H, W), got {image.shape}")
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if not np.issubdtype(image.dtype, np.floating):
        raise ImageError(f"expected an array of uint8, or of floats in 0 … 1, got {image.dtype}")
    if not np.isfinite(image).all() or image.min() < 0 or image.max() > 1:
        raise ImageError(
            f"a float array must lie in 0 … 1, got {image.min():.3g} … {image.max():.3g}; divide it by 255?"
        )
    return np.round(image * 255).astype(np.uint8)


def write_image(path: str | PathLike[str], pixels: np.ndarray, *, quality: int | None = None) -> None:
    """Write (H, W, 3) RGB or (H, W) gray uint8 as PNG, JPEG or WebP, by the suffix; all or nothing.

    Args:
        quality: 1 … 100 of JPEG and WebP.

    Raises:
        ImageError: the suffix is none of these. WriteError: the file cannot be written.
    """
    cv2 = opencv()
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ImageError(f"cannot write {shown(path)}: the name must end in .png, .jpg, .jpeg or .webp")
    flags = {".png": [cv2.IMWRITE_PNG_COMPRESSION, 1], ".webp": [cv2.IMWRITE_WEBP_QUALITY, quality or 90]}.get(
        suffix, [cv2.IMWRITE_JPEG_QUALITY, quality or 92]
    )
    done, data = cv2.imencode(suffix, pixels[..., ::-1] if pixels.ndim == 3 else pixels, flags)
    if not done:
        raise ImageError(f"cannot encode an array of shape {pixels.shape} as {suffix}")
    write_bytes(path, data.tobytes())


@lru_cache(maxsize=1)
def opencv() -> Any:
    """The cv2 module.

    Raises:
        DependencyError: it cannot be imported, with the way out.
    """
    try:
        import cv2
    except ImportError as error:
        raise DependencyError(
            f"OpenCV cannot be imported ({error}). On a machine without a display library: "
            "pip uninstall -y opencv-python && pip install opencv-python-headless"
        ) from error
    return cv2


def _bytes_of(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise ImageError(f"{shown(path)} is {kind}, not an image")
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {shown(path)}: {error.strerror}") from error
    if not data:
        raise ImageError(f"{shown(path)} is empty (0 bytes)")
    return data


def _header(path: Path, data: bytes, max_pixels: int) -> tuple[str, int, bool]:
    """(format, frames, opaque) from the header alone; OpenCV would decode a bomb without asking."""
    from PIL import Image, UnidentifiedImageError

    _register_heif(data)
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            kind, frames = image.format or "", getattr(image, "n_frames", 1)
            opaque = not ("A" in image.getbands() or "transparency" in image.info)
    except UnidentifiedImageError as error:
        raise ImageError(f"{shown(path)} is not an image{_guess(data)}") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(f"{shown(path)} is damaged: {error}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    if width * height > max_pixels:
        raise ImageError(
            f"{shown(path)} has {width} × {height} pixels, more than the limit of {max_pixels:,}; "
            "raise it with max_pixels (--max-pixels) if you trust the file"
        )
    return kind, frames, opaque


def _by_opencv(path: Path, data: bytes, kind: str) -> np.ndarray:
    import numpy as np

    if kind in ("JPEG", "MPO") and _is_truncated_jpeg(data):
        raise ImageError(f"{shown(path)} is damaged: the JPEG ends before its picture does")
    cv2 = opencv()
    buffer = np.frombuffer(data, np.uint8)
    pixels = None
    if kind in ("PNG", "WEBP", "TIFF", "GIF"):
        pixels = _with_alpha(cv2, buffer, data)
    if pixels is None:
        try:
            pixels = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB)
        except cv2.error as error:
            raise ImageError(f"{shown(path)} is damaged: {str(error).strip().splitlines()[-1]}") from error
    return _by_pillow(path, data) if pixels is None else pixels


def _with_alpha(cv2: Any, buffer: np.ndarray, data: bytes) -> np.ndarray | None:
    """The picture on white where it has an alpha channel or float values, which a plain decode would drop."""
    import numpy as np

    try:
        raw = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if raw is None or (raw.dtype.kind != "f" and (raw.ndim < 3 or raw.shape[2] != 4)):
        return None
    scaled = _stretched(raw) if raw.dtype.kind == "f" else raw.astype(np.float32) / np.iinfo(raw.dtype).max
    if scaled.ndim == 2:
        scaled = np.stack([scaled] * 3, axis=2)
    if scaled.shape[2] == 4:
        scaled = scaled[..., :3] * scaled[..., 3:] + (1 - scaled[..., 3:])
    upright = _rotated(np.round(scaled[..., 2::-1] * 255).astype(np.uint8), _orientation(data))
    return np.ascontiguousarray(upright)


def _stretched(raw: np.ndarray) -> np.ndarray:
    """Float values as 0 … 1: as they are where they lie there, else from their lowest to their highest."""
    import numpy as np

    values = np.nan_to_num(raw.astype(np.float32), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return values
    return (values - low) / (high - low if high > low else 1)


def _by_pillow(path: Path, data: bytes) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return _upright(image)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(f"{shown(path)} is damaged: {error}") from error


def _upright(image: Any) -> np.ndarray:
    import numpy as np
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.float32)
        gray = values / (65535 if image.mode != "F" else max(float(values.max()), 1.0))
        return np.stack([np.round(gray.clip(0, 1) * 255).astype(np.uint8)] * 3, axis=2)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def _orientation(data: bytes) -> int:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return int(image.getexif().get(0x0112, 1))


def _rotated(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 … 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _is_truncated_jpeg(data: bytes) -> bool:
    """OpenCV fills what is missing with gray and says nothing; Pillow notices."""
    from PIL import Image

    if data.rstrip(b"\x00").endswith(b"\xff\xd9"):
        return False
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except (OSError, SyntaxError):
        return True
    return False


def _register_heif(data: bytes) -> None:
    if data[4:8] != b"ftyp" or data[8:12] not in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return
    try:
        import pillow_heif
    except ImportError as error:
        raise DependencyError("HEIC images need pillow-heif: pip install 'explainers[heic]'") from error
    pillow_heif.register_heif_opener()


def _guess(data: bytes) -> str:
    text = data[:64]
    if text.lstrip()[:1] == b"<":
        return " (it begins like HTML or XML)"
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in text):
        return " (it is text)"
    return ""
