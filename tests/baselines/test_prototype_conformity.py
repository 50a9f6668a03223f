"""Prototype conformity: by hand, slowly, where its gradients go, and how far down it can go."""

from __future__ import annotations

import math

import pytest
import torch

from explainers.baselines import prototype_conformity
from explainers.errors import OptionError


def norm(a, b):
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def slowly(features, labels, centres, form, margin=math.inf):
    features, centres = features.tolist(), centres.tolist()
    near, far = [], []
    for f, g in zip(features, labels.tolist(), strict=True):
        for j, w in enumerate(centres):
            if form == "squared":
                (near if j == g else far).append(norm(f, w) ** 2)
            elif j == g:
                near.append(norm(f, w))
            else:
                far.append(norm(f, w) + norm(centres[g], w))
    far = [min(each, margin) for each in far]
    return sum(near) / len(near), sum(far) / len(far)


def drawn(count=5, classes=4, width=3, seed=0):
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(count, width, generator=rng, dtype=torch.float64)
    centres = torch.randn(classes, width, generator=rng, dtype=torch.float64)
    return features, torch.randint(classes, (count,), generator=rng), centres


def test_by_hand():
    """f = (0, 0), its centre at 5, wrong ones at 1 (6 from its centre) and 2 (√29 from it)."""
    features, labels = torch.zeros(1, 2), torch.tensor([1])
    centres = torch.tensor([[-1.0, 0.0], [5.0, 0.0], [0.0, 2.0]])
    attraction, repulsion = prototype_conformity(features, labels, centres)
    assert (float(attraction), float(repulsion)) == pytest.approx((5, (1 + 6 + 2 + math.sqrt(29)) / 2))
    attraction, repulsion = prototype_conformity(features, labels, centres, form="squared")
    assert (float(attraction), float(repulsion)) == pytest.approx((25, (1 + 4) / 2))
    assert float(prototype_conformity(features, labels, centres, margin=7.2)[1]) == pytest.approx((7 + 7.2) / 2)


@pytest.mark.parametrize("form", ["norm", "squared"])
@pytest.mark.parametrize("margin", [None, 2.5])
@pytest.mark.parametrize(("count", "classes", "width"), [(1, 2, 1), (5, 4, 3), (60, 31, 7)])
def test_equals_the_slow_form(form, margin, count, classes, width):
    features, labels, centres = drawn(count, classes, width)
    found = prototype_conformity(features, labels, centres, form=form, margin=margin)
    expected = slowly(features, labels, centres, form, margin or math.inf)
    assert (float(found[0]), float(found[1])) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("form", ["norm", "squared"])
@pytest.mark.parametrize("part", [0, 1])
def test_its_gradient_is_that_of_its_value(form, part):
    features, labels, centres = (each.requires_grad_(each.is_floating_point()) for each in drawn())
    assert torch.autograd.gradcheck(
        lambda f, w: prototype_conformity(f, labels, w, form=form)[part], (features, centres)
    )


def test_distances_between_centres_move_centres_alone():
    """The repulsion's gradient for a feature is that of β: the mean unit vector away from the wrong centres."""
    features, labels, centres = drawn()
    (gradient,) = torch.autograd.grad(prototype_conformity(features.requires_grad_(), labels, centres)[1], features)
    for row, g in enumerate(labels.tolist()):
        away = [features[row] - w for j, w in enumerate(centres) if j != g]
        expected = sum(each / each.norm() for each in away) / len(away) / len(features)
        torch.testing.assert_close(gradient[row], expected.detach())


def test_points_that_coincide_give_numbers():
    features, centres = torch.ones(2, 3, requires_grad=True), torch.ones(3, 3, requires_grad=True)
    for form in ("norm", "squared"):
        parts = prototype_conformity(features, torch.tensor([0, 2]), centres, form=form)
        for gradient in torch.autograd.grad(parts[0] - parts[1], (features, centres)):
            assert not gradient.any()


def test_small_distances_far_from_the_origin_are_told():
    """By |a|² + |b|² − 2ab they would be rounding alone."""
    centres = torch.tensor([[1000.0, 1000.0], [1000.0, 1000.5]])
    features = (centres[:1] + torch.tensor([0.25, 0.0])).repeat(40, 1)
    attraction, _ = prototype_conformity(features, torch.zeros(40, dtype=torch.long), centres)
    assert float(attraction) == 0.25


@pytest.mark.parametrize("share", [1e-4, 0.5, 1.0])
def test_for_given_centres_no_features_get_below_the_bound(share):
    _, _, centres = drawn(classes=5)
    gaps = torch.cdist(centres, centres)
    rng = torch.Generator().manual_seed(1)
    for scale in (0.1, 1.0, 100.0, 1e6):
        features = scale * torch.randn(200, 3, generator=rng, dtype=torch.float64)
        labels = torch.randint(5, (200,), generator=rng)
        attraction, repulsion = prototype_conformity(features, labels, centres)
        bound = -2 * share * gaps[labels].sum(1).mean() / 4
        assert attraction - share * repulsion >= bound - 1e-9
        if share < 1:
            attraction, repulsion = prototype_conformity(features, labels, centres, form="squared")
            bound = -share / (1 - share) * gaps.square()[labels].sum(1).mean() / 4
            assert attraction - share * repulsion >= bound - 1e-9


@pytest.mark.parametrize("form", ["norm", "squared"])
def test_centres_that_leave_one_another_are_held_by_a_margin_alone(form):
    """Features and centres learn together, with the repulsion at full weight."""
    for margin in (None, 4.0):
        features, labels, centres = drawn(6, 3, 2)
        for _ in range(300):
            leaves = features.requires_grad_(), centres.requires_grad_()
            attraction, repulsion = prototype_conformity(*leaves[:1], labels, centres, form=form, margin=margin)
            of_features, of_centres = torch.autograd.grad(attraction - repulsion, leaves)
            features, centres = features.detach() - 0.5 * of_features, centres.detach() - 0.5 * of_centres
        value = float((attraction - repulsion).detach())
        if margin is None:
            assert value < -100
        else:
            assert -margin <= value < -0.8 * margin


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"form": "cosine"}, "form='cosine'; expected 'norm' or 'squared'"),
        ({"margin": 0.0}, "margin=0.0; expected a positive distance, or None for none"),
        ({"margin": float("nan")}, "margin=nan; expected a positive distance, or None for none"),
        (
            {"centres": torch.zeros(4, 2)},
            "features of shape (5, 3) and centres of shape (4, 2); expected (N, D) and (classes, D)",
        ),
        ({"labels": torch.full((5,), 4)}, "labels 4 … 4; expected 0 … 3"),
        ({"centres": torch.zeros(1, 3)}, "1 class; expected at least 2, since with one there is no wrong class"),
    ],
)
def test_what_does_not_fit_is_refused(more, message):
    features, labels, centres = drawn()
    given = {"features": features, "labels": labels, "centres": centres, **more}
    with pytest.raises(OptionError) as caught:
        prototype_conformity(given.pop("features"), given.pop("labels"), given.pop("centres"), **given)
    assert str(caught.value) == message
