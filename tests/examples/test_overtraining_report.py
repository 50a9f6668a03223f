"""The numbers of the over-training study's page, by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from explainers.evaluation.drifting.result import Drift
from explainers.evaluation.drifting.table_lines import CHECKPOINT, NETWORK_SEED, Compared

EPOCHS = (1, 10, 100, 1000)
BEST = 10
IMAGES = 8


@pytest.fixture
def report(monkeypatch):
    """The module, as the study's script sees it."""
    monkeypatch.setattr(sys, "path", [str(Path(__file__).resolve().parent.parent.parent / "examples"), *sys.path])
    import overtraining_report

    return overtraining_report


def found(seed):
    """A comparison of four checkpoints and another training: likeness of image i at epoch number e is 0.1 e + 0.01 i + seed."""
    names = {f"epoch {epoch}": Compared(f"epoch {epoch}", CHECKPOINT, float(epoch)) for epoch in EPOCHS}
    names["other"] = Compared("other", NETWORK_SEED)
    explained = np.arange(1, IMAGES)
    likeness, said, status = {}, {}, {}
    for place, name in enumerate(names):
        values = 0.1 * place + 0.01 * explained + 0.001 * seed
        likeness[name, "saliency"] = {key: values.copy() for key in ("spearman", "pearson", "ssim", "top-k")}
        status[name, "saliency"] = [("ok", "")] * len(explained)
        wrong = np.arange(IMAGES) < place
        said[name] = {
            "predicted": np.where(wrong, 1.0, 0.0),
            "loss": np.full(IMAGES, float(place)) + 0.1 * np.arange(IMAGES),
            "probability": 0.1 * place * np.arange(IMAGES),
            "entropy": np.zeros(IMAGES),
        }
    return Drift(
        "epoch 10",
        ["saliency"],
        names=[str(image) for image in range(IMAGES)],
        labels=np.zeros(IMAGES, int),
        classes=2,
        explained=explained,
        compared=names,
        said=said,
        likeness=likeness,
        status=status,
        groups={"A": np.array([0, 1, 2]), "B": np.array([3, 4, 5]), "C": np.array([6, 7])},
    )


def test_every_cell_is_the_mean_over_seeds_and_the_checkpoints_it_names(report):
    values = report.measured([found(0), found(10)], [{"saliency": [0.2, 0.4]}, {"saliency": [0.4, 0.6]}])
    row = values["likeness"]["spearman saliency"]
    of_images = 0.01 * np.arange(1, IMAGES)
    past = row["past the best epoch"]  # the checkpoints numbered 2 and 3
    assert past["mean"] == pytest.approx(np.mean([0.2, 0.3]) + of_images.mean() + 0.005)
    assert past["seeds"] == pytest.approx([0.25 + of_images.mean(), 0.26 + of_images.mean()])
    assert past["low"] < past["mean"] < past["high"]
    assert row["from 1000 epochs on"]["mean"] == pytest.approx(0.3 + of_images.mean() + 0.005)
    assert row["group A"]["mean"] == pytest.approx(0.25 + 0.01 * np.mean([1, 2]) + 0.005)  # image 0 has no map
    assert row["group C"]["images"] == 2
    assert row["another training seed"]["mean"] == pytest.approx(0.4 + of_images.mean() + 0.005)
    assert row["random maps"] is None
    assert values["said"]["error, best"]["mean"] == pytest.approx(1 / IMAGES)
    assert values["said"]["error, last"]["mean"] == pytest.approx(3 / IMAGES)
    assert values["said"]["loss, last"]["mean"] - values["said"]["loss, best"]["mean"] == pytest.approx(2)
    assert values["swings"]["B"]["mean"] == pytest.approx(0.1 * np.mean([3, 4, 5]))  # between two checkpoints
    assert values["sanity"]["saliency"]["mean"] == pytest.approx(0.4)
    assert values["best epoch"] == [BEST, BEST]


def test_measured_values_survive_json_and_make_the_page_and_the_figure(report, tmp_path):
    settings = {"train": 5, "width": 8, "epochs": 1000, "seeds": 2}
    results = []
    for variant in ("plain, as is", "abn"):
        values = {"settings": settings, "variant": variant, **report.measured([found(0), found(10)], [])}
        results.append(json.loads(json.dumps(values)))
    page = report.page("folder:SOMEWHERE/ELSE", results)
    assert "SOMEWHERE" not in page
    assert "| plain, as is | 10, 10 |" in page
    assert page.count("| saliency |") == 4  # two kinds of training, two similarities
    cell = report.text(results[0]["likeness"]["ssim saliency"]["past the best epoch"])
    assert cell.startswith("0.295 [")
    assert cell.endswith("(0.290 – 0.300)")
    assert cell in page
    report.draw(tmp_path / "figure.png", results)
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_images_without_a_likeness_are_left_out_in_silence(report, recwarn):
    """A mean over the seeds that have it; where no seed has it, such as of maps that are constant, the image counts nowhere."""
    made = report.cell([{0: 0.2, 1: np.nan, 2: 0.5}, {0: 0.4, 1: np.nan, 2: np.nan}])
    assert made["images"] == 2
    assert made["mean"] == pytest.approx((0.3 + 0.5) / 2)
    assert made["seeds"] == pytest.approx([0.35, 0.4])
    assert not recwarn.list
