"""The generated volumes and signals: the class lies where the mask says, in the form that it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from explainers.data.generated import blobs as volumes, bumps as signals
from explainers.errors import OptionError


@pytest.fixture(scope="module")
def many_blobs():
    return volumes.blobs(120, split="train", seed=5)


@pytest.fixture(scope="module")
def many_bumps():
    return signals.bumps(800, split="train", seed=5)


@pytest.mark.parametrize(("one", "several"), [(volumes.blob, volumes.blobs), (signals.bump, signals.bumps)])
def test_a_sample_depends_on_its_split_seed_and_index_alone(one, several):
    values, masks, labels = several(6, split="train", seed=3)
    for index in (5, 2):
        np.random.rand(3)  # the global generator has no say
        again = vars(one(index, split="train", seed=3))
        assert torch.equal(next(iter(again.values())), values[index])
        assert torch.equal(again["mask"], masks[index])
        assert again["label"] == labels[index]
    for other in ({"split": "val", "seed": 3}, {"split": "train", "seed": 4}):
        assert not torch.equal(several(1, **other)[0], values[:1])


def test_shapes_kinds_and_balance(many_blobs, many_bumps):
    for (values, masks, labels), shape, classes in (
        (many_blobs, (1, 24, 28, 20), 3),
        (many_bumps, (2, 256), 4),
    ):
        assert values.shape == (len(labels), *shape)
        assert values.dtype == torch.float32
        assert torch.isfinite(values).all()
        assert masks.shape == (len(labels), *shape[1:])
        assert masks.dtype == torch.bool
        assert labels.bincount().tolist() == [len(labels) // classes] * classes


def test_blobs_have_the_form_of_their_class(many_blobs):
    for mask, label in zip(*many_blobs[1:], strict=True):
        size = int(mask.sum())
        spread = np.linalg.eigvalsh(np.cov(mask.nonzero().numpy().T))
        if volumes.CLASSES[label] == "rod":
            assert spread[2] > 3 * spread[1]  # long along one axis
        else:
            assert spread[2] < 1.3 * spread[0]  # round, but for the grid, in which a radius is 4 voxels and more
            radius = np.sqrt(5 * spread.mean())  # of a ball: its variance along an axis is r² / 5
            assert 3.8 < radius < 5.8
            assert size == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.05)


def test_a_shell_is_hollow_and_a_ball_is_not(many_blobs):
    values, masks, labels = many_blobs
    inner = -torch.nn.functional.max_pool3d(-masks[:, None].float(), 5, 1, 2)[:, 0] > 0
    differences = {}
    for kind in ("ball", "shell"):
        rows = labels == volumes.CLASSES.index(kind)
        rim, core = masks[rows] & ~inner[rows], inner[rows]
        differences[kind] = (values[rows, 0][core].mean() - values[rows, 0][rim].mean()).item()
    assert differences["ball"] > 0  # the rim is soft
    assert differences["shell"] < -0.2


def test_blobs_stand_out_and_brightness_does_not_tell_the_class(many_blobs):
    values, masks, labels = many_blobs
    within = (values[:, 0] * masks).sum((1, 2, 3)) / masks.sum((1, 2, 3))
    outside = (values[:, 0] * ~masks).sum((1, 2, 3)) / (~masks).sum((1, 2, 3))
    assert (within > outside + 0.1).float().mean() > 0.9
    means = values.mean((1, 2, 3, 4))
    spread = means.std()
    for label in range(3):
        assert abs(means[labels == label].mean() - means.mean()) < spread


def test_bumps_have_the_form_of_their_class_where_the_mask_is(many_bumps):
    """The mean over many signals, each stretched to the same length, leaves the form."""
    values, masks, labels = many_bumps
    time = np.linspace(0, 1, 61)
    forms = np.zeros((4, 61))
    for signal, mask, label in zip(values[:, 0].numpy(), masks, labels, strict=True):
        places = mask.nonzero()[:, 0].numpy()
        assert len(places) == places[-1] - places[0] + 1
        assert 28 <= len(places) <= 48
        forms[label] += np.interp(time, np.linspace(0, 1, len(places)), signal[places]) / 200
    hump, saw, double, ripple = forms
    assert hump.argmax() == pytest.approx(30, abs=5)
    assert hump[30] - hump[[0, -1]].max() > 0.8
    assert saw.argmax() <= 8
    assert np.corrcoef(time[6:], saw[6:])[0, 1] < -0.95
    assert min(double[15], double[45]) - max(double[0], double[30], double[-1]) > 0.7
    # sin(8 π t) sin(π t) at its second to seventh turn, in turn down and up
    turns = np.array([ripple[round(60 * (2 * turn + 1) / 16)] for turn in range(1, 7)])
    assert (np.sign(np.diff(turns)) == [1, -1, 1, -1, 1]).all()
    assert np.abs(np.diff(turns)).min() > 0.8


def test_nothing_of_a_bump_is_outside_its_mask(many_bumps):
    """Where no bump is, the mean over many signals is no form of a class."""
    values, masks, labels = many_bumps
    for label in range(4):
        rows = labels == label
        outside = values[rows][:, :, :][(~masks[rows])[:, None].expand(-1, 2, -1)]
        assert abs(outside.mean().item()) < 0.15


@pytest.mark.parametrize("make", [volumes.blob, signals.bump])
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(OptionError, match="split='all'"):
        make(0, split="all")
    with pytest.raises(OptionError, match="index=-2"):
        make(-2)


@pytest.mark.parametrize("make", [volumes.blobs, signals.bumps])
def test_no_samples_are_refused(make):
    with pytest.raises(OptionError, match="count=0"):
        make(0)
