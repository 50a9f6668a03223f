"""What rows say of the steps at which nobody looked: against enumerations, and on curves that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_curves import SIDE, STEPS, LookedUp, smooth_curves, with_boxes

from explainers import create_metric, evaluate
from explainers.errors import OptionError
from explainers.evaluation.measuring.curve_sampling import Adaptive, area
from explainers.evaluation.measuring.unseen import Unseen, difference_columns, probe_of, random_steps


class Given:
    """In place of a generator: the same number wherever one is drawn."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self, count: int) -> np.ndarray:
        return np.full(count, self.number)


KNOWN = np.array([0, 3, 4, 5, 10, 12])
BETWEEN = [1, 2, 6, 7, 8, 9, 11]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9])
def test_every_step_between_is_drawn_equally_often(count):
    """The answer changes with the drawn number at multiples of 1/7 alone, so seven numbers are all there are."""
    drawn = [random_steps(KNOWN, count, Given((k + 0.5) / 7)) for k in range(7)]
    assert all((np.diff(each) >= 0).all() for each in drawn)
    steps, counts = np.unique(np.concatenate(drawn), return_counts=True)
    assert steps.tolist() == BETWEEN
    assert counts.tolist() == [count] * 7


def test_where_every_step_was_seen_none_is_drawn():
    assert len(random_steps(np.arange(6), 2, np.random.default_rng(0))) == 0
    assert len(random_steps(np.array([0]), 2, np.random.default_rng(0))) == 0


@pytest.mark.parametrize("count", [1, 3])
def test_surprises_are_on_average_what_the_area_lacks(count, monkeypatch):
    curve = np.random.default_rng(0).random(13)
    lacking = np.trapezoid(curve, dx=1 / 12) - area(KNOWN / 12, curve[KNOWN])
    found = []
    for k in range(7):
        monkeypatch.setattr(np.random, "default_rng", lambda _, k=k: Given((k + 0.5) / 7))
        probe = probe_of(KNOWN, curve[KNOWN], count, 0)
        found.append(probe.surprises(curve[probe.steps]).mean())
    assert np.mean(found) == pytest.approx(lacking, rel=1e-12)


def test_columns_by_hand():
    one = Unseen(0.003, 0.1, (0.1, -0.3))
    assert one.columns() == pytest.approx(
        {"area_error": 0.003, "widest_gap": 0.1, "probes": 2, "probed_error": -0.1, "probed_size": 0.2}
    )
    other = Unseen(0.004, 0.05, (0.2,))
    assert difference_columns(one, other) == pytest.approx(
        {"area_error": 0.005, "widest_gap": 0.1, "probes": 3, "probed_error": -0.3, "probed_size": 0.2}
    )
    assert difference_columns(one, None) == {}
    assert Unseen(0.0, 0.0).columns() == {"area_error": 0.0, "widest_gap": 0.0, "probes": 0}
    assert "probed_size" not in Unseen(1.0, 0.1, (7.0,), bounded=False).columns()


def scored(curves: np.ndarray, **options):
    """Rows of the deletion of all made curves."""
    network = LookedUp(curves)
    order = torch.linspace(1, 0, STEPS).view(1, SIDE, SIDE)
    maps = {"given": lambda images, _: order.expand(len(images), -1, -1)}
    result = evaluate(network, network.images(), maps, [create_metric("deletion", **options)], 0)
    return result, [row for row in result.rows if row["explainer"] == "given"]


def looks(row) -> np.ndarray:
    return np.round(row["curve"].shares * STEPS).astype(int)


def test_rows_say_what_their_steps_leave_open():
    curves = smooth_curves(3, np.random.default_rng(2))
    _, rows = scored(curves)
    for row, curve in zip(rows, curves, strict=True):
        seen = looks(row)
        gaps = np.diff(seen)
        assert row["widest_gap"] == pytest.approx(gaps.max() / STEPS)
        assert row["widest_gap"] <= 0.1
        moved = np.pad(np.diff(curve[seen]) ** 2, 1)
        width = np.pad(gaps / STEPS, 1)
        speed = [moved[i : i + 3].sum() / width[i : i + 3].sum() for i in range(len(gaps))]
        variance = sum(v * (g / STEPS) ** 3 / 12 for v, g in zip(speed, gaps, strict=True) if g > 1)
        assert row["area_error"] == pytest.approx(np.sqrt(variance), rel=1e-3)  # the network computes in float32
        assert row["area_error"] <= 0.002
        assert row["probes"] == 2
        assert row["value"] == pytest.approx(np.trapezoid(curve, dx=1 / STEPS), abs=2 * row["area_error"])


def test_given_steps_are_what_they_are_and_have_no_such_columns():
    _, rows = scored(smooth_curves(2, np.random.default_rng(0)), steps=16)
    assert not {"area_error", "widest_gap", "probes", "probed_error", "probed_size"} & rows[0].keys()


@pytest.mark.parametrize("width", [0.02, 0.05, 0.1])
def test_errors_on_narrow_features_are_within_what_rows_and_tables_say(width):
    """A box of full height somewhere on a smooth curve; benchmarks/narrow.py has 400 of each."""
    rng = np.random.default_rng(3)
    curves, boxes = with_boxes(smooth_curves(60, rng), width, rng)
    result, rows = scored(curves)
    errors = np.array([row["value"] for row in rows]) - np.trapezoid(curves, dx=1 / STEPS, axis=1)
    own, gap = (np.array([row[name] for row in rows]) for name in ("area_error", "widest_gap"))
    hidden = np.array([not box[looks(row)].any() for box, row in zip(boxes, rows, strict=True)])
    assert (np.abs(errors) <= 2 * own + gap).all()
    assert (np.abs(errors[~hidden]) <= 2 * own[~hidden]).mean() >= 0.95
    assert hidden.any() == (width < 0.1)  # nothing as wide as the gap is passed over
    assert result.summary().areas["given", "deletion"].unseen >= abs(errors.mean())


def test_a_curve_that_hides_from_the_first_steps_surprises_the_random_ones():
    """Nothing at the first steps and 1 everywhere between them."""
    first = Adaptive().first(STEPS)
    curve = np.full((1, STEPS + 1), 1 - 1e-6)
    curve[0, first] = 1e-6
    _, (row,) = scored(curve)
    share = (STEPS + 1 - len(first)) / STEPS
    assert row["probed_error"] == pytest.approx(share, abs=1e-5)
    assert row["probed_size"] == pytest.approx(share, abs=1e-5)
    assert row["value"] > 0.95  # followed on from there: the line through the first steps is at 0


def test_a_smaller_gap_misses_nothing_that_wide():
    rng = np.random.default_rng(4)
    curves, boxes = with_boxes(smooth_curves(20, rng), 0.02, rng)
    _, rows = scored(curves, gap=0.02)
    assert all(box[looks(row)].any() for box, row in zip(boxes, rows, strict=True))
    assert max(row["widest_gap"] for row in rows) <= 0.02


def test_random_steps_are_those_of_the_image_whatever_the_metric_asks_beside():
    curves = smooth_curves(2, np.random.default_rng(5))
    curves[1] = curves[0]  # equal curves of two images
    _, rows = scored(curves)
    assert looks(rows[0]).tolist() != looks(rows[1]).tolist()
    _, again = scored(curves[:1])
    assert looks(again[0]).tolist() == looks(rows[0]).tolist()


@pytest.mark.parametrize("steps", [1, 2, 5, 49, 4096])
@pytest.mark.parametrize("gap", [0.03, 0.1, 1.0])
def test_the_first_steps_leave_no_wider_gap(steps, gap):
    first = np.array(Adaptive(gap=gap).first(steps))
    assert (first[0], first[-1]) == (0, steps)
    assert np.diff(first).min() >= 1
    assert np.diff(first).max() <= max(gap * steps, 1)


@pytest.mark.parametrize("gap", [0.0, -0.1, 1.5])
def test_a_gap_out_of_range_is_refused(gap):
    with pytest.raises(OptionError, match="expected a share of the way, above 0 and at most 1"):
        create_metric("insertion", gap=gap)
