"""Guided attention inference: a classifier that learns from what its own Grad-CAM map leaves of an image."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from explainers.baselines.networks.attention_network import Branches, Remainder, given_map
from explainers.baselines.networks.plain import classifier
from explainers.baselines.networks.registry import register_network
from explainers.core.layer_explainer import check_reach
from explainers.core.maps import grad_cam, scaled, upsample
from explainers.network.capture import Capture
from explainers.network.gradients import target_gradients
from explainers.network.guard import exact, preserved
from explainers.network.layers import Layer
from explainers.network.output import scores_of
from explainers.network.survey import survey
from explainers.passes.still import still


class GAIN(nn.Module):
    """A classifier as it is, whose Grad-CAM map has a graph to its weights, for losses on what the map leaves over.

    A = Grad-CAM of one class at one layer, scaled to 0 … 1 per image; x* = x − T(A) ⊙ x with
    T(A) = 1 / (1 + exp(−ω (A − σ))) and A enlarged to the image; `mining_logits` are the classifier's for x*. Removed
    pixels are 0 of the normalised input, the mean colour. The gradient that weighs the channels stays in the graph, so
    a loss on x* or on A reaches the weights through it (second order), not through the activations alone.

    In training the map is of the true class, since the trainer hands the labels over; without `classes` it is of the
    class that is predicted, and so is what `attention` shows. It is made of the very pass that makes the logits: in
    training mode batch norm normalises by the batch there, and the map is Grad-CAM's of these activations; in
    evaluation mode it is the map of the method `grad-cam`. The pass over x* normalises by its own batch and counts
    nothing in batch norm's running statistics.

    Args:
        network: any classifier in which a spatial layer can be found; it is taken as it is, not copied.
        layer: dotted name of the layer, "" for the last spatial stage.
        threshold: σ; omega: ω.

    Raises:
        OptionError: σ outside 0 … 1, or ω not positive.

    Cost: of `forward_branches`, a forward pass and the backward pass from the scores to the layer; of the mining logits
    one forward pass more.

    Source: Li et al. 2018, eq. 1 to 5. Scaling per image is ours: its eq. 4 presumes A in 0 … 1.

    >>> network = GAIN(torchvision.models.resnet18(num_classes=4))  # doctest: +SKIP
    >>> network.forward_branches(images, classes=labels).attention_map.shape  # doctest: +SKIP
    torch.Size([8, 1, 7, 7])
    """

    maps_of_classes = True  # forward_branches takes them
    scores_follow_map = False

    def __init__(self, network: nn.Module, *, layer: str = "", threshold: float = 0.5, omega: float = 10.0) -> None:
        super().__init__()
        self.classifier = network
        self.layer = layer
        self.remainder = Remainder(threshold, "sigmoid", omega)
        self._found: dict[tuple[int, ...], Layer] = {}  # by the images' channels and size

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, H, W) → (N, classes) logits; makes no map, as the scores do not depend on it."""
        returned = self.classifier(images)
        if isinstance(returned, Tensor) and returned.ndim == 2:
            return returned
        return scores_of(returned, len(images))

    def forward_branches(
        self, images: Tensor, attention_map: Tensor | float | None = None, classes: Tensor | None = None
    ) -> Branches:
        """Logits, the map (N, 1, h, w) in the layer's size, and the logits of what it leaves over, for who asks.

        Args:
            attention_map: in place of the network's own, (N, 1, h, w), (1, 1, h, w) or one number, in 0 … 1. It decides
                what is mined; the logits do not depend on it.
            classes: (N,) of whom the maps are; None for those that are predicted.

        Raises:
            LayerError: there is no such layer, or none at all with positions that reach the scores. OptionError: a
            given map of another size, or outside 0 … 1.
        """
        learning = torch.is_grad_enabled()
        with torch.inference_mode(False):
            images = images.clone() if images.is_inference() else images
            layer = self._layer(images)
            logits, captured = self._run(images, layer, learning)
            features = layer.layout.spatial(captured)
            if attention_map is not None:
                made = given_map(attention_map, features)
            else:
                of = logits.detach().argmax(1) if classes is None else classes
                made = self._map(logits, of, captured, layer, learning)
        if not learning:
            logits, features, made = logits.detach(), features.detach(), made.detach()

        def mine() -> Tensor:
            with still(self):
                return self(self.remainder(images, upsample(made, images.shape[2:]).to(images)))

        return Branches(logits, None, made, features, mine=mine)

    def _run(self, images: Tensor, layer: Layer, learning: bool) -> tuple[Tensor, Tensor]:
        """Logits, and the layer's output as a node of their graph."""
        # Fused attention has no derivative of its derivative.
        kernels = sdpa_kernel(SDPBackend.MATH) if learning else nullcontext()
        for recording in dict.fromkeys((learning, True)):  # again where the classifier closes a no_grad of its own
            with kernels, torch.set_grad_enabled(recording), Capture([layer], count=len(images)) as capture:
                logits = self(images)
            if logits.requires_grad:
                break
        return logits, capture.tensors[0]

    def _map(self, logits: Tensor, classes: Tensor, captured: Tensor, layer: Layer, learning: bool) -> Tensor:
        """(N, 1, h, w) in 0 … 1, with a graph while learning; 0 everywhere where nothing speaks for the class."""
        (gradients,) = target_gradients(logits, classes[:, None], [captured], differentiable=learning)
        pair = [layer.layout.spatial(value) for value in (captured, gradients[:, 0])]
        # Half precision of mixed training would leave too few steps between 0 and 1.
        activation, gradient = (value.float() if value.element_size() < 4 else value for value in pair)
        return scaled(grad_cam(activation, gradient))[:, None]

    def _layer(self, images: Tensor) -> Layer:
        """Found once for each size, as every method finds it, with the classifier in evaluation mode."""
        size = tuple(images.shape[1:])
        if size not in self._found:
            with preserved(self.classifier), exact(images, gradients=True):
                seen = survey(self.classifier, images.detach(), lambda returned, count: scores_of(returned, count))
            layer = seen.find(self.layer or None)
            check_reach(layer, seen)
            self._found[size] = layer
        return self._found[size]


@register_network("gain", attention=False)
def _gain(
    *,
    channels: int,
    classes: int,
    pretrained: str | None = None,
    backbone: str = "small-resnet",
    layer: str = "",
    threshold: float = 0.5,
    omega: float = 10.0,
) -> nn.Module:
    """Any classifier, guided by its own Grad-CAM: what the map leaves of an image shall not show the class."""
    return GAIN(classifier(backbone, channels, classes, pretrained), layer=layer, threshold=threshold, omega=omega)
