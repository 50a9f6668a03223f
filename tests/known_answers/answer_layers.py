"""Layer methods by hand: the network run in two halves, and each formula in NumPy, channel by channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Array = np.ndarray


def halves(
    network: nn.Module, layer: str, image: Tensor, score: Callable[[Any], Tensor], spatial: Callable[[Tensor], Tensor]
) -> tuple[Array, Array]:
    """Activation and gradient (K, u, v) of a layer for one image (C, H, W).

    The first half runs up to the layer; the second starts there, with the layer's output replaced by a leaf.

    Args:
        layer: dotted name; "name#2" for its third run.
        score: from what the network returns to the score to differentiate.
        spatial: from the layer's output to (N, K, u, v).
    """
    name, _, call = layer.partition("#")
    module, wanted = network.get_submodule(name), int(call or 0)
    seen: list[Tensor] = []
    handle = module.register_forward_hook(lambda _m, _i, output: seen.append(_tensor(output).detach().clone()))
    with torch.enable_grad():  # without it, some of torch's own layers take a fused path that runs no hooks
        network(image[None].clone())
    handle.remove()
    leaf = seen[wanted].requires_grad_()
    runs = iter(range(len(seen)))

    def replace(_module: Any, _inputs: Any, output: Any) -> Any:
        if next(runs) != wanted:
            return output
        with torch.enable_grad():  # also where the network itself runs this part without gradients
            value = leaf.clone()
        return type(output)([value, *output[1:]]) if isinstance(output, (tuple, list)) else value

    handle = module.register_forward_hook(replace)
    with torch.enable_grad():
        value = score(network(image[None].clone()))
    handle.remove()
    gradient = torch.autograd.grad(value, leaf, allow_unused=True)[0] if value.requires_grad else None
    gradient = torch.zeros_like(leaf) if gradient is None else gradient
    return spatial(leaf.detach())[0].numpy().astype(float), spatial(gradient)[0].numpy().astype(float)


def means(network: nn.Module, names: Sequence[str], image: Tensor, spatial: Callable[[Tensor], Tensor]) -> list[Array]:
    """(u, v): the mean over channels of each layer, in one pass."""
    seen: dict[str, Array] = {}

    def hook(name: str) -> Callable[..., None]:
        def keep(_module: Any, _inputs: Any, output: Any) -> None:
            seen[name] = spatial(_tensor(output).detach())[0].mean(dim=0).numpy().astype(float)

        return keep

    handles = [network.get_submodule(name).register_forward_hook(hook(name)) for name in names]
    with torch.no_grad():
        network(image[None].clone())
    for handle in handles:
        handle.remove()
    return [seen[name] for name in names]


def _tensor(output: Any) -> Tensor:
    return output[0] if isinstance(output, (tuple, list)) else output


def cam(a: Array, weights: Array) -> Array:
    """Σ_k w_k A^k. Zhou 2016, eq. 2."""
    total = np.zeros(a.shape[1:])
    for k in range(len(a)):
        total += weights[k] * a[k]
    return total


def grad_cam(a: Array, g: Array) -> Array:
    """Selvaraju 2017, eq. 1 and 2."""
    total = np.zeros(a.shape[1:])
    for k in range(len(a)):
        total += g[k].sum() / g[k].size * a[k]
    return np.maximum(total, 0)


def grad_cam_plus_plus(a: Array, g: Array) -> Array:
    """Chattopadhay 2018, eq. 10 and 19, position by position; 0/0 is 0."""
    total = np.zeros(a.shape[1:])
    for k in range(len(a)):
        weight, mass = 0.0, a[k].sum()
        for value in g[k].flat:
            below = 2 * value**2 + mass * value**3
            weight += (value**2 / below if below != 0 else 0.0) * max(value, 0.0)
        total += weight * a[k]
    return np.maximum(total, 0)


def xgrad_cam(a: Array, g: Array) -> Array:
    """Fu 2020, eq. 7; a channel whose activations sum to zero but for rounding has weight 0."""
    total = np.zeros(a.shape[1:])
    for k in range(len(a)):
        mass = a[k].sum()
        if abs(mass) > 1e-9 * np.abs(a[k]).sum():
            total += (g[k] * a[k]).sum() / mass * a[k]
    return np.maximum(total, 0)


def hires_cam(a: Array, g: Array) -> Array:
    """Draelos 2020, eq. 5."""
    total = np.zeros(a.shape[1:])
    for k in range(len(a)):
        total += g[k] * a[k]
    return np.maximum(total, 0)


def layer_cam(a: Array, g: Array) -> Array:
    """Jiang 2021, eq. 5 and 6."""
    total = np.zeros(a.shape[1:])
    for k in range(len(a)):
        total += np.maximum(g[k], 0) * a[k]
    return np.maximum(total, 0)


def eigen_cam(a: Array) -> tuple[Array, bool]:
    """The positions' projections on the first right singular vector, and whether the sign is decided.

    The sign is the one that correlates with the mean activation (behind a layer norm that is constant: not decided).
    """
    matrix = a.reshape(len(a), -1).T
    _, _, rows = np.linalg.svd(matrix, full_matrices=False)
    map_, mean = matrix @ rows[0], matrix.mean(axis=1)
    product = ((map_ - map_.mean()) * (mean - mean.mean())).sum()
    decided = abs(product) > 1e-9 * np.linalg.norm(map_) * np.linalg.norm(matrix)
    return (map_ * (-1 if product < 0 else 1)).reshape(a.shape[1:]), bool(decided)


def upsampled(values: Array, *size: int) -> Array:
    """Linear along each axis, half-pixel centres, edges repeated: (u, v) to (height, width), or one axis or three."""
    for axis, side in enumerate(size):
        values = np.moveaxis(np.tensordot(_weights(values.shape[axis], side), values, (1, axis)), 0, axis)
    return values


def _weights(before: int, after: int) -> Array:
    """(after, before): what each new position takes from each old one."""
    matrix = np.zeros((after, before))
    for i in range(after):
        place = min(max((i + 0.5) * before / after - 0.5, 0.0), before - 1.0)
        low = int(place)
        matrix[i, low] += 1 - (place - low)
        matrix[i, min(low + 1, before - 1)] += place - low
    return matrix
