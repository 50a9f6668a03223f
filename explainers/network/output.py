"""From whatever a network returns to scores (N, classes), and from scores to probabilities."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OptionError, OutputError
from explainers.network.guard import exact, preserved
from explainers.network.input import run
from explainers.network.unwrapping import as_network

Output = Callable[[Any], Tensor]

NORMALISED = {
    "SoftmaxBackward0": "a softmax",
    "LogSoftmaxBackward0": "a log-softmax",
    "SigmoidBackward0": "a sigmoid",
}


def _as_they_are(scores: Tensor) -> Tensor:
    return scores


def _softmax(scores: Tensor) -> Tensor:
    return scores.softmax(dim=1)


# Functions with names, since explainers keep them and are pickled to other processes.
ACTIVATIONS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: _as_they_are,
    "softmax": _softmax,
    "sigmoid": torch.sigmoid,
}


def at_least_single(values: Tensor) -> Tensor:
    """Half precision as float32; anything else as it is."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def checked_activation(activation: str | None) -> Callable[[Tensor], Tensor]:
    """The function of that name.

    Raises:
        OptionError: there is none.
    """
    if activation not in ACTIVATIONS:
        raise OptionError(f"activation={activation!r}; expected 'softmax', 'sigmoid' or None")
    return ACTIVATIONS[activation]


def class_scores(model: Any, images: Tensor, output: Output | None = None) -> Tensor:
    """Scores (N, classes) of images (N, C, H, W) in evaluation mode, without gradient; the network stays as found."""
    network = as_network(model)
    with preserved(network), exact(images, gradients=False):
        return scores_of(run(network, images), len(images), output)


def scores_of(returned: Any, count: int, output: Output | None = None) -> Tensor:
    """Scores (N, classes) out of what the network returned for `count` images.

    Args:
        returned: a tensor, a tuple or list (its first 2-D tensor), a mapping or dataclass with `logits` or `out`.
        output: takes `returned` and gives the scores instead; for regression, segmentation, several heads.

    Raises:
        OutputError: nothing in it is (N, classes), or a score is NaN or infinite.
    """
    scores = _default(returned) if output is None else output(returned)
    if not isinstance(scores, Tensor) or scores.ndim != 2 or not scores.is_floating_point():
        source = "the network returned" if output is None else "output= gave"
        raise OutputError(
            f"{source} {describe(returned if output is None else scores)}; expected scores of shape (N, classes). "
            f"Pass output= to pick them, for example {_suggestion(returned)}"
        )
    if len(scores) != count:
        raise OutputError(
            f"the scores have {len(scores)} rows for {count} image{'s' * (count != 1)}; the network must give one row "
            "per image (does it mix, drop or fold the batch, or bind a second input of another number of images? Then "
            "bind that of one image and explain image by image)"
        )
    if scores.shape[1] == 0:
        raise OutputError("the scores have no classes (shape (N, 0))")
    finite = torch.isfinite(scores.detach()).all(dim=1)
    if not finite.all():
        rows = (~finite).nonzero().flatten().tolist()
        raise OutputError(
            f"the network's scores are NaN or infinite for image {_listed(rows)} of the batch; check its weights and "
            "the normalisation of the images, or use float32 instead of half precision"
        )
    return scores


def warn_if_normalised(scores: Tensor) -> None:
    """Gradient methods are defined on logits; say so when the network ends in a softmax or sigmoid."""
    node = None if scores.grad_fn is None else type(scores.grad_fn).__name__
    if node in NORMALISED:
        warnings.warn(
            f"the scores come out of {NORMALISED[node]}: the map shows the gradient of a probability, not of the logit "
            "that the papers use. Explain the network without its last layer, or pass output= to get the logits.",
            stacklevel=2,
        )


def describe(value: Any) -> str:
    """What a value is, in the words of an error: type, shapes, keys."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}" + ("" if value.is_floating_point() else f" and {value.dtype}")
    if isinstance(value, Mapping):
        return f"{type(value).__name__} with keys " + ", ".join(f"{key!r}: {describe(value[key])}" for key in value)
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__} of ({', '.join(describe(item) for item in value)})"
    fields = getattr(value, "__dict__", {})
    named = ", ".join(f".{name}: {describe(item)}" for name, item in fields.items() if isinstance(item, Tensor))
    return type(value).__name__ + (f" with {named}" if named else "")


def _default(returned: Any) -> Any:
    if isinstance(returned, Tensor):
        return returned
    if isinstance(returned, Mapping):
        return next((returned[key] for key in ("logits", "out") if key in returned), returned)
    if isinstance(getattr(returned, "logits", None), Tensor):
        return returned.logits
    if isinstance(returned, (tuple, list)):
        return next((item for item in returned if isinstance(item, Tensor) and item.ndim == 2), returned)
    return returned


def _suggestion(returned: Any) -> str:
    value, access = returned, "y"
    if isinstance(returned, Mapping):
        key = next((key for key in ("logits", "out") if key in returned), next(iter(returned), "logits"))
        value, access = returned.get(key), f"y[{key!r}]"
    elif isinstance(returned, (tuple, list)) and returned:
        value, access = returned[0], "y[0]"
    if isinstance(value, Tensor) and value.ndim == 4:
        return f"output=lambda y: {access}.mean((2, 3)) to explain a class over all positions"
    if isinstance(value, Tensor) and value.ndim == 1:
        return f"output=lambda y: {access}[:, None] for one score per image"
    return f"output=lambda y: {access}"


def _listed(rows: list[int]) -> str:
    return ", ".join(str(row) for row in rows[:8]) + (" …" if len(rows) > 8 else "")
