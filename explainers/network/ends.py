"""What scores come out of: a softmax, a sigmoid, a logarithm or distances, as their graph or their values tell."""

from __future__ import annotations

import re
import warnings
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OutputError

ENDS = {"Softmax": "a softmax", "LogSoftmax": "a log-softmax", "Sigmoid": "a sigmoid", "LogSigmoid": "a log-sigmoid"}
DISTANCES = ("Cdist", "EuclideanDist")
FARTHEST = 50  # nodes behind each other that are looked at
LOGARITHMS = {"Softmax": "LogSoftmax", "Sigmoid": "LogSigmoid"}
# What passes values on, or picks, joins, limits or averages them: probabilities stay probabilities.
PASSING = re.compile(
    "Alias|Amax|Amin|Cat|Clamp|ClampMax|ClampMin|Clone|Expand|Index|IndexSelect|Max|Mean|Min|Narrow|Permute|ReshapeAlias|"
    "Select|Slice|Split|Squeeze|Stack|T|ToCopy|Transpose|Unbind|UnsafeView|Unsqueeze|View"
)


def at_least_single(values: Tensor) -> Tensor:
    """Half precision as float32; anything else as it is."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def end_of(scores: Tensor) -> str | None:
    """The normalisation that scores come out of, a key of ENDS, as their graph tells; None where there is none."""
    end, factor = scaled_end(scores)
    return end if end in ENDS and factor == 1 else None


def scaled_end(scores: Tensor) -> tuple[str | None, float]:
    """(The normalisation or distance that scores come out of, what number it is multiplied by), as the graph tells."""
    return (None, 1.0) if scores.grad_fn is None else _end(scores.grad_fn, {})


def _end(node: Any, known: dict[Any, tuple[str | None, float]], depth: int = 0) -> tuple[str | None, float]:
    """Of a node of the graph; known: what was found of nodes, which many ways may lead to."""
    if node not in known:
        known[node] = _found_end(node, known, depth + 1) if depth < FARTHEST else (None, 1.0)
    return known[node]


def _found_end(node: Any, known: dict[Any, tuple[str | None, float]], depth: int) -> tuple[str | None, float]:
    name = re.sub(r"Backward\d*$", "", type(node).__name__)
    if name in ENDS or name in DISTANCES:
        return name, 1.0
    sources = [source for source, _ in node.next_functions if source is not None]
    factor = -1.0 if name == "Neg" else _number(node) if name == "Mul" else 1.0
    if factor is None or (len(sources) > 1 and name == "Mul"):
        return None, 1.0
    if name == "Log":  # written out
        end, inner = _end(sources[0], known, depth) if sources else (None, 1.0)
        return (LOGARITHMS.get(end or ""), 1.0) if inner == 1 else (None, 1.0)
    if name not in ("Neg", "Mul") and not PASSING.fullmatch(name):
        return None, 1.0
    ends = {_end(source, known, depth) for source in sources}
    end, inner = ends.pop() if len(ends) == 1 else (None, 1.0)
    return (None if name == "Mean" and end in ("LogSoftmax", "LogSigmoid") else end), inner * factor


def _number(node: Any) -> float | None:
    """What a product's node multiplies by, where that is one number."""
    try:
        other = node._saved_other if node._saved_self is None else node._saved_self
    except (RuntimeError, AttributeError):  # a graph that was gone through already
        return None
    return float(other) if other is not None and other.numel() == 1 else None


def see_order(scores: Tensor) -> None:
    """See that the largest of scores (N, classes, …) is that of the likeliest class.

    Raises:
        OutputError: the network gives negative log-probabilities, or distances from its classes.
    """
    end, factor = scaled_end(scores)
    apart = end in DISTANCES and factor > 0 and scores.shape[1] > 1
    if apart or (end in ("LogSoftmax", "LogSigmoid") and factor < 0) or _surprisals(scores.detach()):
        raise OutputError(
            f"the scores are {'distances' if apart else 'negative log-probabilities'}, so that the smallest is that of "
            "the likeliest class. Turn them round: output=lambda y: -y (--output FILE.py:function), which gives -y"
        )


def _surprisals(scores: Tensor) -> bool:
    """Whether scores (N, classes) are −ln of probabilities that sum to 1, as far as values tell."""
    if scores.shape[1] < 2 or not bool((scores >= 0).all()):
        return False
    shares = (-at_least_single(scores)).exp()
    slack = 1e-5 if scores.dtype in (torch.float32, torch.float64) else 5e-3
    near = (shares.sum(dim=1) - 1).abs() <= slack
    rest = 1 - shares.amax(dim=1)  # of scores that a ReLU ends, one is 0 and all others may be large by chance
    return bool(near.all()) and float(rest.amax()) > 100 * slack


def warn_if_normalised(scores: Tensor) -> None:
    """Gradient methods are defined on logits; say so when the network ends in a softmax or sigmoid."""
    end = end_of(scores)
    if end is not None:
        warnings.warn(
            f"the scores come out of {ENDS[end]}: the map shows the gradient of a probability, not of the logit "
            "that the papers use. Explain the network without its last layer, or pass output= to get the logits.",
            stacklevel=2,
        )


def gradient_notes(scores: Tensor) -> list[str]:
    """What gradient methods would have to know of scores (N, classes)."""
    if not scores.requires_grad:
        return ["the scores carry no gradient: black-box methods only"]
    end = ENDS.get(end_of(scores) or "")
    return [f"the scores come out of {end}; gradient methods want logits (output=)"] if end else []
