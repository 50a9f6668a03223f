"""Redrawn weights: what they do to maps, and that they are put back."""

from __future__ import annotations

import pytest
import torch
from small import Residual, Tokens, lively
from snapshot import same, snapshot
from torch import nn

import explainers
from explainers import create_metric
from explainers.errors import OptionError, UnsupportedError
from explainers.evaluation.metrics.randomisation import redrawn, weighted_layers
from explainers.evaluation.metrics.similarity import spearman


def brightness(images, targets):
    return images.mean(1)


def judged(model, images, chosen, **options):
    return explainers.evaluate(model, images, chosen, [create_metric("model-randomisation", **options)], 1)


@pytest.mark.parametrize("kind", [Residual, Tokens])
def test_redrawn_weights_are_put_back_to_the_last_bit_also_after_an_error(kind):
    model = lively(kind())
    before, layers = snapshot(model), weighted_layers(model)
    state = torch.random.get_rng_state()
    with redrawn(model, layers, 0):
        changed = snapshot(model)
    assert not any(
        torch.equal(*pair) for pair in zip(changed["values"], before["values"], strict=True) if pair[0].ndim > 1
    )
    with pytest.raises(RuntimeError, match="stop"), redrawn(model, layers[-1:], 0):
        raise RuntimeError("stop")
    assert same(snapshot(model), before)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_layer_is_redrawn_to_the_same_values_alone_and_with_others():
    model = lively(Residual())
    weight = model.head.weight
    with redrawn(model, ["head"], 3):
        alone = weight.clone()
    with redrawn(model, weighted_layers(model), 3):
        assert torch.equal(weight, alone)
    with redrawn(model, ["head"], 4):
        assert not torch.equal(weight, alone)
    with redrawn(model, ["block.conv1"], 3):
        assert not torch.equal(model.block.conv1.weight, alone[:, :6])


def test_weights_behind_a_parametrisation_are_redrawn_too():
    model = lively(Residual())
    torch.nn.utils.parametrizations.weight_norm(model.block.conv1)
    weight = model.block.conv1.weight.clone()
    with redrawn(model, weighted_layers(model), 0):
        assert not torch.allclose(model.block.conv1.weight, weight)
    assert torch.equal(model.block.conv1.weight, weight)


def test_a_map_of_the_image_alone_survives_and_is_marked():
    model, images = lively(Residual()), torch.randn(4, 3, 12, 14)
    result = judged(model, images, {"image": brightness, "saliency": "saliency"})
    values = result.values("model-randomisation")
    for name in ("image", "random", "center", "edges"):
        assert list(values[name].values()) == pytest.approx([1.0] * 4, abs=1e-9)
    assert result.summary().surviving == ("image",)
    assert "! maps of image stay alike (above 0.5) when" in str(result)
    assert max(values["saliency"].values()) < 0.9


def test_the_value_is_the_likeness_to_the_map_of_a_network_redrawn_by_hand():
    model, images = lively(Residual()), torch.randn(3, 3, 12, 14)
    saliency = explainers.Saliency(model)
    whole = judged(model, images, {"saliency": saliency}, stages=None)
    layers = weighted_layers(model)[::-1]
    for end in (1, 3, len(layers)):
        with redrawn(model, layers[:end], 0):
            other = saliency(images, 1)
        wanted = spearman(saliency(images, 1).abs(), other.abs())
        rows = [row for row in whole.rows if row["explainer"] == "saliency"]
        assert [row["curve"].values[end] for row in rows] == pytest.approx(wanted.tolist(), abs=1e-6)
        assert rows[0]["curve"].shares[end] == pytest.approx(end / len(layers))
    assert [row["value"] for row in rows] == pytest.approx([row["curve"].values[1:].mean() for row in rows])


def test_independent_redraws_one_layer_at_a_time():
    model, images = lively(Residual()), torch.randn(2, 3, 12, 14)
    saliency = explainers.Saliency(model)
    result = judged(model, images, {"saliency": saliency}, order="independent", stages=None, similarity="pearson")
    rows = [row for row in result.rows if row["explainer"] == "saliency"]
    layers = weighted_layers(model)[::-1]
    with redrawn(model, layers[1:2], 0):
        second = saliency(images, 1)
    from explainers.evaluation.metrics.similarity import pearson

    wanted = pearson(saliency(images, 1), second).tolist()
    assert [row["curve"].values[2] for row in rows] == pytest.approx(wanted, abs=1e-6)
    assert rows[0]["value"] == pytest.approx(rows[0]["curve"].values[1:].mean())


def test_a_map_that_becomes_constant_is_not_like_what_it_was():
    class Dead(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return self.head(x.mean((2, 3)))

    model = Dead()
    weight = model.head.weight.detach().clone()

    def known(images, targets):
        return images.mean(1) * float(torch.equal(model.head.weight, weight))

    values = judged(model, torch.randn(2, 3, 12, 12), {"known": known}).values("model-randomisation")
    assert list(values["known"].values()) == [0.0, 0.0]


def test_a_refusal_of_the_redrawn_network_costs_the_value_and_says_why():
    model = lively(Residual())
    weight = model.head.weight.detach().clone()

    def choosy(images, targets):
        if not torch.equal(model.head.weight, weight):
            raise UnsupportedError("not with these weights")
        return images.mean(1)

    result = judged(model, torch.randn(2, 3, 12, 12), {"choosy": choosy, "saliency": "saliency"})
    rows = [row for row in result.rows if row["explainer"] == "choosy"]
    assert [row["value"] for row in rows] == [None, None]
    assert rows[0]["note"].startswith("with redrawn weights, down to")
    assert rows[0]["note"].endswith("not with these weights")
    assert len(result.values("model-randomisation")["saliency"]) == 2
    assert torch.equal(model.head.weight, weight)


@pytest.mark.parametrize("options", [{"order": "up"}, {"similarity": "mse"}, {"stages": 0}])
def test_unknown_settings_are_refused(options):
    with pytest.raises(OptionError, match="expected"):
        create_metric("model-randomisation", **options)
