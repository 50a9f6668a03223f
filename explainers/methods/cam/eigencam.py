"""Eigen-CAM: what a layer's activations have most in common, whatever the class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from explainers.core.layer_explainer import LayerExplainer
from explainers.core.registry import register
from explainers.network.layers import Layer


def eigen_cam(activation: Tensor) -> Tensor:
    """Projection of every position's activation vector on the first right singular vector of the (u·v, K) matrix.

    The matrix is not centred, as in the paper. The sign of a singular vector is arbitrary; it is chosen so that the map
    correlates positively with the mean activation, or has a positive extreme where the mean is constant.

    Args:
        activation: (N, K, u, v).

    Returns:
        (N, u, v), signed.

    Source: Muhammad and Yeasin 2020, eq. 4 and 5.
    """
    matrix = activation.flatten(2).transpose(1, 2)  # (N, u·v, K)
    left, values, _ = torch.linalg.svd(matrix.float() if matrix.dtype.itemsize < 4 else matrix, full_matrices=False)
    maps = left[:, :, 0] * values[:, :1]
    mean = matrix.mean(dim=2).to(maps)
    agreement = ((maps - maps.mean(1, keepdim=True)) * (mean - mean.mean(1, keepdim=True))).sum(dim=1)
    # Behind a layer norm the mean is rounding noise and has no sign to give.
    noise = 100 * torch.finfo(maps.dtype).eps * maps.norm(dim=1) * matrix.flatten(1).norm(dim=1)
    extreme = maps.gather(1, maps.abs().argmax(dim=1, keepdim=True))[:, 0]
    agreement = torch.where(agreement.abs() <= noise, extreme, agreement)
    return (maps * torch.where(agreement < 0, -1, 1)[:, None]).view(len(activation), *activation.shape[2:])


@register
class EigenCAM(LayerExplainer):
    """First principal component of the layer's activations; needs no gradient and does not see the class."""

    name = "eigen-cam"
    reference = "Muhammad and Yeasin 2020"
    needs = frozenset({"layer"})
    signed = True
    class_blind = True

    def native(
        self,
        activations: list[Tensor],
        layers: Sequence[Layer],
        scores: Tensor,
        classes: Tensor,
        captured: list[Tensor],
    ) -> list[Tensor]:
        """One map per image, the same for each of its targets."""
        return [torch.stack([eigen_cam(value)] * classes.shape[1], dim=1) for value in activations]
