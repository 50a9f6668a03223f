"""VisualBackProp: mean activations, carried from the last layer back to the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from explainers.core.layer_explainer import LayerExplainer
from explainers.core.registry import register
from explainers.core.targets import resolve_targets
from explainers.errors import refuse
from explainers.network.capture import Capture
from explainers.network.rectifiers import graph_nodes

# What moves positions between two layers, in the graph's words.
MOVING = (
    "AdaptiveAvgPool2D", "Upsample", "Slice", "ConstantPad", "ReflectionPad", "ReplicationPad", "Permute", "Flip",
    "Roll", "Rot90", "IndexBackward", "IndexSelect", "Gather", "Take", "Scatter", "GridSampler", "PixelShuffle",
    "PixelUnshuffle", "Im2Col", "Col2Im", "Unfold", "Fft", "Mm", "Bmm",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A convolution or pooling in the graph: its input (N, C, H, W) and its window."""

    input: Tensor
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def upsampled(self, mean: Tensor) -> Tensor:
        """(N, 1, u, v) spread over the input's positions: transposed convolution with ones of this window."""
        ones = mean.new_ones(1, 1, *self.kernel)
        wide = F.conv_transpose2d(mean, ones, stride=self.stride, dilation=self.dilation)
        # Positions of the padded input; where windows did not fill it, the last ones get nothing.
        (top, left), (height, width) = self.padding, self.grid
        return F.pad(wide, (-left, left + width - wide.shape[-1], -top, top + height - wide.shape[-2]))

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) of the input."""
        return int(self.input.shape[-2]), int(self.input.shape[-1])


@register
class VisualBackprop(LayerExplainer):
    """Mean over channels of the last layer, upsampled step by step and multiplied by the mean of each layer before.

    In a chain every convolution and pooling is a layer, with its own kernel and stride. A network with branches (skip
    connections, concatenations) has no single layer before: there the stages take their place, joined by the window of
    the strided layer between them, or by repetition where no such layer is found. Does not see the class.

    Source: Bojarski et al. 2016, section 3; the stages of branched networks are ours.
    """

    name = "visual-backprop"
    reference = "Bojarski et al. 2016"
    class_blind = True
    axes = (2,)
    signed = True  # where activations are

    def compute(self, images: Tensor, targets: Any) -> Tensor:
        """One forward pass."""
        if isinstance(self.layer, (list, tuple)):
            raise refuse(
                self.name, "it walks back through all layers from one", "one layer=, or grad-cam with layer=[…]"
            )
        layers = self._stages(images)
        leaf = images.detach().requires_grad_()
        image = leaf.clone()
        with Capture(layers, count=len(images)) as capture:
            scores = self.scores(image)
        last = capture.tensors[-1]
        if last.grad_fn is None or image.grad_fn not in set(graph_nodes(last.grad_fn)):
            raise refuse(self.name, "its layers are cut off from the image (no_grad or detach)", "eigen-cam")
        mean = _mean(last)
        chain = _chain(last.grad_fn, image.grad_fn)
        if chain is None:
            mean = self._through_stages(mean, capture.tensors[:-1], last, image)
        else:
            mean = _through_chain(mean, chain)
        classes = resolve_targets(targets, scores)
        return mean.expand(-1, classes.shape[1], -1, -1)

    def _stages(self, images: Tensor) -> tuple[Any, ...]:
        last = self.resolve(images)[0]
        stages = self.survey(images).stages
        for layer in (last, *stages):
            if layer.layout.kind != "nchw":
                reason = f"layer {layer.label} holds {layer.layout.kind}, not feature maps"
                raise refuse(self.name, reason, "attention-rollout or grad-cam")
        before = stages[: stages.index(last)] if last in stages else stages
        larger = [stage for stage in before if stage.layout.grid > last.layout.grid]
        return (*larger, last)

    @staticmethod
    def _through_stages(mean: Tensor, before: Sequence[Tensor], last: Tensor, image: Tensor) -> Tensor:
        way = _reaching(last.grad_fn, image.grad_fn)
        steps = [step for node in graph_nodes(last.grad_fn) if node in way and (step := _step(node)) is not None]
        for value in (*reversed(before), image):
            target = (int(value.shape[-2]), int(value.shape[-1]))
            mean = _joined(mean, target, steps)
            if value is not image:
                mean = mean * _mean(value)
        return mean


def _mean(value: Tensor) -> Tensor:
    """(N, 1, u, v); in float64, since the product over many layers leaves the range of float32."""
    return value.detach().double().mean(dim=1, keepdim=True)


def _through_chain(mean: Tensor, chain: Sequence[Step]) -> Tensor:
    for index, step in enumerate(chain):
        mean = step.upsampled(mean)
        if index < len(chain) - 1:
            mean = mean * _mean(step.input)
    return mean


def _joined(mean: Tensor, target: tuple[int, int], steps: Sequence[Step]) -> Tensor:
    """Carried to a larger grid by the largest window that leads from there to here."""
    size = (int(mean.shape[-2]), int(mean.shape[-1]))
    between = [step for step in steps if step.grid == target and size in (_reduced(step), _reduced(step, ceil=True))]
    if between:
        return max(between, key=lambda step: step.kernel).upsampled(mean)
    return F.interpolate(mean, size=target, mode="nearest")


def _reduced(step: Step, *, ceil: bool = False) -> tuple[int, int]:
    """(h, w) of the window's output; poolings may round up."""
    sizes = zip(step.grid, step.kernel, step.stride, step.padding, step.dilation, strict=True)
    height, width = ((size + 2 * p - d * (k - 1) - 1 + (s - 1) * ceil) // s + 1 for size, k, s, p, d in sizes)
    return height, width


def _chain(node: Any, image: Any) -> list[Step] | None:
    """The convolutions and poolings from a layer back to the image, or None where the way forks between them.

    An activation made of several operations forks and joins again before the next layer, which is no fork here.
    """
    steps: list[Step] = []
    reaching = _reaching(node, image)
    while node is not image:
        before = _next_layers(node, image, reaching)
        if before is None or len(before) != 1:
            return None
        (node,) = before
        if node is not image:
            step = _step(node)
            assert step is not None
            steps.append(step)
            parents = [parent for parent, _ in node.next_functions if parent in reaching]
            if len(parents) != 1:
                return None
            (node,) = parents
    return steps


def _next_layers(node: Any, image: Any, reaching: set[Any]) -> set[Any] | None:
    """The convolutions and poolings (or the image) next to a node, or None where something moves positions first."""
    found, seen, stack = set(), {node}, [node]
    while stack:
        current = stack.pop()
        if current is image or _step(current) is not None:
            found.add(current)
            continue
        if type(current).__name__.startswith(MOVING):
            return None
        for parent, _ in current.next_functions:
            if parent in reaching and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return found


def _reaching(node: Any, image: Any) -> set[Any]:
    """The nodes from which the image can be reached."""
    order = list(graph_nodes(node))
    children: dict[Any, list[Any]] = {}
    for child in order:
        for parent, _ in child.next_functions:
            children.setdefault(parent, []).append(child)
    found, stack = {image}, [image]
    while stack:
        for child in children.get(stack.pop(), ()):
            if child not in found:
                found.add(child)
                stack.append(child)
    return found


def _step(node: Any) -> Step | None:
    name = type(node).__name__
    if name.startswith("ConvolutionBackward") and node._saved_input.ndim == 4 and not node._saved_transposed:
        window = (node._saved_stride, node._saved_padding, node._saved_dilation)
        return Step(node._saved_input, *_pairs(node._saved_weight.shape[-2:], *window))
    if name.startswith("MaxPool2DWithIndices"):
        window = (node._saved_kernel_size, node._saved_stride or node._saved_kernel_size, node._saved_padding)
        return Step(node._saved_self, *_pairs(*window, node._saved_dilation))
    if name.startswith("AvgPool2D"):
        window = (node._saved_kernel_size, node._saved_stride or node._saved_kernel_size, node._saved_padding)
        return Step(node._saved_self, *_pairs(*window, (1, 1)))
    return None


def _pairs(*values: Any) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Kernel, stride, padding and dilation, each as (vertical, horizontal)."""
    kernel, stride, padding, dilation = ((int(value[0]), int(value[-1])) for value in values)
    return kernel, stride, padding, dilation
