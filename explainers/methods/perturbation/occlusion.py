"""Occlusion: how much the score falls when a window hides a part of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from explainers.core.explainer import Explained, told
from explainers.core.maps import is_constant
from explainers.core.perturbation_explainer import PerturbationExplainer
from explainers.core.registry import register
from explainers.errors import ImageError, OptionError
from explainers.methods.perturbation.region import Region, Roi, placed, region_of, sides
from explainers.network.output import Output
from explainers.passes.activation import Reading
from explainers.passes.substrate import substrate_of

Size = int | tuple[int, ...]


@register
class Occlusion(PerturbationExplainer):
    """Mean over the windows that cover a pixel of S_c(x) − S_c(x with the window hidden).

    Windows lie `stride` apart from the top left corner; the last row and column are cut off at the edge. All target
    classes share one set of passes. In a volume windows are blocks, in a signal intervals.

    Args:
        window: pixels a side, or (height, width), (depth, height, width) of a volume; None: an eighth of the image.
        stride: likewise; None: half a window.
        substrate: what hides: "zero" (after normalisation), "mean", "blur" or an image.
        roi: (start, stop) of each axis: windows lie in this region alone, as if it were all; outside the map is 0.

    Cost: a forward pass per window, and one: with the defaults 15 windows along each axis, 3375 in a volume.

    Source: Zeiler and Fergus 2014, section 4.2; overlapping windows averaged as in captum.
    """

    name = "occlusion"
    reference = "Zeiler and Fergus 2014"
    signed = True

    def __init__(
        self,
        model: Any,
        *,
        output: Output | None = None,
        activation: str | None = "auto",
        window: Size | None = None,
        stride: Size | None = None,
        substrate: str | Tensor = "zero",
        roi: Roi | None = None,
        **passes: Any,
    ) -> None:
        super().__init__(model, output=output, activation=activation, **passes)
        self.window, self.stride, self.substrate, self.roi = window, stride, substrate, roi

    @classmethod
    def trial(cls, model: Any, images: Tensor, *, output: Output | None = None) -> None:
        """Two windows a side."""
        half = tuple(math.ceil(side / 2) for side in images.shape[2:])
        cls(model, output=output, window=half, stride=half)(images[:1])

    def compute(self, images: Tensor, targets: Any) -> Explained:
        """Image by image, one pass per window."""
        reading, classes = self.clean(images, targets)
        region = region_of(self.roi, images.shape[2:])
        lengths = [span.stop - span.start for span in region]
        window = sides("window", self.window, [math.ceil(length / 8) for length in lengths])
        stride = sides("stride", self.stride, [max(1, side // 2) for side in window])
        if any(step > side for step, side in zip(stride, window, strict=True)):
            fixed = self.window is not None  # else the next image may have larger ones
            raise (OptionError if fixed else ImageError)(
                f"stride={self.stride} is larger than the window ({' × '.join(map(str, window))}): nothing would hide "
                "what lies between the windows, and the map would be 0 there; take a stride up to the window"
            )
        boxes = _boxes(lengths, window, stride)
        rows = zip(images, substrate_of(images, self.substrate), classes, strict=True)
        return told(torch.stack([self._map(*row, region, boxes, reading) for row in rows]), reading)

    def _map(
        self, image: Tensor, substrate: Tensor, classes: Tensor, region: Region, boxes: list[Region], reading: Reading
    ) -> Tensor:
        found: list[Tensor] = []
        inside = (slice(None), *region)
        hidden = substrate[inside]

        def make(start: int, stop: int, buffer: Tensor) -> Tensor:
            buffer[:] = image
            for row, index in enumerate(range(start, stop)):
                if index:  # the first row is the image as it is
                    box = (slice(None), *boxes[index - 1])
                    buffer[row][inside][box] = hidden[box]
            return buffer

        def take(_: int, scores: Tensor) -> None:
            found.append(reading(scores)[:, classes].double().cpu())

        self.predictor.run(len(boxes) + 1, image[None], make, take)
        watched = torch.cat(found)
        falls = watched[:1] - watched[1:]
        falls[:, [is_constant(each) for each in watched.unbind(1)]] = 0  # else a map of rounding
        total = torch.zeros(len(classes), *hidden.shape[1:], dtype=torch.float64, device="cpu")
        count = torch.zeros(hidden.shape[1:], dtype=torch.float64, device="cpu")
        for box, fall in zip(boxes, falls, strict=True):
            total[(slice(None), *box)] += fall.view(-1, *[1] * len(box))
            count[box] += 1
        return placed(total / count.clamp(min=1), region, image.shape[1:]).to(image.device)


def _boxes(lengths: Sequence[int], window: Sequence[int], stride: Sequence[int]) -> list[Region]:
    """The windows, row by row; the last ones are cut off where they pass the end."""
    spans = [
        [slice(start, start + side) for start in _starts(length, side, step)]
        for length, side, step in zip(lengths, window, stride, strict=True)
    ]
    return list(product(*spans))


def _starts(length: int, window: int, stride: int) -> range:
    """Where the windows begin; the last one reaches the edge."""
    count = 1 + math.ceil(max(0, length - window) / stride)
    return range(0, count * stride, stride)
