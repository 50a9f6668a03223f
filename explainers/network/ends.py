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
SHIFTED = float("inf")  # in place of the factor, where a number is added
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
    """(The normalisation or distance that scores come out of, what number it is multiplied by), as the graph tells;
    SHIFTED where one is added to it."""
    return (None, 1.0) if scores.grad_fn is None else _end(scores.grad_fn, {})


def _end(node: Any, known: dict[Any, tuple[str | None, float]], depth: int = 0) -> tuple[str | None, float]:
    """Of a node of the graph; known: what was found of nodes, which many ways may lead to."""
    if node not in known:
        known[node] = _found_end(node, known, depth + 1) if depth < FARTHEST else (None, 1.0)
    return known[node]


def _found_end(node: Any, known: dict[Any, tuple[str | None, float]], depth: int) -> tuple[str | None, float]:
    name = _kind(node)
    if name in ENDS or name in DISTANCES:
        return name, 1.0
    sources = [source for source, _ in node.next_functions if source is not None]
    if _is_distance(node, name):
        return DISTANCES[0], 1.0
    if name in ("Sqrt", "Pow"):  # of a distance, one too
        found = _end(sources[0], known, depth) if len(sources) == 1 else (None, 1.0)
        return found if found[0] in DISTANCES and found[1] > 0 else (None, 1.0)
    factor = -1.0 if name == "Neg" else _number(node) if name in ("Mul", "Div") else 1.0
    if factor is None or (len(sources) > 1 and name in ("Mul", "Div")):
        return None, 1.0
    factor = 1 / factor if name == "Div" and factor else factor
    if name == "Log":  # written out
        end, inner = _end(sources[0], known, depth) if sources else (None, 1.0)
        return (LOGARITHMS.get(end or ""), 1.0) if inner == 1 else (None, 1.0)
    if name == "Log1P":  # of −σ(s), which is ln σ(−s)
        return ("LogSigmoid", 1.0) if sources and _end(sources[0], known, depth) == ("Sigmoid", -1.0) else (None, 1.0)
    if name in ("Add", "Sub"):
        end, inner = _end(sources[0], known, depth) if _plus_constant(node, sources) else (None, 1.0)
        return (end, SHIFTED) if end in LOGARITHMS and inner > 0 else (None, 1.0)
    if name not in ("Neg", "Mul", "Div") and not PASSING.fullmatch(name):
        return None, 1.0
    ends = {_end(source, known, depth) for source in sources}
    end, inner = ends.pop() if len(ends) == 1 else (None, 1.0)
    if (name == "Mean" and end in LOGARITHMS.values()) or (inner == SHIFTED and factor < 0):
        return None, 1.0
    return end, inner * factor


def _plus_constant(node: Any, sources: list[Any]) -> bool:
    """Whether a constant is added to what the network has computed, or taken from it."""
    return len(sources) == 1 and node.next_functions[0][0] is not None


def _is_distance(node: Any, name: str) -> bool:
    """Whether a norm, or a sum of squares or of absolute values, is that of a difference."""
    if name in ("Sum", "Mean"):
        node = _below(node)
        name = _kind(node)
        squared = name == "Mul" and len(node.next_functions) == 2 and len(set(node.next_functions)) == 1
        if not (squared or name == "Abs" or (name == "Pow" and getattr(node, "_saved_exponent", None) == 2)):
            return False
    elif name not in ("Norm", "LinalgVectorNorm"):
        return False
    return _kind(_below(node)) == "Sub"


def _below(node: Any) -> Any:
    """What a node reads, behind views."""
    node = node.next_functions[0][0] if node is not None and node.next_functions else None
    while _kind(node) in ("View", "Unsqueeze", "Squeeze", "Expand", "Permute", "Transpose") and node.next_functions:
        node = node.next_functions[0][0]
    return node


def _kind(node: Any) -> str:
    return re.sub(r"Backward\d*$", "", type(node).__name__)


def _number(node: Any) -> float | None:
    """What a product's node multiplies by, where that is one number."""
    try:
        other = node._saved_other if node._saved_self is None else node._saved_self
    except (RuntimeError, AttributeError):  # a graph that was gone through already
        return None
    return float(other.detach()) if other is not None and other.numel() == 1 else None


def see_order(scores: Tensor) -> None:
    """See that the largest of scores (N, classes, …) is that of the likeliest class.

    Raises:
        OutputError: the network gives negative log-probabilities, probabilities turned round, or distances from its
            classes.
    """
    end, factor = scaled_end(scores)
    if end in LOGARITHMS and factor > 0:  # whatever sums its values have by chance
        return
    several, values = scores.shape[1] > 1, scores.detach()
    what, turned = "", "-y"
    if end in DISTANCES and factor > 0 and several:
        what = "distances"
    elif (end in ("LogSoftmax", "LogSigmoid") and factor < 0) or _surprisals(values):
        what = "negative log-probabilities"
    elif several and ((end in ("Softmax", "Sigmoid") and factor < 0) or _shares(-values)):
        what = "negative probabilities"
    elif scores.shape[1] > 2 and _shares(1 - values):
        what, turned = "probabilities taken from 1", "1 - y"
    if what:
        raise OutputError(
            f"the scores are {what}, so that the smallest is that of the likeliest class. Turn them round: "
            f"output=lambda y: {turned} (--output FILE.py:function), which gives {turned}"
        )


def _shares(values: Tensor) -> bool:
    """Whether values (N, classes) lie in 0 … 1 and sum to 1, and two classes at least have a part."""
    if not bool(((values >= -1e-6) & (values <= 1 + 1e-6)).all()):
        return False
    slack = 1e-5 if values.dtype in (torch.float32, torch.float64) else 5e-3
    near = (at_least_single(values).sum(dim=1) - 1).abs() <= slack
    return bool(near.all()) and float((1 - at_least_single(values).amax(dim=1)).amax()) > 0.01


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
