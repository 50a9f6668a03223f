"""The contract of every method: images and targets in, heat maps out, the network left as found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.errors import LayerError, OptionError, TargetError, UnsupportedError
from explainers.network.capture import Capture
from explainers.network.gradients import reduce_channels, target_gradients
from explainers.network.guard import exact, preserved
from explainers.network.layers import Layer, LayerChoice, Survey, survey
from explainers.network.layout import Layout
from explainers.network.output import Output, is_per_image, resolve_targets, scores_of, warn_if_normalised
from explainers.network.unwrapped import as_network, checked_images, fixed_batch, run

LayerOption = LayerChoice | Sequence[LayerChoice] | None
Spatial = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Explained:
    """Heat maps with what some methods know about them.

    maps: as `Explainer.__call__` returns them; standard_error: of each value, in the same shape, or None; details: for
    each image, such as how many masks were used.
    """

    maps: Tensor
    standard_error: Tensor | None = None
    details: tuple[dict[str, Any], ...] = ()


class Explainer(ABC):
    """A method bound to a network. Call it on a batch; nothing is kept between calls.

    Args:
        model: a torch.nn.Module, a LoadedModel, or (black-box methods) any callable from images to scores.
        output: from what the model returns to scores (N, classes); see `explainers.network.output.scores_of`.

    Class attributes:
        name: registry key and command-line name; reference: the paper; needs: subset of {"gradients", "layer"}, empty
        for black-box methods; signed: whether maps can be negative; class_blind: whether all targets have one map.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    signed: ClassVar[bool] = False
    class_blind: ClassVar[bool] = False

    def __init__(self, model: Any, *, output: Output | None = None) -> None:
        self.network = as_network(model)
        self.output = output
        self.layers: tuple[str, ...] = ()

    def __call__(self, images: Tensor, targets: Any = None) -> Tensor:
        """Heat maps of a batch.

        Args:
            images: (N, C, H, W), as the network takes them, on the network's device.
            targets: None (the predicted class), an int, (N,) or (N, K) class indices, or a function from scores
                (N, classes) to (N, K).

        Returns:
            (N, H, W) float32 raw values on the images' device; (N, K, H, W) for (N, K) targets. A list of L layers adds
            a dimension in front of H, `channels=None` adds C there.

        Raises:
            ImageError, TargetError, OutputError, LayerError, UnsupportedError.
        """
        return self.explain(images, targets).maps

    def explain(self, images: Tensor, targets: Any = None) -> Explained:
        """The same with what the method knows about its maps: standard errors, masks used."""
        device = getattr(images, "device", None)
        with torch.inference_mode(False):
            images = checked_images(images, self.network)
        size = fixed_batch(self.network)
        if size is not None and len(images) != size:
            return self._in_batches(images, targets, size)
        with preserved(self.network), exact(images, gradients=True):
            made = self.compute(images, targets)
        made = made if isinstance(made, Explained) else Explained(made)

        def finished(values: Tensor | None) -> Tensor | None:
            if values is None:
                return None
            values = values.detach().to(device=device, dtype=torch.float32)
            return values[:, 0] if is_per_image(targets) else values

        maps = finished(made.maps)
        assert maps is not None
        return Explained(maps, finished(made.standard_error), made.details)

    def _in_batches(self, images: Tensor, targets: Any, size: int) -> Explained:
        """Maps in batches of exactly `size`, the last one filled up with copies of its last image."""
        per_image = targets is not None and not isinstance(targets, int) and not callable(targets)
        wanted = torch.as_tensor(targets) if per_image else None
        if wanted is not None and (wanted.ndim == 0 or len(wanted) != len(images)):
            raise TargetError(f"targets of shape {tuple(wanted.shape)} for {len(images)} images")
        parts = []
        for start in range(0, len(images), size):
            rows = [min(start + row, len(images) - 1) for row in range(size)]
            parts.append(self.explain(images[rows], targets if wanted is None else wanted[rows]))
        count = len(images)
        errors = [part.standard_error for part in parts if part.standard_error is not None]
        details = [each for part in parts for each in part.details]
        return Explained(
            torch.cat([part.maps for part in parts])[:count],
            torch.cat(errors)[:count] if errors else None,
            tuple(details[:count]),
        )

    @classmethod
    def trial(cls, model: Any, images: Tensor, *, output: Output | None = None) -> None:
        """Make one map as cheaply as possible, to see whether the method works on this network."""
        cls(model, output=output)(images[:1])

    @abstractmethod
    def compute(self, images: Tensor, targets: Any) -> Tensor | Explained:
        """Maps (N, K, …, H, W) of checked images, inside the guard, with gradients enabled."""

    def scores(self, images: Tensor) -> Tensor:
        """Scores (N, classes) of a batch, with a graph where gradients are enabled."""
        return scores_of(run(self.network, images), len(images), self.output)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self.network).__name__})"


class GradientExplainer(Explainer):
    """A method whose map is made from gradients with respect to the image.

    Args:
        channels: "max" (largest magnitude over the channels), "sum", or None to keep (N, C, H, W).
    """

    needs = frozenset({"gradients"})

    def __init__(self, model: Any, *, output: Output | None = None, channels: str | None = "max") -> None:
        super().__init__(model, output=output)
        if channels not in ("max", "sum", None):
            raise OptionError(f"channels={channels!r}; expected 'max', 'sum' or None")
        self.channels = channels

    def compute(self, images: Tensor, targets: Any) -> Tensor:
        """The reduced attribution of each target."""
        return reduce_channels(self.attribution(images, targets), self.channels)

    @abstractmethod
    def attribution(self, images: Tensor, targets: Any) -> Tensor:
        """(N, K, C, H, W) values before the channels are reduced."""

    def graph(self, images: Tensor, targets: Any) -> tuple[Tensor, Tensor, Tensor]:
        """One forward pass: (image leaf that requires grad, scores, classes (N, K))."""
        leaf = images.detach().requires_grad_()
        scores = self.scores(leaf)
        if scores.requires_grad:
            warn_if_normalised(scores)
        return leaf, scores, resolve_targets(targets, scores)


class LayerExplainer(Explainer):
    """A method whose map is made from a spatial layer, upsampled bilinearly to the image.

    Args:
        layer: None (the last spatial stage), a dotted name (`"relu#2"`: the third run of a shared module), a module, a
            negative int (stages from the end), or a list of these (one map per layer).
        spatial: from that layer's output to (N, C, h, w), where the layout cannot be told from its shape.
    """

    needs = frozenset({"gradients", "layer"})

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

    def compute(self, images: Tensor, targets: Any) -> Tensor:
        """The method's map of each layer, upsampled."""
        layers = self.resolve(images)
        captured, scores = self.run(images, layers)
        classes = resolve_targets(targets, scores)
        activations = [self.view(layer, value.detach()) for layer, value in zip(layers, captured, strict=True)]
        return self.joined(self.native(activations, layers, scores, classes, captured), images)

    def joined(self, maps: Sequence[Tensor], images: Tensor) -> Tensor:
        """(N, K, H, W) out of one layer's map (N, K, u, v); (N, K, L, H, W) where a list of layers was asked for."""
        upsampled = torch.stack([upsample(value, images.shape[-2:]) for value in maps], dim=2)
        return upsampled if isinstance(self.layer, (list, tuple)) else upsampled[:, :, 0]

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
        """The layers that `layer=` means for images of this size; found once per size."""
        key = tuple(images.shape[1:])
        if key not in self._found:
            seen = self.survey(images)
            choices: list[Any] = list(self.layer) if isinstance(self.layer, (list, tuple)) else [self.layer]
            if not choices:
                raise LayerError("layer=[] names no layer; use None for the last spatial stage")
            found = tuple(self._given(choice) or seen.find(choice) for choice in choices)
            if "gradients" in self.needs:
                for layer in found:
                    _check_reach(layer, seen)
            self._found[key] = found
        self.layers = tuple(layer.label for layer in self._found[key])
        return self._found[key]

    def _given(self, choice: Any) -> Layer | None:
        """With `spatial=`, any layer will do: its layout is the user's business."""
        if self.spatial is None or not isinstance(choice, (str, nn.Module)):
            return None
        for name, module in self.network.named_modules():  # type: ignore[attr-defined]
            if module is choice or name == choice:
                return Layer(name, module, Layout("given", (0, 0), 0))
        return None

    def survey(self, images: Tensor) -> Survey:
        """What one forward pass shows of the network's layers."""
        return survey(self.network, images, lambda returned, count: scores_of(returned, count, self.output))

    def view(self, layer: Layer, value: Tensor) -> Tensor:
        """(N, C, h, w) of a value in the layer's own layout."""
        return layer.layout.spatial(value) if self.spatial is None else self.spatial(value)


def try_layer(explainer: LayerExplainer, images: Tensor) -> None:
    """Find and capture the layer in one pass: the trial of methods whose map takes a pass per channel."""
    images = checked_images(images, explainer.network)
    with preserved(explainer.network), exact(images, gradients=True):
        explainer.run(images, explainer.resolve(images))


def _check_reach(layer: Layer, seen: Survey) -> None:
    if layer.reaches is False:
        remedy = f'; try layer="{seen.stages[-1].label}" or None' if seen.stages else ""
        reason = "only its class token is read" if layer.layout.prefix else "it is a side branch or unused"
        raise LayerError(f'layer "{layer.label}": the scores do not depend on its positions ({reason}){remedy}')


def upsample(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(N, K, u, v) to (N, K, H, W), bilinear, corners not aligned."""
    if maps.shape[-2:] == torch.Size(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def scaled(maps: Tensor) -> Tensor:
    """Each map (…, H, W) scaled to 0 … 1; zero where it is the same everywhere."""
    low, high = maps.amin(dim=(-2, -1), keepdim=True), maps.amax(dim=(-2, -1), keepdim=True)
    span = high - low
    return torch.where(span > 0, (maps - low) / span.clamp(min=torch.finfo(maps.dtype).tiny), 0)


def refuse(name: str, reason: str, instead: str) -> UnsupportedError:
    """The refusal of a method, in one form everywhere."""
    return UnsupportedError(f"{name} cannot be right on this network: {reason}. Use {instead} instead.")
