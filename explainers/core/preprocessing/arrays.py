"""From a volume, a signal or a clip to a network's input, and from a map of that input back to its places."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.core.maps import INTERPOLATIONS
from explainers.errors import ImageError, OptionError, counted

if TYPE_CHECKING:
    import numpy as np

AXES = {"volume": 3, "signal": 1, "clip": 3}  # positions, beside the channels
NORMALIZE = ("z-score", "min-max")
MOST_VALUES = 500_000_000  # of a network's input, as of a recording by default
ANY = {"volume": (32, 32, 32), "signal": (1024,), "clip": (8, 112, 112)}  # to try a network with, where no size is said


@dataclass(frozen=True)
class ArrayPreprocessing:
    """How a network takes a volume (C, D, H, W), a signal (C, L) or a clip of frames (C, T, H, W).

    In this order: `window`, `normalize`, `size`, `mean` and `std`. Nothing of it is done unless it is said.

    kind: "volume", "signal" or "clip"; size: of the axes, which are resized linearly (nothing is smoothed first), in
    the order in which the file has them; window: (low, high), values are limited to it and it becomes 0 … 1;
    normalize: "z-score" (each array less its mean, over its standard deviation) or "min-max" (its range becomes
    0 … 1), over all its channels together; mean, std: of each channel, or one for all; channels: how many the network
    takes, None for as many as there are; source: where these came from.

    Lists, as JSON gives them, become tuples.
    """

    kind: str = "volume"
    size: tuple[int, ...] | None = None
    window: tuple[float, float] | None = None
    normalize: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channels: int | None = None
    source: str = "given"

    def __post_init__(self) -> None:
        for name in ("size", "window", "mean", "std"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.kind not in AXES:
            raise OptionError(f"kind={self.kind!r}; expected one of {', '.join(AXES)}")
        if self.size is not None and math.prod(self.size) > MOST_VALUES:
            raise OptionError(f"size={self.size}; expected at most {MOST_VALUES:,} values")
        if self.size is not None and (len(self.size) != self.axes or min(self.size) < 1):
            raise OptionError(
                f"size={self.size}; expected {self.axes} of at least 1, as many as a {self.kind} has axes"
            )
        if self.window is not None and not (
            len(self.window) == 2 and all(map(math.isfinite, self.window)) and self.window[0] < self.window[1]
        ):
            raise OptionError(f"window={self.window}; expected (low, high), such as (-100, 300)")
        if self.normalize is not None and self.normalize not in NORMALIZE:
            raise OptionError(f"normalize={self.normalize!r}; expected one of {', '.join(NORMALIZE)}")
        if self.channels is not None and self.channels < 1:
            raise OptionError(f"channels={self.channels}; expected at least 1")
        self._check_scale()

    @property
    def axes(self) -> int:
        """How many axes of positions there are."""
        return AXES[self.kind]

    def __call__(self, values: np.ndarray) -> Tensor:
        """(C, *axes) of any numbers to (C, *size) float32.

        Raises:
            ImageError: another number of axes or channels than the network takes, or values that cannot be normalised.
        """
        if values.ndim != self.axes + 1:
            raise ImageError(f"there are {values.ndim - 1} axes, and a {self.kind} has {self.axes}")
        given = len(values)
        if self.channels is not None and given != self.channels:
            hint = "move the axis of channels to the front" if values.shape[-1] == self.channels else "choose some"
            raise ImageError(
                f"it has {counted(given, 'channel')}, and the network takes {self.channels}; {hint}, or say how "
                "many it takes (channels=, --channels)"
            )
        array = torch.from_numpy(values.astype("float32"))  # a copy
        if self.window is not None:
            low, high = self.window
            array = (array.clamp(low, high) - low) / (high - low)
        array = self._resized(self._normalized(array))
        for name, value in (("mean", self.mean), ("std", self.std)):
            if value is not None and len(value) not in (1, given):
                raise ImageError(f"there are {given} channels, and {name}={value} is of {len(value)}")
        if self.mean is not None:
            array = array - self._column(self.mean)
        return array / self._column(self.std) if self.std is not None else array

    def fitted(self, values: np.ndarray, *, nearest: bool) -> Tensor:
        """A field (*axes) over an array, such as a mask or a map, as it lies over the network's input: float32.

        Args:
            nearest: take the nearest value, as for masks; otherwise linear.
        """
        field = torch.from_numpy(values.astype("float32"))
        if self.size is None or tuple(field.shape) == self.size:
            return field
        return _interpolated(field[None], self.size, "nearest-exact" if nearest else INTERPOLATIONS[self.axes])[0]

    def back(self, map_: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """A map of the network's input in the places of the array that it is of.

        Args:
            map_: (*size), or (C, *size); axes: how long those of the array are.

        Returns:
            (*axes), or (C, *axes), float32, linear between the map's values.
        """
        values = torch.from_numpy(map_.astype("float32"))
        flat = values.reshape(-1, *values.shape[values.ndim - self.axes :])
        if tuple(flat.shape[1:]) != axes:
            flat = _interpolated(flat, axes, INTERPOLATIONS[self.axes])
        found: np.ndarray = flat.reshape(*values.shape[: values.ndim - self.axes], *axes).numpy()
        return found

    def describe(self) -> dict[str, Any]:
        """Plain values, for a manifest; what is not set is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def input_size(self) -> tuple[int, ...]:
        """(channels, *axes) of what the network gets; of any size, where none is said."""
        return (self.channels or 1, *(self.size or ANY[self.kind]))

    def _check_scale(self) -> None:
        for name in ("mean", "std"):
            value = getattr(self, name)
            if value is not None and not (value and all(map(math.isfinite, value))):
                raise OptionError(f"{name}={value}; expected a number for each channel, or one for all")
            if value is not None and self.channels is not None and len(value) not in (1, self.channels):
                raise OptionError(f"{name}={value}; expected {self.channels} values, one per channel, or one for all")
        if self.std is not None and min(self.std) <= 0:
            raise OptionError(f"std={self.std}; expected positive values")

    def _normalized(self, array: Tensor) -> Tensor:
        if self.normalize is None:
            return array
        if float(array.min()) == float(array.max()):
            raise ImageError(f"all values are equal, so that normalize={self.normalize!r} has nothing to divide by")
        if self.normalize == "min-max":
            return (array - array.min()) / (array.max() - array.min())
        wide = array.double()  # sums of millions of values
        return ((wide - wide.mean()) / wide.std(correction=0)).float()

    def _resized(self, array: Tensor) -> Tensor:
        if self.size is None or tuple(array.shape[1:]) == self.size:
            return array
        return _interpolated(array, self.size, INTERPOLATIONS[self.axes])

    def _column(self, values: tuple[float, ...]) -> Tensor:
        """(C, 1, …) float32, whatever torch's default type and device."""
        return torch.tensor(values, dtype=torch.float32, device="cpu").reshape(-1, *(1,) * self.axes)


def _interpolated(arrays: Tensor, size: tuple[int, ...], mode: str) -> Tensor:
    """(K, *axes) to (K, *size)."""
    corners = {} if mode == "nearest-exact" else {"align_corners": False}
    return F.interpolate(arrays[None], size=size, mode=mode, **corners)[0]  # type: ignore[arg-type]
