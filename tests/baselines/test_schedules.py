"""Learning rates over epochs: against torch's own schedulers, and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, PolynomialLR, ReduceLROnPlateau

from explainers.baselines.training.settings.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Milestones,
    Plateau,
    Polynomial,
    Schedule,
    best_epoch,
    exhausted,
)
from explainers.errors import OptionError

NAN = float("nan")


@pytest.mark.parametrize("power", [0.5, 0.9, 1, 2])
def test_polynomial_gives_the_rates_of_torch(power):
    other = optimizer(0.1)
    rule = PolynomialLR(other, total_iters=7, power=power)
    for epoch in range(9):  # behind the last epoch it stays at 0
        ours = 0.1 * Polynomial(power).scale([0.7] * epoch, 7)
        assert ours == pytest.approx(other.param_groups[0]["lr"], abs=1e-12)
        other.step()
        rule.step()


def falling(rng: torch.Generator) -> list[float]:
    """Loss with noise around a decay, as a training has it."""
    return [math.exp(-epoch / 8) + 0.2 * float(torch.rand((), generator=rng)) for epoch in range(40)]


def stepped(rng: torch.Generator) -> list[float]:
    """Long plateaus of the very same value, and exact ties with the best so far."""
    steps = torch.randint(0, 4, (40,), generator=rng).tolist()
    return [1.0 - 0.25 * step for step in sorted(steps)[:20]] + [1.0 - 0.25 * step for step in steps[20:]]


def nearly(rng: torch.Generator) -> list[float]:
    """Improvements on both sides of the threshold of 1e-4."""
    value, found = 1.0, []
    for share in torch.rand(40, generator=rng).tolist():
        value *= 1 - 2e-4 * share
        found.append(value)
    return found


def optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("losses_of", [falling, stepped, nearly])
@pytest.mark.parametrize(("factor", "patience"), [(1 / 3, 2), (0.5, 0), (0.1, 5)])
def test_plateau_gives_the_rates_of_torch(seed, losses_of, factor, patience):
    losses = losses_of(torch.Generator().manual_seed(seed))
    other = optimizer(0.1)
    torch_rule = ReduceLROnPlateau(
        other, factor=factor, patience=patience, threshold=1e-4, threshold_mode="rel", min_lr=0, eps=0
    )
    schedule = Plateau(factor=factor, patience=patience)
    for epoch in range(len(losses)):
        assert schedule.scale(losses[:epoch], 40) * 0.1 == pytest.approx(other.param_groups[0]["lr"], rel=1e-9)
        torch_rule.step(losses[epoch])
    changed = schedule.scale(losses, 40)
    assert changed == pytest.approx(other.param_groups[0]["lr"] / 0.1, rel=1e-9)
    if losses_of is stepped:
        assert changed < 1


def test_plateau_waits_for_more_than_patience_epochs():
    schedule = Plateau(factor=0.5, patience=2)
    losses = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]
    assert [schedule.scale(losses[:epoch], 8) for epoch in range(9)] == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_plateau_takes_an_improvement_below_its_threshold_for_none():
    schedule = Plateau(factor=0.5, patience=0, threshold=0.1)
    assert schedule.scale([1.0, 0.91], 5) == 0.5
    assert schedule.scale([1.0, 0.89], 5) == 1.0


def test_plateau_counts_a_loss_that_is_no_number_as_no_improvement():
    assert Plateau(factor=0.5, patience=1).scale([1.0, NAN, NAN], 5) == 0.5


@pytest.mark.parametrize(("warmup", "epochs"), [(0, 10), (3, 10), (5, 6), (0, 1)])
def test_cosine_after_its_warmup_gives_the_rates_of_torch(warmup, epochs):
    other = optimizer(0.1)
    torch_rule = CosineAnnealingLR(other, T_max=epochs - warmup, eta_min=0)
    for epoch in range(warmup, epochs):
        ours = 0.1 * Cosine(warmup=warmup).scale([0.7] * epoch, epochs)
        assert ours == pytest.approx(other.param_groups[0]["lr"], rel=1e-9, abs=1e-12)
        other.step()
        torch_rule.step()


def test_cosine_rises_in_equal_steps_to_one():
    schedule = Cosine(warmup=3)
    assert [schedule.scale([0.0] * epoch, 10) for epoch in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert Cosine(warmup=1).scale([], 2) == 0.5
    assert Cosine().scale([], 2) == 1.0


def test_cosine_by_hand():
    assert [round(Cosine().scale([0.0] * epoch, 4), 6) for epoch in range(5)] == [1.0, 0.853553, 0.5, 0.146447, 0.0]


def test_milestones_by_hand():
    schedule = Milestones()
    assert [schedule.scale([0.0] * epoch, 8) for epoch in range(8)] == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    assert Milestones(at=(0.5,), factor=0.2).scale([0.0] * 3, 4) == pytest.approx(0.2)
    assert Milestones(at=()).scale([0.0] * 3, 4) == 1.0


def test_milestones_of_resnets_for_cifar_are_those_of_the_paper():
    # He et al. 2016: 164 epochs, divided by 10 at 82 and 123.
    rates = [Milestones().scale([0.0] * epoch, 164) for epoch in range(164)]
    assert [epoch for epoch in range(1, 164) if rates[epoch] != rates[epoch - 1]] == [82, 123]


def test_constant_stays_at_one():
    assert {Constant().scale([0.3] * epoch, 5) for epoch in range(5)} == {1.0}


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_starts_from_its_defaults_in_0_to_1_and_remembers_nothing(name):
    schedule = SCHEDULES[name]()
    assert isinstance(schedule, Schedule)
    losses = falling(torch.Generator().manual_seed(1))
    first = [schedule.scale(losses[:epoch], 40) for epoch in range(40)]
    assert [schedule.scale(losses[:epoch], 40) for epoch in reversed(range(40))] == first[::-1]
    assert all(0 <= scale <= 1 for scale in first)
    assert schedule.settings()["kind"] == type(schedule).__name__


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_endless_when_an_epochs_rate_does_not_depend_on_how_many_are_to_come(name):
    schedule = SCHEDULES[name]()
    losses = stepped(torch.Generator().manual_seed(1))[:20]
    alike = all(schedule.scale(losses[:epoch], 20) == schedule.scale(losses[:epoch], 40) for epoch in range(20))
    assert schedule.endless == alike
    assert "endless" not in schedule.settings()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Polynomial(0), "power=0, floor=0.0; expected a positive power, no negative floor"),
        (lambda: Cosine(warmup=-1), "warmup=-1, floor=0.0; expected at least 0"),
        (lambda: Cosine(floor=-0.1), "warmup=0, floor=-0.1; expected at least 0"),
        (
            lambda: Milestones(at=(0.5, 80)),
            "at=(0.5, 80); expected shares of the epochs in 0 … 1, such as 0.5",
        ),
        (lambda: Milestones(at=(-0.5,)), "at=(-0.5,); expected shares of the epochs in 0 … 1, such as 0.5"),
        (
            lambda: Milestones(factor=10),
            "factor=10, floor=0.0; expected a factor in 0 … 1 and no negative floor",
        ),
        (
            lambda: Milestones(floor=-1.0),
            "factor=0.1, floor=-1.0; expected a factor in 0 … 1 and no negative floor",
        ),
        (
            lambda: Plateau(factor=1.0),
            "factor=1.0, floor=1e-06; expected a factor in 0 … 1 and no negative floor",
        ),
        (
            lambda: Plateau(factor=0.0),
            "factor=0.0, floor=1e-06; expected a factor in 0 … 1 and no negative floor",
        ),
        (
            lambda: Plateau(factor=0.5, floor=-1e-6),
            "factor=0.5, floor=-1e-06; expected a factor in 0 … 1 and no negative floor",
        ),
        (lambda: Plateau(patience=-1), "patience=-1, threshold=0.0001; expected at least 0, and below 1"),
        (lambda: Plateau(threshold=-0.1), "patience=2, threshold=-0.1; expected at least 0, and below 1"),
        (lambda: Plateau(threshold=1.0), "patience=2, threshold=1.0; expected at least 0, and below 1"),
    ],
)
def test_numbers_that_make_no_schedule_are_refused(make, message):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == message


def test_numbers_on_the_border_are_taken():
    made = [Cosine(0, 0.0), Milestones((0.0, 1.0), 0.99, 0.0), Milestones(()), Plateau(0.99, 0, 0.0, 0.0)]
    assert [schedule.scale([], 10) for schedule in made] == [1.0, 0.99, 1.0, 1.0]


def test_best_epoch_is_the_first_of_the_lowest():
    assert best_epoch([3.0, 1.0, 2.0, 1.0]) == 1
    assert best_epoch([1.0, 1.0]) == 0
    assert best_epoch([2.0]) == 0
    with pytest.raises(OptionError) as caught:
        best_epoch([])
    assert str(caught.value) == "no epoch has been validated"


@pytest.mark.parametrize("losses", [[NAN, 1.0, 0.5], [1.0, NAN, 0.5], [1.0, 0.7, 0.5, NAN]])
def test_best_epoch_is_never_one_whose_loss_is_no_number(losses):
    assert best_epoch(losses) == losses.index(0.5)


def test_without_any_number_the_first_epoch_is_the_best():
    assert best_epoch([NAN, NAN]) == 0
    assert best_epoch([NAN, math.inf]) == 0


def test_a_loss_that_is_no_number_counts_towards_patience():
    assert [exhausted([0.5, *[NAN] * count], 2) for count in range(4)] == [False, False, True, True]
    assert not exhausted([NAN, NAN, 0.5], 1)


def test_exhausted_by_hand():
    losses = [3.0, 1.0, 2.0, 1.0, 2.0]  # the best is epoch 1; a tie is no improvement
    assert [exhausted(losses[:count], 2) for count in range(6)] == [False, False, False, False, True, True]
    assert [exhausted(losses[:count], 1) for count in range(6)] == [False, False, False, True, True, True]
    assert exhausted(losses, 3)
    assert not exhausted(losses, 4)
    assert not exhausted([1.0] * 1000, None)
