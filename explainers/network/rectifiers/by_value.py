"""What a tensor without a gradient does to one with a gradient, by their values in this forward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LARGEST = 1e30  # in place of infinity
FEW, MANY = 16, 4096  # values: too few to see what a factor goes by; as many as are looked at
LIKE = 0.3  # how much less a factor differs between neighbours in the order of x than between any two values
NEAR = 0.25  # how much nearer a sum is to max(x, 0) than to x


@torch.no_grad()
def goes_by(factor: Tensor, values: Tensor, product: Tensor) -> bool:
    """Whether a factor has a number for each value and follows that value alone, as (x > 0) does.

    A factor that is the same everywhere counts: the mask of values that are all above zero is such a one.
    """
    if factor.numel() != product.numel() or values.numel() != product.numel() or factor.numel() < 2:
        return False
    if factor.numel() < FEW:
        return True
    step = max(factor.numel() // MANY, 1)
    follower, leader = factor.detach().flatten()[::step].double(), values.detach().flatten()[::step].double()
    follower = follower.clamp(-LARGEST, LARGEST)
    apart = (follower - follower.roll(len(follower) // 2)).abs().mean()
    sorted_by = follower[leader.argsort()]
    return bool((sorted_by[1:] - sorted_by[:-1]).abs().mean() <= LIKE * apart)


@torch.no_grad()
def is_rectified(values: Tensor, total: Tensor) -> bool:
    """Whether a sum is about max(x, 0) of what a gradient goes through, and not about x."""
    if values.numel() != total.numel():
        return False
    before, after = values.detach().flatten(), total.detach().flatten()
    change = (after - before).norm()
    return bool(change > 0) and bool((after - before.clamp(min=0)).norm() <= NEAR * change)


@torch.no_grad()
def one_sided(values: Tensor, made: Tensor) -> bool:
    """Whether what had both signs has one, as behind a quantisation whose range begins, or ends, at zero."""
    low, high = (bool((values.detach() < 0).any()), bool((values.detach() > 0).any()))
    return (low and not bool((made.detach() < 0).any())) or (high and not bool((made.detach() > 0).any()))


@torch.no_grad()
def one_by_one(matrix: Tensor) -> bool:
    """Whether matrices (…, n, m) have at most one entry in each row and each column: they scale, and mix nothing."""
    matrix = matrix.detach()
    matrix = matrix.to_dense() if matrix.layout != torch.strided else matrix
    if matrix.ndim < 2 or matrix.numel() < 2:
        return False
    entries = matrix != 0
    return all(bool((entries.sum(dim) <= 1).all()) for dim in (-1, -2))


def scales_each(kernel: Tensor, groups: int) -> bool:
    """The same of the kernel of a convolution: of one position, one channel each."""
    if kernel[0, 0].numel() > 1:
        return False
    return kernel.shape[1] == 1 if groups > 1 else one_by_one(kernel.flatten(1))


def of_each_value(name: str, args: Any, result: Tensor) -> bool:
    """Whether an index chooses between several for each value on its own, and not for rows of them.

    What picks some values out of a list, each once, as detectors do, leaves no value another than it was.
    """
    if name in ("index", "_unsafe_index"):
        indices = [index for index in args[1] if isinstance(index, Tensor)]
        if any(index.dtype == torch.bool for index in indices):
            return False  # what puts them back is seen by itself
    else:
        indices = [args[1 if name in ("take", "embedding") else 2]]
    chosen = torch.broadcast_shapes(*map(_own_shape, indices)).numel()
    if name == "index_add":
        return chosen == args[3].numel() > 1
    if not chosen == result.numel() > 1:
        return False
    again = len(indices) == 1 and indices[0].unique().numel() < chosen
    choices, rest = divmod(args[0].numel(), chosen)
    if again or choices < 2 or rest:
        return again
    if len(indices) > 1:
        return True
    along = args[1] if name == "gather" and args[0].ndim > 1 else None
    return _of_own(indices[0] if along is None else indices[0].movedim(along, -1), args[0], along)


def _of_own(index: Tensor, given: Tensor, along: int | None) -> bool:
    """Whether each value is taken out of as many that are its own: neighbours, or one of each of equal parts.

    Args:
        index: places in all of `given`, or (..., n) in rows of it, which lie `along` an axis.
    """
    index = index.reshape(1, -1) if along is None else index.reshape(-1, index.shape[-1])
    count, total = index.shape[1], given.numel() if along is None else given.shape[along]
    places = (index % total % count, index % total // max(1, total // count))
    every = torch.arange(count, device=index.device, dtype=index.dtype)
    return total % count == 0 and any(bool((each.sort(1).values == every).all()) for each in places)


def _own_shape(index: Tensor) -> tuple[int, ...]:
    """The shape of what an index has for itself; what was expanded is the same for a row."""
    return tuple(1 if stride == 0 else size for size, stride in zip(index.shape, index.stride(), strict=True))
