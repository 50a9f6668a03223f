"""What a network says of images: how sure it is, of what, and how far from the truth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from explainers.errors import OptionError
from explainers.passes.activation import Reading

SUM_SLACK = 5e-3  # of the sum of probabilities that a network computes in half precision


@dataclass(frozen=True)
class Said:
    """Of (N,) images, float64 on the CPU; NaN where it is not known.

    entropy: of the probabilities of all classes, in nats; probability: of the right class; loss: -ln of it;
    predicted: the likeliest class; largest: its probability.
    """

    entropy: Tensor
    probability: Tensor
    loss: Tensor
    predicted: Tensor
    largest: Tensor


def said(scores: Tensor, labels: Tensor | None, reading: Reading) -> Said:
    """What scores (N, K) come to, classes in the order of the labels.

    One score is that of class 1 against class 0. Probabilities of labels that do not exclude each other, and values
    that are no probabilities, have no entropy over classes and no single right class: all but the prediction is NaN.

    Raises:
        OptionError: a label that the network does not have.
    """
    scores = scores.detach().double().cpu()
    logs = log_probabilities(scores, reading)
    predicted = scores.argmax(dim=1) if scores.shape[1] > 1 else (reading(scores)[:, 0] > 0.5).long()
    classes = max(2, scores.shape[1])
    unknown = torch.full((len(scores),), torch.nan, dtype=torch.float64, device="cpu")
    if labels is not None and len(labels) and bool(((labels < 0) | (labels >= classes)).any()):
        raise OptionError(
            f"label {int(labels.max() if int(labels.min()) >= 0 else labels.min())} is out of range: the network has "
            f"classes 0 … {classes - 1}"
        )
    if logs is None:
        return Said(unknown, unknown, unknown, predicted, unknown)
    entropy = -(logs.exp() * logs.clamp(min=torch.finfo(logs.dtype).min)).sum(dim=1)
    largest = logs.amax(dim=1).exp()
    if labels is None:
        return Said(entropy, unknown, unknown, predicted, largest)
    right = logs.gather(1, labels.long().cpu()[:, None])[:, 0]
    return Said(entropy, right.exp(), -right, predicted, largest)


def log_probabilities(scores: Tensor, reading: Reading) -> Tensor | None:
    """(N, K) natural logarithms of probabilities of classes that exclude each other; None where they do not."""
    if reading.name == "softmax":
        return scores.log_softmax(dim=1)
    if not reading.probability:
        return None
    if scores.shape[1] == 1:
        if reading.name == "sigmoid":
            return torch.nn.functional.logsigmoid(torch.cat([-scores, scores], dim=1))
        one = reading(scores)
        return torch.cat([1 - one, one], dim=1).log()
    values = reading(scores)
    if reading.name == "sigmoid" or bool(((values.sum(dim=1) - 1).abs() > SUM_SLACK).any()):
        return None
    return values.log()
