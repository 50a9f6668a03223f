"""What is said of a network with one score per image, or with percentages, where nobody has said what a score is."""

from __future__ import annotations

import warnings

from torch import Tensor

from explainers.errors import OutputError
from explainers.network.ends import at_least_single
from explainers.passes.activation import SATURATED, Reading

LOGIT = (
    "the network gives one score per image, which is taken as a logit: f(x) is its sigmoid. Use activation=None "
    "(--activation none) if it is a value, or activation='sigmoid' (--activation sigmoid) if it is a logit"
)

PERCENT = (
    "the network gives one score per image that stays in 0 … 100, which is taken as a percentage: f(x) is its "
    "hundredth. Use activation=None (--activation none) if it is a value"
)

PERCENTS = (
    "the network's scores stay in 0 … 100 and do not sum to 100: they are taken as percentages of labels that do not "
    "exclude each other, so that f(x) is a score's hundredth. Use activation=None (--activation none) if they are "
    "values, or activation='softmax' (--activation softmax) if they are logits"
)
MAYBE_PERCENTS = (
    "the network's scores are taken as logits, of which the softmax is f(x); as they lie in 0 … 100, they may be "
    "percentages. Then use activation=None (--activation none), which watches the scores themselves"
)


def in_force(reading: Reading, scores: Tensor) -> Reading:
    """The reading of scores (N, classes) that are there now: of one that is too large for a logit, the score itself."""
    if not _too_large(reading, scores):
        return reading
    return Reading(None, "one score, too large for a logit", probability=False, negative=reading.negative)


def remark(reading: Reading, scores: Tensor) -> str:
    """What a person should know of the reading of scores (N, classes), with the ways to overrule it; "" for nothing."""
    if not reading.assumed:
        return ""
    if reading.name == "percent":
        return PERCENT if scores.shape[1] == 1 else PERCENTS
    if reading.name == "softmax":
        low, high = float(scores.detach().amin()), float(scores.detach().amax())
        return MAYBE_PERCENTS if low >= 0 and SATURATED < high <= 100 and not reading.negative else ""
    return (_too_large(reading, scores) or LOGIT) if reading.name == "sigmoid" else ""


class Remarks:
    """Warns of the reading of one score, once of each kind however many batches it is called with."""

    def __init__(self) -> None:
        self.said: set[str] = set()

    def __call__(self, reading: Reading, scores: Tensor, *, stacklevel: int = 2) -> None:
        """Warn of what there is to say of scores (N, classes)."""
        text = remark(reading, scores)
        kind = text if text in (LOGIT, PERCENT, PERCENTS, MAYBE_PERCENTS) else "too large"  # which names the score
        if text and kind not in self.said:
            self.said.add(kind)
            warnings.warn(text, stacklevel=stacklevel + 1)


def _too_large(reading: Reading, scores: Tensor) -> str:
    """Why scores are no logits, "" where they may be."""
    try:
        reading.check(at_least_single(scores))
    except OutputError as error:
        return str(error)
    return ""


def assumptions(reading: Reading, scores: Tensor) -> list[str]:
    """What was assumed of scores (N, classes), and how to overrule it."""
    if not reading.assumed:
        return []
    if scores.shape[1] == 1:
        text = remark(reading, scores) or "f(x) is assumed: activation='sigmoid' (--activation sigmoid) for a logit"
        return [text, "targets='not' (--target not) explains the other class of a network with one score"]
    if text := remark(reading, scores):
        return [text]
    several = "activation='sigmoid' (--activation sigmoid) for labels that do not exclude each other"
    return [f"f(x) is assumed: {several}, activation=None (--activation none) for values"]
