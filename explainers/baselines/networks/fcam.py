"""F-CAM: a decoder that learns, for a trained classifier that stays as it is, a map of the image's own size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.baselines.networks.attention_network import Branches, ExplainingNetwork, given_map
from explainers.baselines.networks.plain import classifier
from explainers.baselines.networks.registry import register_network
from explainers.core.maps import class_activation
from explainers.errors import LayerError, OptionError, UnsupportedError
from explainers.network.capture import Capture
from explainers.network.gradients import target_gradients
from explainers.network.guard import preserved
from explainers.network.layers import Layer
from explainers.network.output import scores_of
from explainers.network.survey import survey

PROBES = (96, 224, 64, 32, 384)  # pixels of the noise that shows a classifier's stages; some take one size only
NARROWEST = 4


class FCAM(ExplainingNetwork):
    """A frozen classifier, and a U-Net decoder over its stages whose map has the size of the image.

    The logits are the classifier's, whatever the map: it explains and does not take part. From the deepest stage on the
    decoder enlarges by two (nearest), joins the next finer stage where there is one of that size, and convolves twice
    (3 × 3, batch norm, ReLU); behind the last, a 3 × 3 convolution gives background and foreground. The map is the
    softmax's foreground, not rescaled.

    Args:
        classifier: any network that the toolkit can find layers in; it is used as it is, not copied.
        channels: of the images.
        width: of the decoder's first step, halved from step to step: 256, 128, 64, 32, 16 where the deepest stage is a
            32nd of the image, 256, 128, 64 where it is an eighth.

    Attributes:
        stages: names of the layers that the decoder reads, from the finest on.

    Raises:
        UnsupportedError: no stage of the classifier is smaller than the image, or none can be found.

    Source: Belharbi et al. 2022 (F-CAM); widths as in their code.
    """

    frozen_parts = ("encoder",)
    scores_follow_map = False

    def __init__(self, classifier: nn.Module, *, channels: int = 3, width: int = 256) -> None:
        super().__init__()
        if width < NARROWEST:
            raise OptionError(f"width={width}; expected at least {NARROWEST}")
        self.encoder = classifier
        self._found, self._probe = _stages(classifier, channels)
        steps = _decoder(self._found, self._probe, width)
        self.decoder = nn.ModuleList(steps)
        self.to_map = nn.Conv2d(steps[-1].width, 2, 3, padding=1)
        self.train(self.training)

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the layers that the decoder reads."""
        return tuple(layer.label for layer in self._found)

    @property
    def _layers(self) -> list[Layer]:
        """The same with the modules that are there now: a layer may have been exchanged, and copies have their own."""
        return [replace(layer, module=self.encoder.get_submodule(layer.name)) for layer in self._found]

    def train(self, mode: bool = True) -> FCAM:
        """The decoder; the classifier stays in evaluation mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward_branches(self, images: Tensor, attention_map: Tensor | float | None = None) -> Branches:
        """As `ExplainingNetwork`, with maps of the images' size; a given one leaves the logits as they are."""
        layers = self._layers
        with Capture(layers, gradients=False, count=len(images)) as capture:
            logits = scores_of(self.encoder(images), len(images))
        stages = [self._spatial(*each, images) for each in zip(layers, capture.tensors, strict=True)]
        if attention_map is not None:
            return Branches(logits, None, given_map(attention_map, images), stages[-1])
        seen = stages[-1]
        for step in self.decoder:
            seen = step(seen, stages, images)
        map_logits = self.to_map(seen)
        made = map_logits.softmax(dim=1)[:, 1:]
        return Branches(
            logits, None, made, stages[-1], map_logits=map_logits, activate=lambda: self.cams(images.detach())
        )

    def cams(self, images: Tensor) -> Tensor:
        """(N, classes, h, w): the classifier's own class activation maps at its deepest stage, with their signs.

        Cost: one more pass through the classifier, and one back from each class's score to that stage.
        """
        last = self._layers[-1]
        with preserved(self.encoder), torch.enable_grad(), Capture([last], count=len(images)) as capture:
            logits = scores_of(self.encoder(images), len(images))
            (activation,) = capture.tensors
            classes = torch.arange(logits.shape[1], device=logits.device).expand(len(images), -1)
            (gradients,) = target_gradients(logits, classes, [activation])
        view = self._spatial(last, activation.detach(), images)
        each = [self._spatial(last, gradient, images) for gradient in gradients.unbind(1)]
        return torch.stack([class_activation(view, gradient) for gradient in each], dim=1)

    def _spatial(self, layer: Layer, value: Tensor, images: Tensor) -> Tensor:
        """(N, C, h, w) of a stage's output; tokens lie on a grid that grows with the image."""
        layout = layer.layout
        if layout.sequence:
            rows, columns = (side * now // self._probe for side, now in zip(layout.grid, images.shape[2:], strict=True))
            layout = replace(layout, grid=(rows, columns))
        return layout.spatial(value)


class Enlarging(nn.Module):
    """One step of the decoder: nearest neighbours, a stage beside them, and two convolutions.

    Args:
        channels: that come from the step before; skip: channels of the stage that is joined, 0 for none.
        width: of the result.
        stage: position among the stages whose size is reached, or None; image: the image's size is reached.
    """

    def __init__(self, channels: int, skip: int, width: int, *, stage: int | None, image: bool) -> None:
        super().__init__()
        self.stage, self.image, self.width = stage, image, width
        layers: list[nn.Module] = []
        for before in (channels + skip, width):
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, seen: Tensor, stages: Sequence[Tensor], images: Tensor) -> Tensor:
        """(N, channels, h, w) to (N, width, 2h, 2w), or to the exact size of the stage or image."""
        skip = None if self.stage is None else stages[self.stage]
        size = images.shape[2:] if self.image else (None if skip is None else skip.shape[2:])
        factor = None if size is not None else 2
        seen = F.interpolate(seen, size=size, scale_factor=factor, mode="nearest")
        return self.layers(seen if skip is None else torch.cat([seen, skip], dim=1))


def _stages(network: nn.Module, channels: int) -> tuple[tuple[Layer, ...], int]:
    """The last layer at each resolution, from the finest on, and the size of the images that showed them.

    Raises:
        UnsupportedError: there is no such layer smaller than the image.
    """
    weight = next(network.parameters())
    trouble: Exception | None = None
    for size in PROBES:
        noise = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0)).to(weight)
        try:
            with preserved(network):
                seen = survey(network, noise, lambda returned, count: scores_of(returned, count))
        except UnsupportedError:
            raise
        except Exception as error:  # networks of one size say so in their own words
            trouble = trouble or error
            continue
        finest: dict[int, Layer] = {}
        for layer in seen.stages:
            finest[layer.layout.grid[0]] = layer
        found = [finest[side] for side in sorted(finest, reverse=True) if side <= size]
        if found and 1 <= found[-1].layout.grid[0] < size:
            return tuple(found), size
        trouble = trouble or LayerError("none of its layers is smaller than the image")
    raise UnsupportedError(
        f"f-cam finds no stages in {type(network).__name__} for its decoder: {trouble}. Use a classifier with spatial "
        "layers that reach its scores"
    )


def _decoder(layers: Sequence[Layer], image: int, width: int) -> list[Enlarging]:
    """Steps from the deepest stage to the image, several where two sizes are more than a factor of 2 apart."""
    steps: list[Enlarging] = []
    sides = [layer.layout.grid[0] for layer in layers]
    channels = layers[-1].layout.channels
    targets: list[tuple[int, int | None]] = [(sides[index], index) for index in range(len(layers) - 2, -1, -1)]
    if sides[0] < image:
        targets.append((image, None))
    now = sides[-1]
    for side, stage in targets:
        between = max(1, round(math.log2(side / now)))
        for number in range(between):
            reached = number == between - 1
            wide = max(NARROWEST, width >> len(steps))
            skip = layers[stage].layout.channels if reached and stage is not None else 0
            joined = stage if reached else None
            steps.append(Enlarging(channels, skip, wide, stage=joined, image=reached and side == image))
            channels = wide
        now = side
    return steps


@register_network("f-cam", attention=True)
def _fcam(
    *,
    channels: int,
    classes: int,
    pretrained: str | None = None,
    backbone: str = "small-resnet",
    width: int = 256,
) -> nn.Module:
    """A frozen classifier, and a U-Net decoder that learns a map of the image's size from its class activations."""
    network = classifier(backbone, channels, classes, pretrained, redrawn=pretrained is None)
    return FCAM(network, channels=channels, width=width)
