"""Networks that mix their batch, draw by chance, or run compiled or half in few bits: right all the same, or it is said."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from small import Chain, lively
from torch import Tensor, nn

import explainers
from explainers.passes.predictor import Predictor
from explainers.passes.steady import CHANCE, MIXED

METHODS = {"grad-cam": {}, "saliency": {}, "occlusion": {"window": 8, "stride": 8, "batch_size": 1}}


class Around(nn.Module):
    """Something done with a chain and a batch."""

    def __init__(self, act) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.inner, self.act = lively(Chain()), act
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self, x)


def by_hand(network: Around, x: Tensor) -> Tensor:
    y = network.inner.features(x)
    return network.inner.head(
        ((y - y.mean((0, 2, 3), keepdim=True)) / (y.std((0, 2, 3), keepdim=True) + 1)).mean(2).amax(2)
    )


def in_train_mode(network: Around, x: Tensor) -> Tensor:
    y = network.norm.train()(network.inner.features(x))
    return network.inner.head(y.relu().mean((2, 3)))


def one_at_a_time(network: Around, x: Tensor) -> Tensor:
    if len(x) > 1:
        raise ValueError("one image, please")
    return network.inner(x)


MIXING = {
    "batch statistics": by_hand,
    "batch norm in train mode": in_train_mode,
    "largest value of the batch": lambda network, x: network.inner(x / x.abs().max()),
    "another order": lambda network, x: network.inner(x.flip(0)),
    "the first image alone": lambda network, x: network.inner(x[:1]).expand(len(x), -1),
    "mean of the scores": lambda network, x: network.inner(x).mean(0, keepdim=True).expand(len(x), -1),
    "takes one image": one_at_a_time,
}


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("name", MIXING)
def test_a_network_that_mixes_its_batch_gets_images_one_by_one(name, images):
    network, other, targets = Around(MIXING[name]).eval(), Around(MIXING[name]).eval(), torch.tensor([1, 2, 3])
    other.fixed_batch = 1  # type: ignore[assignment]
    alone = {
        method: torch.cat(
            [explainers.create(method, other, **options)(images[[row]], targets[[row]]) for row in range(3)]
        )
        for method, options in METHODS.items()
    }
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for method, options in METHODS.items():
            found = explainers.create(method, network, **options)(images, targets)
            torch.testing.assert_close(found, alone[method], rtol=1e-4, atol=1e-6)
    assert [str(each.message) for each in told] == [MIXED] * (name != "takes one image")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    scores = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(Predictor(network)(images), scores)


def test_the_door_reads_the_classes_of_a_network_that_mixes_from_each_image_alone(images):
    network = Around(MIXING["another order"]).eval()
    with pytest.warns(UserWarning, match="one by one"):
        made = explainers.explain(network, images, method="grad-cam")
    scores = network.inner(images)
    assert torch.equal(made.targets, scores.argmax(1))
    torch.testing.assert_close(made.scores, scores)


@pytest.mark.parametrize("count", [1, 3])
def test_chance_is_told_once_and_the_generator_is_not_drawn_from_for_it(images, count):
    network = Around(lambda network, x: network.inner(F.dropout(x, 0.5, training=True))).eval()
    with pytest.warns(UserWarning, match="when it sees the same image again") as told:
        explainers.explain(network, images[:count], method="saliency")
    assert [str(each.message) for each in told].count(CHANCE) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainers.GradCAM(network)(images)
    steady = Around(lambda network, x: network.inner(x)).eval()
    state = torch.get_rng_state()
    explainers.GradCAM(steady)(images)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_same_tensor_with_other_values_is_no_steady_answer(images):
    kept: dict[str, Tensor] = {}

    def static(network: Around, x: Tensor) -> Tensor:
        with torch.no_grad():
            kept["y"] = kept.get("y", torch.zeros(0, 5)).resize_(len(x), 5).copy_(network.inner(x.flip(0)))
        return kept["y"]

    with pytest.warns(UserWarning, match="one by one"):
        explainers.Occlusion(Around(static).eval(), window=8, stride=8)(images)


def test_layers_within_compiled_code_are_seen(images):
    torch.manual_seed(0)
    network, targets = lively(Chain()), torch.tensor([1, 2, 3])
    wanted = explainers.GradCAM(network)(images, targets)
    network.features = torch.compile(network.features, backend="eager")  # type: ignore[method-assign]
    with torch.no_grad():
        network(images)  # compiled without the hooks of explainers
    torch.testing.assert_close(explainers.GradCAM(network)(images, targets), wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_cam_of_a_network_with_parts_in_another_precision(images, dtype):
    class Mixed(Chain):
        def features(self, x: Tensor) -> Tensor:
            return self.last(self.second(self.pool(self.act(self.first(x))).to(dtype)))

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.features(x).float().mean((2, 3)))

    torch.manual_seed(0)
    network = lively(Mixed())
    network.second.to(dtype)
    with torch.no_grad():
        wanted = torch.einsum("c,nchw->nhw", network.head.weight[2], network.features(images).float())
    maps = explainers.CAM(network)(images, 2)
    assert maps.dtype == torch.float32
    torch.testing.assert_close(
        maps, F.interpolate(wanted[:, None], (16, 16), mode="bilinear")[:, 0], rtol=1e-4, atol=1e-4
    )


def test_scores_of_one_image_that_lost_their_axis_are_named(images):
    with pytest.raises(explainers.errors.OutputError, match=r"y\.reshape\(-1, 5\)"):
        explainers.GradCAM(Around(lambda network, x: network.inner(x).squeeze()).eval())(images[:1])
