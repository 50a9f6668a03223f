"""Metrics of the maps of volumes and signals: slow loops, other libraries, the engine end to end."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import structural_similarity
from volume_case import made, slices_and_volumes

import explainers
from explainers.errors import MapError, UnsupportedError
from explainers.evaluation.controls import center_maps, edge_maps, random_maps
from explainers.evaluation.measuring.fillings import baseline_of
from explainers.evaluation.metric import create_metric
from explainers.evaluation.metrics.localisation.pointing import energy_pointing_game, pointing_game, relevance_rank
from explainers.evaluation.metrics.localisation.regions import binarised, iou
from explainers.evaluation.metrics.similarity import ssim
from explainers.passes.substrate import blurred, substrate_of

SIZES = [(5, 11, 7), (37,), (1, 9, 8)]


def names_of(sizes):
    return ["x".join(map(str, each)) for each in sizes]


def probability(network, image, target):
    with torch.no_grad():
        return float(network(image[None]).softmax(1)[0, target])


def patches_of(map_, patch):
    """Each patch a list of its positions, by the largest value in it, the earlier of equals first."""
    corners = itertools.product(*(range(0, side, patch) for side in map_.shape))
    found = []
    for corner in corners:
        spans = (range(at, min(at + patch, side)) for at, side in zip(corner, map_.shape, strict=True))
        found.append(list(itertools.product(*spans)))
    return sorted(found, key=lambda places: -max(float(map_[place]) for place in places))


def slow_area(network, start, end, map_, target, patch):
    image, values = start.clone(), [probability(network, start, target)]
    for places in patches_of(map_, patch):
        for place in places:
            image[(slice(None), *place)] = end[(slice(None), *place)]
        values.append(probability(network, image, target))
    return float(np.trapezoid(values, dx=1 / (len(values) - 1)))


@pytest.mark.parametrize(
    ("name", "patch"), [("volume", 2), ("volume", 4), ("one slice", 3), ("signal", 1), ("signal", 5)]
)
def test_insertion_and_deletion_of_blocks_are_a_slow_loops(name, patch):
    network, inputs = made(name)
    maps = torch.rand(len(inputs), *inputs.shape[2:])
    maps[0, ..., :3] = 0.5  # ties
    zero = torch.zeros_like(inputs)
    steps = 10**6
    put_in = create_metric("patch-insertion", patch=patch, baseline="zero", steps=steps)(network, inputs, maps, 1)
    taken = create_metric("patch-deletion", patch=patch, baseline="zero", steps=steps)(network, inputs, maps, 1)
    both = create_metric("pid", patch=patch, baseline="zero", steps=steps)(network, inputs, maps, 1)
    for row, (image, none, map_) in enumerate(zip(inputs, zero, maps, strict=True)):
        rising, falling = (slow_area(network, *way, map_, 1, patch) for way in ((none, image), (image, none)))
        assert float(put_in[row]) == pytest.approx(rising, abs=1e-6)
        assert float(taken[row]) == pytest.approx(falling, abs=1e-6)
        assert float(both[row]) == pytest.approx(rising - falling, abs=2e-6)


def test_deletion_of_single_voxels_is_a_slow_loops():
    network, inputs = made("one slice")
    maps = torch.rand(len(inputs), *inputs.shape[2:])
    found = create_metric("deletion", baseline="mean", steps=10**6)(network, inputs, maps, 2)
    for image, map_, value in zip(inputs, maps, found, strict=True):
        mean = image.mean(dim=(1, 2, 3), keepdim=True).expand_as(image)
        assert float(value) == pytest.approx(slow_area(network, image, mean, map_, 2, 1), abs=1e-6)


@pytest.mark.parametrize("metric", ["deletion", "insertion", "average-drop", "pixel-perturbation", "sparseness"])
def test_scores_of_a_volume_of_one_slice_are_those_of_the_slice(metric):
    flat, images, deep, volumes = slices_and_volumes(1)
    maps = torch.rand(2, 14, 14)
    wanted = create_metric(metric)(flat, images, maps, 1)
    torch.testing.assert_close(create_metric(metric)(deep, volumes, maps[:, None], 1), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [(12, 15, 13), (40,)], ids=["volume", "signal"])
@pytest.mark.parametrize("options", [{}, {"window": 7, "unbiased": True}], ids=["gaussian", "uniform"])
def test_ssim_is_scikit_images(size, options):
    first, second = torch.rand(2, 2, *size, dtype=torch.float64)
    found = ssim(first, second, data_range=1.0, **options)
    theirs = (
        {"gaussian_weights": True, "use_sample_covariance": False, "sigma": 1.5} if not options else {"win_size": 7}
    )
    for one, other, value in zip(first, second, found, strict=True):
        wanted = structural_similarity(one.numpy(), other.numpy(), data_range=1.0, **theirs)
        assert float(value) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("size", SIZES, ids=names_of(SIZES))
def test_edges_are_scipys_sobel(size):
    images = torch.rand(2, 3, *size)
    for image, found in zip(images.double(), edge_maps(images), strict=True):
        gray = image.mean(0).numpy()
        parts = [ndimage.sobel(gray, axis, mode="nearest") for axis in range(gray.ndim)]
        np.testing.assert_allclose(found.numpy(), np.sqrt(sum(part**2 for part in parts)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", SIZES, ids=names_of(SIZES))
def test_the_centre_falls_with_the_distance_from_it(size):
    (found,) = center_maps(torch.rand(1, 1, *size))
    for place in itertools.product(*map(range, size)):
        away = [2 * at / (side - 1) - 1 if side > 1 else 0 for at, side in zip(place, size, strict=True)]
        most = sum(side > 1 for side in size) ** 0.5
        assert float(found[place]) == pytest.approx(1 - sum(each**2 for each in away) ** 0.5 / most, abs=1e-6)


@pytest.mark.parametrize("size", SIZES, ids=names_of(SIZES))
def test_random_maps_have_the_inputs_shape_and_come_from_its_content(size):
    images = torch.rand(3, 2, *size)
    found = random_maps(images, 4)
    assert found.shape == (3, *size)
    assert torch.equal(found[[2, 0]], random_maps(images[[2, 0]], 4))


@pytest.mark.parametrize("size", SIZES, ids=names_of(SIZES))
def test_the_blur_is_scipys_along_each_axis(size):
    images = torch.rand(1, 2, *size, dtype=torch.float64)
    wanted = images[0].numpy()
    for axis, side in enumerate(size):
        half = min((round(51 * side / 224) | 1) // 2, side - 1)
        offsets = np.arange(-half, half + 1)
        weights = np.exp(-0.5 * (offsets / (50 * side / 224)) ** 2)
        wanted = ndimage.convolve1d(wanted, weights / weights.sum(), axis + 1, mode="mirror")
    np.testing.assert_allclose(blurred(images)[0].numpy(), wanted, atol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=names_of(SIZES))
def test_fillings_are_of_each_image_and_channel(size):
    images = torch.rand(2, 3, *size) * 4
    means = images.flatten(2).mean(2)
    torch.testing.assert_close(substrate_of(images, "mean").flatten(2).amax(2), means)
    black = torch.tensor([1.0, 2.0, 3.0])
    assert torch.equal(baseline_of(images, "black", black=black).flatten(2).amin(2), black.expand(2, 3))
    noise = baseline_of(images, "noise", seed=1)
    assert noise.shape == images.shape
    assert torch.equal(baseline_of(images[1:], "noise", seed=1), noise[1:])


@pytest.mark.parametrize("size", SIZES, ids=names_of(SIZES))
def test_localisation_is_counted_over_all_positions(size):
    maps = torch.rand(3, *size)
    masks = torch.rand(3, *size) < 0.1
    masks.flatten(1)[:, 0] = True
    for row, (map_, mask) in enumerate(zip(maps.numpy(), masks.numpy(), strict=True)):
        top = np.array(np.unravel_index(map_.argmax(), map_.shape))
        nearest = min(float(((np.array(place) - top) ** 2).sum()) for place in np.argwhere(mask))
        for tolerance in (0, 1.5, 4):
            hit = nearest == 0 or nearest < tolerance**2
            assert bool(pointing_game(maps, masks, tolerance)[row]) == hit
        share = map_[mask].sum() / map_.sum()
        assert float(energy_pointing_game(maps, masks)[row]) == pytest.approx(share, rel=1e-5)
        count = int(mask.sum())
        inside = mask.flatten()[np.argsort(-map_.flatten(), kind="stable")[:count]].sum() / count
        assert float(relevance_rank(maps, masks)[row]) == pytest.approx(inside)
        region = map_ > map_.astype(np.float64).mean()
        wanted = (region & mask).sum() / (region | mask).sum()
        assert float(iou(binarised(maps, "mean"), masks)[row]) == pytest.approx(wanted)
        for threshold in ("mean+std", "otsu", 0.3):
            assert binarised(maps, threshold).shape == maps.shape


METRICS = (
    "insertion", "deletion", "pid", "average-drop", "increase", "morf", "threshold-insertion", "pixel-perturbation",
    "miou", "iou-curve", "pxap", "pointing-game", "energy-pointing-game", "relevance-rank", "sparseness", "complexity",
    "max-sensitivity", "infidelity", "model-randomisation",
)  # fmt: skip


@pytest.mark.parametrize("name", ["volume", "signal"])
def test_an_evaluation_goes_end_to_end(name, tmp_path):
    network, inputs = made(name)
    masks = torch.zeros(len(inputs), *inputs.shape[2:], dtype=torch.bool)
    masks[..., 1:4] = True
    options = {
        "insertion": {"steps": 4},
        "deletion": {"steps": 4},
        "morf": {"steps": 4},
        "pid": {"patch": 4, "steps": 3},
    }
    metrics = [create_metric(each, **options.get(each, {})) for each in METRICS]
    metrics.append(create_metric("spearman", reference="saliency"))
    metrics.append(create_metric("ssim", reference="saliency", window=5))
    methods = {"grad-cam++": "grad-cam++", "saliency": "saliency", "mine": lambda images, targets: images.sum(1)}
    result = explainers.evaluate(network, inputs, methods, metrics, masks=masks, out=tmp_path / "out", figures=False)
    assert {row["explainer"] for row in result.rows} == {"random", "center", "edges", *methods}
    judged = [row for row in result.rows if row["status"] == "ok"]
    assert len(judged) == len(result.rows)
    assert len({row["score"] for row in judged}) == len(metrics)
    assert "energy-pointing-game" in str(result.summary())
    assert any((tmp_path / "out").glob("*.csv"))


@pytest.mark.parametrize("metric", ["road", "maxboxacc", "quantus:Sparseness"])
@pytest.mark.parametrize(("name", "kind"), [("volume", "volumes"), ("signal", "signals")])
def test_metrics_of_images_alone_refuse(metric, name, kind):
    network, inputs = made(name)
    masks = torch.ones(len(inputs), *inputs.shape[2:], dtype=torch.bool)
    message = re.escape(f"{metric} is defined on images, and these are {kind}; leave it out")
    with pytest.raises(UnsupportedError, match=message):
        explainers.evaluate(network, inputs, ["saliency"], [create_metric(metric)], masks=masks)


def test_maps_and_masks_of_another_shape_are_refused():
    network, inputs = made("volume")
    with pytest.raises(MapError, match=r"expected \(2, 5, 11, 7\); enlarge maps"):
        create_metric("sparseness")(network, inputs, torch.rand(2, 5, 11, 6))
    with pytest.raises(MapError, match=r"expected \(2, 5, 11, 7\); reduce its channels"):
        create_metric("sparseness")(network, inputs, torch.rand(2, 2, 5, 11, 7))
    with pytest.raises(MapError, match=r"masks of shape \(2, 11, 7\) for images of \(2, 5, 11, 7\)"):
        create_metric("miou")(network, inputs, torch.rand(2, 5, 11, 7), masks=torch.ones(2, 11, 7, dtype=torch.bool))
