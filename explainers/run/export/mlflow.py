"""A run or evaluation in an MLflow tracking store: settings as params, scores as metrics, files as artifacts."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from explainers.errors import DataError, OptionError, WriteError
from explainers.run.export.exported import Exported, finished, library, mark, plain
from explainers.run.report.folder import ReadFolder, number
from explainers.storage.owner import MANIFEST
from explainers.storage.paths import shown

EXPERIMENT, DATABASE, ARTIFACTS = "explainers", "mlflow.db", "artifacts"
SOURCE = "explainers.manifest_sha256"  # the tag that says of which folder a run is
TABLES = ("*.csv", "*.md", MANIFEST, "summary.json")
PICTURES = ("figure-*", "sheet-*")
FOLDERS = ("overlays", "maps", "compare")
UNNAMED = re.compile(r"[^\w./ -]")  # what names of params and metrics may not have
LONGEST = 500  # characters of a param, in every store of MLflow
BATCH = 100  # params in one call, at most


def write_mlflow(
    folder: str | PathLike[str], out: str | PathLike[str] | None = None, *, overwrite: bool = False
) -> Exported:
    """Note a finished run or evaluation in a local tracking store, which is made where there is none.

    It becomes a run of the experiment `explainers`: the manifest's settings are its params; tables, figures, overlays
    and maps its artifacts. Each method of an evaluation is a run within it, whose metrics are the means of its scores
    with the ends of their intervals (`deletion`, `deletion_low`, `deletion_high`).

    Args:
        folder: of the run or evaluation; out: the store's folder (default `mlflow` in the folder), which may hold runs
            already; overwrite: whether an earlier run of the same folder in the store is deleted.

    Raises:
        DataError: the folder holds neither, or it has not come to its end. DependencyError: MLflow or what its database
            needs is missing. OptionError: the store has the folder already, or is no store. WriteError: it cannot be
            written.
    """
    read = finished(folder, ("run", "evaluate"), "a run of MLflow")
    target = read.path / "mlflow" if out is None else Path(out)
    if target.exists() and not (target.is_dir() and ((target / DATABASE).is_file() or not any(target.iterdir()))):
        raise OptionError(f"{shown(target)} is no tracking store (no {DATABASE}); choose another place (--out)")
    if "?" in str(target.resolve()):
        raise OptionError(f"{shown(target)} has a ? in its path, which MLflow's address takes for its end; use another")
    with _quiet():
        tracking = library("mlflow.tracking", "mlflow", "MLflow")
        for needed in ("sqlalchemy", "alembic"):
            library(needed, "mlflow", "MLflow's database")
        problems = library("mlflow.exceptions", "mlflow", "MLflow"), library("sqlalchemy.exc", "mlflow", "MLflow")
        try:
            target.mkdir(parents=True, exist_ok=True)
            mark(target, "mlflow")
            client = tracking.MlflowClient(tracking_uri=f"sqlite:///{(target / DATABASE).resolve()}")
            return _noted(client, read, target, overwrite=overwrite)
        except (OSError, problems[0].MlflowException, problems[1].SQLAlchemyError) as error:
            first = str(error).strip().partition("\n")[0]
            raise WriteError(f"cannot write the tracking store {shown(target)}: {first}") from error


def _noted(client: Any, read: ReadFolder, target: Path, *, overwrite: bool) -> Exported:
    found = client.get_experiment_by_name(EXPERIMENT)
    place = (target / ARTIFACTS).resolve().as_uri()
    experiment = client.create_experiment(EXPERIMENT, place) if found is None else found.experiment_id
    source = hashlib.sha256((read.path / MANIFEST).read_bytes()).hexdigest()
    earlier = client.search_runs([experiment], f"tags.`{SOURCE}` = '{source}'")
    if earlier and not overwrite:
        raise OptionError(
            f"{shown(target)} has {shown(read.path)} already; with overwrite (--overwrite) that run is replaced"
        )
    tags = {SOURCE: source, "explainers.command": f"explain {read.command}"}
    name = f"{read.command} {plain(read.path.resolve().name)}"
    with _run(client, experiment, name, tags) as run:
        params = dict(_flat({**read.manifest, "files": None, "dropped": None}))
        _params(client, run, params)
        methods = 0
        for method, metrics in _metrics(read).items():
            if not method:
                _log(client, run, metrics)
                continue
            within = {**tags, "mlflow.parentRunId": run, "explainers.method": plain(method)}
            with _run(client, experiment, plain(method), within) as inner:
                _params(client, inner, {"method": plain(method), "model.spec": params.get("model.spec", "")})
                _log(client, inner, metrics)
            methods += 1
        artifacts = _artifacts(client, run, read.path)
    for run_before in earlier:
        client.delete_run(run_before.info.run_id)
    return Exported(target, {"artifact": artifacts, **({"method": methods} if methods else {})})


@contextmanager
def _run(client: Any, experiment: str, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    """A run that ends as finished, or as failed where an error comes out of it."""
    made: str = client.create_run(experiment, tags=dict(tags), run_name=name).info.run_id
    try:
        yield made
    except BaseException:
        client.set_terminated(made, "FAILED")
        raise
    client.set_terminated(made)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """`{"a": {"b": 1}}` as `a.b` → `1`; lists as text, those that are too long for a param as their length, empty
    values not at all."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{name}.{index}")
    elif value not in (None, "", [], {}):
        text = plain(str(value))
        if len(text) > LONGEST:
            text = f"{len(value)} values" if isinstance(value, list) else f"{text[: LONGEST - 50]} …"
            text += f" (all in {MANIFEST})"
        yield UNNAMED.sub("_", plain(name)), text


def _params(client: Any, run: str, params: Mapping[str, str]) -> None:
    entities = library("mlflow.entities", "mlflow", "MLflow")
    made = [entities.Param(key, value) for key, value in params.items()]
    for start in range(0, len(made), BATCH):
        client.log_batch(run, params=made[start : start + BATCH])


def _log(client: Any, run: str, metrics: Mapping[str, float]) -> None:
    for key, value in metrics.items():
        client.log_metric(run, UNNAMED.sub("_", plain(key)), value)


def _metrics(read: ReadFolder) -> dict[str, dict[str, float]]:
    """By method; those of the whole run under an empty name."""
    found: dict[str, dict[str, float]] = {"": {}}
    counts = read.manifest.get("counts")
    for key, value in {**(counts if isinstance(counts, dict) else {}), "seconds": read.manifest.get("seconds")}.items():
        if (plain_value := number(value)) is not None:
            found[""][key] = plain_value
    for row in read.rows("summary.csv"):
        metrics = found.setdefault(row.get("explainer", ""), {})
        for key, column in (("", "value"), ("_low", "low"), ("_high", "high")):
            if (value := number(row.get(column))) is not None:
                metrics[f"{row.get('score', '')}{key}"] = value
        if (value := number(row.get("seconds_per_map"))) is not None:
            metrics["seconds_per_map"] = value
    return found


def _artifacts(client: Any, run: str, folder: Path) -> int:
    count = 0
    for pattern in (*TABLES, *PICTURES):
        for path in sorted(folder.glob(pattern)):
            client.log_artifact(run, str(path))
            count += 1
    for name in FOLDERS:
        if (folder / name).is_dir():
            client.log_artifacts(run, str(folder / name), name)
            count += sum(path.is_file() for path in (folder / name).rglob("*"))
    if not count:
        raise DataError(f"{shown(folder)} holds no tables and no pictures")
    return count


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what MLflow tells its makers of its use, and the user of its tables."""
    name, before = "MLFLOW_DISABLE_TELEMETRY", os.environ.get("MLFLOW_DISABLE_TELEMETRY")
    logger = logging.getLogger("mlflow.store.db.utils")
    level = logger.level
    os.environ[name] = "true"
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
        os.environ.pop(name) if before is None else os.environ.update({name: before})
