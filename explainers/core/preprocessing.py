"""From a photo to a network's input, and where in the photo that input lies. Needs torch alone."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.errors import OptionError

if TYPE_CHECKING:
    import numpy as np

MODES = {"bilinear": True, "bicubic": True, "nearest": False, "nearest-exact": False, "area": False}
LUMA = (0.2989, 0.587, 0.114)


@dataclass(frozen=True)
class Preprocessing:
    """Resize, centre crop, scale to 0 … 1, normalise: equal to torchvision's `weights.transforms()` on uint8 tensors.

    resize: the shorter side, or (height, width), or None; crop: (height, width) around the centre (padded with black
    where the image is smaller), or None; mean, std: per channel, of values in 0 … 1; channels: 3, or 1 for gray;
    source: where these came from; window: (left, top, right, bottom) of the part of a photo that is cut out before the
    resize, as fractions 0 … 1 of its width and height, or None for the whole.

    Lists, as JSON gives them, become tuples.
    """

    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    interpolation: str = "bilinear"
    channels: int = 3
    source: str = "given"
    window: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("resize", "crop", "mean", "std", "window"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.interpolation not in MODES:
            raise OptionError(f"interpolation={self.interpolation!r}; expected one of {', '.join(MODES)}")
        if self.channels not in (1, 3):
            raise OptionError(f"channels={self.channels}; a photo gives 3, or 1 (gray)")
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.channels:
                raise OptionError(f"{name}={getattr(self, name)}; expected {self.channels} values, one per channel")
        if min(self.std) <= 0:
            raise OptionError(f"std={self.std}; expected positive values")
        sizes = (self.resize if isinstance(self.resize, tuple) else (self.resize or 1,)) + (self.crop or ())
        if min(sizes) < 1:
            raise OptionError(f"resize={self.resize}, crop={self.crop}; expected sizes of at least one pixel")
        if self.window is not None and not _is_window(self.window):
            raise OptionError(
                f"window={self.window}; expected (left, top, right, bottom) as fractions of a photo's width and "
                "height: 0 ≤ left < right ≤ 1 and 0 ≤ top < bottom ≤ 1"
            )

    def __call__(self, pixels: np.ndarray) -> Tensor:
        """(H, W, 3) uint8 to (channels, h, w) float32."""
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
        image = self._cropped(self._resized(self._windowed(image))).float() / 255
        if self.channels == 1:
            image = (image * torch.tensor(LUMA)[:, None, None]).sum(dim=0, keepdim=True)
        return (image - torch.tensor(self.mean)[:, None, None]) / torch.tensor(self.std)[:, None, None]

    def fitted(self, values: np.ndarray, *, nearest: bool) -> Tensor:
        """A field (H, W) over a photo, such as a mask or a map, as it lies over the network's input: (h, w) float32.

        Args:
            nearest: take the nearest value, as for masks; otherwise bilinear. What the crop adds is 0.
        """
        field = self._windowed(torch.from_numpy(values.astype("float32"))[None])
        size = self._scaled_size(field.shape[1], field.shape[2])
        if size != tuple(field.shape[1:]):
            mode = {"mode": "nearest-exact"} if nearest else {"mode": "bilinear", "align_corners": False}
            field = F.interpolate(field[None], size=size, **mode)[0]  # type: ignore[arg-type]
        return self._cropped(field)[0]

    def box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """The part of a photo that the network sees, in its pixels: (top, left, bottom, right).

        It reaches beyond the photo where the crop was padded.
        """
        first_row, first_column, last_row, last_column = self._edges(height, width)
        h, w = self.resized_size(height, width)
        ch, cw = self.crop or (h, w)
        top, left = self._offset(h, ch), self._offset(w, cw)
        y, x = (last_row - first_row) / h, (last_column - first_column) / w
        return (
            first_row + top * y,
            first_column + left * x,
            first_row + (top + ch) * y,
            first_column + (left + cw) * x,
        )

    def describe(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return asdict(self)

    def resized_size(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) after the resize of a photo of this size, the whole one: its window is taken first."""
        top, left, bottom, right = self._edges(height, width)
        return self._scaled_size(bottom - top, right - left)

    def input_size(self) -> tuple[int, int, int]:
        """(channels, h, w) of what the network gets of a square photo of 256 × 256."""
        return self.channels, *(self.crop or self.resized_size(256, 256))

    def _edges(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Rows and columns of the window in a photo: (top, left, bottom, right), at least one pixel."""
        if self.window is None:
            return 0, 0, height, width
        left, top, right, bottom = self.window
        first_row, first_column = min(round(top * height), height - 1), min(round(left * width), width - 1)
        return (
            first_row,
            first_column,
            max(round(bottom * height), first_row + 1),
            max(round(right * width), first_column + 1),
        )

    def _windowed(self, image: Tensor) -> Tensor:
        top, left, bottom, right = self._edges(image.shape[1], image.shape[2])
        return image[:, top:bottom, left:right]

    def _scaled_size(self, height: int, width: int) -> tuple[int, int]:
        if self.resize is None:
            return height, width
        if isinstance(self.resize, tuple):
            return self.resize
        short, long = min(height, width), max(height, width)
        other = int(self.resize * long / short)
        return (self.resize, other) if height <= width else (other, self.resize)

    def _resized(self, image: Tensor) -> Tensor:
        size = self._scaled_size(image.shape[1], image.shape[2])
        if size == tuple(image.shape[1:]):
            return image
        antialias = MODES[self.interpolation]
        # Channel by channel, since a large photo as floats takes four times its memory.
        wide = [
            F.interpolate(
                channel[None, None].float(),
                size=size,
                mode=self.interpolation,
                antialias=antialias,
                align_corners=False if antialias else None,
            )[0, 0]
            for channel in image
        ]
        return torch.stack(wide).round().clamp(0, 255).to(torch.uint8)

    def _cropped(self, image: Tensor) -> Tensor:
        if self.crop is None:
            return image
        (h, w), (ch, cw) = image.shape[1:], self.crop
        # Padding and rounding as torchvision's center_crop has them.
        pad_h, pad_w = max(ch - h, 0), max(cw - w, 0)
        if pad_h or pad_w:
            image = F.pad(image, (pad_w // 2, (pad_w + 1) // 2, pad_h // 2, (pad_h + 1) // 2))
            h, w = image.shape[1:]
        top, left = round((h - ch) / 2), round((w - cw) / 2)
        return image[:, top : top + ch, left : left + cw]

    @staticmethod
    def _offset(size: int, crop: int) -> int:
        return -((crop - size) // 2) if crop > size else round((size - crop) / 2)


def _is_window(values: tuple[float, ...]) -> bool:
    if len(values) != 4 or not all(math.isfinite(value) for value in values):
        return False
    left, top, right, bottom = values
    return 0 <= left < right <= 1 and 0 <= top < bottom <= 1
