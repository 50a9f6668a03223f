"""The page and the figure of the over-training study, out of the values that were measured of each kind of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from explainers.evaluation import Drift
from explainers.evaluation.intervals import interval_of
from explainers.evaluation.statistics import sign_flip_test
from explainers.render.charts import Trace, line_panels, save_figure

LATE = 1000  # epochs past which the study finds every likeness below 0.3
SIMILARITIES = ("ssim", "spearman")
GROUPS = ("A", "B", "C")
RECTIFIED = ("deconvolution", "guided-backprop", "guided-backprop-minus", "guided-grad-cam")

Measured = dict[str, Any]  # of one kind of training
Values = dict[int, float]  # of test images, by their places


def measured(found: Sequence[Drift], sanity: Sequence[Mapping[str, Sequence[float]]]) -> Measured:
    """All values of one kind of training.

    Args:
        found: the comparison of each seed; sanity: of each seed method → likeness under redrawn weights, of each image.
    """
    said = {
        f"{key}, {when}": [_said(each, _name(each, when), key) for each in found]
        for key in ("error", "loss")
        for when in ("best", "last")
    }
    likeness = {
        f"{similarity} {method}": {title: cell(parts) for title, parts in _columns(found, method, similarity).items()}
        for similarity in SIMILARITIES
        for method in found[0].methods
    }
    return {
        "images": len(found[0].names),
        "explained": [len(each.explained) for each in found],
        "groups": [{group: len(each.places(group)) for group in GROUPS if group in each.groups} for each in found],
        "best epoch": [each.compared[each.reference].epoch for each in found],
        "last epoch": [each.compared[each.checkpoints[-1]].epoch for each in found],
        "said": {key: cell(parts) for key, parts in said.items()},
        "loss rises, p": sign_flip_test(_joined(said["loss, last"]), _joined(said["loss, best"])),
        "error rises, p": sign_flip_test(_joined(said["error, last"]), _joined(said["error, best"])),
        "swings": {group: cell([_swings(each, after(each), group) for each in found]) for group in GROUPS},
        "likeness": likeness,
        "sanity": {
            method: cell([dict(enumerate(each[method])) for each in sanity]) for method in (sanity[0] if sanity else ())
        },
        "curves": [_curves(each) for each in found],
    }


def _name(found: Drift, when: str) -> str:
    return found.checkpoints[-1] if when == "last" else found.reference


def after(found: Drift, epoch: float | None = None) -> list[str]:
    """Checkpoints behind the reference, or behind an epoch."""
    start = found.compared[found.reference].epoch if epoch is None else epoch
    return [name for name in found.checkpoints if (found.compared[name].epoch or 0) > (start or 0)]


def cell(parts: Sequence[Values]) -> dict[str, Any] | None:
    """Mean, 95 % interval over images (of each the mean over the seeds that have it), and the mean of each seed."""
    values = _joined(parts)
    if len(values) < 2:
        return None
    low, high = interval_of(values) or (np.nan, np.nan)
    seeds = [float(np.nanmean(list(part.values()))) if part else None for part in parts]
    return {"mean": float(values.mean()), "low": float(low), "high": float(high), "seeds": seeds, "images": len(values)}


def _columns(found: Sequence[Drift], method: str, similarity: str) -> dict[str, list[Values]]:
    columns = {"past the best epoch": [_over(each, after(each), method, similarity, "all") for each in found]}
    for group in GROUPS:
        columns[f"group {group}"] = [_over(each, after(each), method, similarity, group) for each in found]
    late = LATE - 1  # the last epoch of a training of so many counts as past it
    columns[f"from {LATE} epochs on"] = [_over(each, after(each, late), method, similarity, "all") for each in found]
    columns["another training seed"] = [
        _over(each, each.of_kind("network seed"), method, similarity, "all") for each in found
    ]
    columns["another seed of the method"] = [
        _over(each, each.of_kind("method seed"), method, similarity, "all") for each in found
    ]
    columns["random maps"] = [_over(each, each.of_kind("random maps"), method, similarity, "all") for each in found]
    return columns


def _over(found: Drift, names: Sequence[str], method: str, similarity: str, group: str) -> Values:
    """Mean likeness of each image of a group over checkpoints."""
    known = [found.likeness[name, method][similarity] for name in names if (name, method) in found.likeness]
    if not known or (group != "all" and group not in found.groups):
        return {}
    values = np.stack(known).mean(axis=0)
    return {int(found.explained[place]): float(values[place]) for place in found.places(group)}


def _swings(found: Drift, names: Sequence[str], group: str) -> Values:
    """How much the probability of the true class of each image moves from checkpoint to checkpoint."""
    if len(names) < 2 or group not in found.groups:
        return {}
    values = np.stack([found.said[name]["probability"] for name in names])
    moved = np.abs(np.diff(values, axis=0)).mean(axis=0)
    return {int(row): float(moved[row]) for row in found.groups[group]}


def _said(found: Drift, name: str, key: str) -> Values:
    """The loss, or whether the prediction is wrong, of every test image."""
    values = found.said[name]
    assert found.labels is not None
    each = values["loss"] if key == "loss" else (values["predicted"] != found.labels).astype(float)
    return dict(enumerate(each.tolist()))


def _joined(parts: Sequence[Values]) -> np.ndarray:
    """(n,) values of the images, of each the mean over the seeds that have it: seeds share their test images."""
    rows: dict[int, list[float]] = {}
    for part in parts:
        for row, value in part.items():
            if not np.isnan(value):  # a likeness to a map that is the same everywhere
                rows.setdefault(row, []).append(value)
    return np.array([np.mean(rows[row]) for row in sorted(rows)])


def _curves(found: Drift) -> dict[str, Any]:
    """epochs, and similarity method group → the mean at each of them."""
    cells = found.summary().cells
    names = [name for name in found.checkpoints if found.compared[name].epoch is not None]
    curves = {
        f"{similarity} {method} {group}": [
            round(float(cells[name, method, group, similarity].value), 4) for name in names
        ]
        for similarity in SIMILARITIES
        for method in found.methods
        for group in ("all", *GROUPS)
        if all((name, method, group, similarity) in cells for name in names)
    }
    return {"epochs": [found.compared[name].epoch for name in names], **curves}


def text(found: Mapping[str, Any] | None) -> str:
    """Mean, interval over images, and range over the seeds."""
    if found is None:
        return "–"
    seeds = [each for each in found["seeds"] if each is not None]
    spread = f" ({min(seeds):.3f} – {max(seeds):.3f})" if len(seeds) > 1 else ""
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]{spread}"


def page(data: str, results: Sequence[Measured]) -> str:
    """The study's questions, each with its numbers."""
    some = results[0]
    settings = some["settings"]
    counts = ", ".join(map(str, some["explained"]))
    lines = [
        f"Measured on {data.partition(':')[0]} images: {settings['train']} for training, {some['images']} for testing, "
        f"ResNet-18 of width {settings['width']}, {settings['epochs']} epochs, {settings['seeds']} seeds; maps of "
        f"{counts} images (groups A, B, C of each seed). […] 95 % interval over images, of each the mean over seeds; "
        "(…) lowest and highest mean of a seed.",
        "",
        "| training | best epochs |",
        "|---|---|",
        *(f"| {each['variant']} | {', '.join(f'{epoch:g}' for epoch in each['best epoch'])} |" for each in results),
        "",
        "## Does accuracy keep rising while the test loss rises?",
        "",
        "| training | error at the best epoch | at the last | p | loss at the best | at the last | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in results:
        said = each["said"]
        cells = [text(said["error, best"]), text(said["error, last"]), f"{each['error rises, p']:.2g}"]
        cells += [text(said["loss, best"]), text(said["loss, last"]), f"{each['loss rises, p']:.2g}"]
        lines.append(f"| {each['variant']} | {' | '.join(cells)} |")
    lines += ["", "## Is group A steady while B and C oscillate?", ""]
    lines += ["Mean absolute change of the true class's probability between checkpoints, past the best epoch.", ""]
    lines += ["| training | A | B | C |", "|---|---|---|---|"]
    for each in results:
        lines.append(f"| {each['variant']} | {' | '.join(text(each['swings'][group]) for group in GROUPS)} |")
    for similarity in SIMILARITIES:
        lines += ["", f"## How alike are maps to those of the best epoch, by {similarity}?", ""]
        lines.append(f"The study has at most 0.4 in over-training and 0.3 past {LATE} epochs; saliency's Spearman 0.1.")
        titles = list(next(iter(some["likeness"].values())))
        lines += ["", f"| training | method | {' | '.join(titles)} |", "|---|---|" + "---|" * len(titles)]
        for each in results:
            for name, row in each["likeness"].items():
                if name.startswith(f"{similarity} "):
                    cells = " | ".join(text(row[title]) for title in titles)
                    lines.append(f"| {each['variant']} | {name.removeprefix(f'{similarity} ')} | {cells} |")
    lines += ["", "## Are rectified methods steady because they ignore the weights?", ""]
    lines += ["Likeness (Spearman) of maps to those of the same network with redrawn weights.", ""]
    lines += ["| training | method | likeness | rectified |", "|---|---|---|---|"]
    for each in results:
        for method, found in each["sanity"].items():
            rectified = "yes" if method in RECTIFIED else ""
            lines.append(f"| {each['variant']} | {method} | {text(found)} | {rectified} |")
    return "\n".join(lines) + "\n"


def draw(path: Path, results: Sequence[Measured]) -> None:
    """Spearman over epochs, a panel for each method and a line for each kind of training."""
    common = [
        set(curve["epochs"]) - {best}
        for each in results
        for curve, best in zip(each["curves"], each["best epoch"], strict=True)
    ]
    places = sorted(set.intersection(*common))
    panels: dict[str, list[Trace]] = {}
    for each in results:
        for name in each["likeness"]:
            similarity, _, method = name.partition(" ")
            if similarity == "spearman":
                values = np.array([_at(curve, f"{name} all", places) for curve in each["curves"]])
                panels.setdefault(method, []).append(
                    Trace(each["variant"], values.mean(axis=0), values.min(axis=0), values.max(axis=0))
                )
    title = "Spearman of maps with those of the best epoch; bands: lowest to highest of the seeds"
    save_figure(line_panels(panels, places, title=title, axis="epoch", within=(-1, 1)), path)


def _at(curve: Mapping[str, Any], name: str, epochs: Sequence[float]) -> list[float]:
    known = dict(zip(curve["epochs"], curve[name], strict=True))
    return [known[epoch] for epoch in epochs]
