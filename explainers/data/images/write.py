"""Pixels as an image file, whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from explainers.data.images.import_opencv import opencv
from explainers.errors import ImageError
from explainers.storage.atomic import shown, write_bytes

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


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


def write_animation(path: str | PathLike[str], frames: Sequence[np.ndarray], *, milliseconds: int = 700) -> None:
    """Write (H, W, 3) RGB uint8 pictures of one size as an animated WebP that begins again at its end; all or nothing.

    Raises:
        ImageError: the suffix is another, or there are no frames. WriteError: the file cannot be written.
    """
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() != ".webp" or not frames:
        raise ImageError(f"cannot write {len(frames)} frames as {shown(path)}; expected some, and a name in .webp")
    pictures = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "WEBP", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, quality=80
    )
    write_bytes(path, buffer.getvalue())


def write_tensors(path: Path, **arrays: Tensor) -> Path:
    """Write tensors as a compressed .npz file, and its folder where there is none."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, **{name: value.cpu().numpy() for name, value in arrays.items()})  # type: ignore[arg-type]
    return path
