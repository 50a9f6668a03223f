"""The contract, held against every registered method: a new method is tested here by being registered."""

from __future__ import annotations

import pytest
import torch
from small import Chain, PreActivation, Residual, Tokens, lively
from snapshot import same, snapshot
from torch import nn

import explainers
from explainers.baselines import LABN
from explainers.errors import ImageError, OutputError, TargetError, UnsupportedError

NETWORKS = {"chain": Chain, "residual": Residual, "pre-activation": PreActivation, "tokens": Tokens}
FAST = {
    "smooth-grad": {"samples": 3},
    "rise": {"masks": 20, "grid": 3},
    "lime": {"samples": 12, "segments": 2},
    "kernel-shap": {"samples": 12, "segments": 2},
}


def make(name: str, network: nn.Module, **options):
    return explainers.create(name, network, **FAST.get(name, {}), **options)


def supported(name: str) -> nn.Module:
    if name in ("attention", "lambda-attention"):
        return lively(LABN(channels=3, classes=5, scope=3))
    return lively(Tokens() if name == "attention-rollout" else Chain())


@pytest.fixture(params=explainers.available())
def name(request) -> str:
    return request.param


@pytest.mark.parametrize("network", NETWORKS)
def test_maps_of_a_batch_equal_maps_one_by_one(name, network):
    model = lively(NETWORKS[network]()).double()
    images = torch.randn(3, 3, 16, 24, dtype=torch.float64)
    explainer = make(name, model)
    try:
        together = explainer(images)
    except UnsupportedError as error:
        assert "Use " in str(error)
        return
    alone = torch.cat([explainer(image[None]) for image in images])
    assert together.shape == (3, 16, 24)
    assert together.dtype == torch.float32
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6 * float(alone.abs().max()))


def test_several_targets_equal_each_target_alone(name):
    model, images = supported(name), torch.randn(2, 3, 16, 24)
    explainer = make(name, model)
    targets = torch.tensor([[0, 3, 2], [4, 1, 1]])
    maps = explainer(images, targets)
    assert maps.shape == (2, 3, 16, 24)
    for k in range(3):
        alone = explainer(images, targets[:, k])
        torch.testing.assert_close(maps[:, k], alone, rtol=1e-5, atol=1e-6 * float(alone.abs().max() + 1))


def test_no_target_is_the_predicted_class_and_an_int_is_everyones(name):
    model, images = supported(name), torch.randn(2, 3, 16, 24)
    explainer = make(name, model)
    predicted = model(images).argmax(1)
    torch.testing.assert_close(explainer(images), explainer(images, predicted))
    torch.testing.assert_close(explainer(images, 2), explainer(images, [2, 2]))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_network_is_left_as_found_also_when_the_call_raises(name, network):
    model = lively(NETWORKS[network]()).train()
    model.head.eval()
    model.head.weight.requires_grad_(False)
    model(torch.randn(2, 3, 16, 24)).sum().backward()
    before = snapshot(model)
    explainer = make(name, model)
    try:
        explainer(torch.randn(2, 3, 16, 24))
    except UnsupportedError:
        assert same(before, snapshot(model))
    with pytest.raises((TargetError, UnsupportedError)):
        explainer(torch.randn(2, 3, 16, 24), 99)
    assert same(before, snapshot(model))


def test_frozen_network_under_no_grad_inference_mode_and_autocast_gives_the_same_map(name):
    model, images = supported(name), torch.randn(2, 3, 16, 24)
    explainer = make(name, model)
    expected = explainer(images)
    model.requires_grad_(False)
    with torch.no_grad():
        torch.testing.assert_close(explainer(images), expected)
    with torch.inference_mode():
        torch.testing.assert_close(explainer(images.clone()), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(explainer(images), expected)


def test_maps_are_the_same_from_call_to_call_and_do_not_touch_the_global_seed(name):
    model, images = supported(name), torch.randn(2, 3, 16, 24)
    explainer = make(name, model)
    state = torch.random.get_rng_state()
    first = explainer(images)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(first, explainer(images))


def test_the_images_are_not_changed_by_a_network_that_works_in_place(name):
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = supported(name)

        def forward(self, x):
            x.mul_(2)
            return self.inner(x)

    images = torch.randn(2, 3, 16, 24)
    copy = images.clone()
    make(name, InPlace().eval())(images)
    assert torch.equal(images, copy)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.randn(3, 16, 24), "add the batch dimension"),
        (torch.zeros(0, 3, 16, 24), "empty"),
        (torch.zeros(1, 3, 16, 24, dtype=torch.uint8), "torch.uint8"),
        (torch.full((2, 3, 16, 24), float("nan")), "NaN or infinite values in image 0, 1"),
        ([1, 2], "got list"),
    ],
)
def test_bad_images_are_refused_with_their_reason(name, images, message):
    with pytest.raises(ImageError, match=message):
        make(name, supported(name))(images)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (5, "classes 0 … 4"),
        (-1, "target -1 is out of range"),
        ([0, 1, 2], "3 targets for 2 images"),
        (torch.tensor([0.0, 1.0]), "integer class indices"),
        (torch.tensor([True, False]), "torch.bool"),
        ("cat", "no class index"),
        (torch.zeros(2, 1, 1, dtype=torch.long), "expected none"),
    ],
)
def test_bad_targets_are_refused_with_their_reason(name, targets, message):
    with pytest.raises(TargetError, match=message):
        make(name, supported(name))(torch.randn(2, 3, 16, 24), targets)


def test_scores_in_a_dict_or_tuple_or_by_output_give_the_same_map(name):
    inner, images = supported(name), torch.randn(2, 3, 16, 24)
    expected = make(name, inner)(images)

    class Wrapped(nn.Module):
        def __init__(self, wrap):
            super().__init__()
            self.inner, self.wrap = inner, wrap

        def forward(self, x):
            return self.wrap(self.inner(x))

    for wrap in (lambda y: {"logits": y}, lambda y: (torch.zeros(3), y), lambda y: {"out": y, "aux": 1}):
        torch.testing.assert_close(make(name, Wrapped(wrap))(images), expected)
    odd = Wrapped(lambda y: {"answer": y})
    with pytest.raises(OutputError, match="answer"):
        make(name, odd)(images)
    torch.testing.assert_close(make(name, odd, output=lambda y: y["answer"])(images), expected)


def test_data_parallel_and_compiled_networks_are_looked_through(name):
    inner, images = supported(name), torch.randn(2, 3, 16, 24)
    expected = make(name, inner)(images)
    torch.testing.assert_close(make(name, nn.DataParallel(inner))(images), expected)
    torch.testing.assert_close(make(name, torch.compile(inner, backend="eager"))(images), expected)


def test_every_class_says_its_name_reference_and_needs(name):
    cls = explainers.method(name)
    assert cls.name == name
    assert cls.reference
    assert cls.needs <= {"gradients", "layer"}
    assert cls.__doc__


def test_double_network_gets_double_images(name):
    model = supported(name).double()
    assert make(name, model)(torch.randn(1, 3, 16, 24)).dtype == torch.float32
