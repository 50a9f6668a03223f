"""Occlusion: how much the score falls when a window hides a part of the image."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from explainers.core.explainer import Explained, told
from explainers.core.perturbation_explainer import PerturbationExplainer
from explainers.core.registry import register
from explainers.errors import OptionError
from explainers.network.output import Output
from explainers.passes.activation import Reading
from explainers.passes.substrate import substrate_of

Size = int | tuple[int, int]


@register
class Occlusion(PerturbationExplainer):
    """Mean over the windows that cover a pixel of S_c(x) − S_c(x with the window hidden).

    Windows lie `stride` apart from the top left corner; the last row and column are cut off at the edge. All target
    classes share one set of passes.

    Args:
        window: pixels a side, or (height, width); None: an eighth of the image.
        stride: likewise; None: half a window.
        substrate: what hides: "zero" (after normalisation), "mean", "blur" or an image.

    Cost: a forward pass per window, and one.

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
        **passes: Any,
    ) -> None:
        super().__init__(model, output=output, activation=activation, **passes)
        self.window, self.stride, self.substrate = window, stride, substrate

    @classmethod
    def trial(cls, model: Any, images: Tensor, *, output: Output | None = None) -> None:
        """Two windows a side."""
        half = (math.ceil(images.shape[-2] / 2), math.ceil(images.shape[-1] / 2))
        cls(model, output=output, window=half, stride=half)(images[:1])

    def compute(self, images: Tensor, targets: Any) -> Explained:
        """Image by image, one pass per window."""
        reading, classes = self.clean(images, targets)
        height, width = images.shape[-2:]
        window = _pair("window", self.window, (math.ceil(height / 8), math.ceil(width / 8)))
        stride = _pair("stride", self.stride, (max(1, window[0] // 2), max(1, window[1] // 2)))
        tops, lefts = _starts(height, window[0], stride[0]), _starts(width, window[1], stride[1])
        boxes = [(top, left, top + window[0], left + window[1]) for top in tops for left in lefts]
        rows = zip(images, substrate_of(images, self.substrate), classes, strict=True)
        return told(torch.stack([self._map(*row, boxes, reading) for row in rows]), reading)

    def _map(
        self,
        image: Tensor,
        substrate: Tensor,
        classes: Tensor,
        boxes: list[tuple[int, int, int, int]],
        reading: Reading,
    ) -> Tensor:
        found: list[Tensor] = []

        def make(start: int, stop: int, buffer: Tensor) -> Tensor:
            buffer[:] = image
            for row, index in enumerate(range(start, stop)):
                if index:  # the first row is the image as it is
                    top, left, bottom, right = boxes[index - 1]
                    buffer[row, :, top:bottom, left:right] = substrate[:, top:bottom, left:right]
            return buffer

        def take(_: int, scores: Tensor) -> None:
            found.append(reading(scores)[:, classes].double().cpu())

        self.predictor.run(len(boxes) + 1, image, make, take)
        watched = torch.cat(found)
        falls = watched[:1] - watched[1:]
        total = torch.zeros(len(classes), *image.shape[-2:], dtype=torch.float64, device="cpu")
        count = torch.zeros(image.shape[-2:], dtype=torch.float64, device="cpu")
        for (top, left, bottom, right), fall in zip(boxes, falls, strict=True):
            total[:, top:bottom, left:right] += fall[:, None, None]
            count[top:bottom, left:right] += 1
        return (total / count.clamp(min=1)).to(image.device)


def _pair(name: str, value: Size | None, default: tuple[int, int]) -> tuple[int, int]:
    pair = default if value is None else (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
    if min(pair) < 1:
        raise OptionError(f"{name}={value}; expected at least one pixel")
    return pair


def _starts(length: int, window: int, stride: int) -> range:
    """Where the windows begin; the last one reaches the edge."""
    count = 1 + math.ceil(max(0, length - window) / stride)
    return range(0, count * stride, stride)
