"""From a photo to a network's input, and where in the photo that input lies. Needs torch alone."""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.errors import ImageError, OptionError

if TYPE_CHECKING:
    import numpy as np

MODES = {"bilinear": True, "bicubic": True, "nearest": False, "nearest-exact": False, "area": False}
MOST_PIXELS = 100_000_000  # of a network's input, as of a photo by default
LUMA = (0.2989, 0.587, 0.114)


@dataclass(frozen=True)
class Preprocessing:
    """Resize, centre crop, scale to 0 … 1, normalise: equal to torchvision's `weights.transforms()` on uint8 tensors.

    resize: the shorter side, or (height, width), or None; crop: (height, width) around the centre, or one side of both
    (padded with black where the image is smaller, which a warning says), or None; mean, std: per channel, of values in
    0 … 1; channels: 3, or 1 for gray; source: where these came from; window: (left, top, right, bottom) of the part of
    a photo that is cut out before the resize, as fractions 0 … 1 of its width and height, or None for the whole.

    A network of another number of channels takes the bands of a file themselves, unrounded, all in their order, or
    those named by `bands`, counted from 1 as GeoTIFF does; `bands` does the same for 1 or 3 channels, which otherwise
    see the picture. picture: bands that are shown as red, green and blue, or one as gray, which is also the picture
    that a network of 1 or 3 channels sees; white: the value of a band that is 1 to the network (None: the highest
    that its integers have, or 1 of floats) and white in the picture.

    Where resize is the shorter side, longest: the longer side is at most this, and the shorter one smaller where that
    asks for it; multiple: both sides are rounded down to a multiple of it. Both are rounded as transformers does it
    for detectors.

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
    bands: tuple[int, ...] | None = None
    picture: tuple[int, ...] | None = None
    white: float | None = None
    longest: int | None = None
    multiple: int = 1

    def __post_init__(self) -> None:
        for name in ("resize", "crop", "mean", "std", "window", "bands", "picture"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        side: Any = self.crop
        if isinstance(side, int):
            object.__setattr__(self, "crop", (side, side))
        if self.interpolation not in MODES:
            raise OptionError(f"interpolation={self.interpolation!r}; expected one of {', '.join(MODES)}")
        self._check_bands()
        for name in ("mean", "std"):  # as they are where nothing is said, for any number of channels
            if getattr(self, name) == getattr(Preprocessing, name):
                object.__setattr__(self, name, getattr(self, name)[:1] * self.channels)
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.channels:
                raise OptionError(f"{name}={getattr(self, name)}; expected {self.channels} values, one per channel")
            if not all(map(math.isfinite, getattr(self, name))):
                raise OptionError(f"{name}={getattr(self, name)}; expected finite values")
        if min(self.std) <= 0:
            raise OptionError(f"std={self.std}; expected positive values")
        sizes = (self.resize if isinstance(self.resize, tuple) else (self.resize or 1,)) + (self.crop or ())
        if min(sizes) < 1:
            raise OptionError(f"resize={self.resize}, crop={self.crop}; expected sizes of at least one pixel")
        for name, size in (("resize", self.resize), ("crop", self.crop)):
            if size is not None and math.prod(size if isinstance(size, tuple) else (size, size)) > MOST_PIXELS:
                raise OptionError(f"{name}={size}; expected at most {MOST_PIXELS:,} pixels")
        if self.multiple < 1 or (self.longest is not None and self.longest < self.multiple):
            raise OptionError(f"longest={self.longest}, multiple={self.multiple}; expected at least one pixel of each")
        if not isinstance(self.resize, int) and (self.longest is not None or self.multiple != 1):
            raise OptionError(
                f"longest={self.longest}, multiple={self.multiple} with resize={self.resize}; they need a shorter side"
            )
        if self.window is not None and not _is_window(self.window):
            raise OptionError(
                f"window={self.window}; expected (left, top, right, bottom) as fractions of a photo's width and "
                "height: 0 ≤ left < right ≤ 1 and 0 ≤ top < bottom ≤ 1"
            )

    @property
    def takes_bands(self) -> bool:
        """Whether the network takes values of bands, not the picture."""
        return self.bands is not None or self.channels not in (1, 3)

    def reading(self) -> dict[str, Any]:
        """How `read_image` has to read files for it."""
        return {"picture": self.picture, "white": self.white, "values": self.takes_bands}

    def channels_shown(self) -> list[int] | None:
        """Which channels of an input of bands are its picture, None where that is not said."""
        order = list(self.bands or range(1, self.channels + 1))
        if not self.takes_bands or self.picture is None or not set(self.picture) <= set(order):
            return None
        return [order.index(band) for band in self.picture]

    def __call__(self, pixels: np.ndarray) -> Tensor:
        """(H, W, 3) uint8 to (channels, h, w) float32; of bands (H, W, K) where it takes them.

        Raises:
            ImageError: there are not the bands that the network takes.
        """
        if padding := self.padding(*pixels.shape[:2]):
            warnings.warn(padding, stacklevel=2)
        if self.takes_bands:
            image = self._cropped(self._resized(self._windowed(self._scaled(pixels))))
        else:
            image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
            image = self._cropped(self._resized(self._windowed(image))).float() / 255
        if self.channels == 1 and not self.takes_bands:
            image = (image * as_column(LUMA)).sum(dim=0, keepdim=True)
        return (image - as_column(self.mean)) / as_column(self.std)

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

    def padding(self, height: int, width: int) -> str:
        """What is to be said where the crop is larger than a photo of this size after its resize; empty where not."""
        if self.crop is None:
            return ""
        h, w = self.resized_size(height, width)
        if self.crop[0] <= h and self.crop[1] <= w:
            return ""
        cut = "the photo" if self.resize is None else f"resize={self.resize}"
        return f"crop={self.crop} is larger than {cut}: what the network sees beside the photo is black"

    def describe(self) -> dict[str, Any]:
        """Plain values, for a manifest; what few networks have only where it is set."""
        rare = ("bands", "picture", "white", "longest", "multiple")
        unset = {name for name in rare if getattr(self, name) == getattr(Preprocessing, name)}
        return {name: value for name, value in asdict(self).items() if name not in unset}

    def resized_size(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) after the resize of a photo of this size, the whole one: its window is taken first."""
        top, left, bottom, right = self._edges(height, width)
        return self._scaled_size(bottom - top, right - left)

    def input_size(self) -> tuple[int, int, int]:
        """(channels, h, w) of what the network gets of a square photo of 256 × 256."""
        return self.channels, *(self.crop or self.resized_size(256, 256))

    def _check_bands(self) -> None:
        if self.channels < 1:
            raise OptionError(f"channels={self.channels}; expected 3, 1 (gray), or as many as there are bands")
        for name in ("bands", "picture"):
            numbers = getattr(self, name)
            if numbers is not None and (not numbers or min(numbers) < 1 or any(int(each) != each for each in numbers)):
                raise OptionError(f"{name}={numbers}; expected numbers of bands, counted from 1")
        if self.bands is not None and len(self.bands) != self.channels:
            raise OptionError(f"bands={self.bands} are {len(self.bands)}, and channels={self.channels}")
        if self.picture is not None and len(self.picture) not in (1, 3):
            raise OptionError(f"picture={self.picture}; expected three bands (red, green, blue), or one (gray)")
        if self.white is not None and not (math.isfinite(self.white) and self.white > 0):
            raise OptionError(f"white={self.white}; expected a positive number")

    def _scaled(self, values: np.ndarray) -> Tensor:
        """(H, W, K) values of bands to (channels, H, W) float32 with white at 1."""
        count = values.shape[2] if values.ndim == 3 else 1
        if self.bands is None and count != self.channels:
            raise ImageError(
                f"there are {count} bands, and the network takes {self.channels} channels; name those that it takes "
                "(--input-bands; in Python Preprocessing(bands=(1, 2, …)))"
            )
        if self.bands is not None and max(self.bands) > count:
            raise ImageError(f"there are {count} bands, and no band {max(self.bands)} for the network")
        chosen = values if self.bands is None else values[..., [band - 1 for band in self.bands]]
        white = self.white if self.white is not None else _highest(values)
        return torch.from_numpy((chosen / white).astype("float32")).permute(2, 0, 1)

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
        side: float = self.resize
        if self.longest is not None and long / short * side > self.longest:
            side = self.longest * short / long
        first, other = (
            max(length - length % self.multiple, self.multiple) for length in (round(side), int(side * long / short))
        )
        return (first, other) if height <= width else (other, first)

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
        resized = torch.stack(wide)
        return resized if image.is_floating_point() else resized.round().clamp(0, 255).to(torch.uint8)

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


def as_column(values: tuple[float, ...]) -> Tensor:
    """(C, 1, 1) float32 beside photos, whatever torch's default type and device."""
    return torch.tensor(values, dtype=torch.float32, device="cpu")[:, None, None]


def _highest(values: np.ndarray) -> float:
    """The highest value that integers of this kind can have, or 1."""
    kind = values.dtype
    return 1.0 if kind.kind == "f" else float(2 ** (8 * kind.itemsize - (kind.kind == "i")) - 1)


def _is_window(values: tuple[float, ...]) -> bool:
    if len(values) != 4 or not all(math.isfinite(value) for value in values):
        return False
    left, top, right, bottom = values
    return 0 <= left < right <= 1 and 0 <= top < bottom <= 1
