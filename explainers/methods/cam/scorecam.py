"""Score-CAM: channels weighed by what the network says of the image seen through them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from explainers.core.explainer import Explained, told
from explainers.core.layer_explainer import LayerExplainer, LayerOption, Spatial, try_layer
from explainers.core.maps import constant_rows, scaled
from explainers.core.registry import register
from explainers.core.targets import resolve_targets
from explainers.network.output import Output
from explainers.passes.activation import Reading, checked_activation, reading_of
from explainers.passes.predictor import Predictor


@register
class ScoreCAM(LayerExplainer):
    """ReLU(Σ_k α_k A^k), α = softmax over k of S_c(x ⊙ H^k) − S_c(0), H^k the channel enlarged and scaled to 0 … 1.

    A channel that is the same everywhere has no H^k: its weight is 0. All target classes share one set of passes.

    Args:
        activation: what turns scores into the S_c that are watched, see `reading_of`; passes: options of the Predictor.

    Cost: a forward pass per channel that varies, and one.

    Source: Wang et al. 2020, algorithm 1.
    """

    name = "score-cam"
    reference = "Wang et al. 2020"
    needs = frozenset({"layer"})

    def __init__(
        self,
        model: Any,
        *,
        output: Output | None = None,
        layer: LayerOption = None,
        spatial: Spatial | None = None,
        activation: str | None = "auto",
        **passes: Any,
    ) -> None:
        super().__init__(model, output=output, layer=layer, spatial=spatial)
        self.activation = checked_activation(activation)
        self.predictor = Predictor(model, output=output, **passes)

    @classmethod
    def trial(cls, model: Any, images: Tensor, *, output: Output | None = None) -> None:
        """The layer alone."""
        try_layer(cls(model, output=output), images[:1])

    def compute(self, images: Tensor, targets: Any) -> Explained:
        """Image by image, since every channel of every image is a pass of its own."""
        layers = self.resolve(images)
        captured, scores = self.run(images, layers)
        classes = resolve_targets(targets, scores)
        reading = reading_of(self.network, images, scores, self.activation, self.output)
        maps = []
        for layer, value in zip(layers, captured, strict=True):
            activation = self.view(layer, value.detach())
            maps.append(
                torch.stack([self._map(*each, reading) for each in zip(images, activation, classes, strict=True)])
            )
        return told(self.joined(maps, images), reading)

    def _map(self, image: Tensor, activation: Tensor, classes: Tensor, reading: Reading) -> Tensor:
        """(K, u, v) for one image (C, *axes) and its activation (channels, u, v)."""
        flat = activation.flatten(1)
        live = (flat.amax(dim=1) > flat.amin(dim=1)).nonzero().flatten()
        weights = activation.new_zeros(len(activation), len(classes))
        if len(live):
            # Nothing, where no channel varies within the image: the softmax of none is not a number.
            shares = self._rise(image, activation[live], classes, reading).softmax(dim=0).nan_to_num(0)
            weights[live] = shares.to(weights)
        return torch.einsum("ck,c...->k...", weights, activation).relu()

    def _rise(self, image: Tensor, channels: Tensor, classes: Tensor, reading: Reading) -> Tensor:
        """(n, K): S_c through each channel less S_c of nothing at all; -∞ for one that varies nowhere in the image.

        Such a channel varies where an image smaller than the layer does not reach; the authors' code passes it by too.
        """
        found: list[Tensor] = []
        still = torch.zeros(len(channels), dtype=torch.bool, device=channels.device)

        def make(start: int, stop: int, buffer: Tensor) -> Tensor:
            if start == 0:  # the first row is nothing at all
                buffer[0] = 0
            first = max(start, 1)
            if first == stop:
                return buffer
            large = self.enlarged(channels[None, first - 1 : stop - 1], image.shape)[0]
            still[first - 1 : stop - 1] = constant_rows(large)
            torch.mul(image, scaled(large)[:, None], out=buffer[first - start :])
            return buffer

        def take(_: int, scores: Tensor) -> None:
            found.append(reading(scores)[:, classes])

        self.predictor.run(len(channels) + 1, image[None], make, take)
        watched = torch.cat(found)
        return (watched[1:] - watched[:1]).masked_fill(still[:, None].to(watched.device), -torch.inf)
