"""Kinds of error counted over the worst images, by hand."""

from __future__ import annotations

import csv

import pytest
import torch
from mask_cases import evaluated, objects

import explainers
from explainers import create_metric
from explainers.evaluation.attention_errors import attention_errors_of, attention_notes, kind_of_error


@pytest.mark.parametrize(
    ("beyond", "missed", "kind"),
    [
        (3, 2, "over-attended"),
        (2, 3, "insufficiently attended"),
        (0, 1, "insufficiently attended"),
        (1, 0, "over-attended"),
        (2, 2, "other"),
        (0, 0, ""),
    ],
)
def test_the_kind_of_an_error_by_hand(beyond, missed, kind):
    assert kind_of_error(beyond, missed) == kind


def rows(count, *, explainer="grad-cam"):
    """Value i/count of image i; the first 86 are over-attended, then 12 insufficiently, 2 other, the rest right."""
    kinds = ["over-attended"] * 86 + ["insufficiently attended"] * 12 + ["other"] * 2
    kinds += [""] * (count - len(kinds))
    made = [
        {"image": f"{row:03d}", "explainer": explainer, "score": "miou", "value": row / count, "status": "ok",
         "attention": kind}
        for row, kind in enumerate(kinds[:count])
    ]  # fmt: skip
    return made[::-1]


def test_the_worst_hundred_images_are_counted():
    lost = [{"image": "x", "explainer": "grad-cam", "score": "miou", "value": None, "status": "ok", "attention": ""}]
    found = attention_errors_of([*rows(130), *lost, *rows(40, explainer="rise")])
    worst = found["grad-cam", "miou"]
    assert (worst.images, worst.judged, worst.over, worst.insufficient, worst.other) == (100, 130, 86, 12, 2)
    assert attention_notes(found, ["grad-cam", "rise"]) == [
        "miou, errors of the 100 images with the lowest values: grad-cam 86 over-attended, 12 insufficiently attended, "
        "2 other",
        "miou, errors of all 40 images (fewer than 100): rise 40 over-attended, 0 insufficiently attended, 0 other",
    ]
    assert str(attention_errors_of(rows(100))["grad-cam", "miou"]).endswith("2 other")
    exactly = attention_notes(attention_errors_of(rows(100)), ["grad-cam"])
    assert exactly[0].startswith("miou, errors of all 100 images: grad-cam 86")


def test_scores_without_regions_have_no_such_line():
    assert attention_errors_of([{"image": "a", "explainer": "x", "score": "pxap", "value": 0.5, "status": "ok"}]) == {}


def test_table_and_summary_files_count_the_errors(tmp_path):
    images, masks, maps = objects(9)
    maps[0], maps[1] = masks[0].float(), torch.ones(14, 11)
    maps[1, 0, 0] = 0
    result = evaluated(create_metric("miou", threshold=0.5), images, masks, maps)
    kinds = [row["attention"] for row in result.rows if row["explainer"] == "given"]
    assert len(kinds) == 9
    over, few, other = (kinds.count(kind) for kind in ("over-attended", "insufficiently attended", "other"))
    told = f"given {over} over-attended, {few} insufficiently attended, {other} other"
    for text in (str(result), result.summary().to_markdown()):
        assert "miou, errors of all 9 images (fewer than 100): " in text
        assert told in text
    columns = next(row for row in result.summary().rows() if row["explainer"] == "given")
    assert (columns["worst_images"], columns["over_attended"]) == (9, over)
    assert (columns["insufficiently_attended"], columns["other_errors"]) == (few, other)
    explainers.evaluate(
        lambda x: x.mean((2, 3)), images, {"given": lambda x, t: x.mean(1)}, ["miou"], masks=masks,
        out=tmp_path, figures=False,
    )  # fmt: skip
    with (tmp_path / "summary.csv").open(newline="") as file:
        assert {row["worst_images"] for row in csv.DictReader(file)} == {"9"}
    assert "errors of all 9 images (fewer than 100)" in (tmp_path / "summary.md").read_text()
