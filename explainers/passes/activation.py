"""What turns a network's scores into f(x), the number that perturbations are watched by: decided here alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import ExplainersError, OptionError, OutputError
from explainers.network.ends import ENDS, at_least_single, scaled_end
from explainers.network.guard import exact, preserved
from explainers.network.input import fixed_batch, run
from explainers.network.output import Negative, Output, scores_of
from explainers.network.unwrapping import as_network

ACTIVATIONS = ("auto", "softmax", "sigmoid", None)
FUNCTIONS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: lambda scores: scores,
    "softmax": lambda scores: scores.softmax(dim=1),
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "exp10": lambda scores: 10**scores,
    "percent": lambda scores: scores / 100,
    "watched": lambda scores: scores.unflatten(1, (2, -1))[:, 1].repeat(1, 2),
}
SATURATED = 13.8  # |score| from which p (1 − p) < 1e-6: the score moves by 1, the probability by less than a millionth
SUM_SLACK = 5e-3  # of the sum of probabilities that a network computes in half precision


@dataclass(frozen=True)
class Reading:
    """From scores (N, classes) to f(x) of each class, in the same shape.

    name: "softmax", "sigmoid", "exp" (of log-probabilities; "exp2", "exp10" of those to other bases), "percent" (of a
    hundred), None (the scores themselves) or "watched" (scores (N, 2 T) of T target objects, whose second half is f(x)
    already, see `explainers.targets.target_scores`); why: the reason, for people; probability: whether f(x) is known to
    lie in 0 … 1; negative: the scores are those of the other class of a one-score network, −s, and f(x) is 1 − p;
    assumed: nobody said so, and it cannot be seen in the network.
    """

    name: str | None
    why: str
    probability: bool = True
    negative: bool = False
    assumed: bool = False

    def __call__(self, scores: Tensor) -> Tensor:
        """f(x) of scores (N, classes)."""
        if not self.negative or not self.probability:
            return FUNCTIONS[self.name](scores)
        return torch.sigmoid(scores) if self.name == "sigmoid" else 1 - FUNCTIONS[self.name](-scores)

    def check(self, scores: Tensor) -> None:
        """Whether the unperturbed scores are what they are taken for.

        Raises:
            OutputError: one assumed to be a logit is so large that its sigmoid could not move.
        """
        if self.name != "sigmoid" or not self.assumed:
            return
        large = scores.detach()[scores.detach().abs() > SATURATED]
        if len(large):
            raise OutputError(
                f"the network gives one score, {float(large[0]):.4g} here, which is too large for a logit: its sigmoid "
                "would not move. Use activation=None (--activation none) to watch the score itself, or "
                "activation='sigmoid' (--activation sigmoid) if it is one"
            )

    def __str__(self) -> str:
        return self.why if self.name == "watched" else f"{self.name or 'none'} ({self.why})"


def checked_activation(activation: Any) -> str | None:
    """The activation that was asked for.

    Raises:
        OptionError: there is none of this name.
    """
    if activation not in ACTIVATIONS:
        raise OptionError(f"activation={activation!r}; expected 'auto', 'softmax', 'sigmoid' or None")
    return activation  # type: ignore[no-any-return]


def reading_of(
    model: Any,
    images: Tensor,
    scores: Tensor,
    activation: str | None = "auto",
    output: Output | None = None,
    *,
    check: bool = True,
) -> Reading:
    """What turns the scores of a network into f(x).

    "auto": scores that are probabilities already (a softmax or sigmoid at the end of the network, or values that stay
    in 0 … 1 whatever the image), or a softmax or sigmoid times or plus a number → themselves; one score → sigmoid;
    several → softmax, unless the network's configuration says multi-label. It is a fact about the network: the
    images only try it.

    Args:
        images: (N, C, *axes), unperturbed, checked; scores: (N, classes), theirs; activation: "auto" or what is asked
            for; output: as for every explainer; check: whether to refuse a score that is no logit.

    Raises:
        OptionError: no such activation, or the softmax of a single score, which is always 1. OutputError: see
            `Reading.check`.

    Cost: with "auto" a pass of one image; where its scores lie in 0 … 1, four more.
    """
    activation = checked_activation(activation)
    own = getattr(output, "reading", None)
    if isinstance(own, Reading):  # targets that know what is watched of them
        return own
    if isinstance(output, Negative):
        return replace(reading_of(model, images, -scores, activation, output.of, check=check), negative=True)
    scores = at_least_single(scores.detach())
    if activation == "softmax" and scores.shape[1] == 1:
        raise OptionError("activation='softmax': the softmax of a single score is always 1; use 'sigmoid' or None")
    if activation != "auto":
        return Reading(activation, "as asked", probability=activation is not None)
    network = as_network(model)
    with preserved(network):
        found = _declared(network) or _seen(network, images, scores, output) or _assumed(scores)
    if check:
        found.check(scores)
    return found


def _declared(network: Any) -> Reading | None:
    """What the configuration of a transformers network says."""
    problem = getattr(getattr(network, "config", None), "problem_type", None)
    if problem == "multi_label_classification":
        return Reading("sigmoid", "the network's configuration says multi-label")
    if problem == "regression":
        return Reading(None, "the network's configuration says regression", probability=False)
    return None


def _seen(network: Any, images: Tensor, scores: Tensor, output: Output | None) -> Reading | None:
    """What can be seen at the end of the network, or in its values."""
    end, factor = _graph_end(network, images, output)
    within = _within(scores)
    if end in ("Softmax", "Sigmoid") and factor == 100:
        return Reading("percent", f"percentages: the network ends in {ENDS[end]} times 100")
    moved = end in ("Softmax", "Sigmoid") and factor > 0 and factor != 1
    other = Reading(None, f"values: {ENDS[end or '']} times or plus a number", probability=False) if moved else None
    end = end if factor == 1 else None
    if end in ("Softmax", "Sigmoid") and within:
        return Reading(None, f"probabilities already: the network ends in {ENDS[end]}")
    if end == "LogSigmoid":
        return Reading("exp", f"the network ends in {ENDS[end]}")
    if end == "LogSoftmax" and scores.shape[1] > 1:
        return Reading("softmax", f"the network ends in {ENDS[end]}")
    if scores.shape[1] > 1 and getattr(network, "gives_logits", False):
        return Reading("softmax", "logits, by the network's own account")
    tried = _tried(network, images, output) if within else []
    if not within or not all(map(_within, tried)):
        return _by_values(network, images, scores, output) or other
    if scores.shape[1] > 1 and all(map(_sums_to_one, [scores, *tried])):
        return Reading(None, "probabilities already: the scores lie in 0 … 1 and sum to 1")
    if tried and float(torch.cat([scores[:1], *tried]).std(dim=0).amax()) > 0:
        return Reading(None, "the scores stay in 0 … 1 and are taken as probabilities", assumed=True)
    return None


def _by_values(network: Any, images: Tensor, scores: Tensor, output: Output | None) -> Reading | None:
    """Other spellings of probabilities, of which the softmax would say something else, or 1 whatever is done."""
    found = next((each for each in SPELLINGS if _spelled(each, scores)), None)
    if found is None and not _of_a_hundred(scores):
        return None
    tried = _tried(network, images, output)
    if found is not None:
        kept = tried and all(_spelled(found, each) for each in tried) and _undecided(found, [scores, *tried])
        return Reading(found, SPELLINGS[found]) if kept else None
    seen = torch.cat([scores[:1], *tried])
    if tried and _of_a_hundred(seen) and float(seen.amax()) > 90 and float(seen.std(dim=0).amax()) > 0:
        what = "one score that stays in 0 … 100, taken as a percentage"
        several = "scores that stay in 0 … 100, taken as percentages of labels that do not exclude each other"
        return Reading("percent", what if scores.shape[1] == 1 else several, assumed=True)
    return None


SPELLINGS = {
    "percent": "percentages: the scores lie in 0 … 100 and sum to 100",
    "exp2": "logarithms to base 2: two to the power of the scores sums to 1",
    "exp10": "logarithms to base 10: ten to the power of the scores sums to 1",
}


def _spelled(name: str, scores: Tensor) -> bool:
    values = FUNCTIONS[name](scores)
    return scores.shape[1] > 1 and _within(values) and _sums_to_one(values)


def _undecided(name: str, seen: list[Tensor]) -> bool:
    """Whether two classes had a part: of scores such as (0, −40), one power is 1 and the other 0 by chance."""
    return max(float((1 - FUNCTIONS[name](each).amax(dim=1)).amax()) for each in seen) > 0.05


def _assumed(scores: Tensor) -> Reading:
    if scores.shape[1] == 1:
        return Reading("sigmoid", "one score, taken as a logit", assumed=True)
    return Reading("softmax", "several scores, taken as logits of which one is right", assumed=True)


def _few(network: Any, images: Tensor) -> Tensor:
    """One image, or as many as the network insists on."""
    size = fixed_batch(network) or 1
    return images[:1].expand(size, *images.shape[1:])


def _graph_end(network: Any, images: Tensor, output: Output | None) -> tuple[str | None, float]:
    """What the network ends in, and times what number."""
    if not isinstance(network, nn.Module):
        return getattr(network, "end", None), 1.0
    few = _few(network, images)
    with exact(few, gradients=True):
        try:
            returned = run(network, few.detach().clone().requires_grad_())
        except (ExplainersError, RuntimeError):  # no pass with a graph: its values are all that can be seen
            return None, 1.0
        return scaled_end(scores_of(returned, len(few), output))


def _tried(network: Any, images: Tensor, output: Output | None) -> list[Tensor]:
    """Scores (1, classes) of what no photo is: the negative, nothing, ten-fold contrast, and noise."""
    few = _few(network, images)
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(few.shape[1:], generator=rng, dtype=torch.float32, device="cpu").to(few) * 10
    found = []
    for probe in (-few, 0 * few, 10 * few, noise.expand_as(few)):
        try:
            with exact(few, gradients=False):
                found.append(at_least_single(scores_of(run(network, probe), len(few), output))[:1])
        except (ExplainersError, RuntimeError):  # no image that this network takes
            continue
    return found


def _within(scores: Tensor) -> bool:
    return bool(((scores >= -1e-6) & (scores <= 1 + 1e-6)).all())


def _of_a_hundred(scores: Tensor) -> bool:
    return _within(scores / 100)


def _sums_to_one(scores: Tensor) -> bool:
    return bool(((scores.sum(dim=1) - 1).abs() <= SUM_SLACK).all())
