"""Heat maps as tensors: out of a layer's channels, of the image's size, scaled to 0 … 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.errors import LayerError, counted


def grad_cam(activation: Tensor, gradient: Tensor) -> Tensor:
    """ReLU of the activation channels weighted by their mean gradient.

    Args:
        activation: (N, K, u, v), the layer's output, or with one axis or three behind the channels.
        gradient: in the same shape, gradient of the target score with respect to it.

    Returns:
        (N, u, v), not negative, not scaled.

    Source: Selvaraju et al. 2017, eq. 1 and 2.
    """
    return class_activation(activation, gradient).relu()


def class_activation(activation: Tensor, gradient: Tensor) -> Tensor:
    """The activation's channels weighted by their mean gradient, with signs.

    Behind global average pooling and one linear layer this is the class activation map divided by its positions.

    Args:
        activation: (N, K, u, v), a layer's output; gradient: (N, K, u, v) of the class's score with respect to it.

    Returns:
        (N, u, v), not scaled.

    Source: Zhou et al. 2016, eq. 2; Selvaraju et al. 2017, eq. 1 and 2 without the ReLU.
    """
    weights = gradient.mean(dim=positions(gradient), keepdim=True)
    return (weights * activation).sum(dim=1)


def positions(values: Tensor) -> tuple[int, ...]:
    """The dimensions of (N, C, *axes) that are positions."""
    return tuple(range(2, values.ndim))


def grid_labels(sides: Sequence[int], cells: int) -> Tensor:
    """(*sides) int64: an image cut into a grid of so many cells a side, each position with the number of its own."""
    labels = torch.zeros(1, dtype=torch.int64, device="cpu")
    for side in sides:
        labels = labels[..., None] * cells + torch.arange(side, device="cpu") * min(cells, side) // side
    return labels[0]


def as_tensor(values: Any) -> Tensor:
    """A tensor as it is, anything else on the CPU, whatever torch's default device."""
    return values if isinstance(values, Tensor) else torch.as_tensor(values, device="cpu")


def reduce_channels(maps: Tensor, channels: str | None) -> Tensor:
    """(N, K, C, *axes) to (N, K, *axes): "max" is the largest magnitude, "sum" keeps signs, None changes nothing."""
    if channels == "max":
        return maps.abs().amax(dim=2)
    if channels == "sum":
        return maps.sum(dim=2)
    return maps


INTERPOLATIONS = {1: "linear", 2: "bilinear", 3: "trilinear"}


def upsample(maps: Tensor, size: Sequence[int], extent: tuple[float, ...] | None = None) -> Tensor:
    """(N, K, u, v) to (N, K, H, W), bilinear, corners not aligned; linear with one axis, trilinear with three.

    Args:
        size: as many sides as the maps have axes; extent: of each axis of the maps, the share that the image covers,
            from the first position; the rest, a border that the network added, is cut off. None is all of it.

    Raises:
        LayerError: they have another number of axes, as only what `spatial=` gives can have.
    """
    if maps.ndim - 2 != len(size):
        raise LayerError(
            f"the layer's map has {counted(maps.ndim - 2, 'axis', 'axes')}, and the input {len(size)}: spatial= must "
            f"give (N, C, {', '.join('dhw'[-len(size) :])})"
        )
    if extent is not None:
        whole = [max(round(length / share), 1) for length, share in zip(size, extent, strict=True)]
        wide = upsample(maps, whole)
        for axis, length in enumerate(size, start=2):
            wide = wide.narrow(axis, 0, length)
        return wide
    if maps.shape[2:] == torch.Size(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode=INTERPOLATIONS[len(size)], align_corners=False)


CONSTANT = "constant"  # the status of a map that shows nothing
CONSTANT_REASON = "the map is the same everywhere, so it shows nothing of this image"


def constant_reason(values: Tensor, layers: Sequence[str] = (), *, ours: bool = True, at_end: str = "") -> str:
    """What is said of a map that is the same everywhere: its value, why, as far as can be told, and what to try.

    Args:
        layers: that its method read; ours: whether one of our methods made it, so that more is known of why; at_end:
            what `rounding/saturation.py` says of what it explains.
    """
    zero = not bool(values.any())
    value = f"{0.0 if zero else float(values.flatten()[0]):.3g} at all positions"
    if not ours:
        return f"{CONSTANT_REASON}: it is {value}; look at how it was made, or score a method by its name beside it"
    if at_end and (zero or not layers):
        return f"{CONSTANT_REASON}: it is {value}, {at_end}"
    if layers:
        where = f"layer{'s' * (len(layers) > 1)} {', '.join(layers)}"
        why = f"nothing in {where} speaks for the target" if zero else f"{where} says the same everywhere"
        step = "try an earlier one, such as --layer -2, layer-cam, or rise, which reads none"
    elif zero:
        why = "no change of the image that the method looks at changes the score"
        step = "try another target, or a method of another kind (rise, grad-cam)"
    else:
        why = "to the method every part of the image counts alike"
        step = "try another target, smaller parts where the method has such an option, or a method of another kind"
    return f"{CONSTANT_REASON}: it is {value}, {why}; {step}"


def is_constant(values: Tensor) -> bool:
    """Whether a map is the same everywhere, as far as float32 can tell: all of it zero, or no pixel above another."""
    return bool(constant_rows(values[None]))


def constant_rows(values: Tensor) -> Tensor:
    """(n,) bool: which of the maps (n, *axes) are the same everywhere, as far as float32 can tell."""
    flat = values.flatten(1)
    low, high = flat.amin(dim=1), flat.amax(dim=1)
    return high - low <= 1e-6 * torch.maximum(low.abs(), high.abs())


def scaled(maps: Tensor, axes: int | None = None) -> Tensor:
    """Each map scaled to 0 … 1; zero where it is the same everywhere.

    Args:
        maps: (N, *axes); axes: of more leading dimensions, how many at the end are a map's.
    """
    dims = tuple(range(-(maps.ndim - 1 if axes is None else axes), 0))
    low, high = maps.amin(dim=dims, keepdim=True), maps.amax(dim=dims, keepdim=True)
    span = high - low
    return torch.where(span > 0, (maps - low) / span.clamp(min=torch.finfo(maps.dtype).tiny), 0)
