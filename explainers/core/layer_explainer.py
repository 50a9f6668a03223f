"""What methods share that read a spatial layer of the network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from explainers.core.explainer import Explained, Explainer
from explainers.core.maps import upsample
from explainers.core.targets import resolve_targets
from explainers.errors import LayerError
from explainers.network.capture import Capture
from explainers.network.ends import warn_if_normalised
from explainers.network.gradients import target_gradients
from explainers.network.guard import exact, preserved
from explainers.network.input import checked_images
from explainers.network.inputs import fed_runs, is_bound
from explainers.network.layer_choice import LayerChoice, Survey
from explainers.network.layers import Layer, made_of
from explainers.network.layout import Layout
from explainers.network.output import Output, scores_of
from explainers.network.survey import survey
from explainers.network.task_layers import bottleneck, extent_of, trunk
from explainers.passes.activation import reading_of
from explainers.targets.target_scores import TargetScores

LayerOption = LayerChoice | Sequence[LayerChoice] | None
Spatial = Callable[[Tensor], Tensor]


class LayerExplainer(Explainer):
    """A method whose map is made from a spatial layer, upsampled bilinearly (a volume trilinearly) to the image.

    Args:
        layer: None (the last spatial stage; of a segmentation network the end of its encoder), a dotted name
            (`"relu#2"`: the third run of a shared module), a module, a negative int (stages from the end), or a list of
            these (one map per layer).
        spatial: from that layer's output to (N, C, h, w), with the input's number of axes, where the layout cannot be
            told from its shape.
    """

    needs = frozenset({"gradients", "layer"})
    per_output: ClassVar[tuple[str, ...]] = ("_found",)

    def __init__(
        self,
        model: Any,
        *,
        output: Output | None = None,
        layer: LayerOption = None,
        spatial: Spatial | None = None,
    ) -> None:
        super().__init__(model, output=output)
        self.layer, self.spatial = layer, spatial
        self._found: dict[tuple[int, ...], tuple[Layer, ...]] = {}
        self._extents: dict[tuple[int, ...], tuple[float, ...] | None] = {}

    def compute(self, images: Tensor, targets: Any) -> Tensor | Explained:
        """The method's map of each layer, upsampled."""
        layers = self.resolve(images)
        captured, scores = self.run(images, layers)
        classes = resolve_targets(targets, scores)
        activations = [self.view(layer, value.detach()) for layer, value in zip(layers, captured, strict=True)]
        return self.joined(self.native(activations, layers, scores, classes, captured), images)

    def joined(self, maps: Sequence[Tensor], images: Tensor) -> Tensor:
        """(N, K, H, W) out of one layer's map (N, K, u, v); (N, K, L, H, W) where a list of layers was asked for."""
        upsampled = torch.stack([self.enlarged(value, images.shape[1:]) for value in maps], dim=2)
        return upsampled if isinstance(self.layer, (list, tuple)) else upsampled[:, :, 0]

    def enlarged(self, maps: Tensor, shape: Sequence[int]) -> Tensor:
        """(N, K, u, v) of a layer at the size of an image, whose shape is (C, H, W)."""
        return upsample(maps, shape[1:], self._extents.get(tuple(shape)))

    def native(
        self,
        activations: list[Tensor],
        layers: Sequence[Layer],
        scores: Tensor,
        classes: Tensor,
        captured: list[Tensor],
    ) -> list[Tensor]:
        """Maps (N, K, u, v) of each layer; by default `weigh` of its activation and the gradient of each target."""
        warn_if_normalised(scores)
        gradients = target_gradients(scores, classes, captured)
        maps = []
        for layer, activation, gradient in zip(layers, activations, gradients, strict=True):
            each = [self.weigh(activation, self.view(layer, grad)) for grad in gradient.unbind(1)]
            maps.append(torch.stack(each, dim=1))
        return maps

    def weigh(self, activation: Tensor, gradient: Tensor) -> Tensor:
        """The method's formula: (N, K, u, v) activation and gradient to a map (N, u, v)."""
        raise NotImplementedError

    def run(self, images: Tensor, layers: Sequence[Layer]) -> tuple[list[Tensor], Tensor]:
        """One forward pass: the captured outputs as graph nodes, and the scores.

        Recording starts at the first captured layer. Where the network closes a `no_grad` of its own behind it, that
        would leave nothing to differentiate, and the pass is repeated with recording on throughout.
        """
        if "gradients" not in self.needs:
            with torch.no_grad(), Capture(layers, gradients=False, count=len(images)) as capture:
                scores = self.scores(images)
            return capture.tensors, scores
        for recording in (False, True):
            with torch.set_grad_enabled(recording), Capture(layers, count=len(images)) as capture:
                scores = self.scores(images)
            if scores.requires_grad:
                break
        return capture.tensors, scores

    def resolve(self, images: Tensor) -> tuple[Layer, ...]:
        """The layers that `layer=` means for images of this size; found once per size, and again for other modules."""
        key = (*images.shape[1:], made_of(self.network))
        if key not in self._found:
            seen = self.survey(images)
            choices: list[Any] = list(self.layer) if isinstance(self.layer, (list, tuple)) else [self.layer]
            if not choices:
                raise LayerError("layer=[] names no layer; use None for the last spatial stage")
            found = tuple(self._given(choice, images) or self._chosen(choice, seen, images) for choice in choices)
            if seen.remarks and choices[0] in (None, -1) and found == seen.stages[-1:]:
                warnings.warn(seen.remarks[0], stacklevel=2)
            if "gradients" in self.needs:
                for layer in found:
                    check_reach(layer, seen)
            self._found[key] = found
            self._extents[tuple(images.shape[1:])] = extent_of(self.network, images)
        self.layers = tuple(layer.label for layer in self._found[key])
        return self._found[key]

    def _chosen(self, choice: LayerChoice | None, seen: Survey, images: Tensor) -> Layer:
        """The layer of that name, stage or module; for scores at each position, None is the end of the encoder."""
        found = None
        if choice is None and isinstance(self.output, TargetScores):
            found = bottleneck(self.network, images, seen, self.output.dense)
        return seen.find(choice) if found is None else found

    def _given(self, choice: Any, images: Tensor) -> Layer | None:
        """With `spatial=`, any layer will do: its layout is the user's business."""
        if self.spatial is None or not isinstance(choice, (str, nn.Module)):
            return None
        for name, module in self.network.named_modules():  # type: ignore[attr-defined]
            if module is choice or name == choice:
                runs, own = fed_runs(self.network, images, module) if is_bound(self.network) else (1, [0])
                if len(own) != 1:
                    raise LayerError(
                        f'layer "{name}": {len(own)} of its {runs} runs depend on the explained input; '
                        "with spatial=, name a layer of which one does"
                    )
                return Layer(name, module, Layout("given", (0, 0), 0), call=own[0], calls=runs)
        return None

    def survey(self, images: Tensor) -> Survey:
        """What one forward pass shows of the network's layers."""

        return surveyed(self.network, images, self.output)[1]

    def view(self, layer: Layer, value: Tensor) -> Tensor:
        """(N, C, h, w) of a value in the layer's own layout."""
        return layer.layout.spatial(value) if self.spatial is None else self.spatial(value)


def surveyed(network: Any, images: Tensor, output: Output | None) -> tuple[Survey, Survey]:
    """What one forward pass shows of the layers that scores are made of: all of them, and those whose stages `layer=`
    counts, which of boxes are the trunk's."""

    def scores(returned: Any, count: int) -> Tensor:
        return scores_of(returned, count, output)

    seen = survey(network, images, scores)
    boxes = isinstance(output, TargetScores) and output.listed and isinstance(network, nn.Module)
    return seen, trunk(seen, network, images, scores) if boxes else seen


def try_layer(explainer: LayerExplainer, images: Tensor) -> None:
    """Find and capture the layer in one pass: the trial of methods whose map takes a pass per channel."""
    images = checked_images(images, explainer.network)
    with preserved(explainer.network), exact(images, gradients=True):
        _, scores = explainer.run(images, explainer.resolve(images))
        if hasattr(explainer, "activation"):
            reading_of(explainer.network, images, scores, explainer.activation, explainer.output)


def check_reach(layer: Layer, seen: Survey) -> None:
    """Refuse a layer that the scores do not depend on.

    Raises:
        LayerError: it is a side branch, or nothing but its class token is read.
    """
    if layer.reaches is False:
        remedy = f'; try layer="{seen.stages[-1].label}" or None' if seen.stages else ""
        reason = "only its class token is read" if layer.layout.prefix else "it is a side branch or unused"
        raise LayerError(f'layer "{layer.label}": the scores do not depend on its positions ({reason}){remedy}')
