"""T(A): which part of an image or of its features an attention map takes away."""

from __future__ import annotations

import math

from torch import Tensor

from explainers.errors import OptionError

KINDS = ("sigmoid", "straight-through", "hard")


def mining_mask(attention_map: Tensor, threshold: float, kind: str = "sigmoid", omega: float = 10.0) -> Tensor:
    """How much is taken away at each position: F* = F − T(A) ⊙ F.

    Args:
        attention_map: any shape, in 0 … 1.
        threshold: above it counts as attended, 0 … 1.
        kind: "sigmoid", 1 / (1 + exp(−ω (A − threshold))): smooth, so that what is mined trains the map. "hard",
            [A > threshold]: no gradient, the map does not learn of what is mined. "straight-through": the values of
            "hard" with the gradient of A itself, as if T(A) were A.
        omega: ω, slope of the sigmoid; a sigmoid of small ω takes away half of everything.

    Returns:
        The shape of the map, in 0 … 1.

    Raises:
        OptionError: another kind, or a number outside its range.

    Source: Li et al. 2018, eq. 4 ("sigmoid"); Iwayoshi 2021 ("hard"); Bengio et al. 2013 ("straight-through").
    """
    if kind not in KINDS:
        raise OptionError(f"mask={kind!r}; expected one of {', '.join(KINDS)}")
    if not 0 <= threshold <= 1:
        raise OptionError(f"threshold={threshold}; expected 0 … 1, as the map lies there")
    if not 0 < omega < math.inf:
        raise OptionError(f"omega={omega}; expected a positive slope")
    if kind == "sigmoid":
        return (omega * (attention_map - threshold)).sigmoid()
    hard = (attention_map > threshold).to(attention_map.dtype)
    if kind == "hard":
        return hard
    return hard + (attention_map - attention_map.detach())  # in this order: what is added is exactly 0
