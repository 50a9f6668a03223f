"""Several targets of one image that stand in several rows of a batch, explained in the passes of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def explained_together(explain: Callable[[Tensor, Any], Tensor], images: Tensor, targets: Any) -> Tensor:
    """Maps (N, *axes) by a method of ours. Rows of the same image behind each other are one image with a target for
    each, which share its passes.

    Args:
        explain: takes K targets of each image; images: (N, C, *axes); targets: (N,) columns, or N target objects.
    """
    firsts = [row for row in range(len(images)) if not row or not torch.equal(images[row], images[row - 1])]
    if len(firsts) == len(images):
        return explain(images, targets)
    counts = [after - first for first, after in zip(firsts, [*firsts[1:], len(images)], strict=True)]
    most = max(counts)
    ends = zip(firsts, counts, strict=True)
    places = [[first + min(place, count - 1) for place in range(most)] for first, count in ends]
    maps = explain(images[firsts], _picked(targets, places))  # those behind an image's own are the last one's again
    return torch.cat([each[:count] for each, count in zip(maps, counts, strict=True)])


def _picked(targets: Any, places: Sequence[Sequence[int]]) -> Any:
    if isinstance(targets, Tensor):
        return targets[torch.tensor(places, device="cpu").to(targets.device)]
    return [[targets[place] for place in row] for row in places]
