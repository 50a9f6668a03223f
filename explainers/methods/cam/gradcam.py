"""Grad-CAM and the methods that differ from it by how gradient and activation are combined."""

from __future__ import annotations

import torch
from torch import Tensor

from explainers.core.layer_explainer import LayerExplainer
from explainers.core.maps import grad_cam, positions
from explainers.core.registry import register


def grad_cam_plus_plus(activation: Tensor, gradient: Tensor) -> Tensor:
    """ReLU of the channels weighted by Σ a · ReLU(g), with a = g² / (2g² + g³ · Σ A) and 0 where that is 0/0.

    Shapes as in `grad_cam`. The score's exponential of the paper cancels, so g is the gradient of the logit.

    Source: Chattopadhay et al. 2018, eq. 10 and 19.
    """
    squared, dims = gradient**2, positions(activation)
    denominator = 2 * squared + gradient**3 * activation.sum(dim=dims, keepdim=True)
    share = torch.where(denominator == 0, 0, squared / torch.where(denominator == 0, 1, denominator))
    weights = (share * gradient.relu()).sum(dim=dims, keepdim=True)
    return (weights * activation).sum(dim=1).relu()


def xgrad_cam(activation: Tensor, gradient: Tensor) -> Tensor:
    """ReLU of the channels weighted by Σ g·A / Σ A; a channel whose activations sum to 0 has weight 0.

    Shapes as in `grad_cam`.

    Source: Fu et al. 2020, eq. 7.
    """
    dims = positions(activation)
    total = activation.sum(dim=dims, keepdim=True)
    weighted = (gradient * activation).sum(dim=dims, keepdim=True)
    # Sums that are rounding noise (behind an instance norm) count as 0.
    noise = 100 * torch.finfo(activation.dtype).eps * activation.abs().sum(dim=dims, keepdim=True)
    null = total.abs() <= noise
    weights = torch.where(null, 0, weighted / torch.where(null, 1, total))
    return (weights * activation).sum(dim=1).relu()


def hires_cam(activation: Tensor, gradient: Tensor) -> Tensor:
    """ReLU of the sum over channels of gradient times activation, position by position.

    Shapes as in `grad_cam`.

    Source: Draelos and Carin 2020, eq. 5.
    """
    return (gradient * activation).sum(dim=1).relu()


def layer_cam(activation: Tensor, gradient: Tensor) -> Tensor:
    """ReLU of the sum over channels of positive gradient times activation, position by position.

    Shapes as in `grad_cam`.

    Source: Jiang et al. 2021, eq. 5 and 6.
    """
    return (gradient.relu() * activation).sum(dim=1).relu()


@register
class GradCAM(LayerExplainer):
    """Where the last spatial layer supports the class: channels weighted by their mean gradient.

    >>> maps = GradCAM(model)(images)  # doctest: +SKIP
    """

    name = "grad-cam"
    reference = "Selvaraju et al. 2017"
    weigh = staticmethod(grad_cam)


@register
class GradCAMPlusPlus(LayerExplainer):
    """Grad-CAM with weights that count every instance of an object: second and third order terms of the gradient."""

    name = "grad-cam++"
    reference = "Chattopadhay et al. 2018"
    weigh = staticmethod(grad_cam_plus_plus)


@register
class XGradCAM(LayerExplainer):
    """Grad-CAM with the mean gradient weighted by the activation, which makes the map sum to the score's change."""

    name = "xgrad-cam"
    reference = "Fu et al. 2020"
    weigh = staticmethod(xgrad_cam)


@register
class HiResCAM(LayerExplainer):
    """Gradient times activation without averaging the gradient: only places the network used."""

    name = "hires-cam"
    reference = "Draelos and Carin 2020"
    weigh = staticmethod(hires_cam)


@register
class LayerCAM(LayerExplainer):
    """Positive gradient times activation at each position: usable at early, fine layers."""

    name = "layer-cam"
    reference = "Jiang et al. 2021"
    weigh = staticmethod(layer_cam)
