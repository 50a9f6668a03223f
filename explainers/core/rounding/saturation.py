"""Whether a probability is so near its end that what is made of its changes shows nothing."""

from __future__ import annotations

from typing import Any

NEAR = 5e-7  # of 0 or 1: half of the sixth digit, and a few steps of float32 below 1


def at_end(explainer: Any, value: Any, quantity: str, activation: str) -> str:
    """The likely cause of an explainer's map that is the same everywhere, and what to do; "" where it is another one.

    A change of a probability p is at most about p (1 − p) times one of its score, so that near 0 and 1 it is lost in
    rounding. That holds for methods that read p, and for all methods where the network itself ends in p; a gradient
    or an activation of the scores before it is as large there as anywhere.

    Args:
        value: f(x) of the image; quantity: what it is; activation: what gives it, as `str` of a `Reading`.
    """
    if quantity != "probability" or not isinstance(value, (int, float)) or not min(abs(value), abs(1 - value)) <= NEAR:
        return ""
    end = f"likely because the probability is {round(value)} to six digits, where changes are lost in rounding"
    if activation.startswith("none "):
        return f"{end}; explain the network without its last softmax or sigmoid"
    own = getattr(explainer, "activation", None)
    if own == "auto" or (isinstance(own, str) and activation.startswith(f"{own} ")):
        return f"{end}; explain the score itself (--activation none, activation=None)"
    return ""
