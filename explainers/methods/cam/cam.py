"""CAM: the class's own weights on the layer that global average pooling reads."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.core.layer_explainer import LayerExplainer, LayerOption, Spatial
from explainers.core.maps import positions, upsample
from explainers.core.registry import register
from explainers.core.targets import resolve_targets
from explainers.errors import UnsupportedError, refuse
from explainers.network.capture import Capture
from explainers.network.input import run
from explainers.network.layers import Layer, made_of
from explainers.network.output import Negative, Output
from explainers.targets.target_scores import TargetScores

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
Pointwise = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


@dataclass(frozen=True)
class Head:
    """How scores come out of a layer: ReLU or not, mean over positions, then a linear layer (or nothing)."""

    layer: Layer
    rectify: bool
    linear: Pointwise | None

    def channels(self, activation: Tensor) -> Tensor:
        """The activation that is pooled: a ReLU between the layer and the pooling may be a bare function."""
        activation = activation.to(self.precision(activation))
        return activation.relu() if self.rectify else activation

    def explains(self, activation: Tensor, scores: Tensor) -> bool:
        """Whether pooling `activation` (N, C, u, v) and applying the linear layer gives exactly these scores."""
        pooled = self.channels(activation).mean(dim=positions(activation))
        weight, bias = self.weight(pooled), getattr(self.linear, "bias", None)
        made = pooled if weight is None else F.linear(pooled, weight, None if bias is None else bias.to(weight))
        size = pooled.abs() if weight is None else pooled.abs() @ weight.abs().T
        coarsest = max(torch.finfo(each.dtype).eps for each in (activation, scores))  # parts may run in few bits
        slack = min(100 * coarsest, 0.02) * float(size.max())
        return made.shape == scores.shape and bool((made - scores).abs().max() <= slack)

    def precision(self, activation: Tensor) -> torch.dtype:
        """Of the map: float32 at least, since layer and head may run in few bits, or in others than each other."""
        own = torch.float32 if self.linear is None else self.linear.weight.dtype
        return torch.promote_types(torch.promote_types(own, activation.dtype), torch.float32)

    def weight(self, like: Tensor) -> Tensor | None:
        """(classes, C), or None where the pooled channels are the scores."""
        return None if self.linear is None else self.linear.weight.detach().flatten(1).to(like.dtype)


@register
class CAM(LayerExplainer):
    """The layer in front of global average pooling, weighted by the class's weights in the one linear layer behind it.

    Refuses every other head: the weights of a deeper head belong to no position. The claim is checked on each batch:
    pooling the captured layer and applying the linear layer must give the network's scores.

    >>> maps = CAM(model)(images, targets=[[0, 1, 2]] * len(images))  # doctest: +SKIP
    """

    name = "cam"
    reference = "Zhou et al. 2016"
    needs = frozenset({"layer"})
    signed = True
    per_output = ("_found", "_heads")

    def __init__(
        self, model: Any, *, output: Output | None = None, layer: LayerOption = None, spatial: Spatial | None = None
    ) -> None:
        super().__init__(model, output=output, layer=layer, spatial=spatial)
        self._heads: dict[tuple[int, ...], Head] = {}

    def compute(self, images: Tensor, targets: Any) -> Tensor:
        """All targets from one forward pass."""
        if isinstance(self.output, Negative):  # of −s, which no linear layer of the network gives
            plain = copy.copy(self)
            plain.output = self.output.of
            maps = -plain.compute(images, targets)
            self.layers = plain.layers
            return maps
        if isinstance(self.output, TargetScores):
            return self._combined(images, targets, self.output)
        key = (*images.shape[1:], made_of(self.network))
        if key not in self._heads:
            self._heads[key] = self._head(images)
        head = self._heads[key]
        self.layers = (head.layer.label,)
        with torch.no_grad(), Capture([head.layer], gradients=False, count=len(images)) as capture:
            scores = self.scores(images)
        activation = self.view(head.layer, capture.tensors[0])
        if not head.explains(activation, scores):
            raise self._refusal()
        channels = head.channels(activation)
        classes, weight = resolve_targets(targets, scores), head.weight(channels)
        if weight is None:
            maps = torch.stack([channels[row, index] for row, index in enumerate(classes)])
        else:
            maps = torch.einsum("nkc,nc...->nk...", weight[classes], channels)
        maps = upsample(maps, images.shape[2:])
        return maps[:, :, None] if isinstance(self.layer, (list, tuple)) else maps

    def _combined(self, images: Tensor, asked: Any, targets: TargetScores) -> Tensor:
        """Maps (N, K, H, W) of targets that are sums of class scores: the same sums of the classes' maps.

        Args:
            asked: which of the targets, as classes are asked for.
        """
        plain = copy.copy(self)
        plain.output = targets.of
        with torch.no_grad():
            returned = run(self.network, images)
            factors = targets.combination(returned, len(images))
            columns = resolve_targets(asked, targets(returned)[:, : len(targets.targets)])
        if factors is None:
            raise refuse(self.name, "a target is no sum of class scores, which its weights belong to", "grad-cam")
        used = factors.abs().sum(dim=0).nonzero().flatten()
        maps = plain.compute(images, used.expand(len(images), -1))
        self.layers = plain.layers
        shape = maps.shape[2:]
        each = torch.einsum("tk,nkp->ntp", factors[:, used].to(maps), maps.flatten(2))
        picked = each.gather(1, columns.to(each.device)[:, :, None].expand(-1, -1, each.shape[2]))
        return picked.unflatten(2, shape)

    def _head(self, images: Tensor) -> Head:
        """The layer and linear layer that reproduce the scores."""
        seen = self.survey(images)
        choices: list[Any] = list(self.layer) if isinstance(self.layer, (list, tuple)) else [self.layer]
        if len(choices) > 1:
            raise refuse(self.name, "one layer at most stands in front of the pooling", "grad-cam with layer=[…]")
        every = [*seen.layers, *([seen.junction] if seen.junction is not None else [])]
        layers = [layer for layer in every if layer.fed] if choices[0] is None else [seen.find(choices[0])]
        with torch.no_grad(), Capture(layers, gradients=False) as capture:
            scores = self.scores(images)
        for layer, value in zip(reversed(layers), reversed(capture.tensors), strict=True):
            if len(value) != len(images):
                continue  # a table of positions, the same for all images
            activation = self.view(layer, value)
            for head in self._candidates(layer, activation.shape[1], scores.shape[1]):
                if head.explains(activation, scores):
                    return head
        raise self._refusal()

    def _candidates(self, layer: Layer, channels: int, classes: int) -> Iterator[Head]:
        for rectify in (False, True):
            if channels == classes:
                yield Head(layer, rectify, None)
            for module in self.network.modules():  # type: ignore[attr-defined]
                pointwise = isinstance(module, nn.Linear) or (
                    isinstance(module, CONVOLUTIONS) and set(module.kernel_size) == {1} and module.groups == 1
                )
                if pointwise and module.weight.shape[:2] == (classes, channels):
                    yield Head(layer, rectify, module)

    def _refusal(self) -> UnsupportedError:
        where = "" if self.layer is None else f" behind layer={self.layer!r}"
        return refuse(
            self.name, f"its scores are not global average pooling and one linear layer{where}", "grad-cam or hires-cam"
        )
