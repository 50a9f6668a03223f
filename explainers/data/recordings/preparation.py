"""From a recording to the network's input, and back from the map to the recording's own places."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.data.recordings.recording import Recording
from explainers.errors import ImageError, OptionError

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
SCALES = ("none", "z-score", "unit")


@dataclass(frozen=True)
class Preparation:
    """How a network takes a volume or a signal.

    Args:
        size: of its axes, or None for as they are; resized linearly.
        window: (low, high): values are limited to it, and it becomes 0 … 1.
        scale: "none"; "z-score" (each recording minus its mean, over its standard deviation); "unit" (its range to 0 …
        1). channels: how many the network takes, None for as many as there are.
    """

    size: tuple[int, ...] | None = None
    window: tuple[float, float] | None = None
    scale: str = "none"
    channels: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and (not 1 <= len(self.size) <= 3 or min(self.size) < 1):
            raise OptionError(f"size={self.size}; expected one to three lengths of at least 1")
        if self.window is not None and not (
            all(map(math.isfinite, self.window)) and len(self.window) == 2 and self.window[0] < self.window[1]
        ):
            raise OptionError(f"window={self.window}; expected (low, high)")
        if self.scale not in SCALES:
            raise OptionError(f"scale={self.scale!r}; expected {', '.join(map(repr, SCALES))}")

    def __call__(self, recording: Recording) -> Tensor:
        """(C, *size) float32.

        Raises:
            ImageError: another number of axes or channels than the network takes.
        """
        values = torch.from_numpy(np.array(recording.values, np.float32))
        axes = values.ndim - 1
        if self.channels is not None and len(values) != self.channels:
            raise ImageError(f"it has {len(values)} channels, and the network takes {self.channels}")
        if self.window is not None:
            low, high = self.window
            values = (values.clamp(low, high) - low) / (high - low)
        if self.scale == "z-score":
            values = (values - values.mean()) / values.std().clamp(min=1e-8)
        elif self.scale == "unit":
            values = (values - values.min()) / (values.max() - values.min()).clamp(min=1e-8)
        if self.size is not None and tuple(values.shape[1:]) != self.size:
            if len(self.size) != axes:
                raise ImageError(f"it has {axes} axes, and size={self.size} names {len(self.size)}")
            values = F.interpolate(values[None], size=self.size, mode=MODES[axes], align_corners=False)[0]
        return values

    def back(self, map_: np.ndarray, recording: Recording) -> np.ndarray:
        """A map in the places of the recording: (*axes) float32, enlarged linearly."""
        values = torch.from_numpy(np.array(map_, np.float32))
        if values.shape != torch.Size(recording.axes):
            mode = MODES[values.ndim]
            values = F.interpolate(values[None, None], size=recording.axes, mode=mode, align_corners=False)[0, 0]
        return values.numpy()

    def describe(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return asdict(self)
