"""Full-Grad: what the image and what every bias contributes to the score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from explainers.core.explainer import Explainer
from explainers.core.layer_explainer import surveyed
from explainers.core.maps import upsample
from explainers.core.registry import register
from explainers.core.targets import resolve_targets
from explainers.errors import refuse
from explainers.network.ends import warn_if_normalised
from explainers.network.gradients import target_gradients
from explainers.network.guard import alone, exact, in_own_thread, preserved
from explainers.network.input import checked_images
from explainers.network.inputs import is_bound
from explainers.network.layers import made_of
from explainers.network.layout import Layout
from explainers.network.output import Output
from explainers.network.task_layers import extent_of

Run = tuple[nn.Module, int]  # which of the runs of a module in a forward pass, from 0
Extent = tuple[float, ...] | None


@dataclass(frozen=True)
class Term:
    """A pre-activation in the graph, the bias broadcast against it, and the run that put it out (None: the image)."""

    value: Tensor
    bias: Tensor
    run: Run | None = None


@register
class FullGrad(Explainer):
    """|x ⊙ ∂S/∂x| plus |b ⊙ ∂S/∂z| of every layer with a bias, each scaled to 0 … 1, upsampled and summed.

    Exact where S(x) = Σ x ⊙ ∂S/∂x + Σ b ⊙ ∂S/∂z holds: networks that are piecewise linear, with every constant in a
    bias of a convolution, linear or batch-norm layer. That is checked on every image, and the method refuses otherwise;
    so it does where positions of such a layer are not those of the image (mirrored, cropped, padded, warped before).

    Source: Srinivas and Fleuret 2019, eq. 3 and 6; biases without positions (linear layers) count in the check alone.
    Maps of layers are enlarged bilinearly, pixel centres kept (`align_corners=False`); the authors' code keeps corners.
    """

    name = "full-grad"
    reference = "Srinivas and Fleuret 2019"
    needs = frozenset({"gradients"})

    per_output: ClassVar[tuple[str, ...]] = ("_found",)

    tolerance = 1e-4  # of the size of the terms; float32 leaves about 1e-6 in a ResNet-50

    def __init__(self, model: Any, *, output: Output | None = None) -> None:
        super().__init__(model, output=output)
        self._found: dict[tuple[int, ...], tuple[dict[Run, Layout], Extent]] = {}

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
        for term, gradient in zip(terms[1:], gradients[1:], strict=True):
            bias = term.bias
            linear = bias.shape[1] == 1 < bias.shape[-1]
            # (N, K, C, u, v), or (N, K, u, v, C) of a linear layer, has positions; of a signal's a linear layer may be
            # one over the positions, (N, K, C, hidden), which nothing tells from the other.
            if gradient.ndim == images.ndim + 1 and not (linear and images.ndim == 3):
                part = scaled(bias[:, None] * gradient)
                maps = maps + self._placed(part.movedim(-1, 2) if linear else part, term, images, linear=linear)
        return maps

    def _placed(self, part: Tensor, term: Term, images: Tensor, *, linear: bool) -> Tensor:
        """(N, K, *axes) at the image's size of what a bias contributes (N, K, C, u, v), summed over its channels."""
        found, extent = self._layouts(images)
        assert term.run is not None
        layout = found.get(term.run)
        flat = part.flatten(0, 1)
        if part.shape[3:].numel() > 1:
            if layout is None or layout.tied or layout.sequence:
                raise refuse(
                    self.name,
                    f"positions in one of its layers ({type(term.run[0]).__name__}, {tuple(term.value.shape)}) "
                    "cannot be tied to the image (it is cropped, padded, mirrored, warped or shuffled before), so that "
                    "what its bias contributes has no place",
                    "input-x-gradient or saliency",
                )
            flat = layout.spatial(flat.movedim(1, -1) if linear else flat)
        return upsample(flat, images.shape[2:], extent).sum(dim=1).unflatten(0, part.shape[:2])

    def _layouts(self, images: Tensor) -> tuple[dict[Run, Layout], Extent]:
        """How the image lies in what each run of each module puts out; found once for a size."""
        key = (*images.shape[1:], made_of(self.network))
        if key not in self._found:
            seen, _ = surveyed(self.network, images, self.output)
            fed = {(layer.module, layer.call): layer.layout for layer in seen.every if layer.fed}
            self._found[key] = fed, extent_of(self.network, images)
        return self._found[key]

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
        terms = [Term(leaf, images), *found]
        classes = resolve_targets(targets, scores)
        gradients = target_gradients(scores, classes, [term.value for term in terms], unused=True)
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
    """Collects output and bias of every run of every layer with a bias while the network runs on `count` images.

    Layers that fold windows or positions into the batch are passed over; completeness says whether that matters.
    """
    found: list[Term] = []
    calls: Counter[nn.Module] = Counter()

    def keep(module: nn.Module, _: Any, output: Tensor) -> Tensor | None:
        call, calls[module] = calls[module], calls[module] + 1
        bias = implicit_bias(module)
        if bias is None or not isinstance(output, Tensor) or not output.requires_grad or len(output) != count:
            return None
        ones = [1] * (output.ndim - 2)
        shaped = bias.view(1, *ones, -1) if isinstance(module, nn.Linear) else bias.view(1, -1, *ones)
        found.append(Term(output, shaped, (module, call)))
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
        [(term.bias[:, None] * gradient).flatten(2).sum(2) for term, gradient in zip(terms, gradients, strict=True)]
    )
