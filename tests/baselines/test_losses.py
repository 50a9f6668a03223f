"""Losses: what they refuse, and which a network without an attention branch cannot have."""

from __future__ import annotations

import pytest

from explainers.baselines import CrossEntropy, SaliencyGuided, Settings, train
from explainers.errors import OptionError

DATA = "magnetogram:size=32,train=8,val=4,test=0"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CrossEntropy(label_smoothing=2), "label_smoothing=2, weight=1.0"),
        (lambda: CrossEntropy(label_smoothing=-0.1), "label_smoothing=-0.1, weight=1.0"),
        (lambda: CrossEntropy(label_smoothing=float("nan")), "label_smoothing=nan, weight=1.0"),
        (lambda: CrossEntropy("attention_logits", -0.5), "label_smoothing=0.0, weight=-0.5"),
    ],
)
def test_a_cross_entropy_of_senseless_numbers_is_refused(make, message):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == f"{message}; expected 0 … 1, and no negative weight"


def test_a_divergence_of_negative_weight_is_refused():
    with pytest.raises(OptionError) as caught:
        SaliencyGuided(weight=-0.5)
    assert str(caught.value) == "weight=-0.5; expected no negative weight"


def test_numbers_on_the_border_are_taken():
    for smoothing in (0, 1):
        assert CrossEntropy(weight=0.0, label_smoothing=smoothing).label_smoothing == smoothing
    assert SaliencyGuided(weight=0.0).weight == 0


@pytest.mark.parametrize("network", ["plain", "lambda-resnet"])
@pytest.mark.parametrize("loss", [CrossEntropy("attention_logits"), SaliencyGuided(of="attention_logits")])
def test_a_loss_on_an_attention_branch_that_is_not_there_is_refused_before_training(tmp_path, network, loss):
    settings = Settings(losses=(CrossEntropy(), loss), epochs=1)
    with pytest.raises(OptionError) as caught:
        train(network, DATA, tmp_path / "run", settings, device="cpu")
    assert str(caught.value) == (f"the loss {loss.name!r} is on an attention branch, which this network does not have")
    assert not (tmp_path / "run").exists()


def test_losses_of_which_none_can_be_validated_are_refused_before_training(tmp_path):
    with pytest.raises(OptionError) as caught:
        train("abn", DATA, tmp_path / "run", Settings(losses=(SaliencyGuided(),), epochs=1), device="cpu")
    assert str(caught.value) == "none of the losses can be validated; add a CrossEntropy"
    assert not (tmp_path / "run").exists()
