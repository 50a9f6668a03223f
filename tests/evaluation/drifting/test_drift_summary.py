"""What is said of likenesses that were made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.errors import OptionError
from explainers.evaluation.drifting.result import Drift
from explainers.evaluation.drifting.summary import chance_levels
from explainers.evaluation.drifting.table_lines import Compared
from explainers.evaluation.intervals import interval_of
from explainers.evaluation.metrics.similarity import SIMILARITIES
from explainers.evaluation.statistics import holm, sign_flip_test

COUNT = 40


def made(checkpoints, others=(), reseeded=None):
    """A comparison of one method with likenesses (COUNT,) by every similarity."""
    rng = np.random.default_rng(0)
    found = Drift("first", ["m"], names=[f"{n}.png" for n in range(COUNT)], explained=np.arange(COUNT))
    rows = {
        "first": (np.ones(COUNT), "checkpoint"),
        **{name: (each, "checkpoint") for name, each in checkpoints.items()},
    }
    rows["again"] = (np.ones(COUNT) if reseeded is None else reseeded, "method seed")
    rows |= {f"other {n}": (each, "network seed") for n, each in enumerate(others)}
    rows["noise"] = (rng.normal(0, 0.05, COUNT), "random maps")
    for number, (name, (values, kind)) in enumerate(rows.items()):
        found.compared[name] = Compared(name, kind, float(number) if kind == "checkpoint" else None)
        found.likeness[name, "m"] = dict.fromkeys(SIMILARITIES, values)
        found.status[name, "m"] = [("ok", "")] * COUNT
    return found


def near(mean, spread=0.05, seed=1):
    return np.random.default_rng(seed).normal(mean, spread, COUNT)


def word(found, name):
    return found.summary().verdicts[name, "m", "ssim"].word


def test_drift_is_said_only_where_it_exceeds_the_methods_seed_and_another_training():
    levels = [near(0.6, seed=2), near(0.6, seed=3)]
    checkpoints = {"noisy": near(0.95, 0.02, 4), "trained": near(0.6, seed=5), "lost": near(0.3, seed=6)}
    found = made(checkpoints, levels, reseeded=near(0.95, 0.02, 7))
    assert [word(found, name) for name in checkpoints] == ["same", "another training", "drift"]


def test_without_another_training_a_change_is_not_called_drift():
    found = made({"lost": near(0.3)})
    assert word(found, "lost") == "changed"
    assert "what another training makes is not known" in str(found)


def test_maps_no_more_alike_than_random_ones_are_marked():
    found = made({"lost": near(0.0, seed=8), "kept": near(0.4)})
    verdicts = found.summary().verdicts
    assert verdicts["lost", "m", "ssim"].as_random
    assert not verdicts["kept", "m", "ssim"].as_random
    assert "changed °" in str(found)


def test_the_ps_are_those_of_the_paired_tests_corrected_together():
    levels = [near(0.6, seed=2), near(0.5, seed=3)]
    found = made({"one": near(0.55, seed=5), "two": near(0.52, seed=6)}, levels, reseeded=near(0.57, seed=9))
    chance = chance_levels(found, "m", "ssim")
    np.testing.assert_allclose(chance["network seed"], (levels[0] + levels[1]) / 2)
    keys = [(name, kind) for name in ("one", "two") for kind in ("method seed", "network seed", "random maps")]
    raw = [sign_flip_test(found.likeness[name, "m"]["ssim"], chance[kind]) for name, kind in keys]
    for (name, kind), p in zip(keys, holm(np.array(raw)), strict=True):
        assert found.summary().verdicts[name, "m", "ssim"].p[kind] == pytest.approx(p)


def test_means_and_intervals_are_over_the_images_of_a_group_that_have_a_value():
    values = near(0.5)
    values[3] = np.nan
    found = made({"one": values})
    found.groups = {"A": np.array([3, 4, 5, 6, 7])}
    cells = found.summary().cells
    whole = cells["one", "m", "all", "ssim"]
    known = values[~np.isnan(values)]
    assert (whole.value, whole.images) == (pytest.approx(known.mean()), COUNT - 1)
    assert whole.interval == pytest.approx(interval_of(known))
    assert cells["one", "m", "A", "ssim"].value == pytest.approx(values[4:8].mean())
    assert cells["first", "m", "all", "ssim"].interval == (1, 1)


def test_images_that_are_missing_are_left_out_of_both_sides_of_a_test():
    values = near(0.3)
    values[:5] = np.nan
    found = made({"one": values})
    p = found.summary().verdicts["one", "m", "ssim"].p["method seed"]
    raw = [sign_flip_test(values[5:], found.likeness[name, "m"]["ssim"][5:]) for name in ("again", "noise")]
    assert p == pytest.approx(holm(np.array(raw))[0])


def test_few_images_are_said_to_find_nothing():
    found = made({"one": near(0.3)})
    found.explained = np.arange(3)
    found.likeness = {key: dict.fromkeys(SIMILARITIES, each["ssim"][:3]) for key, each in found.likeness.items()}
    assert "nothing can be found with so few images" in str(found)
    assert word(found, "one") == "too few images"
    assert found.summary().verdicts["one", "m", "ssim"].as_random is None
    assert "°" not in "".join(map("".join, found.summary().lines()))
    assert {row["verdict"] for row in found.summary().rows()} == {"", "too few images"}


def test_checkpoints_stand_in_the_order_of_their_epochs_where_all_have_one():
    found = made({"late": near(0.5), "early": near(0.5)})
    found.compared |= {"late": Compared("late", epoch=9), "early": Compared("early", epoch=4)}
    assert found.checkpoints == ("first", "early", "late")
    found.compared["early"] = Compared("early")
    assert found.checkpoints == ("first", "late", "early")


def test_a_column_of_the_users_takes_the_place_of_the_groups():
    found = made({"one": near(0.5)})
    column = {name: "young" if n < 4 else "old" if n < 9 else "" for n, name in enumerate(found.names)}
    found.grouped_by(column)
    assert {name: rows.tolist() for name, rows in found.groups.items()} == {
        "old": [4, 5, 6, 7, 8],
        "young": [0, 1, 2, 3],
    }
    assert ("one", "m", "young", "ssim") in found.summary().cells
    groups = [row["group"] for row in found.rows()][:10]
    assert groups == ["young"] * 4 + ["old"] * 5 + [""]
    for bad, words in (({"0.png": "x"}, "have no group"), (["x"], "1 groups for 40"), (["all"] * COUNT, "cannot be")):
        with pytest.raises(OptionError, match=words):
            found.grouped_by(bad)


def test_the_most_changed_images_come_first_and_those_without_a_map_not_at_all():
    values = np.full(COUNT, 0.9)
    values[[7, 2, 5]] = 0.1, np.nan, -0.3
    found = made({"one": values})
    assert found.changed("m", "ssim", "one", 3) == [5, 7, 0]
    assert 2 not in found.changed("m", "ssim", "one", COUNT)
