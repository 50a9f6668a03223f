"""Score-CAM, Ablation-CAM, Group-CAM, occlusion, LIME, KernelSHAP: hand-made answers, identities, and odd channels."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
import torch
from small import Chain, lively
from torch import nn

import explainers
from explainers import LIME, AblationCAM, GroupCAM, KernelSHAP, Occlusion, ScoreCAM
from explainers.core.maps import upsample
from explainers.errors import OptionError, UnsupportedError
from explainers.methods.global_seeds import seeded


class Dead(Chain):
    """Its last layer has a channel of zeros, one of ones, and live ones."""

    def features(self, x):
        value = super().features(x).clone()
        value[:, 0], value[:, 1] = 0, 1
        return self.last(value)


def test_ablation_cam_behind_pooling_and_a_linear_layer_is_known():
    model, images = lively(Chain()).double().eval(), torch.rand(2, 3, 16, 16, dtype=torch.float64)
    maps = AblationCAM(model, activation=None)(images, 2).double()
    activation = model.features(images).detach()
    score = model(images)[:, 2].detach()
    weights = model.head.weight[2].detach() * activation.mean((2, 3)) / score[:, None]
    wanted = torch.einsum("nk,nkuv->nuv", weights, activation).relu()
    torch.testing.assert_close(maps, upsample(wanted[:, None], (16, 16))[:, 0], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("method", ["score-cam", "ablation-cam", "group-cam"])
def test_channels_that_are_the_same_everywhere_count_for_nothing(method):
    model, images = lively(Dead()).eval(), torch.rand(2, 3, 16, 16)
    maps = explainers.create(method, model)(images)
    assert torch.isfinite(maps).all()
    black = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.init.constant_(black[0].weight, -1)
    nn.init.constant_(black[0].bias, -1)
    maps = explainers.create(method, black, layer="1")(images)
    assert torch.equal(maps, torch.zeros(2, 16, 16))


def test_score_cam_is_class_activation_mapping_when_all_channels_score_alike():
    class Indifferent(Chain):
        def forward(self, x):
            return self.head(0 * self.features(x).mean((2, 3)))

    model, images = lively(Indifferent()).eval(), torch.rand(1, 3, 16, 16)
    activation = model.features(images).detach()
    live = activation.flatten(2).amax(2) > activation.flatten(2).amin(2)
    wanted = (activation * live[..., None, None]).sum(1) / live.sum()
    torch.testing.assert_close(ScoreCAM(model)(images), upsample(wanted[:, None], (16, 16))[:, 0])


def test_a_score_of_zero_cannot_be_divided_by():
    model = lively(Chain()).eval()
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)
    with pytest.raises(UnsupportedError, match="score of class 3 is 0"):
        AblationCAM(model, activation=None)(torch.rand(1, 3, 16, 16), 3)


def test_group_cam_with_a_group_per_channel_and_more_groups_than_channels_are_the_same():
    model, images = lively(Chain()).eval(), torch.rand(2, 3, 16, 16)
    assert torch.equal(GroupCAM(model, groups=8)(images), GroupCAM(model, groups=100)(images))
    with pytest.raises(OptionError, match="percentile=100"):
        GroupCAM(model, percentile=100)


@pytest.mark.parametrize(("window", "stride"), [(4, 2), ((3, 5), (2, 5)), (16, 16), (30, 7)])
def test_occlusion_equals_captums(window, stride):
    captum = pytest.importorskip("captum.attr")
    model, images = lively(Chain()).double().eval(), torch.rand(2, 3, 16, 20, dtype=torch.float64)
    height, width = (window, window) if isinstance(window, int) else window
    height, width = min(height, 16), min(width, 20)
    down, right = (stride, stride) if isinstance(stride, int) else stride
    wanted = captum.Occlusion(model).attribute(
        images, target=1, sliding_window_shapes=(3, height, width), strides=(3, min(down, height), min(right, width))
    )
    maps = Occlusion(model, window=(height, width), stride=(min(down, height), min(right, width)), activation=None)(
        images, 1
    )
    torch.testing.assert_close(maps, wanted[:, 0].float(), rtol=1e-5, atol=1e-7)


def test_occlusion_of_a_linear_score_is_the_mean_of_what_windows_hide():
    weights = torch.randn(1, 6, 6, dtype=torch.float64)
    image = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    maps = Occlusion(lambda x: (x * weights).sum((1, 2, 3))[:, None], window=1, stride=1, activation=None)(image)
    torch.testing.assert_close(maps.double()[0], (image[0] * weights)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", [LIME, KernelSHAP])
def test_segments_can_be_a_grid_a_map_or_a_function(method):
    pytest.importorskip("captum")
    model, images = lively(Chain()).eval(), torch.rand(2, 3, 15, 20)
    rows, columns = torch.arange(15) * 3 // 15, torch.arange(20) * 3 // 20
    labels = rows[:, None] * 3 + columns
    grid = method(model, segments=3, samples=30)(images)
    torch.testing.assert_close(method(model, segments=labels + 100, samples=30)(images), grid)
    torch.testing.assert_close(method(model, segments=lambda image: labels, samples=30)(images), grid)
    assert len(grid[0].unique()) <= 9
    with pytest.raises(OptionError, match=r"labels \(15, 20\)"):
        method(model, segments=labels.float())(images)


def test_kernel_shap_of_an_additive_score_is_what_each_segment_adds():
    pytest.importorskip("captum")
    weights = torch.randn(1, 6, 6, dtype=torch.float64)
    image = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    score = lambda x: (x * weights).sum((1, 2, 3))[:, None]  # noqa: E731
    maps = KernelSHAP(score, segments=2, samples=200, activation=None)(image)
    parts = (image * weights)[0, 0].unfold(0, 3, 3).unfold(1, 3, 3).sum((2, 3))
    wanted = parts.repeat_interleave(3, 0).repeat_interleave(3, 1)
    torch.testing.assert_close(maps[0].double(), wanted, rtol=1e-3, atol=1e-3)


def test_one_segment_alone_has_what_it_adds_to_the_substrate():
    images = torch.full((2, 3, 6, 6), 0.5)
    found = explainers.create("kernel-shap", lambda x: x.mean((1, 2, 3))[:, None], activation=None, segments=1)(images)
    torch.testing.assert_close(found, images[:, 0])


def test_a_stride_that_leaves_gaps_between_windows_is_refused():
    with pytest.raises(OptionError, match=r"stride=\(2, 3\) is larger than the window \(2 × 2\)"):
        explainers.create("occlusion", lambda x: x.mean((2, 3)), window=2, stride=(2, 3))(torch.rand(1, 3, 6, 6))


def test_random_methods_leave_the_generators_alone():
    pytest.importorskip("captum")
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    LIME(lively_once(), samples=10, segments=2)(torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_what_draws_from_pythons_generator_leaves_it_alone():
    before = random.getstate()
    with seeded(3):
        first = random.random()
    with seeded(3):
        assert random.random() == first
    assert random.getstate() == before


def lively_once():
    with torch.random.fork_rng():
        return lively(Chain()).eval()


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("method", ["lime", "kernel-shap"])
def test_what_each_segment_adds_is_found_however_small_the_score(method, scale):
    """A score that is a planted sum over the segments that are there: the map is that sum's parts, at every scale."""
    planted = torch.tensor([0.5, -0.3, 0.0, 0.2, 0.1, 0.0, -0.1, 0.05, 0.4])

    def network(images):
        there = images[:, 0].unfold(1, 4, 4).unfold(2, 4, 4).flatten(1, 2).amax((-2, -1))
        return torch.stack([scale * (there @ planted + 0.2), there.sum(1)], dim=1)

    image = torch.ones(1, 3, 12, 12)
    explainer = explainers.create(method, network, activation=None, segments=3, samples=1000)
    values = explainer(image, 0)[0].unfold(0, 4, 4).unfold(1, 4, 4)[..., 0, 0].flatten()
    # a ridge of 1 on a thousand samples shrinks by less than a hundredth
    torch.testing.assert_close(values / scale, planted, rtol=0.01, atol=1e-3)


@pytest.mark.parametrize("share", [0.9, 0.04, 1e-3, 1e-5])
def test_lime_is_not_empty_for_classes_that_are_hardly_probable(share):
    """The right segment comes first, for a class whose probability is `share` and falls by a half without it."""

    def network(images):
        seen = images[:, 0, 4:8, 8:12].mean((1, 2))
        probability = share * (0.5 + 0.5 * seen)
        return torch.stack([probability.log(), (1 - probability).log()], dim=1)

    values = LIME(network, segments=3, samples=200, activation="softmax")(torch.ones(1, 3, 12, 12), 0)[0]
    assert values.argmax() == 4 * 12 + 8
    assert float(values.max()) == pytest.approx(share / 2, rel=0.05)


@pytest.mark.parametrize("method", ["lime", "kernel-shap"])
@pytest.mark.parametrize(
    "labels", [3, torch.arange(144).view(12, 12) // 16, lambda image: torch.arange(144).view(12, 12) // 16]
)
def test_samples_that_do_not_determine_the_segments_are_told(method, labels):
    network, image = (lambda x: torch.stack([x[:, 0].mean((1, 2)), x[:, 1].mean((1, 2))], 1)), torch.ones(1, 3, 12, 12)
    few = explainers.create(method, network, activation=None, segments=labels, samples=9)
    with pytest.warns(UserWarning, match=f"{method}: samples=9 leave open what each of 9 segments adds.* takes 10"):
        few(image, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainers.create(method, network, activation=None, segments=labels, samples=90)(image, 0)
