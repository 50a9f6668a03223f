"""Scores of a network on images that it does not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from explainers.baselines.losses.loss import Loss, Pass, Step, forward
from explainers.baselines.training.accuracy import classification_scores, top_accuracy
from explainers.baselines.training.batches import Examples, on_device
from explainers.network.guard import preserved

TOP = 5  # classes of which one has to be right, where there are more


@torch.no_grad()
def judged(
    network: nn.Module,
    examples: Examples,
    losses: Sequence[Loss],
    step: Step,
    *,
    batch_size: int,
    classes: int,
    device: torch.device,
) -> dict[str, Any]:
    """Validation loss and scores, with the network in evaluation mode and in full precision.

    Args:
        step: what losses need beside the images, their labels and the pass, which are made here.
    """
    parts, sums = [], {loss.name: 0.0 for loss in losses if loss.judged_by_batch}
    rng = torch.Generator().manual_seed(0)  # the same draws each time, or two epochs could not be compared
    with preserved(network):
        for start in range(0, len(examples), batch_size):
            rows = range(start, min(start + batch_size, len(examples)))
            images = on_device(examples.images(rows), device)
            labels = examples.labels[rows.start : rows.stop].to(device)
            made = forward(network, images, classes=labels)
            parts.append(
                Pass(made.logits.cpu(), None if made.attention_logits is None else made.attention_logits.cpu())
            )
            for loss in losses:
                if loss.judged_by_batch:
                    here = _step(step, network, images, labels, made, rng)
                    sums[loss.name] += float(loss(here)) * len(rows)
    attention = [part.attention_logits for part in parts if part.attention_logits is not None]
    made = Pass(torch.cat([part.logits for part in parts]), torch.cat(attention) if attention else None)
    weights = None if step.class_weights is None else step.class_weights.cpu()
    whole = Step(network, torch.empty(0), examples.labels, made, rng, weights)
    terms = [loss.weight * float(loss(whole)) for loss in losses if loss.validated]
    terms += [loss.weight * sums[loss.name] / len(examples) for loss in losses if loss.judged_by_batch]
    found = classification_scores(made.logits.argmax(1), examples.labels, classes)
    if classes > TOP:
        found[f"top{TOP}_accuracy"] = top_accuracy(made.logits, examples.labels, TOP)
    return {"loss": sum(terms), **{name: value for name, value in found.items() if value is not None}}


def _step(step: Step, network: nn.Module, images: Tensor, labels: Tensor, made: Pass, rng: torch.Generator) -> Step:
    return Step(
        network,
        images,
        labels,
        made,
        rng,
        step.class_weights,
        step.fillers,
        step.epoch,
        step.companions,
        preprocessing=step.preprocessing,
    )
