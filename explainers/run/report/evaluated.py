"""What `explain evaluate` left, as entries: scores, curves, and the table of the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from explainers.errors import OptionError
from explainers.evaluation.controls import CONTROLS, is_control
from explainers.evaluation.metric import Metric, metric_class
from explainers.evaluation.rows import file_of
from explainers.run.evaluate.folder import content_of
from explainers.run.evaluate.kept import IMAGES
from explainers.run.report.entry import CURVE, Entry, MapEntry, Shown
from explainers.run.report.explained import CHANGED, box_of
from explainers.run.report.folder import ReadFolder, number
from explainers.run.report.recipes import network_facts, recipes_of
from explainers.run.true_classes import true_name
from explainers.storage.journal import Row

# How a curve's image at a share is made: pixels come in, or go; read from its end, or not.
WAYS: dict[str, dict[str, Any]] = {
    "insertion": {"way": "in"},
    "patch-insertion": {"way": "in"},
    "deletion": {"way": "out"},
    "patch-deletion": {"way": "out"},
    "morf": {"way": "out"},
    "lerf": {"way": "in", "backwards": True},
}
SCORES, FAILED = "scores.csv", "failed"
POINTS = 64  # of a curve that is shown


def evaluated(folder: ReadFolder) -> Shown:
    """The images, methods, scores and tables of an evaluation."""
    facts, found = folder.facts, Shown("evaluate", "Evaluation of heat maps")
    summary = folder.json("summary.json")
    names = facts.get("classes")
    entries = _entries(folder)
    methods: dict[str, None] = {}
    scores: dict[str, str] = {}
    for _, rows in folder.units():
        for row in rows:
            methods.setdefault(row["explainer"], None)
            name = str(row["image"])
            if name not in entries:  # one of the detections of a file
                whole = entries.get(file_of(row))
                entries[name] = Entry(name, None if whole is None else whole.source)
            entry = entries[name]
            _take(folder, entry, row, names)
            if row.get("score"):
                scores.setdefault(row["score"], "")
                if row.get("curve") is not None and row["score"] not in found.curves:
                    found.curves[row["score"]] = _curve_facts(row)
    if not folder.status:
        _take_failed(folder, entries)
    found.entries = [each for each in entries.values() if each.maps or each.problem]
    found.methods = [name for name in methods if not is_control(name)]
    found.controls = [name for name in methods if is_control(name)]
    found.scores = {**scores, **((summary or {}).get("scores") or {})}
    found.preprocessing = facts.get("preprocessing")
    found.facts = network_facts(facts)
    found.recipes = recipes_of(facts, found.methods)
    found.status = folder.status
    found.cautions = [f"{name} was left out: {reason}" for name, reason in (facts.get("refused") or {}).items()]
    found.cautions += [f"{name}: {reason}" for name, reason in (facts.get("nothing") or {}).items()]
    if summary is not None:
        found.tables = [("Scores", summary["lines"], summary["notes"])]
        found.cautions += _cautions(summary)
    if found.entries and not any(map_.path for each in found.entries for map_ in each.maps):
        found.cautions.append(
            "This evaluation kept no maps (--no-maps, or an earlier version), so that there is only the table to show."
        )
    return found


def _entries(folder: ReadFolder) -> dict[str, Entry]:
    """The images in their order, before anything was measured of them."""
    entries = {}
    for row in folder.table(IMAGES):
        mask = Path(row["mask"]) if row.get("mask") else None
        entries[row["image"]] = Entry(row["image"], Path(row["source"]), true=row.get("true_name", ""), mask=mask)
    return entries


def _take(folder: ReadFolder, entry: Entry, row: Row, names: list[str] | None) -> None:
    """What a row says of an image and one of its maps."""
    title, status = row["explainer"], row.get("status", "ok")
    if row.get("target") is not None and "predicted" in row and not entry.predicted:
        entry.predicted = true_name(row["predicted"], names)
        known = row["predicted"] == row["target"] and row.get("quantity") != "score"
        entry.probability = number(row["probability"]) if known else None
        if "true" in row:
            entry.true = true_name(row["true"], names)
            entry.right = row["predicted"] == row["true"]
    map_ = entry.of(title)
    if map_ is None:
        map_ = MapEntry(title, status=status, reason=str(row.get("reason", "")))
        entry.maps.append(map_)
    if row.get("target") is not None:
        map_.target = true_name(row["target"], names)
        map_.quantity = str(row.get("quantity") or "probability")
        map_.watched = number(row.get("f(x)" if row.get("probability") is None else "probability"))
    if row.get("detection") is not None:
        map_.target = str(row.get("class_name") or map_.target)
        map_.box, map_.sure = box_of(row), number(row.get("detection_score"))
    if row.get("map") and map_.path is None:
        map_.path = folder.inside(str(row["map"]))
        entry.unlike = partial(_unlike, map_.path, folder.kind.digest if folder.kind else content_of)
    if not row.get("score"):
        return
    value = number(row.get("value"))
    if value is not None:
        map_.values[row["score"]] = value
    if row.get("curve") is not None:
        map_.curves[row["score"]] = _thinned(row["curve"])


def _take_failed(folder: ReadFolder, entries: Mapping[str, Entry]) -> None:
    """Why images that could not be read, which no journal notes since they are tried again, have no maps."""
    if all(each.maps for each in entries.values()):
        return
    for row in folder.rows(SCORES):
        entry = entries.get(row["image"])
        if entry is not None and not entry.maps and row["status"] == FAILED and not row["score"]:
            entry.problem = row["reason"]


def _curve_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """How the images along a curve are made, as far as a browser can make them."""
    patch = row.get("patch")
    patch = patch[0] if isinstance(patch, (list, tuple)) and len(patch) == 1 else patch
    return {
        **WAYS.get(row["metric"], {}),
        "baseline": str(row.get("baseline", "")),
        "patch": patch if isinstance(patch, int) else 1,
        **_axes(row),
    }


def _axes(row: Mapping[str, Any]) -> dict[str, str]:
    """What a curve is over, and what it shows."""
    try:
        metric = metric_class(row["metric"])
    except OptionError:  # of an earlier version, or registered by somebody
        return {}
    told = f": {row['quantity']}" if metric.heights == Metric.heights and row.get("quantity") else ""
    return {"across": metric.across, "heights": metric.heights + told}


def _thinned(curve: Any) -> CURVE:
    """A curve with as many points as a screen shows."""
    shares, values = (np.asarray(each, float) for each in curve)
    if len(shares) > POINTS:
        kept = np.unique(np.round(np.linspace(0, len(shares) - 1, POINTS)).astype(int))
        shares, values = shares[kept], values[kept]
    good = np.isfinite(values)
    return [[float(f"{each:.4g}") for each in part[good]] for part in (shares, values)]


def _cautions(summary: Mapping[str, Any]) -> list[str]:
    """What the table says against believing a method's maps, in sentences."""
    found = []
    if surviving := list(summary.get("surviving", ())):
        its, it = (
            ("its map hardly changes", "it does") if len(surviving) == 1 else ("their maps hardly change", "they do")
        )
        found.append(
            f"Do not believe {_and(surviving)}: {its} when the network's weights are drawn anew, so that {it} not "
            "explain this network."
        )
    found += too_few(summary)
    chance: dict[str, list[str]] = {}
    for score, names in (summary.get("no_better_than_control") or {}).items():
        for name in names:
            chance.setdefault(name, []).append(score)
    other = " or of the box (another box)" if any(name not in CONTROLS for name in summary.get("controls", ())) else ""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, scores in chance.items():
        alike.setdefault(tuple(scores), []).append(name)
    for by, names in alike.items():
        found.append(
            f"By {_and(by)}, {_and(names)} {'is' if len(names) == 1 else 'are'} not shown to be better than every "
            f"map that knows nothing of the network ({', '.join(CONTROLS)}){other}."
        )
    return found


def too_few(summary: Mapping[str, Any]) -> list[str]:
    """By which scores nothing can be told apart, and what would help."""
    images = summary.get("images")
    if images == 1:
        return ["A single image says nothing of others: its scores have no interval, and nothing can be tested."]
    by: dict[int | None, list[str]] = {}
    for score, needed in (summary.get("untestable") or {}).items():
        by.setdefault(needed, []).append(score)
    return [
        f"By {_and(scores)} no difference between methods can be found with {images} images, however large: that needs "
        + ("fewer methods." if needed is None else f"{needed} images, or fewer methods.")
        for needed, scores in by.items()
    ]


def _and(names: Sequence[str]) -> str:
    """Names as a sentence lists them."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _unlike(path: Path | None, digest: Callable[[Any], str], photo: Any) -> str:
    """Whether the photo is still the one that the map is of."""
    try:
        with np.load(path) as saved:  # type: ignore[arg-type]
            return "" if str(saved["content"]) == digest(photo) else CHANGED
    except (OSError, ValueError, KeyError):
        return ""
