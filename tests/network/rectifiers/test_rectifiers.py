"""Every way to write a rectifier follows the rule or is refused; what is none is neither refused nor changed."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

import explainers
from explainers.errors import UnsupportedError
from explainers.network.rectifiers import find_rectifiers

METHODS = {
    "guided-backprop": {},
    "guided-backprop-minus": {},
    "deconvolution": {},
    "guided-grad-cam": {"layer": "second"},
}


def scattered(x):
    y = torch.zeros_like(x)
    y[x > 0] = x[x > 0]
    return y


def onto_view(change):
    """The change in place on a view of x."""

    def unit(x):
        y = x.clone()
        change(y.view(len(x), -1))
        return y

    return unit


def half_in_place(x):
    """A ReLU on both halves of the rows, each a view."""
    y = x.clone()
    flat = y.view(len(x), -1)
    half = flat.shape[1] // 2
    flat[:, :half].mul_(flat[:, :half] > 0)
    flat[:, half:].masked_fill_(flat[:, half:] < 0, 0)
    return y


# A ReLU in other words. Refusing is as good as being right, passing over it is neither.
RELU = {
    "x * (x > 0)": lambda x: x * (x > 0),
    "x * (x > 0).float()": lambda x: x * (x > 0).to(x),
    "x * heaviside(x)": lambda x: x * torch.heaviside(x.detach(), x.new_zeros(())),
    "x * (1 + sign(x)) / 2": lambda x: x * (1 + x.sign()) / 2,
    "x - x * (x < 0)": lambda x: x - x * (x < 0),
    "x - x.clamp(max=0)": lambda x: x - x.clamp(max=0),
    "-(-x).clamp(max=0)": lambda x: -(-x).clamp(max=0),
    "-(-x).clamp(-1e9, 0)": lambda x: -(-x).clamp(-1e9, 0),
    "-clamp_max(-x, 0)": lambda x: -torch.clamp_max(-x, 0),
    "-clamp(-x, max=tensor)": lambda x: -torch.clamp(-x, max=torch.zeros_like(x)),
    "clamp(x, min=zeros)": lambda x: torch.clamp(x, min=torch.zeros_like(x)),
    "(x + 2).clamp(min=2) - 2": lambda x: (x + 2).clamp(min=2) - 2,
    "1 - (1 - x).clamp(max=1)": lambda x: 1 - (1 - x).clamp(max=1),
    "threshold(x + 1, 1, 1) - 1": lambda x: F.threshold(x + 1, 1, 1) - 1,
    "maximum(x + 1, 1) - 1": lambda x: torch.maximum(x + 1, x.new_ones(())) - 1,
    "-minimum(-x, 0)": lambda x: -torch.minimum(-x, x.new_zeros(())),
    "-fmin(-x, 0)": lambda x: -torch.fmin(-x, torch.zeros_like(x)),
    "maximum(x, 0 * x)": lambda x: torch.maximum(x, 0 * x),
    "where(x > 0, x, 0 * x)": lambda x: torch.where(x > 0, x, 0 * x),
    "where(x > 0, x, 0)": lambda x: torch.where(x > 0, x, 0),
    "max of a stack with zeros": lambda x: torch.stack([x, torch.zeros_like(x)]).max(0).values,
    "amax of a stack with zeros": lambda x: torch.stack([torch.zeros_like(x), x], dim=-1).amax(-1),
    "amax of x padded": lambda x: F.pad(x[..., None], (0, 1)).amax(-1),
    "amax of a stack with 0 * x": lambda x: torch.stack([x, 0 * x], dim=1).amax(1),
    "-min of a stack": lambda x: -torch.stack([-x, torch.zeros_like(x)]).min(0).values,
    "sort of a stack": lambda x: torch.stack([x, torch.zeros_like(x)]).sort(0).values[1],
    "topk of a stack": lambda x: torch.stack([x, torch.zeros_like(x)], dim=-1).topk(1).values[..., 0],
    "addcmul": lambda x: torch.addcmul(torch.zeros_like(x), x, (x > 0).to(x)),
    "lerp": lambda x: torch.lerp(torch.zeros_like(x), x, (x > 0).to(x)),
    "masked_scatter": lambda x: torch.zeros_like(x).masked_scatter(x > 0, x[x > 0]),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0),
    "y[x > 0] = x[x > 0]": scattered,
    "(x + |x|) / 2": lambda x: (x + x.abs()) / 2,
    "(x + sqrt(x²)) / 2": lambda x: (x + x.pow(2).sqrt()) / 2,
    "(x + sqrt(x * x)) / 2": lambda x: (x + (x * x).sqrt()) / 2,
    "(x + √x²) / 2 of a norm": lambda x: (x + x[..., None].norm(dim=-1)) / 2,
    "(x + √x²) / 2 of linalg's norm": lambda x: (x + torch.linalg.vector_norm(x[..., None], dim=-1)) / 2,
    "(x + distance from 0) / 2": lambda x: (x + torch.cdist(x.reshape(-1, 1), x.new_zeros(1, 1)).view_as(x)) / 2,
    "pooling of x and 0": lambda x: F.max_pool1d(torch.stack([x, 0 * x], -1).flatten(0, -2)[:, None], 2).view_as(x),
    "cummax of a stack": lambda x: torch.stack([torch.zeros_like(x), x]).cummax(0).values[1],
    "x / (1 or ∞)": lambda x: x / torch.where(x > 0, 1.0, math.inf),
    "in place on a view": onto_view(torch.relu_),
    "clamp_ on a view": onto_view(lambda v: v.clamp_(min=0)),
    "threshold_ on a view": onto_view(lambda v: F.threshold_(v, 0, 0)),
    "mul_ on a view": onto_view(lambda v: v.mul_(v > 0)),
    "masked_fill_ on a view": onto_view(lambda v: v.masked_fill_(v < 0, 0)),
    "in place on two views": half_in_place,
}
# Units for which the rule is not defined: beside a ReLU too they are refused.
SMOOTH = {
    "x * sigmoid(x)": lambda x: x * torch.sigmoid(x),
    "x / (1 + exp(-x))": lambda x: x / (1 + torch.exp(-x)),
    "x * (1 + tanh(x / 2)) / 2": lambda x: 0.5 * x * (1 + torch.tanh(x / 2)),
    "erf-GELU": lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2))),
    "tanh-GELU": lambda x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.0447 * x**3))),
    "x * tanh(softplus(x))": lambda x: x * torch.tanh(torch.log1p(torch.exp(x))),
    "x * relu6(x + 3) / 6": lambda x: x * F.relu6(x + 3) / 6,
    "x * hardsigmoid(x)": lambda x: x * F.hardsigmoid(x),
    "maximum(x, x / 10)": lambda x: torch.maximum(x, 0.1 * x),
    "where(x > 0, x, x / 10)": lambda x: torch.where(x > 0, x, 0.1 * x),
    "x * (0.1 + 0.9 * (x > 0))": lambda x: x * (0.1 + 0.9 * (x > 0)),
    "where(x > 0, x, exp(x) - 1)": lambda x: torch.where(x > 0, x, torch.expm1(x)),
    "log(1 + exp(x))": lambda x: torch.log1p(torch.exp(x)),
    "logaddexp(x, 0)": lambda x: torch.logaddexp(x, x.new_zeros(())),
    "logsumexp of a stack": lambda x: torch.stack([x, torch.zeros_like(x)]).logsumexp(0),
    "(x + sqrt(x² + 1)) / 2": lambda x: (x + (x * x + 1).sqrt()) / 2,
    "amax of a stack with x / 10": lambda x: torch.stack([x, 0.1 * x]).amax(0),
    "x - tanh(x)": F.tanhshrink,
    "SiLU on a view": onto_view(lambda v: F.silu(v, inplace=True)),
    "LeakyReLU on a view": onto_view(lambda v: F.leaky_relu(v, 0.1, inplace=True)),
    "ELU on a view": onto_view(lambda v: F.elu(v, inplace=True)),
    "Hardswish on a view": onto_view(lambda v: F.hardswish(v, inplace=True)),
}


class Features(nn.Module):
    """Two convolutions, an ordinary ReLU, and the unit on the feature maps."""

    def __init__(self, unit):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3), nn.Linear(8, 4)
        self.unit = unit

    def forward(self, x):
        return self.head(self.unit(self.second(F.relu(self.first(x)))).mean((2, 3)))


class Head(Features):
    """The unit on vectors, behind the pooling; `part` of the channels of one image are all above zero."""

    def __init__(self, unit):
        super().__init__(unit)
        self.hidden = nn.Linear(8, 6)

    def forward(self, x):
        x = F.relu(self.second(F.relu(self.first(x)))).mean((2, 3))
        return self.head(F.pad(self.unit(self.hidden(x)), (0, 2)))


class Tokens(Features):
    """LayerNorm → Linear → unit → Linear on tokens, as in the blocks of a transformer."""

    def __init__(self, unit):
        super().__init__(unit)
        self.norm, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 12), nn.Linear(12, 8)

    def forward(self, x):
        x = F.relu(self.second(F.relu(self.first(x)))).flatten(2).transpose(1, 2)
        return self.head((x + self.down(self.unit(self.up(self.norm(x))))).mean(1))


PLACES = {"feature maps": Features, "vectors": Head, "tokens": Tokens}


def built(place, unit):
    torch.manual_seed(0)
    return PLACES[place](unit).double()


def image():
    return torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("spelling", RELU)
def test_a_relu_in_other_words_follows_the_rule_or_is_refused(place, spelling):
    for method, options in METHODS.items():
        expected = explainers.create(method, built(place, nn.ReLU()), channels=None, **options)(image(), 1)
        try:
            maps = explainers.create(method, built(place, RELU[spelling]), channels=None, **options)(image(), 1)
        except UnsupportedError:
            continue
        torch.testing.assert_close(maps, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("unit", SMOOTH)
def test_a_smooth_unit_written_out_beside_a_relu_is_refused(place, unit):
    for method, options in METHODS.items():
        with pytest.raises(UnsupportedError):
            explainers.create(method, built(place, SMOOTH[unit]), **options)(image(), 1)


@pytest.mark.parametrize("unit", [nn.ReLU(inplace=True), nn.ReLU6(inplace=True), lambda x: F.threshold_(x, 0, 0)])
def test_an_in_place_relu_behind_a_linear_layer_on_tokens_follows_the_rule(unit):
    for method, options in METHODS.items():
        expected = explainers.create(method, built("tokens", nn.ReLU()), channels=None, **options)(image(), 1)
        maps = explainers.create(method, built("tokens", unit), channels=None, **options)(image(), 1)
        torch.testing.assert_close(maps, expected)


@pytest.mark.parametrize("unit", [nn.SiLU, nn.LeakyReLU, nn.ELU, nn.Hardswish, nn.Mish, nn.CELU, nn.SELU])
def test_in_place_smooth_units_on_tokens_are_refused(unit):
    for method, options in METHODS.items():
        with pytest.raises(UnsupportedError):
            explainers.create(method, built("tokens", unit(inplace=True)), **options)(image(), 1)


def test_a_mask_that_lets_everything_through_on_this_image_still_has_a_rule():
    def raised(unit):
        network = built("vectors", unit)
        nn.init.constant_(network.hidden.bias, 50.0)
        return network

    for unit in (RELU["x * (x > 0)"], RELU["x * (x > 0).float()"], RELU["where(x > 0, x, 0)"]):
        with pytest.raises(UnsupportedError, match="closed"):
            explainers.create("guided-backprop", raised(unit))(image(), 1)


# What is no rectifier: a gate of other positions, a residual sum, a norm, a pooling, a mask of weights, …
class Squeezed(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(8, 3, 1), nn.Conv2d(3, 8, 1)

    def forward(self, x):
        x = F.relu(x)
        return x * torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Spatial(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x):
        x = F.relu(x)
        both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.conv(both)) + x


class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.way = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)

    def forward(self, x):
        gate = torch.sigmoid(self.gate(x))
        return gate * F.relu(self.way(x)) + (1 - gate) * x


class Pruned(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        mask = torch.rand(8, 8, 3, 3, generator=torch.Generator().manual_seed(0)) > 0.5
        prune.custom_from_mask(self.conv, "weight", mask)

    def forward(self, x):
        return F.relu(self.conv(x))


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Conv2d(8, 24, 1)

    def forward(self, x):
        q, k, v = self.qkv(F.relu(x)).flatten(2).chunk(3, dim=1)
        return x + ((q.transpose(1, 2) @ k).softmax(-1) @ v.transpose(1, 2)).transpose(1, 2).view_as(x)


class Standardised(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8, 3, 3, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / (weight * weight).sum((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-5)
        return F.relu(F.conv2d(x, weight.abs() * weight.sign(), padding=1))


class Maxout(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return torch.maximum(self.first(F.relu(x)), self.second(F.relu(x)))


def written_norm(x):
    centred = x - x.mean(1, keepdim=True)
    return F.relu(centred / ((centred * centred).mean(1, keepdim=True) + 1e-5).sqrt())


def shifted_columns(x):
    y = F.relu(x)
    shifted = y.clone()
    shifted[:, :4, :, 1:] = y[:, :4, :, :-1]
    return shifted


HARMLESS = {
    "squeeze and excitation": Squeezed,
    "attention over positions": Spatial,
    "highway": Highway,
    "pruned weights": Pruned,
    "attention between positions": Attending,
    "standardised weights": Standardised,
    "maximum of two convolutions": Maxout,
    "layer norm in words": lambda: written_norm,
    "x + relu(x)": lambda: lambda x: x + F.relu(x),
    "relu(x) - relu(-x) / 2": lambda: lambda x: F.relu(x) - 0.5 * F.relu(-x),
    "relu(x) and relu(-x), pooled": lambda: lambda x: F.max_pool2d(torch.cat([F.relu(x[:, :4]), F.relu(-x[:, :4])], 1), 2),
    "squared": lambda: lambda x: F.relu(x) ** 2,
    "generalised mean": lambda: lambda x: F.relu(x).clamp(min=1e-6).pow(3).mean((2, 3), keepdim=True).pow(1 / 3),
    "unit length": lambda: lambda x: F.normalize(F.relu(x), dim=1),
    "capped by a clamp": lambda: lambda x: F.relu(x).clamp(max=1),
    "capped by a minimum": lambda: lambda x: torch.minimum(F.relu(x), x.new_ones(())),
    "tanh": lambda: lambda x: torch.tanh(F.relu(x)),
    "hardtanh": lambda: lambda x: F.hardtanh(F.relu(x) - 1),
    "columns moved in place": lambda: shifted_columns,
    "scaled in place on a view": lambda: lambda x: onto_view(lambda v: v.mul_(2))(F.relu(x)),
    "padded and pooled": lambda: lambda x: F.max_pool2d(F.pad(F.relu(x), (0, 1, 0, 1)), 2),
    "lengths of capsules": lambda: lambda x: F.relu(x).unflatten(1, (4, 2)).norm(dim=2).repeat(1, 2, 1, 1),
    "pooled branches": lambda: lambda x: F.max_pool1d(torch.cat([F.relu(x), F.relu(x.roll(1, 2))], 2).flatten(2), 2)[..., None],
    "divided by constants": lambda: lambda x: F.relu(x) / torch.tensor(0.5, dtype=x.dtype),
    "global maximum": lambda: lambda x: F.relu(x).amax((2, 3), keepdim=True),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_rectifier_is_not_refused(name):
    torch.manual_seed(2)
    network = built("feature maps", HARMLESS[name]())
    network.double()
    leaf = image().requires_grad_()
    found = find_rectifiers(network(leaf), leaf)
    assert found.strict
    assert [*found.smooth, *found.opaque, *found.shifted] == []
    explainers.create("guided-backprop", network)(image(), 1)
