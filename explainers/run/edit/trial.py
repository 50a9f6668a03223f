"""What edited maps do: to the scores, before anything is trained, and to the network's own maps, when it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from explainers.run.edit.painted import EditedMaps
from explainers.run.edit.pictures import as_cells
from explainers.run.edit.trained import Trained


@dataclass(frozen=True)
class Answer:
    """What a network says of an image.

    predicted: its class; probability: of that class, 0 … 1; true_probability: of the true class; right: whether the two
    classes are one.
    """

    predicted: str
    probability: float
    true_probability: float
    right: bool


@dataclass(frozen=True)
class Change:
    """A training image with an edited map, before and after something.

    image, true_class: its names; before, after: the network's answers; distances: ‖edited − own‖₂ of the maps in
    cells, before and after; maps: before, edited and after, each (h, w) float32 in 0 … 1.
    """

    image: str
    index: int
    true_class: str
    before: Answer
    after: Answer
    distances: tuple[float, float]
    maps: tuple[np.ndarray, np.ndarray, np.ndarray]


def trial(trained: Trained, edited: EditedMaps) -> Iterator[Change]:
    """For each edited map the answer with the network's own map, and with the edited one in its place.

    Nothing is trained: the perception branch alone answers to the edited map, as `forward_branches` takes it.
    """
    for indices, images in trained.batches(sorted(edited.maps)):
        own = trained.branches(images)
        given = _given(edited, indices, own.attention_map)
        answered = trained.branches(images, given)
        maps = (own.attention_map, given, answered.attention_map)
        yield from _changes(trained, edited, indices, (own.logits, answered.logits), maps)


def changes(before: Trained, after: Trained, edited: EditedMaps) -> Iterator[Change]:
    """For each edited map the answers and the own maps of two networks, such as before and after fine-tuning.

    Args:
        before, after: trainings on the same data.
    """
    for indices, images in before.batches(sorted(edited.maps)):
        first, second = before.branches(images), after.branches(images)
        given = _given(edited, indices, first.attention_map)
        maps = (first.attention_map, given, second.attention_map)
        yield from _changes(before, edited, indices, (first.logits, second.logits), maps)


def _given(edited: EditedMaps, indices: Sequence[int], like: Tensor) -> Tensor:
    cells = (like.shape[2], like.shape[3])
    return torch.cat([as_cells(edited.maps[index].astype(np.float32) / 255, cells) for index in indices])


def _changes(
    trained: Trained,
    edited: EditedMaps,
    indices: Sequence[int],
    logits: tuple[Tensor, Tensor],
    maps: tuple[Tensor, Tensor, Tensor],
) -> Iterator[Change]:
    classes, labels = trained.data.class_names, trained.data.train.labels
    probabilities = [each.float().softmax(1).cpu() for each in logits]
    before, given, after = (each[:, 0].float().cpu() for each in maps)
    for row, index in enumerate(indices):
        label = labels[index]
        answers = []
        for each in probabilities:
            value, predicted = (found.item() for found in each[row].max(0))
            answers.append(Answer(classes[int(predicted)], value, each[row, label].item(), predicted == label))
        distances = [float(torch.linalg.vector_norm(given[row] - own[row])) for own in (before, after)]
        yield Change(
            edited.names[index],
            index,
            classes[label],
            answers[0],
            answers[1],
            (distances[0], distances[1]),
            (before[row].numpy(), given[row].numpy(), after[row].numpy()),
        )
