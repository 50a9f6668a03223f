"""Activations made through nodes that see several values, or without a gradient; and gates and masks that are none."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import explainers
from explainers.errors import UnsupportedError
from explainers.network.rectifiers import find_rectifiers, watched


def rows(x):
    return x.flatten(1)[:, None]


def mask(x):
    return (x > 0).to(x)


def zero(x):
    return torch.zeros_like(x)


def last(x, other):
    return torch.stack([x, other], -1)


def as_before(change):
    """A function of (N, 1, values), as one of feature maps."""
    return lambda x: change(rows(x)).view_as(x)


def without_gradient(x):
    y = x.clone()
    with torch.no_grad():
        y.clamp_(min=0)
    return y


def into_zeros(x):
    y = x.new_zeros(2, *x.shape)
    y[0] = x
    return y.amax(0)


def indexed(x):
    both = torch.cat([x.flatten(), x.new_zeros(1)])
    places = torch.arange(x.numel())
    return both[torch.where(x.flatten() > 0, places, len(places))].view_as(x)


# Each computes max(x, 0): the rule, or a refusal.
RELU = {
    "bmm with a diagonal": as_before(lambda r: r.bmm(torch.diag_embed(mask(r)[:, 0]))),
    "baddbmm": as_before(lambda r: torch.baddbmm(r.new_zeros(1), r, torch.diag_embed(mask(r)[:, 0]))),
    "einsum": as_before(lambda r: torch.einsum("nki,nij->nkj", r, torch.diag_embed(mask(r)[:, 0]))),
    "linear layer": lambda x: torch.stack([F.linear(each, torch.diag(mask(each))) for each in rows(x)[:, 0]]).view_as(x),
    "grouped convolution": lambda x: F.conv1d(x.view(1, -1, 1), mask(x).view(-1, 1, 1), groups=x.numel()).view_as(x),
    "bilinear": lambda x: F.bilinear(x.view(-1, 1), mask(x).view(-1, 1), x.new_ones(1, 1, 1)).view_as(x),
    "noisy mask": lambda x: x * (mask(x) + 1e-9 * torch.rand_like(x)),
    "addcdiv": lambda x: torch.addcdiv(zero(x), x, torch.where(x > 0, 1.0, torch.inf)),
    "ldexp": lambda x: torch.ldexp(x, torch.where(x > 0, 0.0, -5000.0)),
    "gather": lambda x: last(zero(x), x).gather(-1, (x > 0).long()[..., None])[..., 0],
    "gather of the first in order": lambda x: last(zero(x), x).gather(
        -1, last(zero(x), x).argsort(-1, descending=True)[..., :1])[..., 0],
    "index of the first in order": lambda x: last(x, zero(x)).view(-1, 2)[
        torch.arange(x.numel()), last(x, zero(x)).view(-1, 2).topk(1).indices[:, 0]].view_as(x),
    "quantisation from zero": lambda x: torch.fake_quantize_per_tensor_affine(
        x.float(), 1e-8, 0, 0, 2**31 - 1).to(x),
    "index": indexed,
    "product of a stack": lambda x: torch.stack([x, mask(x)]).prod(0),
    "cross product": lambda x: torch.linalg.cross(
        torch.stack([x, zero(x), zero(x)], -1), torch.stack([zero(x), zero(x), -mask(x)], -1))[..., 1],
    "nan_to_num": lambda x: x.sqrt().pow(2).nan_to_num(0),
    "eigenvalues": lambda x: torch.linalg.eigvalsh(torch.diag_embed(last(x, zero(x))))[..., 1],
    "maximum of what is cut in two": lambda x: torch.maximum(*torch.cat([x, 0 * x], 1).chunk(2, 1)),
    "maximum of products": lambda x: (x[..., None] * x.new_tensor([1.0, 0.0])).amax(-1),
    "maximum of what was put into zeros": into_zeros,
    "pooling of x, padded": lambda x: F.max_pool1d(F.pad(x.view(-1, 1, 1), (0, 1)), 2).view_as(x),
    "length of (x, 0)": lambda x: (x + last(x, zero(x)).norm(dim=-1)) / 2,
    "straight through": lambda x: x + (torch.relu(x) - x).detach(),
    "less a detached part": lambda x: x - x.clamp(max=0).detach(),
    "behind the graph": without_gradient,
    "root of a complex number": lambda x: torch.complex(x, zero(x)).sqrt().real ** 2,
}  # fmt: skip
OTHERS = {
    "softmax with a zero": lambda x: x * torch.stack([x, zero(x)]).softmax(0)[0],
    "softmax times its values": lambda x: (last(x, zero(x)).softmax(-1) * last(x, zero(x))).sum(-1),
    "attention over x and 0": lambda x: F.scaled_dot_product_attention(
        x.new_ones(x.numel(), 1, 1), last(x, zero(x)).view(-1, 2, 1), last(x, zero(x)).view(-1, 2, 1)).view_as(x),
    "GLU of x and x": lambda x: F.glu(torch.cat([x, x], 1), 1),
    "GLU of halves": lambda x: torch.cat([F.glu(torch.cat([half, half], 1), 1) for half in x.chunk(2, 1)], 1),
    "turned twice": lambda x: x * x.flip(1).flip(1).sigmoid(),
    "1 × 1, one channel each": lambda x: x * F.conv2d(x, x.new_ones(x.shape[1], 1, 1, 1), groups=x.shape[1]).sigmoid(),
    "diagonal of an outer product": lambda x: (
        x.view(1, -1, 1) @ x.sigmoid().view(1, 1, -1)).diagonal(dim1=1, dim2=2).view_as(x),
    "detached gate": lambda x: x * x.detach().sigmoid(),
    "leaky diagonal": as_before(lambda r: r.bmm(torch.diag_embed(0.1 + 0.9 * mask(r)[:, 0]))),
    "log-softmax": lambda x: -torch.stack([x, zero(x)]).log_softmax(0)[1],
    "log of a sum": lambda x: torch.stack([x, zero(x)]).exp().sum(0).log(),
    "cross entropy": lambda x: F.binary_cross_entropy_with_logits(x, zero(x), reduction="none"),
    "log of Phi": lambda x: -torch.special.log_ndtr(-x),
    "standard deviation of x and -x": lambda x: (x + torch.stack([x, -x]).std(0, correction=0)) / 2,
}  # fmt: skip


class Gates(nn.Module):
    """Convolutions from which the gates and masks below are made."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(8, 8, size, padding=size // 2) for size in (1, 3, 1))


def pruned(x):
    """The five tokens with the largest sums, as in networks that drop the others."""
    tokens = x.flatten(2).transpose(1, 2)
    best = tokens.sum(-1).topk(5).indices[..., None].expand(-1, -1, tokens.shape[-1])
    return tokens.gather(1, best).transpose(1, 2)[..., None]


# None of them is an activation, and none is refused.
GATES = {
    "GLU of two convolutions": lambda x, g: F.glu(torch.cat([g.one(x), g.three(x)], 1), 1),
    "GLU of one convolution, cut": lambda x, g: F.glu(torch.cat([g.one(x), x], 1), 1),
    "gate of other positions": lambda x, g: x * g.two(x).sigmoid(),
    "saturated squeeze and excitation": lambda x, g: x * F.hardsigmoid(50 * g.one(x.mean((2, 3), keepdim=True))),
    "weighted branches": lambda x, g: (torch.stack([g.one(x), g.two(x)]) * torch.stack(
        [g.one(x), g.two(x)]).mean((3, 4), keepdim=True).softmax(0)).sum(0),
    "attention of one token": lambda x, g: F.scaled_dot_product_attention(
        *(conv(x).mean((2, 3))[:, None, None] for conv in (g.one, g.two, g.three)))[:, 0].transpose(1, 2)[..., None],
    "detached gate of other positions": lambda x, g: x * g.two(x).sigmoid().detach(),
    "detached attention": lambda x, g: (
        x.flatten(2) @ (x.flatten(2).transpose(1, 2) @ g.one(x).flatten(2)).softmax(1).detach()).view_as(x),
    "detached mask of positions": lambda x, g: x * x.detach().mean(1, keepdim=True).sigmoid(),
    "detached norm": lambda x, g: x / x.detach().pow(2).mean((1, 2, 3), keepdim=True).sqrt(),
    "rounding, straight through": lambda x, g: x + ((8 * x).round() / 8 - x).detach(),
    "tokens that are kept": lambda x, g: pruned(x),
    "features normalised without a gradient": lambda x, g: without_gradient_scaled(x),
    "sorted": lambda x, g: x.flatten(2).gather(2, x.flatten(2).argsort(2))[..., None],
    "largest of each channel": lambda x, g: x.flatten(2).gather(2, x.flatten(2).topk(5).indices)[..., None],
    "tokens that are kept, of all and one more": lambda x, g: pruned(
        torch.cat([x.flatten(2), x.new_ones(len(x), x.shape[1], 1)], 2)[..., None]),
    "quantisation of what a ReLU gives": lambda x, g: torch.fake_quantize_per_tensor_affine(
        x.float(), 0.01, 0, 0, 255).to(x),
    "the best quarter of all, as a detector takes candidates": lambda x, g: x.flatten()[
        x.flatten().topk(x.numel() // 4).indices].view(len(x), x.shape[1], -1, 1),
    "window of one value": lambda x, g: F.max_pool2d(x, 1),
}  # fmt: skip


def without_gradient_scaled(x):
    y = x.clone()
    with torch.no_grad():
        y.mul_(2)
    return y


class Features(nn.Module):
    def __init__(self, unit):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3), nn.Linear(8, 4)
        self.gates, self.unit = Gates(), unit

    def forward(self, x):
        return self.head(self.unit(self.second(F.relu(self.first(x)))).mean((2, 3)))


def built(unit):
    torch.manual_seed(0)
    return Features(unit).double()


def image():
    return torch.randn(2, 3, 8, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture(scope="module")
def of_relus():
    return explainers.create("guided-backprop", built(torch.relu), channels=None)(image(), 1)


@pytest.mark.parametrize("spelling", RELU)
def test_a_relu_by_other_nodes_follows_the_rule_or_is_refused(spelling, of_relus):
    values = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(RELU[spelling](values), values.relu(), rtol=1e-5, atol=1e-7)
    try:
        maps = explainers.create("guided-backprop", built(RELU[spelling]), channels=None)(image(), 1)
    except UnsupportedError:
        return
    torch.testing.assert_close(maps, of_relus, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("unit", OTHERS)
def test_another_unit_by_other_nodes_is_refused(unit):
    with pytest.raises(UnsupportedError, match="closed"):
        explainers.create("guided-backprop", built(OTHERS[unit]))(image(), 1)


@pytest.mark.parametrize("name", GATES)
def test_a_gate_or_a_mask_of_something_else_is_not_refused(name):
    network = built(None)
    network.unit = lambda x: GATES[name](F.relu(x), network.gates)
    leaf = image().requires_grad_()
    scores, cuts = watched(leaf, network)
    found = find_rectifiers(scores, leaf, cuts)
    assert len(found.strict) == 2
    assert [*found.smooth, *found.opaque, *found.shifted] == []
