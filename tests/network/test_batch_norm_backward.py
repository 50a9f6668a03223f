"""Gradients of a single image through batch norm and a step to tokens, which torch's own kernel gets wrong."""

from __future__ import annotations

import pytest
import torch
from small import lively
from torch import Tensor, nn

import explainers
from explainers.baselines import LABN
from explainers.network.as_found.batch_norm_backward import SoundBatchNorm


class Tokenised(nn.Module):
    """Convolution, batch norm, a product of a matrix with the transposed positions, linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.mix = nn.Parameter(torch.randn(1, 5, 48))
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.mix @ self.norm(self.conv(x)).flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize("method", ["input-x-gradient", "saliency", "grad-cam", "captum:Saliency"])
@pytest.mark.parametrize("network", [Tokenised, lambda: LABN(channels=3, scope=3)])
def test_the_map_of_an_image_alone_is_its_map_in_a_batch(method, network):
    model = lively(network()).double()
    images = torch.randn(3, 3, 6, 8, dtype=torch.float64)
    if not isinstance(model, Tokenised):
        images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    layer = {"layer": "conv" if isinstance(model, Tokenised) else "features"} if method == "grad-cam" else {}
    explainer = explainers.create(method, model, **layer)
    together = explainer(images, [0, 1, 1])
    alone = torch.cat([explainer(images[row : row + 1], [target]) for row, target in enumerate([0, 1, 1])])
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-6 * float(together.abs().max()))


def test_the_gradient_of_a_single_image_is_the_analytic_one():
    model = lively(Tokenised()).double()
    leaf = torch.randn(1, 4, 6, 8, dtype=torch.float64).requires_grad_()
    out = model.mix.detach() @ model.norm(leaf).flatten(2).transpose(1, 2)
    weights = torch.randn_like(out)
    with SoundBatchNorm():
        (found,) = torch.autograd.grad((out * weights).sum(), leaf)
    gain = model.norm.weight / (model.norm.running_var + model.norm.eps).sqrt()
    expected = torch.einsum("rp,rc->cp", model.mix[0], weights[0]) * gain[:, None]
    torch.testing.assert_close(found[0].flatten(1), expected.detach())
