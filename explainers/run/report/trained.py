"""What `explain train` left: how it went epoch by epoch, what came out, and pictures of maps where it was watched."""

from __future__ import annotations

from typing import Any

from explainers.baselines.training.run_folder import LOG, RESULT, WATCHED
from explainers.run.report.entry import Shown
from explainers.run.report.folder import ReadFolder, number
from explainers.storage.owner import CONFIG

MOST = 24  # pictures
PICTURES = ("*.png", "*.webp")


def trained(folder: ReadFolder) -> Shown:
    """Curves of a training, its result and its pictures."""
    config, result = folder.json(CONFIG) or {}, folder.json(RESULT)
    found = Shown("train", "Training")
    found.facts = [
        ("network", str((config.get("network") or {}).get("name", ""))),
        ("data", str((config.get("data") or {}).get("spec", ""))),
        ("classes", ", ".join(map(str, config.get("class_names") or []))[:300]),
    ]
    if result is None:
        found.status = (
            "This training has not come to its end: what follows is what it had done when the report was made."
        )
    else:
        found.facts += [
            ("best epoch", f"{result.get('best_epoch')} of {result.get('epochs')}"),
            ("stopped early", "yes" if result.get("stopped_early") else "no"),
        ]
        found.tables = [("Result", _result(result), [])]
    found.lines = _lines(folder.table(LOG))
    for place in (folder.path, folder.path / WATCHED):
        pictures = sorted(path for pattern in PICTURES for path in place.glob(pattern))
        found.figures += [(path.stem.replace("-", " "), path) for path in pictures[:MOST]]
        if len(pictures) > MOST:
            found.cautions.append(f"{MOST} of {len(pictures)} pictures in {place.name}/ are shown.")
    found.manifest = CONFIG
    return found


def _result(result: dict[str, Any]) -> list[list[str]]:
    """A line for each split of the data, before and after where the training started from another."""
    splits = {name: result[name] for name in ("val", "test") if isinstance(result.get(name), dict)}
    for name, values in (result.get("start") or {}).items():
        if isinstance(values, dict):
            splits[f"{name} (before)"] = values
    columns = list(dict.fromkeys(key for values in splits.values() for key in values))
    heading = ["", *(column.replace("_", " ") for column in columns)]
    return [heading, *([name, *(_text(values.get(column)) for column in columns)] for name, values in splits.items())]


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, (int, float)) else str(value)


def _lines(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """A chart for each quantity of the log: training and validation in one."""
    if len(rows) < 2:
        return []
    charts: dict[str, dict[str, Any]] = {}
    for column in rows[0]:
        values = [number(row[column]) for row in rows]
        if column in ("epoch", "seconds", "lr") or sum(each is not None for each in values) < 2:
            continue
        split, _, quantity = column.partition("_")
        if split not in ("train", "val"):
            split, quantity = "", column
        name = quantity.replace("_", " ")
        chart = charts.setdefault(name, {"title": name, "axis": "epoch", "lines": []})
        places = [number(row.get("epoch")) or index for index, row in enumerate(rows)]
        good = [(x, y) for x, y in zip(places, values, strict=True) if y is not None]
        chart["lines"].append(
            {
                "label": split or name,
                "colour": int(split == "val"),
                "x": [x for x, _ in good],
                "y": [y for _, y in good],
            }
        )
    return list(charts.values())
