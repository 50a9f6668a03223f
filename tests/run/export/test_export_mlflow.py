"""A run and an evaluation in an MLflow tracking store, read back by its client."""

from __future__ import annotations

import shutil
import sys

import pytest
from explainers.cli.main import main

from explainers.errors import DependencyError, OptionError, WriteError
from explainers.run.export.mlflow import _flat, write_mlflow
from explainers.run.report.folder import ReadFolder

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")


@pytest.fixture(scope="module")
def store(folders, tmp_path_factory):
    """A store with both, and its client."""
    pytest.importorskip("mlflow.tracking")
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "store"
    for name in ("run", "evaluate"):
        assert main(["export", str(folders / name), "--to", "mlflow", "--out", str(path), "--quiet"]) == 0
    return path, MlflowClient(tracking_uri=f"sqlite:///{path / 'mlflow.db'}")


def runs(client):
    experiment = client.get_experiment_by_name("explainers").experiment_id
    return {run.info.run_name: run for run in client.search_runs([experiment])}


def test_settings_scores_and_files_come_back(store, folders, tmp_path):
    path, client = store
    found = runs(client)
    summary = ReadFolder(folders / "evaluate").table("summary.csv")
    assert set(found) == {"run run", "evaluate evaluate", *(row["explainer"] for row in summary)}
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    run = found["run run"]
    assert run.data.params["model.spec"] == "embedded"
    assert run.data.params["options.top_k"] == "1"
    assert run.data.params["methods.1.name"] == "grad-cam"
    assert run.data.metrics["failed"] == 1
    assert run.data.tags["explainers.command"] == "explain run"
    for row in summary:
        inner = found[row["explainer"]]
        assert inner.data.tags["mlflow.parentRunId"] == found["evaluate evaluate"].info.run_id
        assert inner.data.params["method"] == row["explainer"]
        for key, column in (("sparseness", "value"), ("sparseness_low", "low"), ("sparseness_high", "high")):
            assert inner.data.metrics[key] == float(row[column])
    for name in ("results.csv", "overlays", "maps"):
        fetched = client.download_artifacts(run.info.run_id, name, str(tmp_path))
        expected = folders / "run" / name
        files = [each for each in expected.rglob("*") if each.is_file()] or [expected]
        for each in files:
            same = (tmp_path / each.relative_to(folders / "run")) if expected.is_dir() else tmp_path / name
            assert same.read_bytes() == each.read_bytes(), fetched
    assert path.joinpath("artifacts").is_dir()


def test_a_folder_is_noted_once_unless_it_is_to_be_replaced(store, folders):
    path, client = store
    before = runs(client)["run run"].info.run_id
    with pytest.raises(OptionError, match="has .* already"):
        write_mlflow(folders / "run", path)
    write_mlflow(folders / "run", path, overwrite=True)
    after = runs(client)
    assert after["run run"].info.run_id != before
    assert len(after) == len(set(after))


def test_what_is_no_store_and_what_is_missing_is_told_in_one_line(ran, tmp_path, monkeypatch):
    pytest.importorskip("mlflow.tracking")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").touch()
    with pytest.raises(OptionError, match="no tracking store"):
        write_mlflow(ran, tmp_path / "mine", overwrite=True)
    shutil.rmtree(tmp_path / "mine")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "mlflow.db").write_bytes(b"none" * 1000)
    with pytest.raises(WriteError, match=r"tracking store .* not a database"):
        write_mlflow(ran, tmp_path / "bad")
    shutil.rmtree(tmp_path / "bad")
    for name in ("mlflow.tracking", "sqlalchemy"):
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, name, None)
            with pytest.raises(DependencyError, match=r"explainers\[mlflow\]") as told:
                write_mlflow(ran, tmp_path / "store")
        assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def test_a_list_that_is_too_long_for_a_param_is_its_length():
    found = dict(_flat({"classes": [f"class {number}" for number in range(1000)], "a": {"b": "x" * 900, "c": [1, 2]}}))
    assert found["classes"] == "1000 values (all in manifest.json)"
    assert found["a.c"] == "[1, 2]"
    assert found["a.b"].startswith("x" * 400)
    assert found["a.b"].endswith("… (all in manifest.json)")
    assert len(found["a.b"]) <= 500
