"""Scores in what a network returns: the only ones are taken, several are refused at any depth."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from explainers.errors import OutputError
from explainers.network.ends import end_of, scaled_end
from explainers.network.output import scores_of


@dataclass
class Told:
    """What a network may return."""

    scores: torch.Tensor
    maps: torch.Tensor | None = None


FEATURES, LOGITS, MAPS = torch.rand(2, 15), torch.rand(2, 5), torch.rand(2, 3, 4, 4)


@pytest.mark.parametrize(
    "returned",
    [
        (LOGITS,),
        [MAPS, LOGITS],
        (LOGITS, {"maps": MAPS}),
        {"logits": LOGITS, "features": FEATURES},
        (LOGITS, [LOGITS]),  # the same tensor again is no second one
    ],
)
def test_the_only_scores_are_taken(returned):
    assert torch.equal(scores_of(returned, 2), LOGITS)


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ((FEATURES, LOGITS), ["y[0] of shape (2, 15)", "y[1] of shape (2, 5)", "--output 0", "--output 1"]),
        ((FEATURES, (LOGITS,)), ["y[0] of shape (2, 15)", "y[1][0] of shape (2, 5)", "output=lambda y: y[1][0]"]),
        ((FEATURES, {"head": LOGITS}), ["y[1]['head'] of shape (2, 5)"]),
        ([[FEATURES], [LOGITS]], ["y[0][0]", "y[1][0]"]),
    ],
)
def test_features_are_never_explained_as_classes_however_deep_the_scores_lie(returned, told):
    with pytest.raises(OutputError, match="several tensors that could be the scores") as error:
        scores_of(returned, 2)
    assert all(each in str(error.value) for each in told)


@pytest.mark.parametrize(
    "returned",
    [
        ((LOGITS,),),
        {"out": {"logits": LOGITS}},
        {"head": [MAPS, LOGITS]},
        Told(LOGITS, MAPS),
        {"head": Told(LOGITS)},
        LOGITS[:, :, None, None],
        LOGITS[:, None],
        LOGITS[..., None],
        LOGITS.to_sparse(),
    ],
)
def test_scores_that_lie_deeper_are_named_by_the_way_to_them(returned):
    with pytest.raises(OutputError, match="expected scores of shape") as error:
        scores_of(returned, 2)
    way = str(error.value).partition("for example output=")[2]
    assert torch.equal(scores_of(returned, 2, eval(way)), LOGITS)


def test_each_of_several_scores_is_named_by_the_way_to_it():
    for returned, ways in (
        ({"a": FEATURES, "b": LOGITS}, ("y['a']", "y['b']")),
        (Told(FEATURES, LOGITS), ("y.scores", "y.maps")),
    ):
        with pytest.raises(OutputError, match="expected scores of shape") as error:
            scores_of(returned, 2)
        assert str(error.value).endswith(f"output=lambda y: {ways[0]} or output=lambda y: {ways[1]}")


def test_the_end_of_a_graph_is_found_at_once_however_many_ways_lead_to_it():
    ended = torch.rand(2, 3, requires_grad=True).softmax(1)
    parts = torch.cat([ended[:, index : index + 1] for index in range(3)] * 100, 1)
    for _ in range(22):  # 2 ** 22 ways
        ended = torch.stack([ended, ended]).amax(0)
    assert end_of(ended) == end_of(parts) == "Softmax"
    assert scaled_end(100 * ended) == ("Softmax", 100)
    assert scaled_end((-parts.log())[:, :2]) == ("LogSoftmax", -1)
    assert end_of(ended * ended) is None


def test_the_best_classes_in_order_are_no_scores():
    scores = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    for returned in (scores.topk(3), tuple(scores.sort(1, descending=True)), list(scores.topk(2))):
        with pytest.raises(OutputError, match="best classes in order"):
            scores_of(returned, 3)
    assert scores_of((scores, scores.argmax(1)), 3) is scores
    assert scores_of((scores, torch.zeros(3, 5, dtype=torch.int64)), 3) is scores
