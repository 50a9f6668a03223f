"""Curves of insertion and deletion in all their forms: answers by hand, and slow loops."""

from __future__ import annotations

import numpy as np
import pytest
import slow
import torch
from small import Chain, Residual, Tokens, lively
from torch import nn

import explainers
from explainers import create_metric
from explainers.errors import OptionError
from explainers.passes.substrate import blurred

SIZES = {"chain": (7, 9), "residual": (10, 6), "tokens": (8, 8)}
ALL = 10_000  # more steps than any of these images has pixels


class Linear(nn.Module):
    """Scores Σ w·x and 0."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        score = (x * self.weight).sum((1, 2, 3))
        return torch.stack([score, torch.zeros_like(score)], 1)


class Constant(nn.Module):
    """The same scores for everything."""

    def forward(self, x):
        return torch.tensor([[1.0, 2.0, 0.5]]).expand(len(x), -1)


def case(name):
    network = lively({"chain": Chain, "residual": Residual, "tokens": Tokens}[name]()).double()
    images = torch.randn(3, 3, *SIZES[name], dtype=torch.float64)
    maps = torch.randn(3, *SIZES[name])
    maps[1] = maps[1].round().clamp(min=0)  # ties
    maps[2] = 0  # nothing but ties
    return network, images, maps, [2, 0, 3]


def linear():
    weight = torch.randn(2, 5, 6, dtype=torch.float64)
    images = (torch.rand(4, 2, 5, 6) > 0.4).double()
    parts = (images * weight).sum(1)
    return Linear(weight), images, parts


def value(name, network, images, maps, targets, *, activation="softmax", masks=None, **options):
    return create_metric(name, **options)(network, images, maps, targets, activation=activation, masks=masks)


def test_the_curves_of_a_linear_score_are_sorted_cumulative_sums():
    network, images, parts = linear()
    gains = torch.cat([torch.zeros(4, 1), parts.flatten(1).sort(1, descending=True).values.cumsum(1)], 1)
    risen = value("insertion", network, images, parts, 0, activation=None, baseline="zero", steps=ALL)
    fallen = value("deletion", network, images, parts, 0, activation=None, steps=ALL)
    torch.testing.assert_close(risen, torch.trapezoid(gains, dx=1 / 30))
    torch.testing.assert_close(fallen, torch.trapezoid(gains[:, -1:] - gains, dx=1 / 30))


def test_a_constant_model_scores_its_probability_whatever_the_map():
    maps, images = torch.randn(3, 5, 4), torch.randn(3, 3, 5, 4)
    wanted = torch.tensor([1.0, 2.0, 0.5]).softmax(0)[1].double().expand(3)
    for name in ("insertion", "deletion", "morf", "lerf"):
        torch.testing.assert_close(value(name, Constant(), images, maps, 1), wanted, atol=1e-7, rtol=0)
    for name in ("id-score", "road", "pixel-perturbation", "average-drop", "increase"):
        assert value(name, Constant(), images, maps, 1).abs().max() < 1e-7
    assert value("pid", Constant(), images, maps, 1).abs().max() < 1e-7


def test_a_patch_larger_than_the_image_leaves_two_points_and_a_pid_of_zero():
    network, images, maps, targets = case("chain")
    ends = [
        (slow.probability(network, image, target) + slow.probability(network, torch.zeros_like(image), target)) / 2
        for image, target in zip(images, targets, strict=True)
    ]
    for name in ("patch-insertion", "patch-deletion"):
        found = value(name, network, images, maps, targets, patch=9)
        torch.testing.assert_close(found, torch.tensor(ends, dtype=torch.float64))
    assert torch.equal(value("pid", network, images, maps, targets, patch=(9, 64)), torch.zeros(3, 2).double())


def test_pid_with_patches_of_one_pixel_is_the_id_score_with_the_same_baseline():
    network, images, maps, targets = case("residual")
    for options in ({"steps": ALL}, {"tolerance": 0.01}):
        pid = value("pid", network, images, maps, targets, patch=1, baseline="mean", **options)
        assert torch.equal(pid, value("id-score", network, images, maps, targets, baseline="mean", **options))


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("patch", [1, 2, 3, 5])
def test_insertion_and_deletion_equal_a_loop_over_pixels_and_patches(name, patch):
    network, images, maps, targets = case(name)
    start = images.mean((2, 3), keepdim=True).expand_as(images)
    risen = value("patch-insertion", network, images, maps, targets, patch=patch, baseline="mean", steps=ALL)
    fallen = value("patch-deletion", network, images, maps, targets, patch=patch, baseline="mean", steps=ALL)
    both = value("pid", network, images, maps, targets, patch=patch, baseline="mean", steps=ALL)
    for row, target in enumerate(targets):
        up = slow.trapezoid(slow.curve(network, start[row], images[row], maps[row], target, patch))
        down = slow.trapezoid(slow.curve(network, images[row], start[row], maps[row], target, patch))
        assert float(risen[row]) == pytest.approx(up, abs=1e-9)
        assert float(fallen[row]) == pytest.approx(down, abs=1e-9)
        assert float(both[row]) == pytest.approx(up - down, abs=1e-9)


def test_a_short_last_step_counts_as_what_it_is():
    """4 × 4 pixels in 3 steps: 0, 5, 11 and 16 pixels."""
    network, images, maps = lively(Chain()).double(), torch.randn(1, 3, 4, 4).double(), torch.randn(1, 4, 4)
    whole = slow.curve(network, images[0], torch.zeros(3, 4, 4).double(), maps[0], 1)
    at = [0, 5, 11, 16]
    wanted = np.trapezoid(whole[at], np.array(at) / 16)
    assert float(value("deletion", network, images, maps, 1, steps=3)) == pytest.approx(float(wanted), abs=1e-9)


def test_insertion_starts_from_the_papers_blur_and_deletion_ends_at_zero_by_default():
    network, images, maps, targets = case("chain")
    risen = value("insertion", network, images, maps, targets, steps=ALL)
    fallen = value("deletion", network, images, maps, targets, steps=ALL)
    start = blurred(images, 11, 5.0)
    for row, target in enumerate(targets):
        up = slow.curve(network, start[row], images[row], maps[row], target)
        down = slow.curve(network, images[row], torch.zeros_like(images[row]), maps[row], target)
        assert float(risen[row]) == pytest.approx(slow.trapezoid(up), abs=1e-9)
        assert float(fallen[row]) == pytest.approx(slow.trapezoid(down), abs=1e-9)
    both = value("id-score", network, images, maps, targets, steps=ALL)
    torch.testing.assert_close(both, risen - fallen)


def test_morf_is_deletion_and_lerf_removes_from_the_other_end():
    network, images, maps, targets = case("residual")
    assert torch.equal(
        value("morf", network, images, maps, targets, steps=ALL),
        value("deletion", network, images, maps, targets, steps=ALL),
    )
    least = value("lerf", network, images, maps, targets, steps=ALL)
    for row, target in enumerate(targets):
        pixels = [pixel for (pixel,) in slow.order(maps[row])][::-1]
        image, values = images[row].clone(), [slow.probability(network, images[row], target)]
        for y, x in pixels:
            image[:, y, x] = 0
            values.append(slow.probability(network, image, target))
        assert float(least[row]) == pytest.approx(slow.trapezoid(np.array(values)), abs=1e-9)


def test_pixel_perturbation_removes_the_least_important_share():
    network, images, maps, targets = case("tokens")
    found = value("pixel-perturbation", network, images, maps, targets, percent=(10, 50))
    for row, target in enumerate(targets):
        pixels = [pixel for (pixel,) in slow.order(maps[row])][::-1]
        clean, changes = slow.probability(network, images[row], target), []
        for share in (0.1, 0.5):
            image = images[row].clone()
            for y, x in pixels[: len(pixels) - round((1 - share) * len(pixels))]:
                image[:, y, x] = 0
            changes.append(abs(clean - slow.probability(network, image, target)) / clean)
        assert float(found[row]) == pytest.approx(np.mean(changes), abs=1e-9)


def test_threshold_metrics_are_the_area_under_the_accuracy():
    network, images, maps, _ = case("residual")
    labels = torch.tensor([slow.predicted(network, images[0]), 1, 2])
    kept = explainers.evaluate(
        network,
        [(images, labels)],
        {"given": lambda *_: maps},
        [create_metric("threshold-insertion", thresholds=8), create_metric("threshold-deletion", thresholds=8)],
    )
    for name in ("threshold-insertion", "threshold-deletion"):
        found = kept.values(name)["given"]
        for row, label in enumerate(labels.tolist()):
            low, high = float(maps[row].min()), float(maps[row].max())
            scaled = (maps[row] - low) / (high - low) if high > low else torch.zeros_like(maps[row])
            right = []
            for level in np.linspace(0, 1, 9):
                above = scaled > level
                keep = above if name == "threshold-insertion" else ~above
                right.append(float(slow.predicted(network, images[row] * keep) == label))
            assert found[str(row)] == pytest.approx(slow.trapezoid(np.array(right)), abs=1e-9)


def test_drop_and_increase_look_at_the_image_through_its_scaled_map():
    network, images, maps, targets = case("chain")
    drop, rise = (value(name, network, images, maps, targets) for name in ("average-drop", "increase"))
    for row, target in enumerate(targets):
        low, high = float(maps[row].min()), float(maps[row].max())
        scaled = (maps[row] - low) / (high - low) if high > low else torch.zeros_like(maps[row])
        clean, faded = (slow.probability(network, each, target) for each in (images[row], images[row] * scaled))
        assert float(drop[row]) == pytest.approx(max(0, clean - faded) / clean, abs=1e-6)
        assert float(rise[row]) == float(faded > clean)


@pytest.mark.parametrize("baseline", ["zero", "mean", "blur", "noise", torch.ones(3, 7, 9)])
def test_a_curve_ends_at_the_baseline_it_names(baseline):
    network, images, maps, targets = case("chain")
    result = explainers.evaluate(
        network, images, {"given": lambda *_: maps}, [create_metric("deletion", baseline=baseline, steps=4)], targets
    )
    rows = [row for row in result.rows if row["explainer"] == "given"]
    ends = [row["curve"].values[-1] for row in rows]
    assert len(set(ends)) == 3
    assert rows[0]["baseline"].split()[0] == (baseline if isinstance(baseline, str) else "image")
    if baseline == "zero":
        wanted = [slow.probability(network, torch.zeros(3, 7, 9).double(), target) for target in targets]
        assert ends == pytest.approx(wanted, abs=1e-9)
    if not isinstance(baseline, str):
        wanted = [slow.probability(network, baseline.double(), target) for target in targets]
        assert ends == pytest.approx(wanted, abs=1e-9)


def test_black_is_what_the_networks_preprocessing_makes_of_a_black_pixel():
    model = explainers.load_model("embedded", device="cpu")
    images, maps = torch.randn(2, 3, 96, 96), torch.rand(2, 96, 96)
    black = create_metric("deletion", baseline="black", steps=3)
    result = explainers.evaluate(model, images, {"given": lambda *_: maps}, [black], [1, 2])
    dark = model.preprocessing(np.zeros((96, 96, 3), np.uint8))
    for row, target in zip([row for row in result.rows if row["explainer"] == "given"], (1, 2), strict=True):
        assert row["curve"].values[-1] == pytest.approx(slow.probability(model.network, dark, target), abs=1e-6)
    with pytest.raises(OptionError, match="the network's normalisation is not known"):
        explainers.evaluate(model.network, images, {"given": lambda *_: maps}, [black], [1, 2])


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("insertion", {"steps": 0}, "steps=0; expected a number of steps of at least 1, or None"),
        ("insertion", {"tolerance": 0.0}, "expected an error of the area between 0 and 1"),
        ("deletion", {"baseline": "gray"}, "expected one of zero, black, mean, blur, noise, or an image"),
        ("pid", {"patch": 0}, "patch=0; expected a side of at least one pixel"),
        ("pid", {"patch": ()}, "expected a side of at least one pixel"),
        ("pid", {"patches": 3}, "pid has no option patches; its options are patch, baseline, steps, tolerance"),
        ("pixel-perturbation", {"percent": (0,)}, "percentages above 0 and below 100"),
        ("threshold-insertion", {"thresholds": 0}, "thresholds=0; expected a number of intervals"),
        ("road", {"noise": -1.0}, "noise=-1.0; expected a standard deviation"),
        ("insertoin", {}, "no metric 'insertoin'; did you mean insertion"),
        ("ssim", {}, "ssim compares two maps: name the explainer"),
    ],
)
def test_options_out_of_range_are_refused_by_name(name, options, text):
    with pytest.raises(OptionError, match=text):
        create_metric(name, **options)
