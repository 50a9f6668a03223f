"""The parts of the study of ALA that decide what is claimed, by hand."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch


@pytest.fixture
def examples(monkeypatch):
    """The modules of the study, as its script sees them."""
    monkeypatch.setattr(sys, "path", [str(Path(__file__).resolve().parent.parent.parent / "examples"), *sys.path])
    import ala_report
    import ala_study
    import pretrain_clip

    return ala_study, pretrain_clip, ala_report


def made(**means):
    """What a training measured, of one image."""
    return {"values": {score.replace("_", " "): {"a.png": value} for score, value in means.items()}}


def test_an_ordering_is_claimed_only_where_all_trainings_have_it(examples, monkeypatch):
    *_, study = examples
    monkeypatch.setattr(study, "BETTER", {"insertion": "higher", "deletion": "lower"})
    found = {
        "first": [made(insertion=0.9, deletion=0.1), made(insertion=0.8, deletion=0.2)],
        "second": [made(insertion=0.5, deletion=0.3), made(insertion=0.6, deletion=0.1)],
        "once": [made(insertion=0.7, deletion=0.9)],  # stands beside both trainings of the others
    }
    insertion, deletion = study.orderings(found)
    assert insertion == "- insertion: first > second; first > once; once > second. Not settled: nothing."
    assert deletion == "- deletion: first > once; second > once. Not settled: first / second."


def test_equal_means_are_no_ordering(examples, monkeypatch):
    *_, study = examples
    monkeypatch.setattr(study, "BETTER", {"ID": "higher"})
    (line,) = study.orderings({"one": [made(ID=0.5)] * 2, "other": [made(ID=0.5), made(ID=0.4)]})
    assert line == "- ID: nothing. Not settled: one / other."


def test_maps_of_three_levels_have_their_minimum_middle_and_maximum(examples):
    study, *_ = examples
    maps = torch.tensor([[[0.0, 1.0, 2.0], [2.1, 3.9, 4.0]]])
    remembered = study.Remembered(lambda images, targets: maps)
    levels = remembered.three_levels(torch.zeros(1, 3, 2, 3))
    assert levels.tolist() == [[[0, 0, 0.5], [0.5, 0.5, 1]]]


def test_maps_are_made_once_for_each_image(examples):
    study, *_ = examples
    calls = []

    def explain(images, targets):
        calls.append(len(images))
        return images[:, 0]

    remembered, images = study.Remembered(explain), torch.randn(3, 1, 2, 2)
    assert torch.equal(remembered(images), images[:, 0])
    assert torch.equal(remembered(images[[2, 0]]), images[[2, 0], 0])
    assert calls == [3]


def test_values_are_those_of_images_that_every_training_has(examples):
    *_, study = examples
    seeds = [{"values": {"ID": {"a": 0.1, "b": 0.2}}}, {"values": {"ID": {"b": 0.4, "c": 0.5}}}]
    np.testing.assert_array_equal(study.matrix(seeds, "ID"), [[0.2], [0.4]])


def test_the_contrast_is_the_cross_entropy_of_both_directions(examples):
    _, clip, _ = examples
    images = torch.tensor([[2.0, 0.0], [0.0, 3.0]], dtype=torch.float64)
    texts = torch.tensor([[0.5, 0.0], [0.0, 1.0]], dtype=torch.float64)
    wanted = math.log(1 + math.exp(-4))  # similarities 1 and 0, times the scale
    different, same = torch.tensor([[1, 0], [2, 0]]), torch.tensor([[1, 0], [1, 0]])
    assert float(clip.contrast(images, texts, torch.tensor(4.0), different)) == pytest.approx(wanted)
    # Of equal sentences either is right: half of the mass belongs to each.
    assert float(clip.contrast(images, texts, torch.tensor(4.0), same)) == pytest.approx(wanted + 2)


def test_sentences_about_classes_name_beak_and_tail_alone(examples):
    from explainers.data.sets import data_set

    _, clip, _ = examples
    data = data_set("birds:size=32,classes=4,train=40,val=1,test=0")
    found = clip.class_sentences(data)
    assert {label for _, label in found} == {0, 1, 2, 3}
    for sentence, label in found:
        colour, shape, *_ = data.class_names[label].split("-")
        assert sentence.startswith("a bird with a")
        assert (colour in sentence, " beak" in sentence, " tail" in sentence) == (True, True, True)
        assert not any(word in sentence for word in ("branch", "water", "ground", "air"))
        assert shape[:4] in sentence or shape in ("curved", "spoon")
