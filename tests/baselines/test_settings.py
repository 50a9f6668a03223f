"""Settings: every refusal in full, and a description that tells any two apart."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from explainers.baselines import (
    SGD,
    AdamW,
    Alternating,
    AlternativeEpochs,
    Constant,
    Cosine,
    CrossEntropy,
    Flip,
    Milestones,
    Phases,
    Plateau,
    SaliencyGuided,
    Settings,
    Shift,
    Stage,
    Throughout,
    Together,
)
from explainers.errors import OptionError

REFUSED = [
    ({"epochs": 0}, "epochs=0; expected a whole number of at least 1"),
    ({"batch_size": 1}, "batch_size=1; expected a whole number of at least 2"),
    ({"bias_samples": -1}, "bias_samples=-1; expected a whole number of at least 0"),
    ({"patience": 0}, "patience=0; expected a whole number of at least 1"),
    ({"keep_every": 0}, "keep_every=0; expected a whole number of at least 1"),
    ({"epochs": True}, "epochs=True; expected a whole number of at least 1"),
    ({"epochs": 2.5}, "epochs=2.5; expected a whole number of at least 1"),
    ({"keep_every": 1.0}, "keep_every=1.0; expected a whole number of at least 1"),
    ({"clip": 0.0}, "clip=0.0; expected a positive norm, or None for no clipping"),
    ({"clip": -1.0}, "clip=-1.0; expected a positive norm, or None for no clipping"),
    ({"clip": float("nan")}, "clip=nan; expected a positive norm, or None for no clipping"),
    ({"augment": "flip"}, "augment='flip'; expected several, such as ('flip',)"),
    ({"precision": "fp16"}, "precision='fp16'; expected one of float32, bfloat16, float16"),
    ({"sampling": "even"}, "sampling='even'; expected one of natural, balanced"),
    ({"class_weights": "even"}, "class_weights='even'; expected 'balanced', numbers or None"),
    ({"augment": ("flip", "flop")}, "no augmentation 'flop'; there are flip, vertical-flip, shift"),
    ({"losses": ()}, "losses none; expected at least one, each under a name of its own"),
    (
        {"losses": (CrossEntropy(), CrossEntropy(weight=2.0))},
        "losses perception, perception; expected at least one, each under a name of its own",
    ),
]
OTHERS = [
    {"losses": (CrossEntropy(),)},
    {"losses": (CrossEntropy("attention_logits"),)},
    {"losses": (CrossEntropy(weight=0.5),)},
    {"losses": (CrossEntropy(label_smoothing=0.1),)},
    {"losses": (CrossEntropy(), SaliencyGuided())},
    {"losses": (CrossEntropy(), SaliencyGuided(keep=0.2))},
    {"losses": (CrossEntropy(), SaliencyGuided(keep=(0.1, 0.2)))},
    {"losses": (CrossEntropy(), SaliencyGuided(patch=4))},
    {"losses": (CrossEntropy(), SaliencyGuided(rank="gradient"))},
    {"losses": (CrossEntropy(), SaliencyGuided(fill="blur"))},
    {"optimizer": SGD()},
    {"optimizer": AdamW(lr=0.1)},
    {"optimizer": AdamW(weight_decay=0.0)},
    {"optimizer": AdamW(parts={"head": 0.1})},
    {"optimizer": AdamW(betas=(0.8, 0.999))},
    {"schedule": Constant()},
    {"schedule": Cosine()},
    {"schedule": Cosine(warmup=2)},
    {"schedule": Cosine(floor=1e-5)},
    {"schedule": Milestones()},
    {"schedule": Milestones(at=(0.3,))},
    {"schedule": Plateau(patience=5)},
    {"schedule": Plateau(threshold=0.01)},
    {"optimizers": {"complement": SGD()}},
    {"plan": Throughout(frozen=("features",))},
    {"plan": Throughout()},
    {"plan": Together((Stage(("attention",)), Stage()))},
    {"plan": Together((Stage(("attention",)), Stage(optimizer="complement")))},
    {"plan": Together((Stage(("attention",)), Stage(attention=1.0)))},
    {"plan": AlternativeEpochs()},
    {"plan": AlternativeEpochs(rests=("attention", "features"))},
    {"plan": Throughout(losses=("perception",))},
    {"plan": Phases(((2, Stage(("attention",))), (0, Stage())))},
    {"plan": Alternating((Stage(("attention",)), Stage()))},
    {"plan": Alternating((Stage(("attention",)), Stage()), every="step")},
    {"epochs": 31},
    {"patience": 3},
    {"batch_size": 16},
    {"class_weights": "balanced"},
    {"class_weights": (1.0, 2.0)},
    {"sampling": "balanced"},
    {"augment": ("flip",)},
    {"augment": ("flip", "shift")},
    {"augment": ("shift", "flip")},
    {"augment": (Shift(2),)},
    {"bias_samples": 1},
    {"more_losses": (SaliencyGuided(),)},
    {"precision": "bfloat16"},
    {"clip": 1.0},
    {"keep_every": 1},
    {"seed": 1},
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_cannot_be_is_refused(given, message):
    with pytest.raises(OptionError) as caught:
        Settings(**given)
    assert str(caught.value) == message


LEAST = {"epochs": 1, "batch_size": 2, "bias_samples": 0, "patience": 1, "keep_every": 1}


@pytest.mark.parametrize("name", ["epochs", "batch_size", "bias_samples"])
def test_what_must_be_a_number_cannot_be_none(name):
    with pytest.raises(OptionError) as caught:
        Settings(**{name: None})
    assert str(caught.value) == f"{name}=None; expected a whole number of at least {LEAST[name]}"


@pytest.mark.parametrize("name", LEAST)
def test_text_in_place_of_a_number_is_an_option_error(name):
    with pytest.raises(OptionError) as caught:
        Settings(**{name: "3"})
    assert str(caught.value) == f"{name}='3'; expected a whole number of at least {LEAST[name]}"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"epochs": 1, "batch_size": 2, "bias_samples": 0, "patience": 1, "keep_every": 1, "clip": 1e-3},
        {"class_weights": (0.5, 2.0), "precision": "float16", "sampling": "balanced"},
        {"losses": (CrossEntropy(), CrossEntropy("attention_logits"), SaliencyGuided())},
    ],
)
def test_what_can_be_is_taken(given):
    assert all(getattr(Settings(**given), name) == value for name, value in given.items())


def test_augmentations_are_made_in_their_order():
    made = Settings(augment=("shift", Flip(vertical=True), "flip", "vertical-flip")).augmentations()
    assert made == (Shift(), Flip(vertical=True), Flip(), Flip(vertical=True))


def test_a_description_is_json_and_comes_back_as_it_was():
    for given in [{}, *OTHERS]:
        described = Settings(**given).describe()
        without = {"optimizers", "more_losses"} - given.keys()
        assert described.keys() == {each.name for each in fields(Settings)} - without
        assert json.loads(json.dumps(described)) == described


def test_a_description_differs_whenever_a_setting_differs():
    told = [json.dumps(Settings(**given).describe(), sort_keys=True) for given in [{}, *OTHERS]]
    assert len(set(told)) == len(told)
    assert {next(iter(given)) for given in OTHERS} == {each.name for each in fields(Settings)}


def test_equal_settings_have_equal_descriptions():
    for given in OTHERS:
        assert Settings(**given).describe() == Settings(**given).describe()


def test_the_weights_of_chosen_epochs_are_kept():
    assert [epoch for epoch in range(1, 13) if Settings(keep_every=(1, 3, 10)).keeps(epoch)] == [1, 3, 10]
    assert [epoch for epoch in range(1, 13) if Settings(keep_every=4).keeps(epoch)] == [4, 8, 12]
    assert not any(Settings().keeps(epoch) for epoch in range(1, 13))
    assert Settings(keep_every=(1, 3)).describe()["keep_every"] == [1, 3]
    for given in ((), (0, 3), (1.5,), (True,), "12"):
        with pytest.raises(OptionError, match="keep_every"):
            Settings(keep_every=given)
