"""Classes, differences, values and functions as targets, against plain autograd and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from target_case import chain, images

import explainers
from explainers.errors import OutputError, TargetError, UnsupportedError
from explainers.methods import create
from explainers.targets import ClassScore, Difference, Function, Similarity, Value

TARGETS = {
    "class": (ClassScore(2), lambda y: y[2]),
    "difference": (Difference(2, 0), lambda y: y[2] - y[0]),
    "half a difference": (Difference(2, 0, 0.5), lambda y: y[2] - 0.5 * y[0]),
    "value": (Value(3), lambda y: y[3]),
    "lowered": (Value(3, lowered=True), lambda y: -y[3]),
    "function": (Function(lambda y: y.square().sum()), lambda y: y.square().sum()),
}
SEEN = {  # f(x), what perturbations watch
    "class": lambda y: y.softmax(0)[2],
    "difference": lambda y: y.softmax(0)[2] - y.softmax(0)[0],
    "half a difference": lambda y: y.softmax(0)[2] - 0.5 * y.softmax(0)[0],
    "value": lambda y: y[3],
    "lowered": lambda y: -y[3],
    "function": lambda y: y.square().sum(),
}
QUICK = {
    "rise": {"masks": 128},
    "lime": {"samples": 20},
    "kernel-shap": {"samples": 20},
    "occlusion": {"window": 8, "stride": 8},
    "smooth-grad": {"samples": 2},
    "group-cam": {"groups": 2},
}
OWN = ("attention", "attention-rollout", "lambda-attention")  # of networks that explain themselves


def made(name, network):
    known = explainers.core.registry.options(explainers.method(name))
    return create(name, network, **{key: value for key, value in QUICK.get(name, {}).items() if key in known})


@pytest.mark.parametrize("name", TARGETS)
def test_saliency_and_input_x_gradient_are_plain_gradients_of_the_number(name):
    network, x = chain(), images()
    target, number = TARGETS[name]
    for row in range(2):
        leaf = x[row : row + 1].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(number(network(leaf)[0]), leaf)
        saliency = create("saliency", network)(x, target)[row]
        torch.testing.assert_close(saliency, gradient[0].abs().amax(0))
        product = create("input-x-gradient", network)(x, target)[row]
        torch.testing.assert_close(product, (gradient[0] * x[row]).sum(0))


@pytest.mark.parametrize("name", TARGETS)
def test_grad_cam_weighs_the_layer_by_the_gradient_of_the_number(name):
    network, x = chain(), images()
    target, number = TARGETS[name]
    maps = create("grad-cam", network, layer="last")(x, target)
    for row in range(2):
        activation = network.features(x[row : row + 1]).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(number(network.head(activation.mean((2, 3)))[0]), activation)
        wanted = F.relu((gradient.mean((2, 3), keepdim=True) * activation).sum(1, keepdim=True))
        wanted = F.interpolate(wanted, size=(16, 16), mode="bilinear", align_corners=False)[0, 0]
        torch.testing.assert_close(maps[row], wanted.detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", TARGETS)
def test_occlusion_and_rise_watch_f_of_the_number(name):
    network, x = chain(), images(1)
    target, seen = TARGETS[name][0], SEEN[name]
    with torch.no_grad():
        clean = float(seen(network(x)[0]))
        drops = torch.zeros(16, 16)
        for top in (0, 8):
            for left in (0, 8):
                covered = x.clone()
                covered[:, :, top : top + 8, left : left + 8] = 0
                drops[top : top + 8, left : left + 8] = clean - float(seen(network(covered)[0]))
    occluded = create("occlusion", network, window=8, stride=8)(x, target)[0]
    torch.testing.assert_close(occluded, drops, atol=1e-5, rtol=1e-4)

    class Watched(torch.nn.Module):  # the number as the only class of a network, as it is
        def forward(self, given):
            return torch.stack([seen(one) for one in network(given)])[:, None]

    wanted = create("rise", Watched().eval(), masks=128, activation=None)(x, 0)
    torch.testing.assert_close(create("rise", network, masks=128)(x, target), wanted, atol=1e-5, rtol=1e-4)


def methods():
    return [name for name in explainers.available() if name not in OWN and ":" not in name]


@pytest.mark.parametrize("name", methods())
def test_a_difference_with_factor_0_is_the_class_to_the_bit_and_the_class_is_the_index(name):
    network, x = chain(), images()
    index = made(name, network)(x, 2)
    assert torch.equal(made(name, network)(x, ClassScore(2)), index)
    assert torch.equal(made(name, network)(x, Difference(2, 4, 0)), index)
    assert torch.equal(made(name, network)(x, [ClassScore(2), 2]), index)
    assert torch.equal(made(name, network)(x), made(name, network)(x, ClassScore()))
    several = made(name, network)(x, [[2, Difference(2, 4)], [ClassScore(2), Difference(2, 4)]])
    torch.testing.assert_close(several[:, 0], index, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(several[:, 1], made(name, network)(x, Difference(2, 4)), atol=1e-6, rtol=1e-4)


def test_cam_of_a_difference_is_the_difference_of_cams_and_other_targets_are_refused():
    network, x = chain(), images()
    cam = create("cam", network)
    torch.testing.assert_close(cam(x, Difference(1, 3, 0.5)), cam(x, 1) - 0.5 * cam(x, 3))
    several = cam(x, [[1, Difference(1, 3)], [Difference(), 0]])
    assert several.shape == (2, 2, 16, 16)
    torch.testing.assert_close(several[1, 1], cam(x, 0)[1])
    best, second = network(x)[1].topk(2).indices.tolist()
    torch.testing.assert_close(several[1, 0], cam(x, best)[1] - cam(x, second)[1])
    for target in (Value(1), Similarity(torch.ones(5)), Function(lambda y: y.sum())):
        with pytest.raises(UnsupportedError, match="no sum of class scores"):
            cam(x, target)


def test_predicted_and_next_are_settled_on_the_unperturbed_image():
    network, x = chain(), images(4)
    order = network(x).argsort(dim=1, descending=True)
    maps = create("saliency", network)(x, Difference())
    for row in range(4):
        best, second = order[row, :2].tolist()
        torch.testing.assert_close(maps[row], create("saliency", network)(x, Difference(best, second))[row])
    found = create("saliency", network)(x, Difference(0))
    for row in range(4):
        second = next(each for each in order[row].tolist() if each != 0)
        torch.testing.assert_close(found[row], create("saliency", network)(x, Difference(0, second))[row])


def test_wrong_targets_are_refused_by_name():
    network, x = chain(), images()
    cases = [
        (ClassScore(9), "target 9 is out of range: the network has classes 0 … 4"),
        (Difference(0, 9), "target 9 is out of range"),
        (Value(7), r"Value\(7\) is out of range"),
        ([ClassScore(1)], "1 targets for 2 images"),
        ([[ClassScore(1)], [ClassScore(1), 2]], r"\(N,\) or \(N, K\)"),
        ([ClassScore(1), "cat"], "'cat' is no target"),
        ([ClassScore(1), 1.5], "1.5 is no target"),
        ([ClassScore(1), True], "True is no target"),
        (Function(lambda y: y), "expected one number"),
        (Function(lambda y: y.argmax()), "whole numbers"),
    ]
    for targets, said in cases:
        for name in ("saliency", "occlusion"):
            with pytest.raises(TargetError, match=said):
                made(name, network)(x, targets)
    for wrong in (-1, 1.0, True, "a"):
        with pytest.raises(TargetError, match="expected an index"):
            ClassScore(wrong)
    for wrong in (-1, float("nan"), float("inf"), True, "1"):
        with pytest.raises(TargetError, match="gamma"):
            Difference(0, 1, wrong)
    with pytest.raises(TargetError, match="minus itself"):
        Difference(1, 1)
    with pytest.raises(TargetError, match="one score"):
        create("saliency", chain(1))(x, Difference())


def test_what_a_function_raises_is_told_with_what_it_was_given():
    def peak(y):
        return y[9]

    with pytest.raises(OutputError, match=r"target peak: IndexError.*a tensor of shape \(5,\), of one image"):
        create("saliency", chain())(images(), Function(peak))


def test_functions_choose_classes_where_they_give_whole_numbers_and_are_numbers_else():
    network = chain()
    for count in (1, 2, 4, 8):  # fewer images than the index, and more
        x = images(count)
        saliency = create("saliency", network)
        chosen = saliency(x, lambda y: y.argmin(dim=1))
        torch.testing.assert_close(chosen[:, 0], saliency(x, network(x).argmin(dim=1)))
        torch.testing.assert_close(
            saliency(x, lambda y: y.topk(2, dim=1).indices)[:, 1], saliency(x, network(x).topk(2).indices[:, 1])
        )
        torch.testing.assert_close(saliency(x, lambda y: y[3]), saliency(x, 3))  # a score of one image
        torch.testing.assert_close(saliency(x, lambda y: y[3] - y[1]), saliency(x, Difference(3, 1)))


def test_equal_targets_have_one_key_and_different_ones_do_not():
    one, two = (lambda y: y[0]), (lambda y: y[1])
    every = [ClassScore(1), ClassScore(), Difference(1, 2), Difference(1, 2, 0.5), Value(1), Value(1, lowered=True)]
    every += [Similarity(torch.ones(3)), Similarity(torch.arange(1.0, 4.0)), Function(one, "a"), Function(two, "b")]
    assert len({target.key for target in every}) == len(every)
    assert Difference(1, 2, 1).key == Difference(1, 2, 1.0).key
    assert Similarity(torch.ones(3)).key == Similarity(torch.ones(3)).key
    assert len({Function(one), Function(one), Function(two)}) == 2
    assert Difference(1, 2).label(["a", "b", "c"]) == "b - c"
    assert Difference(np.int64(1).item(), 2, 0.5).label() == "class 1 - 0.5 class 2"
