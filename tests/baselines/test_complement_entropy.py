"""Complement entropy: by hand, slowly, which way it pushes, and what becomes of the true class."""

from __future__ import annotations

import math

import pytest
import torch

from explainers.baselines import complement_entropy
from explainers.errors import OptionError


def slowly(logits, labels, variant):
    total = 0.0
    for row, true in zip(logits.tolist(), labels.tolist(), strict=True):
        exponentials = [math.exp(z) for z in row]
        shares = [e / sum(exponentials) for e in exponentials]
        rest = 1 - shares[true] + 1e-7 if variant == "renormalised" else 1
        for each, share in enumerate(shares):
            if each != true:
                total += share / rest * math.log(share / rest + 1e-10)
    return total / (len(logits) * logits.shape[1])


def drawn(count=5, classes=4, seed=0):
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, classes, generator=rng, dtype=torch.float64)
    return logits, torch.randint(classes, (count,), generator=rng)


def entropy_of_wrong(logits, labels):
    """Mean entropy of the softmax over the wrong logits alone."""
    wrong = torch.stack([torch.cat([row[:g], row[g + 1 :]]) for row, g in zip(logits, labels.tolist(), strict=True)])
    p = wrong.softmax(1)
    return float(-(p * p.log()).sum(1).mean())


def test_by_hand():
    """ŷ = (½, ¼, ¼): renormalised to (½, ½), or ¼ log ¼ twice as it is."""
    logits, labels = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log(), torch.tensor([0])
    assert float(complement_entropy(logits, labels)) == pytest.approx(math.log(0.5) / 3, rel=1e-6)
    assert float(complement_entropy(logits, labels, "zeroed")) == pytest.approx(0.5 * math.log(0.25) / 3, rel=1e-6)


@pytest.mark.parametrize("variant", ["renormalised", "zeroed"])
@pytest.mark.parametrize(("count", "classes"), [(1, 2), (5, 3), (7, 11)])
def test_equals_the_slow_form(variant, count, classes):
    logits, labels = drawn(count, classes)
    assert float(complement_entropy(logits, labels, variant)) == pytest.approx(
        slowly(logits, labels, variant), rel=1e-9
    )


@pytest.mark.parametrize("variant", ["renormalised", "zeroed"])
def test_its_gradient_is_that_of_its_value(variant):
    logits, labels = drawn()
    assert torch.autograd.gradcheck(lambda z: complement_entropy(z, labels, variant), logits.requires_grad_())


@pytest.mark.parametrize("variant", ["renormalised", "zeroed"])
@pytest.mark.parametrize("hold_true", [False, True])
def test_descent_flattens_the_wrong_classes(variant, hold_true):
    logits, labels = drawn(6, 5)
    entropies = [entropy_of_wrong(logits, labels)]
    for _ in range(4):
        for _ in range(100):
            logits.requires_grad_()
            (gradient,) = torch.autograd.grad(complement_entropy(logits, labels, variant, hold_true=hold_true), logits)
            logits = logits.detach() - 20 * gradient
        entropies.append(entropy_of_wrong(logits, labels))
    assert entropies == sorted(entropies)
    assert entropies[0] < 0.9 * math.log(4)
    assert entropies[-1] > 0.99 * math.log(4)


@pytest.mark.parametrize("variant", ["renormalised", "zeroed"])
def test_minimising_the_opposite_sign_sharpens_them(variant):
    """The entropy as it is printed in places: a step down it makes the wrong classes less alike."""
    logits, labels = drawn(6, 5)
    before = entropy_of_wrong(logits, labels)
    for _ in range(50):
        logits.requires_grad_()
        (gradient,) = torch.autograd.grad(-complement_entropy(logits, labels, variant), logits)
        logits = logits.detach() - 5 * gradient
    assert entropy_of_wrong(logits, labels) < 0.5 * before


def gradient_at_true(logits, labels, variant, **more):
    (gradient,) = torch.autograd.grad(complement_entropy(logits.requires_grad_(), labels, variant, **more), logits)
    return gradient.gather(1, labels[:, None])[:, 0], gradient


def test_renormalised_the_true_logit_is_left_alone():
    logits, labels = drawn(6, 5)
    of_true, gradient = gradient_at_true(logits, labels, "renormalised")
    assert of_true.abs().max() < 1e-6 * gradient.abs().max()  # the epsilon's share
    assert gradient.abs().max() > 1e-3


def test_zeroed_the_true_logit_moves_as_documented():
    logits, labels = drawn(6, 5)
    of_true, gradient = gradient_at_true(logits, labels, "zeroed")
    shares = logits.detach().softmax(1)
    true = shares.gather(1, labels[:, None])[:, 0]
    entropy = -(shares * shares.log()).sum(1) + true * true.log()
    torch.testing.assert_close(of_true, true * (entropy - (1 - true)) / (6 * 5), atol=1e-9, rtol=1e-6)
    assert of_true.abs().max() > 0.01 * gradient.abs().max()


def test_zeroed_from_four_classes_on_the_true_class_vanishes_and_the_others_are_equal():
    found = {}
    for classes in (2, 3, 4):
        logits, labels = torch.zeros(1, classes, dtype=torch.float64), torch.tensor([0])
        for _ in range(3000):
            _, gradient = gradient_at_true(logits, labels, "zeroed")
            logits = logits.detach() - 2 * gradient
        found[classes] = logits.softmax(1)[0]
    assert found[4][0] < 0.01
    torch.testing.assert_close(found[4][1:] / found[4][1:].sum(), torch.full((3,), 1 / 3, dtype=torch.float64))
    # of fewer the entropy has its maximum inside: every wrong class has 1/e, or all together less than 1
    assert float(found[2][1]) == pytest.approx(1 / math.e, abs=1e-3)
    assert float(found[3][1]) == pytest.approx(1 / math.e, abs=1e-3)


@pytest.mark.parametrize("variant", ["renormalised", "zeroed"])
def test_a_true_logit_that_is_held_gets_nothing_and_the_others_what_they_got(variant):
    logits, labels = drawn(6, 5)
    free = gradient_at_true(logits, labels, variant)[1]
    held, gradient = gradient_at_true(logits, labels, variant, hold_true=True)
    assert not held.any()
    mask = torch.nn.functional.one_hot(labels, 5).bool()
    torch.testing.assert_close(gradient[~mask], free[~mask])


def test_a_certain_network_gives_numbers():
    logits = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]])
    for variant in ("renormalised", "zeroed"):
        _, gradient = gradient_at_true(logits, torch.tensor([0, 0]), variant)
        assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("logits", "labels", "variant", "message"),
    [
        ((2, 3), [0, 1], "other", "variant='other'; expected 'renormalised' or 'zeroed'"),
        ((2, 1), [0, 0], "zeroed", "1 class; expected at least 2, since with one there is no wrong class"),
        ((2, 3), [0, 3], "zeroed", "labels 0 … 3; expected 0 … 2"),
        ((2, 3), [-1, 2], "zeroed", "labels -1 … 2; expected 0 … 2"),
        (
            (2, 3),
            [0],
            "zeroed",
            "labels of shape (1,) and torch.int64; expected (2,) whole numbers, one an image",
        ),
        ((2, 3, 4), [0, 1], "zeroed", "logits of shape (2, 3, 4); expected (N, classes)"),
    ],
)
def test_what_does_not_fit_is_refused(logits, labels, variant, message):
    with pytest.raises(OptionError) as caught:
        complement_entropy(torch.zeros(logits), torch.tensor(labels), variant)
    assert str(caught.value) == message
