"""Networks that ask for gradients in their forward, or checkpoint their activations: every method as without that."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from small import lively
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import explainers
from explainers.errors import UnsupportedError
from explainers.network.output import class_scores

FEW = {
    "score-cam": {"batch_size": 8},
    "smooth-grad": {"samples": 2},
    "rise": {"masks": 32},
    "lime": {"samples": 8, "segments": 2},
    "kernel-shap": {"samples": 8, "segments": 2},
}


class Plain(nn.Module):
    """Two convolutions with batch norm, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.second, self.act, self.head = nn.Conv2d(6, 8, 3, padding=1, stride=2), nn.ReLU(), nn.Linear(8, 4)

    def stem(self, x):
        return F.relu(self.norm(self.first(x)))

    def block(self, x):
        return self.act(self.second(x))

    def forward(self, x):
        return self.head(self.block(self.stem(x)).mean((2, 3)))


class Hooked(Plain):
    def forward(self, x):
        features = self.block(self.stem(x))
        features.register_hook(lambda grad: None).remove()
        return self.head(features.mean((2, 3)))


class Retaining(Plain):
    def forward(self, x):
        features = self.stem(x)
        features.retain_grad()
        features = self.block(features)
        features.retain_grad()
        return self.head(features.mean((2, 3)))


class Checkpointed(Plain):
    def forward(self, x):
        return self.head(checkpoint(self.block, self.stem(x), use_reentrant=True).mean((2, 3)))


class CheckpointedStem(Plain):
    def forward(self, x):
        return self.head(self.block(checkpoint(self.stem, x, use_reentrant=True)).mean((2, 3)))


def made(kind: type[Plain], *, trained: bool = True) -> nn.Module:
    torch.manual_seed(0)
    return lively(kind()) if trained else kind()


def outcome(method: str, network: nn.Module, images: Tensor) -> Tensor | str:
    try:
        return explainers.create(method, network, **FEW.get(method, {}))(images, 1)
    except UnsupportedError:
        return "refused"


@pytest.mark.parametrize("kind", [Hooked, Retaining, Checkpointed, CheckpointedStem])
@pytest.mark.parametrize("method", explainers.available())
def test_every_method_gives_what_it_gives_without(method, kind):
    images = torch.randn(2, 3, 12, 12)
    wanted, found = outcome(method, made(Plain), images), outcome(method, made(kind), images)
    if isinstance(wanted, str):
        assert found == wanted
    else:
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", [Hooked, Retaining, Checkpointed])
def test_explain_and_diagnose_and_scores_work_too(kind):
    network, images = made(kind), torch.randn(1, 3, 12, 12)
    torch.testing.assert_close(class_scores(network, images), class_scores(made(Plain), images))
    assert explainers.explain(network, images, "grad-cam", 1).maps.shape == (1, 12, 12)
    assert explainers.diagnose(network, images).layer == "act"


def test_torch_itself_is_as_before_afterwards_and_meanwhile_for_others():
    before = torch.utils.checkpoint.CheckpointFunction, Tensor.register_hook, Tensor.retain_grad
    explainers.create("grad-cam", made(Checkpointed))(torch.randn(1, 3, 12, 12), 1)
    assert (torch.utils.checkpoint.CheckpointFunction, Tensor.register_hook, Tensor.retain_grad) == before
    with pytest.raises(RuntimeError, match="register a hook"):
        torch.zeros(1).register_hook(print)


@pytest.mark.parametrize("training", [True, False])
def test_contributions_of_full_grad_are_made_in_evaluation_mode_and_leave_the_network_alone(training):
    network, images = made(Plain), torch.randn(3, 3, 12, 12)
    scores, sums = explainers.FullGrad(network).contributions(images, 2)
    torch.testing.assert_close(scores, network(images)[:, 2:3].detach())
    network.train(training)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        again, summed = explainers.FullGrad(network).contributions(images, 2)
    torch.testing.assert_close(again, scores)
    torch.testing.assert_close(summed, sums)
    torch.testing.assert_close(sums, scores, rtol=1e-4, atol=1e-5)
    assert network.training is training
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
