"""Batch norm folded into convolutions: where it is equal, and only there."""

from __future__ import annotations

import copy

import pytest
import torch
import torchvision
from network_traces import Traces
from small import Residual, lively
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

from explainers.passes.fold_batch_norm import fold
from explainers.passes.predictor import Predictor


class Pair(nn.Module):
    """Convolution, batch norm, ReLU, head; parts and the way between them to be changed by a test."""

    def __init__(self, conv=None, norm=None, between=None):
        super().__init__()
        self.conv = conv or nn.Conv2d(3, 6, 3, padding=1)
        self.norm = norm or nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)
        self.between = between or (lambda self, x: self.norm(self.conv(x)))

    def forward(self, images):
        return self.head(self.between(self, images).relu().mean((2, 3)))


class Activated(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x).relu()


def changed(network, change):
    change(network)
    return network


def also_read(self, x):
    y = self.conv(x)
    return self.norm(y) + 1e-6 * y  # too little for scores to show it


def changed_in_place(self, x):
    y = self.conv(x)
    y.add_(1e-6)
    return self.norm(y)


def conv_called_twice(self, x):
    return self.norm(self.conv(x)) + self.conv(x.flip(-1))


def norm_called_twice(self, x):
    return self.norm(self.norm(self.conv(x)))


def two_norms(self, x):
    y = self.conv(x)
    return self.norm(y) + nn.functional.batch_norm(y, self.norm.running_mean, self.norm.running_var)


def weight_read(self, x):
    return self.norm(self.conv(x)) + 1e-6 * self.conv.weight.mean()


def by_name(self, x):
    return self.norm(input=self.conv(x))


def hooked(part, register):
    return lambda: changed(Pair(), lambda network: getattr(getattr(network, part), register)(lambda *_: None))


PAIRS = {
    "bias": Pair,
    "no bias": lambda: Pair(nn.Conv2d(3, 6, 3, bias=False)),
    "strided, reflected": lambda: Pair(nn.Conv2d(3, 6, 3, stride=2, padding=1, padding_mode="reflect")),
    "grouped": lambda: Pair(nn.Conv2d(3, 6, 3, groups=3, bias=False)),
    "not affine": lambda: Pair(norm=lively_plain(nn.BatchNorm2d(6, affine=False))),
    "dead channel": lambda: Pair(norm=changed(nn.BatchNorm2d(6), lambda norm: norm.running_var[:2].zero_())),
    "two names": lambda: changed(Pair(), lambda network: setattr(network, "alias", network.norm)),
    "in a list": lambda: changed(Pair(), lambda network: setattr(network, "parts", [network.conv, network.norm])),
    "attributes read": lambda: Pair(between=lambda self, x: self.norm(self.conv(x))[:, : self.norm.num_features]),
    "double": lambda: Pair().double(),
}

UNFOLDED = {
    "output read elsewhere": lambda: Pair(between=also_read),
    "output changed in place": lambda: Pair(between=changed_in_place),
    "output read by another norm": lambda: Pair(between=two_norms),
    "input by name": lambda: Pair(between=by_name),
    "weight read elsewhere": lambda: Pair(between=weight_read),
    "convolution twice": lambda: Pair(between=conv_called_twice),
    "norm twice": lambda: Pair(between=norm_called_twice),
    "not called": lambda: Pair(between=lambda self, x: x.repeat(1, 2, 1, 1)),
    "norm first": lambda: Pair(norm=nn.BatchNorm2d(3), between=lambda self, x: self.conv(self.norm(x))),
    "hook on the convolution": hooked("conv", "register_forward_hook"),
    "hook on the norm": hooked("norm", "register_forward_hook"),
    "pre-hook on the norm": hooked("norm", "register_forward_pre_hook"),
    "backward hook": hooked("conv", "register_full_backward_hook"),
    "own forward": lambda: changed(Pair(), lambda network: setattr(network.norm, "forward", lambda x: 2 * x)),
    "statistics of the batch": lambda: Pair(norm=nn.BatchNorm2d(6, track_running_stats=False)),
    "subclass": lambda: Pair(norm=Activated(6)),
    "parametrised": lambda: Pair(parametrizations.weight_norm(nn.Conv2d(3, 6, 3))),
    "weight norm by a hook": lambda: Pair(weight_norm(nn.Conv2d(3, 6, 3))),
    "few bits": lambda: Pair().bfloat16(),
}


def lively_plain(norm):
    """Statistics away from identity, where there is no gain to be drawn."""
    nn.init.normal_(norm.running_mean, std=0.3)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


def made(make):
    torch.manual_seed(0)
    network = make()
    return (network if getattr(network.norm, "weight", None) is None else varied(network)).eval()


def varied(network):
    """As `lively`, but for statistics that a test has set or left out."""
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
        if norm.running_mean is not None:
            nn.init.normal_(norm.running_mean, std=0.3)
            norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.5, 2))
    return network


def images_for(network, count=2):
    return torch.randn(count, 3, 12, 12, dtype=network.head.weight.dtype)


@torch.no_grad()
def folded(network, images):
    """How many pairs are folded, scores after and before."""
    wanted = network(images)
    return fold(network, lambda: network(images)), network(images), wanted


def assert_near(found, wanted, relative=1e-5):
    assert (found - wanted).abs().max() <= relative * wanted.abs().max()


@pytest.mark.parametrize("pair", PAIRS)
def test_a_folded_pair_gives_the_networks_scores(pair):
    network = made(PAIRS[pair])
    images = images_for(network)
    count, scores, wanted = folded(network, images)
    assert count == 1
    assert_near(scores, wanted, 1e-12 if pair == "double" else 1e-5)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("pair", UNFOLDED)
def test_what_is_no_plain_pair_is_left_alone(pair):
    network = made(UNFOLDED[pair])
    images = images_for(network)
    count, scores, wanted = folded(network, images)
    assert count == 0
    assert torch.equal(scores, wanted)


def test_tied_weights_stay_right():
    class Tied(Pair):
        def forward(self, images):
            return super().forward(self.norm2(self.conv2(images)))

    network = Tied(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3))
    network.head = nn.Linear(3, 4)
    network.conv2, network.norm2 = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)
    network.conv2.weight = network.conv.weight
    lively(network)
    _, scores, wanted = folded(network, images_for(network))
    assert_near(scores, wanted)


def test_hooks_are_gone_after_a_pass_that_fails():
    network = Residual().eval()
    with pytest.raises(ZeroDivisionError):
        fold(network, lambda: 1 / 0)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_users_network_stays_as_it_is(precision):
    network = lively(Residual())
    before, modules = copy.deepcopy(network.state_dict()), list(network.modules())
    traces = Traces(network)
    predictor = Predictor(network, precision=precision)
    predictor(torch.randn(3, 3, 16, 16))
    assert list(network.modules()) == modules
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert traces.left() == []
    assert all("forward" not in vars(module) for module in modules)


@pytest.mark.parametrize("name", ["running_mean", "running_var", "weight"])
def test_scores_follow_a_batch_norm_that_was_changed(name):
    network, images = lively(Residual()), torch.randn(5, 3, 16, 16)
    predictor = Predictor(network)
    before = predictor(images)
    with torch.no_grad():
        getattr(network.block.norm1, name).add_(0.5)
    assert not torch.allclose(predictor(images), before, rtol=1e-3)
    assert_near(predictor(images), network(images))


def test_a_path_that_the_first_image_does_not_take_undoes_folding():
    def dark_or_bright(self, x):
        return self.norm(self.conv(x)) if float(x.std()) < 0.1 else self.conv(x)

    network = made(lambda: Pair(between=dark_or_bright))
    dark, bright = torch.full((1, 3, 12, 12), 0.5), torch.rand(1, 3, 12, 12)
    dark[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    predictor = Predictor(network)
    for images in (dark, bright):
        assert_near(predictor(images), network(images))


def test_a_network_that_needs_its_batch_norm_runs_unfolded():
    class Guarded(Pair):
        def forward(self, images):
            return super().forward(images) + (0 if self.conv.bias is None else float("nan"))

    network = made(lambda: Guarded(nn.Conv2d(3, 6, 3, bias=False)))
    images = images_for(network)
    predictor = Predictor(network)
    assert_near(predictor(images), network(images))
    assert predictor.replica._made is not network


NETWORKS = {  # pairs to fold: all batch norms but those that stand before a convolution
    "resnet18": (20, {}),
    "densenet121": (59, {}),
    "mobilenet_v3_small": (34, {}),
    "googlenet": (57, {"init_weights": False, "aux_logits": False}),
    "inception_v3": (94, {"init_weights": False, "aux_logits": False}),
    "regnet_y_400mf": (53, {}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_torchvision_networks_are_folded_to_the_same_scores(name):
    torch.manual_seed(0)
    count, options = NETWORKS[name]
    network = lively(torchvision.models.get_model(name, weights=None, num_classes=10, **options))
    size = 80 if name == "inception_v3" else 64
    images = torch.randn(2, 3, size, size)
    predicted = Predictor(network)(images)
    found, scores, wanted = folded(network, images)
    assert found == count
    assert_near(scores, wanted)
    assert_near(predicted, wanted)


def test_timms_plain_batch_norms_are_folded_and_those_with_an_activation_are_not():
    timm = pytest.importorskip("timm")
    for name, some in {"resnet26d": True, "mobilenetv3_small_050": False}.items():
        network = lively(timm.create_model(name, num_classes=10))
        images = torch.randn(2, 3, 64, 64)
        count, scores, wanted = folded(network, images)
        assert bool(count) == some
        assert_near(scores, wanted)
