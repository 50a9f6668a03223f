"""AMB: the mining branch is the perception branch, sees what the map leaves over, and leaves no trace."""

from __future__ import annotations

import pytest
import torch
import torchvision
from small import lively

from explainers.baselines import ABN, AMB, create_network, resnet
from explainers.baselines.networks.attention_network import Remainder
from explainers.errors import OptionError, UnsupportedError


def made(**options) -> AMB:
    torch.manual_seed(0)
    return lively(AMB(resnet("small-resnet", channels=1, classes=3), **options)).double()


@pytest.fixture
def images():
    return torch.randn(3, 1, 40, 56, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def taken(attention_map: torch.Tensor, kind: str, threshold: float, omega: float) -> torch.Tensor:
    """T(A), cell by cell."""
    rows = []
    for value in attention_map.flatten().tolist():
        smooth = 1 / (1 + torch.tensor(-omega * (value - threshold), dtype=torch.float64).exp())
        rows.append(float(smooth) if kind == "sigmoid" else float(value > threshold))
    return torch.tensor(rows, dtype=torch.float64).view(attention_map.shape)


@pytest.mark.parametrize(
    ("kind", "omega"), [("sigmoid", 10.0), ("sigmoid", 100.0), ("straight-through", 10.0), ("hard", 10.0)]
)
def test_the_mining_branch_is_the_perception_branch_on_what_is_left(kind, omega, images):
    middle = round(float(made().eval().forward_branches(images).attention_map.detach().median()), 3)
    network = made(threshold=middle, mask=kind, omega=omega).eval()
    branches = network.forward_branches(images)
    h, alpha = branches.features, branches.attention_map
    mask = taken(alpha.detach(), kind, middle, omega)
    assert 0.3 < float(mask.mean()) < 0.7
    seen = (1 - mask) * h
    mined = network.perception(seen).mean((2, 3)) @ network.head.fc.weight.T + network.head.fc.bias
    torch.testing.assert_close(branches.mining_logits, mined)
    logits = network.perception(alpha * h).mean((2, 3)) @ network.head.fc.weight.T + network.head.fc.bias
    torch.testing.assert_close(branches.logits, logits)  # without bypass


def test_it_has_the_parameters_of_abn_and_no_more():
    network, abn = made(), ABN(resnet("small-resnet", channels=1, classes=3), bypass=False)
    assert {name: value.shape for name, value in network.state_dict().items()} == {
        name: value.shape for name, value in abn.state_dict().items()
    }
    network.load_state_dict(abn.double().state_dict())
    images = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(network.eval()(images), abn.eval()(images))


@pytest.mark.parametrize(("kind", "reached"), [("sigmoid", True), ("straight-through", True), ("hard", False)])
def test_the_map_learns_of_what_is_mined_unless_the_mask_is_hard(kind, reached, images):
    network = made(threshold=0.5, mask=kind).train()
    network.forward_branches(images).mining_logits.softmax(1)[:, 0].sum().backward()
    gradients = {name: value.grad for name, value in network.named_parameters()}
    assert all(gradients[name] is not None for name in gradients if name.startswith(("features", "perception", "head")))
    branch = [gradients[name] for name in gradients if name.startswith("attention.to_map")]
    assert all((each is not None and bool(each.any())) == reached for each in branch)


def test_mining_runs_when_it_is_asked_for_and_once(images):
    network, runs = made().eval(), []
    network.perception.register_forward_hook(lambda *call: runs.append(1))
    branches = network.forward_branches(images)
    assert len(runs) == 1
    first = branches.mining_logits
    assert branches.mining_logits is first
    assert len(runs) == 2
    assert ABN(resnet("small-resnet", channels=1)).eval().forward_branches(images.float()).mining_logits is None


def test_mining_normalises_by_its_own_batch_and_counts_nothing(images):
    network = made(threshold=0.5).train()
    branches = network.forward_branches(images)
    before = {name: value.clone() for name, value in network.named_buffers()}
    mined = branches.mining_logits
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    mask = taken(branches.attention_map.detach(), "sigmoid", 0.5, 10.0)
    by_hand = network.head(network.perception((1 - mask) * branches.features))  # in training mode: of this batch
    torch.testing.assert_close(mined, by_hand)


def test_a_given_map_is_mined_too(images):
    network = made(threshold=0.3, mask="hard").eval()
    shape = network.forward_branches(images).attention_map.shape
    given = torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    branches = network.forward_branches(images, attention_map=given)
    left = torch.where(given > 0.3, 0.0, branches.features)
    torch.testing.assert_close(branches.mining_logits, network.head(network.perception(left)))
    everything = network.forward_branches(images, attention_map=1.0).mining_logits
    torch.testing.assert_close(everything, network.head(network.perception(torch.zeros_like(left))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": "soft"}, "mask='soft'; expected one of sigmoid, straight-through, hard"),
        ({"threshold": 1.5}, "threshold=1.5; expected 0 … 1"),
        ({"omega": 0.0}, "omega=0.0; expected a positive slope"),
    ],
)
def test_numbers_outside_their_range_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        create_network("amb", channels=1, classes=2, **options)


def test_a_backbone_that_cannot_be_cut_is_refused():
    with pytest.raises(UnsupportedError, match="DenseNet cannot be cut into features, last stage and head"):
        AMB(torchvision.models.densenet121())


def test_the_remainder_by_numbers():
    h, alpha = torch.tensor([[[[2.0, 4.0]]]]), torch.tensor([[[[0.25, 0.75]]]])
    assert Remainder(0.5, "hard")(h, alpha).flatten().tolist() == [2, 0]
    smooth = Remainder(0.5, "sigmoid", 4.0)(h, alpha)
    e = torch.e
    torch.testing.assert_close(smooth.flatten(), torch.tensor([2 / (1 + 1 / e), 4 / (1 + e)]))
