"""Methods over all layers by hand: Full-Grad with explicit biases, VisualBackProp in loops, rollout from matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from answer_layers import Array, upsampled
from answer_rules import Scores
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


class Biases(TorchFunctionMode):
    """Inside, the constant that a convolution, linear or batch-norm call adds is a leaf of the output's full shape."""

    def __init__(self) -> None:
        super().__init__()
        self.leaves: list[tuple[Tensor, bool]] = []  # (bias, channels last)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is F.batch_norm:
            return self._batch_norm(*args, **kwargs)
        if function in (F.conv1d, F.conv2d, F.conv3d, F.linear, *TRANSPOSED):
            names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
            if function in TRANSPOSED:
                names = (*names[:5], "output_padding", "groups", "dilation")
            call = {**dict(zip(names, args, strict=False)), **kwargs}
            bias = call.pop("bias", None)
            result = function(**call)
            return result if bias is None else self._plus(result, bias, last=function is F.linear)
        return function(*args, **kwargs)

    def _batch_norm(
        self, x: Tensor, mean: Any, var: Any, weight: Any = None, bias: Any = None, training: bool = False,
        momentum: float = 0.1, eps: float = 1e-5,
    ) -> Tensor:  # fmt: skip
        if training or mean is None:
            return F.batch_norm(x, mean, var, weight, bias, training, momentum, eps)
        gain = (1.0 if weight is None else weight.detach()) / (var + eps).sqrt()
        constant = -mean * gain + (0.0 if bias is None else bias.detach())
        return self._plus(x * gain.view(1, -1, *[1] * (x.ndim - 2)), constant, last=False)

    def _plus(self, value: Tensor, bias: Tensor, *, last: bool) -> Tensor:
        shaped = bias.detach() if last or value.ndim == 2 else bias.detach().view(1, -1, *[1] * (value.ndim - 2))
        leaf = shaped.expand(value.shape).clone().requires_grad_()
        self.leaves.append((leaf, last))
        return value + leaf


def full_grad(scores: Scores, image: Tensor, target: int) -> tuple[Array, float]:
    """(H, W) map of one image, and by how much completeness is missed, relative to the size of its terms."""
    leaf = image[None].clone().requires_grad_()
    with torch.enable_grad(), Biases() as biases:
        score = scores(leaf.clone())[0, target]
    terms = [(leaf, False), *biases.leaves]
    gradients = torch.autograd.grad(score, [value for value, _ in terms], allow_unused=True)
    size = tuple(image.shape[1:])
    total, sums = np.zeros(size), []
    for (value, last), gradient in zip(terms, gradients, strict=True):
        product = (value * (0 if gradient is None else gradient)).detach().numpy().astype(float)
        sums.append(product.sum())
        if product.ndim != image.ndim + 1 or len(product) != 1:
            continue  # a linear layer's bias has no place in the image
        planes = np.abs(np.moveaxis(product[0], -1, 0) if last else product[0])
        spread = planes.max() - planes.min()
        planes = (planes - planes.min()) / spread if spread > 0 else np.zeros_like(planes)
        total += upsampled(planes.sum(axis=0), *size)
    missed = abs(sum(sums) - float(score)) / (abs(float(score)) + np.abs(sums).sum())
    return total, missed


Window = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]  # kernel, stride, padding


def visual_backprop(means: Sequence[Array], windows: Sequence[Window], size: tuple[int, int]) -> Array:
    """(height, width) from the mean over channels of each layer, the first first, and the window that leads to it."""
    value = means[-1]
    for index in range(len(means) - 1, -1, -1):
        value = spread(value, windows[index], means[index - 1].shape if index else size)
        if index:
            value = value * means[index - 1]
    return value


def spread(values: Array, window: Window, size: Sequence[int]) -> Array:
    """Each value laid over the positions that its window read: a transposed convolution with ones, in loops."""
    (kernel_y, kernel_x), (stride_y, stride_x), (padding_y, padding_x) = window
    result = np.zeros(tuple(size))
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            top, left = i * stride_y - padding_y, j * stride_x - padding_x
            result[max(top, 0) : max(top + kernel_y, 0), max(left, 0) : max(left + kernel_x, 0)] += values[i, j]
    return result


def chain(network: nn.Module, layer: str, image: Tensor) -> tuple[list[Array], list[Window]]:
    """Means and windows of a network in which each convolution and pooling reads the one before, up to a layer."""
    name, _, call = layer.partition("#")
    inputs: list[Array] = []
    windows: list[Window] = []
    ends: list[tuple[int, Array]] = []

    def reads(module: Any, arguments: Any) -> None:
        inputs.append(arguments[0][0].detach().mean(dim=0).numpy().astype(float))
        pairs = [(value, value) if isinstance(value, int) else tuple(value)
                 for value in (module.kernel_size, module.stride, module.padding)]  # fmt: skip
        windows.append(tuple(pairs))  # type: ignore[arg-type]

    def ended(_module: Any, _arguments: Any, output: Any) -> None:
        value = output[0] if isinstance(output, tuple) else output
        ends.append((len(inputs), value[0].detach().mean(dim=0).numpy().astype(float)))

    kinds = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
    handles = [m.register_forward_pre_hook(reads) for m in network.modules() if isinstance(m, kinds)]
    handles.append(network.get_submodule(name).register_forward_hook(ended))
    with torch.no_grad():
        network(image[None].clone())
    for handle in handles:
        handle.remove()
    count, last = ends[int(call or 0)]
    return [*inputs[1:count], last], windows[:count]


def rollout(blocks: Sequence[Tensor], prefix: int, grid: tuple[int, int]) -> Array:
    """(height, width) of a grid of patches: Abnar 2020, eq. 1, for one image's (heads, T, T) of each block."""
    product: Array | None = None
    for weights in blocks:
        heads = weights.numpy().astype(float)
        mean = np.zeros(heads.shape[1:])
        for head in heads:
            mean += head / len(heads)
        mixed = 0.5 * (mean + np.eye(len(mean)))
        product = mixed if product is None else mixed @ product
    assert product is not None
    return product[0, prefix:].reshape(grid)
