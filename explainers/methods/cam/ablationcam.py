"""Ablation-CAM: channels weighed by how much of the score goes with them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from explainers.core.explainer import Explained, told
from explainers.core.layer_explainer import LayerExplainer, LayerOption, Spatial, try_layer
from explainers.core.registry import register
from explainers.core.targets import resolve_targets
from explainers.errors import UnsupportedError, refuse
from explainers.network.input import fixed_batch
from explainers.network.layers import Layer
from explainers.network.output import Output, scores_of
from explainers.network.tail import Tail
from explainers.passes.activation import Reading, checked_activation, reading_of
from explainers.passes.predictor import Predictor, Progress


@register
class AblationCAM(LayerExplainer):
    """ReLU(Σ_k α_k A^k), α_k = (S_c − S_c with A^k set to zero) / S_c.

    Only the part of the network behind the layer runs for each channel, where the network allows it; that is compared
    with whole passes first. All target classes share one set of passes.

    Args:
        activation: what turns scores into S_c, see `reading_of`; batch_size, progress: of the Predictor.

    Raises UnsupportedError where S_c is 0, and for networks that take no other batch than their own.

    Cost: a pass through the rest of the network per channel, and four whole ones.

    Source: Desai and Ramaswamy 2020, equations 3 and 4.
    """

    name = "ablation-cam"
    reference = "Desai and Ramaswamy 2020"
    needs = frozenset({"layer"})

    def __init__(
        self,
        model: Any,
        *,
        output: Output | None = None,
        layer: LayerOption = None,
        spatial: Spatial | None = None,
        activation: str | None = "auto",
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(model, output=output, layer=layer, spatial=spatial)
        self.activation = checked_activation(activation)
        self.batch_size, self.progress = batch_size, progress

    @classmethod
    def trial(cls, model: Any, images: Tensor, *, output: Output | None = None) -> None:
        """The layer alone."""
        try_layer(cls(model, output=output), images[:1])

    def compute(self, images: Tensor, targets: Any) -> Explained:
        """Image by image, since every channel of every image is a pass of its own."""
        if fixed_batch(self.network) is not None:
            raise refuse(
                self.name, "it insists on its batch size, and channels run in batches of their own", "score-cam"
            )
        layers = self.resolve(images)
        with torch.no_grad():
            scores = self.scores(images)
            classes = resolve_targets(targets, scores)
            reading = reading_of(self.network, images, scores, self.activation, self.output)
            maps = []
            for layer in layers:
                rows = [
                    self._map(image[None], wanted, layer, reading)
                    for image, wanted in zip(images, classes, strict=True)
                ]
                maps.append(torch.stack(rows))
        return told(self.joined(maps, images), reading)

    def _map(self, image: Tensor, classes: Tensor, layer: Layer, reading: Reading) -> Tensor:
        """(K, u, v) for one image (1, C, H, W)."""
        tail = Tail(self.network, layer, image, lambda returned, count: scores_of(returned, count, self.output))  # type: ignore[arg-type]
        activation = self.view(layer, tail.output)[0]  # (channels, u, v)
        live = (activation.flatten(1) != 0).any(dim=1).nonzero().flatten()
        shape = tail.output.shape[1:]
        found: list[Tensor] = []

        def make(start: int, stop: int, buffer: Tensor) -> Tensor:
            values = tail.output.expand(stop - start, *shape).clone()
            view = self.view(layer, values)
            for row, index in enumerate(range(start, stop)):
                if index:  # the first row is the layer as it is
                    view[row, live[index - 1]] = 0
            return values

        def take(_: int, scores: Tensor) -> None:
            found.append(reading(scores)[:, classes])

        predictor = Predictor(tail.__call__, batch_size=self.batch_size, progress=self.progress)
        predictor.run(len(live) + 1, tail.output, make, take)
        watched = torch.cat(found)
        nothing = classes[watched[0] == 0].tolist()
        if nothing:
            raise UnsupportedError(
                f"{self.name}: the score of class {nothing[0]} is 0, and weights are relative to it; "
                "use activation=None or score-cam"
            )
        weights = activation.new_zeros(len(activation), len(classes))
        weights[live] = ((watched[:1] - watched[1:]) / watched[:1]).to(weights)
        return torch.einsum("ck,c...->k...", weights, activation).relu()
