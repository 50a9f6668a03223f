"""Runs and evaluations under another default type or device of torch's: the same maps, values, tables and files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from run_case import folder, rows
from small import Residual, lively

import explainers
from explainers.data.images import write_image
from explainers.errors import ExplainersError
from explainers.models import LoadedModel, Preprocessing
from explainers.run import MethodCall, RunOptions, run

FEW = {
    "score-cam": {"batch_size": 8},
    "smooth-grad": {"samples": 2},
    "rise": {"masks": 32},
    "lime": {"samples": 16, "segments": 2},
    "kernel-shap": {"samples": 16, "segments": 2},
}
SETTINGS = {"pid": {"patch": (4, 4)}, "patch-insertion": {"patch": 4}, "patch-deletion": {"patch": 4}}
SETTINGS |= {name: {"reference": "grad-cam"} for name in ("pearson", "spearman", "ssim", "top-k-intersection")}
NAMES = ("a.png", "b.png")


@contextmanager
def other_default(kind: str) -> Iterator[None]:
    """meta stands for any device on which neither network nor images are."""
    try:
        if kind == "meta":
            torch.set_default_device("meta")
        else:
            torch.set_default_dtype(torch.float64)
        yield
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)


def model() -> LoadedModel:
    torch.manual_seed(0)
    preprocessing = Preprocessing((16, 12), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.2))
    return LoadedModel(lively(Residual()), preprocessing, None, "residual", None, torch.device("cpu"), "0")


def works(method: str) -> bool:
    try:
        explainers.create(method, model(), **FEW.get(method, {}))(torch.randn(1, 3, 16, 12), 1)
    except ExplainersError:
        return False
    return True


@pytest.mark.parametrize("kind", ["meta", "float64"])
def test_a_run_of_every_method_writes_the_same(tmp_path, kind):
    images = folder(tmp_path / "in", NAMES)
    calls = [MethodCall(name, FEW.get(name, {})) for name in explainers.available() if works(name)]
    assert len(calls) > 15
    options = RunOptions(scale="common", contact_sheet=2)
    run(images, model(), calls, tmp_path / "plain", options=options)
    with other_default(kind):
        run(images, model_made_before, calls, tmp_path / "other", options=options)
    for wanted, found in zip(rows(tmp_path / "plain"), rows(tmp_path / "other"), strict=True):
        assert {**found, "seconds": "", "passes_per_second": ""} == {**wanted, "seconds": "", "passes_per_second": ""}
        with np.load(tmp_path / "plain" / wanted["map"]) as one, np.load(tmp_path / "other" / found["map"]) as two:
            np.testing.assert_allclose(two["map"], one["map"], rtol=1e-4, atol=1e-6)
    assert (tmp_path / "other" / "sheet-001.png").exists()


@pytest.mark.parametrize("kind", ["meta", "float64"])
def test_an_evaluation_by_every_metric_gives_the_same(tmp_path, kind):
    images = folder(tmp_path / "in", NAMES)
    for number, name in enumerate(NAMES):
        mask = np.zeros((40 + 10 * number, 64, 3), np.uint8)
        mask[10:30, 20:40] = 255
        write_image(tmp_path / "masks" / name, mask)
    names = [name for name in explainers.available_metrics() if not name.startswith("quantus:")]
    metrics = [explainers.create_metric(name, **SETTINGS.get(name, {})) for name in names]
    methods = ["grad-cam", "guided-backprop", ("smooth-grad", {"samples": 2}), ("rise", {"masks": 32})]

    def values(out) -> dict[tuple[str, str, str], float]:
        made = explainers.evaluate(
            model_made_before, images, methods, metrics, masks=tmp_path / "masks", labels={"a.png": 0, "b.png": 1},
            out=tmp_path / out, figures=False,
        )  # fmt: skip
        assert {row["status"] for row in made.rows} == {"ok"}
        return {
            (row["image"], row["explainer"], row["score"]): np.nan if row["value"] is None else row["value"]
            for row in made.rows
        }

    wanted = values("plain")
    assert {score.partition("@")[0] for *_, score in wanted} == {explainers.create_metric(n, **SETTINGS.get(n, {})).name
                                                                  for n in names}  # fmt: skip
    with other_default(kind):
        found = values("other")
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-5, nan_ok=True)
    with (tmp_path / "other" / "summary.csv").open(newline="") as text:
        assert {line["explainer"] for line in csv.DictReader(text)} >= {"grad-cam", "random"}


@pytest.mark.parametrize("kind", ["meta", "float64"])
def test_figures_are_drawn(tmp_path, kind):
    images = folder(tmp_path / "in", NAMES)
    with other_default(kind):
        explainers.evaluate(model_made_before, images, ["grad-cam", "saliency"], ["deletion", "sparseness"],
                            out=tmp_path / "out")  # fmt: skip
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        "figure-values.png",
        "figure-agreement.png",
        "figure-curves-deletion.png",
        "figure-extremes-grad-cam.png",
        "figure-extremes-saliency.png",
    }


@pytest.mark.parametrize("kind", ["meta", "float64"])
def test_lists_arrays_and_explainers_of_other_packages_are_taken_too(kind):
    images = torch.randn(2, 3, 16, 12, dtype=torch.float32)
    masks = np.zeros((2, 16, 12), bool)
    masks[:, 3:8, 2:7] = True

    def arrays(batch, targets):
        return batch.abs().sum(1).detach().cpu().numpy()

    def values():
        made = explainers.evaluate(
            model_made_before, [(images, [0, 1], masks)], {"arrays": arrays}, ["deletion", "pointing-game"], "label"
        )
        return {(row["image"], row["explainer"], row["score"]): row["value"] for row in made.rows}

    wanted = values()
    with other_default(kind):
        assert values() == pytest.approx(wanted, rel=1e-4, abs=1e-6)
        shown = explainers.explain(model_made_before, np.zeros((20, 20, 3), np.uint8))
        assert shown.pixels[0].shape == (20, 20, 3)
        assert explainers.explain(model_made_before, images, target=[0, 1]).overlay().shape == (16, 12, 3)
        assert explainers.diagnose(model_made_before, images).layer == "block"


model_made_before = model()  # under torch's own defaults, as a network that was loaded
