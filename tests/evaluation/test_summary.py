"""What the marks and the foot of the table say, on tables made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import explainers
from explainers import create_metric
from explainers.evaluation.intervals import interval_of
from explainers.evaluation.tables.summary import summarise


def table(values, metric="sparseness", **columns):
    """The summary of explainer → values of the images 0, 1, …; None where an image has none."""
    made = create_metric(metric) if isinstance(metric, str) else metric
    rows = [
        {
            "image": str(image),
            "explainer": name,
            "metric": made.name,
            "score": made.name,
            "value": value,
            "seconds": 0.0,
            "status": "ok",
            "reason": "",
            **columns,
        }
        for name, column in values.items()
        for image, value in enumerate(column)
        if value is not None
    ]
    return summarise(rows, {made.name: made})


@pytest.mark.parametrize(
    ("metric", "columns", "ends"),
    [
        ("sparseness", {}, (0, 1)),
        ("miou", {}, (0, 1)),
        ("deletion", {"quantity": "probability"}, (0, 1)),
        ("pid", {"quantity": "probability"}, (-1, 1)),
        ("pid", {"quantity": "difference"}, (None, None)),
        ("complexity", {}, (0, None)),
        ("deletion", {"quantity": "score"}, (None, None)),
    ],
)
def test_intervals_end_where_the_range_of_a_metric_does(metric, columns, ends):
    summary = table({"a": [0.05, 0.4, 0.99]}, create_metric(metric), **columns)
    low, high = summary.cells["a", metric].interval
    free_low, free_high = interval_of(np.array([0.05, 0.4, 0.99]))
    assert free_low < -1
    assert free_high > 1
    assert (low, high) == (free_low if ends[0] is None else ends[0], free_high if ends[1] is None else ends[1])


def test_equal_means_that_no_other_explainer_is_better():
    """The best is far from the last on average, but not surely; the second is surely better than the last."""
    rng = np.random.default_rng(0)
    last = rng.random(12)
    values = {"best": last + rng.choice([-8.0, 10.0], 12), "second": last + 0.5, "last": last}
    values["best"] += values["last"].mean() + 1.5 - values["best"].mean()
    summary = table(values)
    assert summary.explainers == ("best", "second", "last")
    marks = {name: summary.cells[name, "sparseness"].best for name in values}
    assert marks == {"best": True, "second": True, "last": False}
    tests = {(each.first, each.second): each.p for each in summary.tests}
    assert tests["best", "last"] > 0.05 > tests["second", "last"]
    assert "= no other explainer is better" in summary.notes()[0]
    assert [row["no_other_is_better"] for row in summary.rows()] == [True, True, False]


@pytest.mark.parametrize(
    ("metric", "low"),
    [
        ("pointing-game", 0.025 ** (1 / 20)),
        ("increase", 0.025 ** (1 / 20)),
        ("energy-pointing-game", 1),
        ("relevance-rank", 1),
    ],
)
def test_a_score_of_yes_or_no_may_fail_on_the_next_image_and_an_overlap_of_one_tells_no_such_thing(metric, low):
    interval = table({"one": [1.0] * 20}, metric).cells["one", metric].interval
    assert interval == pytest.approx((low, 1))


@pytest.mark.parametrize("turn", [False, True])
def test_which_of_two_is_better_is_told_by_the_images_that_both_have(turn):
    """On twelve common images `one` is better on each; an image that only `two` has lifts its mean above."""
    common = np.random.default_rng(1).random(12)
    values = {"one": [*(common + 0.5), None], "two": [*common, 1000.0]}
    if turn:
        values = dict(reversed(values.items()))
    summary = table(values)
    assert summary.cells["two", "sparseness"].value > summary.cells["one", "sparseness"].value
    assert summary.cells["one", "sparseness"].best
    assert not summary.cells["two", "sparseness"].best
    (test,) = summary.tests
    assert test.p < 0.05
    assert test.difference == pytest.approx(-0.5 if turn else 0.5)


def test_the_foot_says_how_many_images_it_would_take_to_find_anything():
    rng = np.random.default_rng(0)
    values = {name: list(rng.random(5) + 10 * number) for number, name in enumerate("abcdefghij")}
    text = str(table(values))
    assert "no difference can be found with so few images, however large: 45 pairs need 11 images" in text
    assert "fewer than 20 images: intervals of skewed scores hold the true value less often than they say" in text
    enough = {name: list(rng.random(24) + 10 * number) for number, name in enumerate("abcdefghij")}
    assert "so few images" not in str(table(enough))
    assert "fewer than" not in str(table(enough))


@pytest.mark.parametrize(("options", "said"), [({}, True), ({"baseline": "zero"}, False)])
def test_an_id_score_of_two_baselines_says_that_zero_is_not_chance_and_has_randoms_beside_it(options, said):
    summary = table({"random": [0.3, 0.4], "mine": [0.5, 0.6]}, create_metric("id-score", **options))
    assert ("0 is not chance: read it beside random's" in str(summary)) is said
    assert [row["random"] for row in summary.rows()] == pytest.approx([0.35, 0.35])


def test_rows_of_maps_that_cannot_be_judged_have_the_columns_of_all_others():
    """A map that is NaN, and one that its explainer refuses."""

    def mine(images, targets):
        if len(images) > 1 or images[0, 0, 0, 0] == 2:
            raise explainers.errors.ImageError("not this one")
        return images.mean(1) if images[0, 0, 0, 0] == 0 else torch.full_like(images[:, 0], torch.nan)

    images = torch.rand(3, 3, 8, 8)
    images[:, 0, 0, 0] = torch.tensor([0.0, 1.0, 2.0])
    result = explainers.evaluate(lambda x: x.mean((2, 3)), images, {"mine": mine}, ["sparseness"])
    wanted = ("image", "explainer", "metric", "score", "value", "target", "probability", "seconds", "curve", "parts")
    assert all(row.keys() >= {*wanted, "status", "reason"} for row in result.rows)
    failed = [row for row in result.rows if row["status"] == "failed"]
    assert [(row["image"], row["score"], row["value"]) for row in failed] == [("1", "", None), ("2", "", None)]
    assert result.scores == ("sparseness",)
    assert set(result.values("sparseness")["mine"]) == {"0"}
    assert result.to_csv().splitlines()[0].startswith("image,explainer,metric,score,value,target")


def areas_table(**columns):
    rows = [
        {
            "image": str(image),
            "explainer": name,
            "metric": "deletion",
            "score": "deletion",
            "value": 0.1 * image,
            "seconds": 0.0,
            "status": "ok",
            "reason": "",
            "area_error": error,
            "widest_gap": 0.08 if image else 0.05,
            "probes": 2,
            "probed_error": off,
            **columns,
        }
        for name, off in (("one", 0.01), ("two", -0.02))
        for image, error in enumerate((0.003, 0.004, 0.0))
    ]
    return summarise(rows, {"deletion": create_metric("deletion")})


def test_the_foot_says_how_well_areas_under_adaptive_curves_are_known():
    """Six random steps a method: of six zeros the mean is at most 1 − 0.05^(1/6) = 0.393 at 95 %."""
    summary = areas_table(probed_size=0.0)
    one = summary.areas["one", "deletion"]
    assert (one.probes, one.gap) == (6, 0.08)
    assert one.error == pytest.approx(np.sqrt((9 + 16) / 3) / 1000)
    assert one.unseen == pytest.approx(1 - 0.05 ** (1 / 6))
    (line,) = [note for note in summary.notes() if note.startswith("areas by adaptive steps")]
    assert line == (
        "areas by adaptive steps (deletion): standard error of one at most 0.0029; random steps between the others moved "
        "a mean by at most 0.02 (two, deletion) and leave at most 0.39 of a mean area unseen (95 %, one, deletion: 6 of "
        "them); in a single curve a feature narrower than 0.08 of the way may hide (widest_gap)"
    )
    row = summary.rows()[0]
    assert (row["area_error"], row["unseen_at_most"]) == (one.error, one.unseen)


def test_scores_that_are_no_probabilities_have_no_limit_of_what_is_unseen():
    summary = areas_table()
    assert summary.areas["one", "deletion"].unseen is None
    assert not any("unseen" in note for note in summary.notes())


def test_scores_without_adaptive_curves_say_nothing_of_areas():
    summary = table({"one": [1.0, 2.0]})
    assert not any("areas" in note for note in summary.notes())
    assert {"area_error", "probed_error", "unseen_at_most"} <= summary.rows()[0].keys()
    assert summary.rows()[0]["unseen_at_most"] is None


def test_nothing_is_marked_where_no_difference_could_be_found():
    """One image tests nothing, however far apart; twelve do."""
    for count in (1, 12):
        summary = table({"one": [9.0] * count, "two": [1.0] * count, "random": [0.0] * count})
        marks = [cell for line in summary.lines()[1:] for cell in line if "=" in cell or "°" in cell]
        told = [row["no_other_is_better"] for row in summary.rows()]
        if count == 1:
            assert not marks
            assert set(told) == {None}
            assert "no difference can be found with so few images" in str(summary)
        else:
            assert len(marks) == 1
            assert told == [True, False, False]


def test_a_score_without_any_value_is_told_and_has_no_cell():
    """As where no detection has a true box: every row is there, and none has a value."""
    metric = create_metric("sparseness")
    row = {
        "metric": metric.name,
        "score": metric.name,
        "value": None,
        "seconds": 0.0,
        "status": "failed",
        "reason": "x",
    }
    summary = summarise(
        [{"image": str(image), "explainer": name, **row} for image in range(2) for name in ("one", "two")],
        {metric.name: metric},
    )
    assert [cells[1] for cells in summary.lines()[1:]] == ["–", "–"]
    assert "one: 2 images without a map or value" in str(summary)
