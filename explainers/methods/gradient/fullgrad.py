"""Full-Grad: what the image and what every bias contributes to the score."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from explainers.core.explainer import Explainer
from explainers.core.maps import upsample
from explainers.core.registry import register
from explainers.core.targets import resolve_targets
from explainers.errors import refuse
from explainers.network.ends import warn_if_normalised
from explainers.network.gradients import target_gradients
from explainers.network.guard import alone, exact, in_own_thread, preserved
from explainers.network.input import checked_images
from explainers.network.inputs import is_bound

Term = tuple[Tensor, Tensor]  # pre-activation in the graph, bias broadcast against it


@register
class FullGrad(Explainer):
    """|x ⊙ ∂S/∂x| plus |b ⊙ ∂S/∂z| of every layer with a bias, each scaled to 0 … 1, upsampled and summed.

    Exact where S(x) = Σ x ⊙ ∂S/∂x + Σ b ⊙ ∂S/∂z holds: networks that are piecewise linear, with every constant in a
    bias of a convolution, linear or batch-norm layer. That is checked on every image, and the method refuses otherwise.

    Source: Srinivas and Fleuret 2019, eq. 3 and 6; biases without positions (linear layers) count in the check alone.
    Maps of layers are enlarged bilinearly, pixel centres kept (`align_corners=False`); the authors' code keeps corners.
    """

    name = "full-grad"
    reference = "Srinivas and Fleuret 2019"
    needs = frozenset({"gradients"})

    tolerance = 1e-4  # of the size of the terms; float32 leaves about 1e-6 in a ResNet-50

    def compute(self, images: Tensor, targets: Any) -> Tensor:
        """One forward pass and one backward pass per target."""
        if is_bound(self.network):
            raise refuse(
                self.name,
                "it has other inputs, and what they and their biases contribute belongs to no position of this one",
                "input-x-gradient or layer-cam",
            )
        terms, scores, classes, gradients = self._decompose(images, targets)
        self._check(terms, scores, classes, gradients)
        maps = scaled(images[:, None] * gradients[0]).sum(dim=2)
        for (_, bias), gradient in zip(terms[1:], gradients[1:], strict=True):
            linear = bias.shape[1] == 1 < bias.shape[-1]
            # (N, K, C, u, v), or (N, K, u, v, C) of a linear layer, has positions; of a signal's a linear layer may be
            # one over the positions, (N, K, C, hidden), which nothing tells from the other.
            if gradient.ndim == images.ndim + 1 and not (linear and images.ndim == 3):
                term = scaled(bias[:, None] * gradient)
                term = term.movedim(-1, 2) if linear else term
                wide = upsample(term.flatten(1, 2), images.shape[2:]).unflatten(1, term.shape[1:3])
                maps = maps + wide.sum(dim=2)
        return maps

    def contributions(self, images: Tensor, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The two sides of completeness: scores (N, K) and the sums of all contributions (N, K)."""
        with torch.inference_mode(False):
            images = checked_images(images, self.network)
        with alone(self), preserved(self.network), exact(images, gradients=True):
            terms, scores, classes, gradients = self._decompose(images, targets)
            return scores.gather(1, classes).detach(), _totals(terms, gradients).sum(dim=0)

    def _decompose(self, images: Tensor, targets: Any) -> tuple[list[Term], Tensor, Tensor, list[Tensor]]:
        leaf = images.detach().requires_grad_()
        with biased_layers(self.network, len(images)) as found:
            scores = self.scores(leaf)
        warn_if_normalised(scores)
        terms = [(leaf, images), *found]
        classes = resolve_targets(targets, scores)
        gradients = target_gradients(scores, classes, [value for value, _ in terms], unused=True)
        return terms, scores, classes, gradients

    def _check(self, terms: list[Term], scores: Tensor, classes: Tensor, gradients: list[Tensor]) -> None:
        totals, wanted = _totals(terms, gradients), scores.gather(1, classes).detach()
        gap = (totals.sum(dim=0) - wanted).abs()
        size = wanted.abs() + totals.abs().sum(dim=0)
        slack = max(self.tolerance, 100 * torch.finfo(scores.dtype).eps)
        if bool((gap > slack * size).any()):
            worst = int((gap - slack * size).flatten().argmax())
            raise refuse(
                self.name,
                f"the contributions sum to {float(totals.sum(dim=0).flatten()[worst]):.5g} where the score is "
                f"{float(wanted.flatten()[worst]):.5g}, so it is not piecewise linear with all constants in biases "
                "(smooth activations, gates, saturated ReLU6, layer norm, constants added in forward)",
                "input-x-gradient, layer-cam or captum:IntegratedGradients",
            )


def scaled(values: Tensor) -> Tensor:
    """(N, K, C, u, v) magnitudes scaled to 0 … 1 per image and target over channels and positions; constant → 0."""
    flat = values.abs().flatten(2)
    low, high = flat.amin(dim=2, keepdim=True), flat.amax(dim=2, keepdim=True)
    span = torch.where(high > low, high - low, 1)
    return ((flat - low) / span).view_as(values)


@contextmanager
def biased_layers(network: Any, count: int) -> Iterator[list[Term]]:
    """Collects (output, bias) of every run of every layer with a bias while the network runs on `count` images.

    Layers that fold windows or positions into the batch are passed over; completeness says whether that matters.
    """
    found: list[Term] = []

    def keep(module: nn.Module, _: Any, output: Tensor) -> Tensor | None:
        bias = implicit_bias(module)
        if bias is None or not isinstance(output, Tensor) or not output.requires_grad or len(output) != count:
            return None
        ones = [1] * (output.ndim - 2)
        found.append((output, bias.view(1, *ones, -1) if isinstance(module, nn.Linear) else bias.view(1, -1, *ones)))
        return output.clone()  # an in-place ReLU behind the layer must not rewrite its output

    handles = []
    if isinstance(network, nn.Module):
        for module in network.modules():
            if not isinstance(module, torch.jit.ScriptModule):
                handles.append(module.register_forward_hook(in_own_thread(keep)))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def implicit_bias(module: nn.Module) -> Tensor | None:
    """The constant that a layer adds, (C,): a bias, or β − mean·γ/σ of batch norm with running statistics."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        if module.running_mean is None or module.running_var is None:
            return None
        gain = (module.running_var + module.eps).rsqrt()
        gain = gain if module.weight is None else gain * module.weight.detach()
        shift = -module.running_mean * gain
        return shift if module.bias is None else shift + module.bias.detach()
    if isinstance(module, (nn.modules.conv._ConvNd, nn.Linear)) and module.bias is not None:
        return module.bias.detach()
    return None


def _totals(terms: list[Term], gradients: list[Tensor]) -> Tensor:
    """(terms, N, K) sums of value ⊙ gradient."""
    return torch.stack(
        [(value[:, None] * gradient).flatten(2).sum(2) for (_, value), gradient in zip(terms, gradients, strict=True)]
    )
