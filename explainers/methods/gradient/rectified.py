"""Guided Backprop and its relatives: another backward rule at every ReLU."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from explainers.core.gradient_explainer import GradientExplainer
from explainers.core.layer_explainer import LayerExplainer, LayerOption
from explainers.core.maps import reduce_channels
from explainers.core.registry import register
from explainers.errors import OptionError
from explainers.methods.cam.gradcam import grad_cam
from explainers.network.capture import Capture
from explainers.network.gradients import target_gradients
from explainers.network.input import run
from explainers.network.output import Output
from explainers.network.rectifiers import Cuts, rectified, watched

SMOOTH = ("refuse", "rectify", "pass")


class RectifiedExplainer(GradientExplainer):
    """The gradient with respect to the image under a rule at every ReLU, however the network spells it.

    Args:
        smooth: what to do about GELU, SiLU, Hardswish, leaky units, …: "refuse", "rectify" (the rule there too) or
            "pass" (the rule at the ReLUs alone).

    Raises UnsupportedError when no ReLU was met or a part of the graph cannot be seen into.
    """

    rule: ClassVar[str]

    def __init__(
        self, model: Any, *, output: Output | None = None, channels: str | None = "max", smooth: str = "refuse"
    ) -> None:
        super().__init__(model, output=output, channels=channels)
        if smooth not in SMOOTH:
            raise OptionError(f"smooth={smooth!r}; expected one of {', '.join(SMOOTH)}")
        self.smooth = smooth

    def attribution(self, images: Tensor, targets: Any) -> Tensor:
        """The gradient under the rule."""
        leaf, scores, classes, cuts = self.watched(images, targets)
        with rectified(scores, leaf, self.rule, cuts=cuts, smooth=self.smooth, name=self.name):
            return target_gradients(scores, classes, [leaf])[0]

    def watched(self, images: Tensor, targets: Any) -> tuple[Tensor, Tensor, Tensor, Cuts]:
        """As `graph`, and what was seen in the network's pass; how boxes or regions are read of it holds no unit."""
        leaf = images.detach().requires_grad_()
        returned, cuts = watched(leaf, partial(run, self.network))
        return leaf, *self.read(self.scores_in(returned, len(images)), targets), cuts


@register
class GuidedBackprop(RectifiedExplainer):
    """Gradient that passes a ReLU only where both it and the ReLU's input are positive: g · [g > 0] · [x > 0].

    >>> maps = GuidedBackprop(model, channels=None)(images)  # doctest: +SKIP
    """

    name = "guided-backprop"
    reference = "Springenberg et al. 2015"
    rule = "guided"


@register
class GuidedBackpropMinus(RectifiedExplainer):
    """Guided Backprop for negative gradients, g · [g < 0] · [x > 0]: a control, not an explanation."""

    name = "guided-backprop-minus"
    reference = "Furusawa 2019"
    rule = "guided-minus"


@register
class Deconvolution(RectifiedExplainer):
    """Gradient rectified at every ReLU whatever its input was: g · [g > 0]."""

    name = "deconvolution"
    reference = "Zeiler and Fergus 2014"
    rule = "deconvolution"


@register
class GuidedGradCAM(LayerExplainer):
    """Grad-CAM's place times Guided Backprop's detail, per pixel and channel, reduced afterwards.

    Args:
        layer: of the Grad-CAM part.
        spatial: of the Grad-CAM part.
        channels: of the Guided Backprop part.
        smooth: of the Guided Backprop part.

    Source: Selvaraju et al. 2017, section 3.2.
    """

    name = "guided-grad-cam"
    reference = "Selvaraju et al. 2017"

    def __init__(
        self,
        model: Any,
        *,
        output: Output | None = None,
        layer: LayerOption = None,
        spatial: Any = None,
        channels: str | None = "max",
        smooth: str = "refuse",
    ) -> None:
        super().__init__(model, output=output, layer=layer, spatial=spatial)
        self.guided = GuidedBackprop(model, output=output, channels=channels, smooth=smooth)

    def compute(self, images: Tensor, targets: Any) -> Tensor:
        """One forward pass, one backward pass to the layers and one to the image."""
        layers = self.resolve(images)
        with Capture(layers, count=len(images)) as capture:
            leaf, scores, classes, cuts = self.guided.watched(images, targets)
        gradients = target_gradients(scores, classes, capture.tensors, retain=True)
        with rectified(scores, leaf, self.guided.rule, cuts=cuts, smooth=self.guided.smooth, name=self.name):
            detail = target_gradients(scores, classes, [leaf])[0]  # (N, K, C, *axes)
        maps = []
        for layer, value, gradient in zip(layers, capture.tensors, gradients, strict=True):
            activation = self.view(layer, value.detach())
            coarse = [grad_cam(activation, self.view(layer, grad)) for grad in gradient.unbind(1)]
            place = self.enlarged(torch.stack(coarse, dim=1), images.shape[1:])
            maps.append(reduce_channels(place[:, :, None] * detail, self.guided.channels))
        return torch.stack(maps, dim=2) if isinstance(self.layer, (list, tuple)) else maps[0]
