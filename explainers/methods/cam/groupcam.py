"""Group-CAM: groups of Grad-CAM's channels, weighed by how much of a blurred image's score each brings back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from explainers.core.explainer import Explained, told
from explainers.core.layer_explainer import LayerExplainer, LayerOption, Spatial
from explainers.core.maps import is_constant, positions, scaled
from explainers.core.registry import register
from explainers.core.targets import resolve_targets
from explainers.errors import OptionError
from explainers.network.ends import warn_if_normalised
from explainers.network.gradients import target_gradients
from explainers.network.output import Output
from explainers.passes.activation import Reading, checked_activation, reading_of
from explainers.passes.predictor import Predictor
from explainers.passes.substrate import substrate_of


@register
class GroupCAM(LayerExplainer):
    """Σ_g w_g M_g, w_g = ReLU(S_c(x ⊙ M_g + b ⊙ (1 − M_g)) − S_c(b)), b the blurred image.

    M_g is the ReLU of a sum of neighbouring channels weighed as by Grad-CAM, enlarged and scaled to 0 … 1; a group
    that is the same everywhere has weight 0.

    Args:
        groups: how many; percentile: what lies below it in a group's map becomes 0 (70 in the paper, 0 for nothing).
        substrate: b: "blur" (as in the paper, in proportion to the image), "zero", "mean" or an image.
        activation: what turns scores into the S_c that are watched, see `reading_of`; passes: options of the Predictor.

    Cost: one forward and one backward pass, and `groups` forward passes per target class, and one; memory for as many
    maps of the input's size.

    Source: Zhang et al. 2021, equations 3 to 7. The authors' code exists in two forms and neither
    gives exactly these maps: they differ by 0.05 to 0.07 of the range.
    """

    name = "group-cam"
    reference = "Zhang et al. 2021"

    def __init__(
        self,
        model: Any,
        *,
        output: Output | None = None,
        layer: LayerOption = None,
        spatial: Spatial | None = None,
        groups: int = 32,
        percentile: float = 0,
        substrate: str | Tensor = "blur",
        activation: str | None = "auto",
        **passes: Any,
    ) -> None:
        super().__init__(model, output=output, layer=layer, spatial=spatial)
        if groups < 1 or not 0 <= percentile < 100:
            raise OptionError(f"groups={groups}, percentile={percentile}; expected groups ≥ 1, 0 ≤ percentile < 100")
        self.groups, self.percentile, self.substrate = groups, percentile, substrate
        self.activation = checked_activation(activation)
        self.predictor = Predictor(model, output=output, **passes)

    @classmethod
    def trial(cls, model: Any, images: Tensor, *, output: Output | None = None) -> None:
        """Two groups."""
        cls(model, output=output, groups=2)(images[:1])

    def compute(self, images: Tensor, targets: Any) -> Explained:
        """Groups from one backward pass, weights from forward passes, image by image."""
        layers = self.resolve(images)
        captured, scores = self.run(images, layers)
        warn_if_normalised(scores)
        classes = resolve_targets(targets, scores)
        reading = reading_of(self.network, images, scores, self.activation, self.output)
        gradients = target_gradients(scores, classes, captured)
        substrates = substrate_of(images, self.substrate)
        maps = []
        for layer, value, gradient in zip(layers, captured, gradients, strict=True):
            activation = self.view(layer, value.detach())
            weights = torch.stack([_pooled(self.view(layer, each)) for each in gradient.unbind(1)], dim=1)
            rows = zip(images, substrates, activation, weights, classes, strict=True)
            maps.append(torch.stack([self._map(*row, reading) for row in rows]))
        return told(self.joined(maps, images), reading)

    def _map(
        self, image: Tensor, substrate: Tensor, activation: Tensor, weights: Tensor, classes: Tensor, reading: Reading
    ) -> Tensor:
        """(K, *axes) for one image (C, *axes), its activation (channels, u, v) and weights (K, channels)."""
        weighed = weights.view(*weights.shape, *[1] * (activation.ndim - 1)) * activation  # (K, channels, u, v)
        groups = min(self.groups, len(activation))
        summed = torch.stack([part.sum(dim=1) for part in weighed.tensor_split(groups, dim=1)], dim=1).relu()
        masks = scaled(self._thresholded(self.enlarged(summed, image.shape)), image.ndim - 1)  # (K, groups, *axes)
        live = masks.flatten(2).amax(dim=2) > 0
        found: list[Tensor] = []
        flat, wanted = masks[live], classes[:, None].expand(-1, groups)[live]

        def make(start: int, stop: int, buffer: Tensor) -> Tensor:
            if start == 0:  # the first row is the substrate alone
                buffer[0] = substrate
            first = max(start, 1)
            if first == stop:
                return buffer
            part = flat[first - 1 : stop - 1, None]
            torch.addcmul(substrate, part, image - substrate, out=buffer[first - start :])
            return buffer

        self.predictor.run(len(flat) + 1, image[None], make, lambda _, scores: found.append(reading(scores)))
        watched = torch.cat(found)
        gain = (watched[1:].gather(1, wanted[:, None])[:, 0] - watched[0, wanted]).relu()
        still = torch.tensor([is_constant(watched[:, each]) for each in classes], device=gain.device)
        gain[still[:, None].expand(-1, groups)[live]] = 0  # else a map of rounding
        weight = masks.new_zeros(live.shape)
        weight[live] = gain.to(weight)
        return torch.einsum("kg,kg...->k...", weight, masks)

    def _thresholded(self, masks: Tensor) -> Tensor:
        if self.percentile == 0:
            return masks
        level = masks.flatten(2).quantile(self.percentile / 100, dim=2)
        return torch.where(masks >= level.view(*level.shape, *[1] * (masks.ndim - 2)), masks, 0)


def _pooled(gradient: Tensor) -> Tensor:
    return gradient.mean(dim=positions(gradient))
