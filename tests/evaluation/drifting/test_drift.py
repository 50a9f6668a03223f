"""Maps of many networks beside those of one."""

from __future__ import annotations

import copy
import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from skimage.metrics import structural_similarity
from small import Chain, Residual, lively
from torch import nn

import explainers
from explainers.errors import ImageError, OptionError, OutputError, UnsupportedError
from explainers.evaluation import Checkpoint, DriftOptions, drift
from explainers.evaluation.drifting import drift as module
from explainers.evaluation.drifting.drift import Lineup, compare, tensor_source
from explainers.evaluation.drifting.finished_units import Memory
from explainers.evaluation.drifting.network_by_network import RANDOM, RESEEDED

METHODS = ("grad-cam", ("smooth-grad", {"samples": 3}))
TITLES = ("grad-cam", "smooth-grad")


def images(count=7):
    return torch.randn(count, 3, 13, 15)


def labels(count=7):
    return torch.arange(count) % 4


def residual():
    return lively(Residual())


def named(network, names):
    """As much of a loaded model as counts here."""
    return SimpleNamespace(network=network, class_names=names, preprocessing=None)


def permuted(network, order):
    """The network with its scores in another order: score `order[k]` is what score k was."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.head.weight[order] = network.head.weight
        other.head.bias[order] = network.head.bias
    return other


def test_the_same_checkpoint_is_one_everywhere():
    network = residual()
    found = drift({"a": network, "b": copy.deepcopy(network)}, images(), labels(), METHODS)
    for method in TITLES:
        for name in ("a", "b"):
            for values in found.likeness[name, method].values():
                np.testing.assert_allclose(values, 1, rtol=0, atol=1e-9)
    assert {each.word for each in found.summary().verdicts.values()} == {"too few images"}


def test_random_maps_are_about_zero_and_share_a_tenth_of_their_pixels():
    def noise(network, seed):
        return lambda batch, targets: torch.rand(
            len(batch), *batch.shape[2:], generator=torch.Generator().manual_seed(seed + int(batch.sum() * 1e4))
        )

    shots = torch.randn(40, 3, 32, 32)
    found = drift({"a": residual(), "b": residual()}, shots, None, {"noise": noise})
    for name in (RESEEDED, RANDOM):
        means = {key: each.mean() for key, each in found.likeness[name, "noise"].items()}
        four = 4 / (32 * 40**0.5)  # standard errors: a correlation over n pixels has one of 1 / sqrt(n)
        assert all(abs(means[key]) < four for key in ("spearman", "pearson")), means
        assert abs(means["ssim"]) < 2 * four  # of windows that overlap, the pixels are fewer than they seem
        assert abs(means["top-k"] - 0.1) < four
    np.testing.assert_allclose(found.likeness["a", "noise"]["ssim"], 1)


def test_values_are_scipys_and_scikit_images_on_the_maps_themselves():
    first, second, shots = residual(), residual(), images()
    found = drift({"a": first, "b": second}, shots, None, ["saliency"], target=2)
    pairs = [explainers.create("saliency", each)(shots, 2).double().numpy() for each in (first, second)]
    for row, (one, two) in enumerate(zip(*pairs, strict=True)):
        unit = [(each - each.min()) / (each.max() - each.min()) for each in (one, two)]
        ssim = structural_similarity(
            *unit, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, win_size=11
        )
        got = found.likeness["b", "saliency"]
        assert got["spearman"][row] == pytest.approx(stats.spearmanr(one.ravel(), two.ravel())[0], abs=1e-6)
        assert got["pearson"][row] == pytest.approx(np.corrcoef(one.ravel(), two.ravel())[0, 1], abs=1e-6)
        assert got["ssim"][row] == pytest.approx(ssim, abs=1e-6)


@pytest.mark.parametrize("spelled", ["order", "names"])
def test_a_network_whose_classes_were_permuted_is_one(spelled):
    network, order = residual(), [2, 0, 3, 1]
    other = permuted(network, order)
    if spelled == "order":
        networks = {"a": network, "b": Checkpoint(lambda: other, classes=order)}
    else:
        there = ["", "", "", ""]
        for place, name in zip(order, "wxyz", strict=True):
            there[place] = name
        networks = {"a": named(network, tuple("wxyz")), "b": named(other, tuple(there))}
    for target in ("label", "reference", "predicted", 1):
        found = drift(networks, images(), labels(), METHODS, target=target)
        assert not found.failed
        for method in TITLES:
            for values in found.likeness["b", method].values():
                np.testing.assert_allclose(values, 1, rtol=0, atol=1e-6)
        for key in ("entropy", "probability", "loss", "predicted"):
            np.testing.assert_allclose(found.said["b"][key], found.said["a"][key], atol=1e-6)


def test_what_networks_say_equals_torchs_own_losses():
    network, shots, right = residual(), images(), labels()
    found = drift({"a": network}, shots, right, ["saliency"])
    scores = network(shots).double()
    said = found.said["a"]
    entropy = torch.distributions.Categorical(logits=scores).entropy()
    np.testing.assert_allclose(said["entropy"], entropy.detach(), atol=1e-6)
    loss = nn.functional.cross_entropy(scores, right, reduction="none")
    np.testing.assert_allclose(said["loss"], loss.detach(), atol=1e-6)
    np.testing.assert_allclose(said["probability"], scores.softmax(1)[range(7), right].detach(), atol=1e-6)
    (row,) = found.networks()
    assert row["accuracy"] == float((scores.argmax(1) == right).double().mean())
    assert row["error"] == 1 - row["accuracy"]
    assert row["loss"] == pytest.approx(float(loss.mean()), abs=1e-6)
    assert row["weight_norm"] == pytest.approx(float(network.head.weight.square().sum().sqrt()), rel=1e-6)
    assert row["layer"] == "head"


def test_one_score_tells_two_classes_apart():
    network = lively(Residual())
    network.head = nn.Linear(10, 1)
    with torch.no_grad():
        network.head.weight.mul_(5)  # scores that are no probabilities, on both sides of 0
        network.head.bias -= network(images(50)).mean()
    shots, right = images(), torch.tensor([0, 1, 0, 1, 1, 0, 1])
    found = drift({"a": network}, shots, right, ["saliency"])
    scores = network(shots)[:, 0].double().detach()
    loss = nn.functional.binary_cross_entropy_with_logits(scores, right.double(), reduction="none")
    np.testing.assert_allclose(found.said["a"]["loss"], loss, atol=1e-6)
    np.testing.assert_array_equal(found.said["a"]["predicted"], (scores > 0).double())
    assert 0 < int((scores > 0).sum()) < 7


def broken(value):
    network = residual()
    with torch.no_grad():
        network.block.conv1.weight[0, 0, 0, 0] = value
    return network


def raising():
    raise RuntimeError("size mismatch for head.weight")


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (Checkpoint(lambda: broken(float("nan"))), "weights are NaN or infinite: block.conv1.weight"),
        (Checkpoint(lambda: broken(float("inf"))), "weights are NaN or infinite: block.conv1.weight"),
        (Chain(), "it gives 5 scores for an image, the reference 4: it has other classes"),
        (named(residual(), ("cat", "dog", "cow", "pig")), "no hen but pig"),
        (Checkpoint(raising), "RuntimeError: size mismatch for head.weight"),
        (Checkpoint(residual, classes=[0, 1, 2, 2]), "expected each of 0 … 3 once"),
        (3, "expected a network"),
    ],
)
def test_a_checkpoint_that_does_not_fit_costs_itself_with_its_name(other, reason):
    first = named(residual(), ("cat", "dog", "cow", "hen"))
    found = drift({"first": first, "bad": other, "last": residual()}, images(), labels(), ["saliency"])
    assert list(found.failed) == ["bad"]
    assert reason in found.failed["bad"]
    assert found.checkpoints == ("first", "last")
    assert ("last", "saliency") in found.likeness
    assert not any("bad" in key for key in (*found.said, *found.likeness, *found.compared))
    assert "left out bad: " in str(found)


def test_a_method_that_refuses_one_network_costs_that_pair_alone():
    def picky(network):
        if getattr(network, "strange", False):
            raise UnsupportedError("not on this one")
        return lambda batch, targets: batch.mean(1)

    other = residual()
    other.strange = True
    found = drift({"a": residual(), "b": other}, images(3), None, {"picky": picky, "saliency": "saliency"})
    assert found.status["b", "picky"] == [("failed", "not on this one")] * 3
    assert np.isnan(found.likeness["b", "picky"]["ssim"]).all()
    assert not np.isnan(found.likeness["b", "saliency"]["ssim"]).any()
    with pytest.raises(UnsupportedError, match="not on this one"):
        drift({"b": other, "a": residual()}, images(3), None, {"picky": picky})
    left = drift({"b": other}, images(3), None, {"picky": picky, "s": "saliency"}, skip_unsupported=True)
    assert left.methods == ["s"]
    assert left.refused == {"picky": "not on this one"}


def test_one_network_is_in_memory_at_a_time():
    alive: list[weakref.ref] = []
    most = []

    def load():
        gc.collect()
        most.append(sum(each() is not None for each in alive))
        network = residual()
        alive.append(weakref.ref(network))
        return network

    names = {str(number): Checkpoint(load) for number in range(4)}
    drift(names, images(3), labels(3), ["saliency"], others={"other": Checkpoint(load)})
    assert most == [0] * 5


def test_maps_that_become_constant_count_as_zero_and_constant_ones_of_the_reference_not():
    def patch(network):
        def maps(batch, targets):
            made = batch.mean(1).clone()
            made[network.flat] = 0.25
            return made

        return maps

    first, second = residual(), residual()
    first.flat, second.flat = [0], [0, 1]
    found = drift({"a": first, "b": second}, images(3), None, {"patch": patch})
    for values in found.likeness["b", "patch"].values():
        np.testing.assert_allclose(values, [np.nan, 0, 1])
    assert [each[0] for each in found.status["b", "patch"]] == ["constant", "faded", "ok"]
    assert found.summary().cells["b", "patch", "all", "ssim"].images == 2


def test_groups_are_chosen_among_all_images_and_only_they_are_explained():
    seen = []

    def counting(network):
        def maps(batch, targets):
            seen.append(len(batch))
            return batch.mean(1)

        return maps

    network, shots = residual(), images(30)
    right = torch.arange(30) % 4
    found = drift({"a": network}, shots, right, {"m": counting}, explained="groups", per_class=(1, 2, 1))
    table = network(shots).softmax(1).double()
    wanted = explainers.evaluation.confidence_groups(table, right, (1, 2, 1))
    for group, rows in found.groups.items():
        assert sorted(rows.tolist()) == sorted(np.concatenate(list(wanted[group].values())).tolist())
    assert len(found.said["a"]["entropy"]) == 30
    assert len(found.explained) == sum(map(len, found.groups.values())) == len(found.likeness["a", "m"]["ssim"])
    assert sum(seen) == 2 * len(found.explained)  # a map to compare with, and one to compare: nothing is drawn
    rows = list(found.rows())
    assert {row["group"] for row in rows} == set(found.groups)
    assert rows[0]["image"] == str(found.explained[0])


@pytest.mark.parametrize("target", ["label", "reference", "predicted", 3])
def test_the_class_that_is_explained_is_the_one_asked_for(target):
    asked = []

    def watching(network):
        return lambda batch, targets: asked.append((network, targets.tolist())) or batch.mean(1)

    first, second, shots, right = residual(), residual(), images(), labels()
    drift({"a": first, "b": second}, shots, right, {"m": watching}, target=target)
    wanted = {
        "label": lambda network: right.tolist(),
        "reference": lambda network: first(shots).argmax(1).tolist(),
        "predicted": lambda network: network(shots).argmax(1).tolist(),
        3: lambda network: [3] * 7,
    }[target]
    assert {id(network) for network, _ in asked} == {id(first), id(second)}
    assert all(targets == wanted(network) for network, targets in asked)


def test_batches_do_not_change_the_table_nor_do_maps_on_disk():
    networks, shots, right = {"a": residual(), "b": residual()}, images(), labels()
    options = DriftOptions(batch_size=3)
    whole = drift(networks, shots, right, METHODS)
    keeper = Memory(most=0)
    parts = compare(Lineup(networks), tensor_source(shots, right, 3), METHODS, options=options, keeper=keeper)
    assert all(isinstance(maps, np.memmap) for maps in keeper._maps.values())
    for key, values in whole.likeness.items():
        for similarity in values:
            np.testing.assert_allclose(parts.likeness[key][similarity], values[similarity], atol=1e-5)


def test_networks_are_left_as_they_were_and_train_mode_does_not_count():
    network = residual()
    drift({"a": network, "b": network}, images(), labels(), METHODS)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = drift({"a": network, "b": copy.deepcopy(network).eval()}, images(), labels(), METHODS)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    np.testing.assert_allclose(found.likeness["b", "grad-cam"]["ssim"], 1, atol=1e-9)


def test_methods_of_the_users_that_draw_are_given_another_seed():
    seeds = []

    def drawing(network, seed):
        seeds.append(seed)
        return lambda batch, targets: batch.mean(1)

    drift({"a": residual(), "b": residual()}, images(3), None, {"m": drawing}, seed=5)
    assert sorted(seeds) == [5, 5, 6]


def test_images_without_labels_have_no_groups_and_no_accuracy():
    found = drift({"a": residual()}, images(), None, ["saliency"])
    assert (found.groups, found.labels) == ({}, None)
    (row,) = found.networks()
    assert (row["accuracy"], row["loss"], row["probability"]) == (None, None, None)
    assert row["entropy"] > 0


@pytest.mark.parametrize(
    ("given", "settings", "error", "words"),
    [
        ({}, {}, OptionError, "no networks"),
        ({"a": residual}, {"reference": "b"}, OptionError, "'b' is none of the networks; they are a"),
        ({"a": residual}, {"target": "label"}, OptionError, "no labels"),
        ({"a": residual}, {"explained": "groups"}, OptionError, "needs labels"),
        ({"a": residual}, {"target": 9}, OptionError, "classes 0 … 3"),
        ({"a": residual}, {"target": "best"}, OptionError, 'expected "label"'),
        ({"a": residual}, {"nonsense": 1}, OptionError, "no option nonsense"),
        ({RESEEDED: residual}, {}, OptionError, "is taken"),
        ({"a": lambda: broken(float("nan"))}, {}, OutputError, "weights are NaN"),
    ],
)
def test_what_cannot_be_is_refused(given, settings, error, words):
    networks = {name: Checkpoint(load) for name, load in given.items()}
    with pytest.raises(error, match=words):
        drift(networks, images(2), None, ["saliency"], **settings)


def test_other_methods_and_labels_are_refused():
    with pytest.raises(OptionError, match="did you mean grad-cam"):
        drift({"a": residual()}, images(2), None, ["gradcam"])
    with pytest.raises(OptionError, match="two methods are called 'saliency'"):
        drift({"a": residual()}, images(2), None, ["saliency", ("saliency", {})])
    with pytest.raises(OptionError, match=r"expected \(2,\) classes"):
        drift({"a": residual()}, images(2), torch.zeros(3, dtype=torch.long), ["saliency"])
    with pytest.raises(OptionError, match="label 7 is out of range"):
        drift({"a": residual()}, images(2), torch.tensor([0, 7]), ["saliency"])
    with pytest.raises(ImageError, match="no images"):
        drift({"a": residual()}, [], None, ["saliency"])


def test_the_door_is_the_function():
    assert explainers.evaluation.drift is module.drift


def test_networks_of_one_kind_are_read_alike_also_where_scores_look_like_probabilities():
    def scaled(scale, shift):
        network = residual()
        with torch.no_grad():
            network.head.weight.mul_(scale)
            network.head.bias.copy_(network.head.bias * scale + shift)
        return network

    clear, unclear = scaled(9, -3), scaled(0.01, 0.4)
    shots, right = images(), labels()
    found = drift({"clear": clear, "unclear": unclear}, shots, right, ["saliency"])
    loss = nn.functional.cross_entropy(unclear(shots).double(), right, reduction="none")
    np.testing.assert_allclose(found.said["unclear"]["loss"], loss.detach(), atol=1e-6)
    assert "scores are read by softmax" in str(found)
    alone = drift({"unclear": unclear}, shots, right, ["saliency"])
    assert not alone.groups
    assert "no groups" in str(alone)
