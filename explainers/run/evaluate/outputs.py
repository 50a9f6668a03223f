"""The files of an evaluation: its journal while it runs, tables and figures when it is done."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from explainers.data.images.companions import methods_of
from explainers.data.images.files import find_images, read_image, write_image
from explainers.evaluation.chunk_maps import Stored
from explainers.evaluation.controls import CONTROLS
from explainers.evaluation.measuring.curves import Curve
from explainers.evaluation.measuring.subject import Explain
from explainers.evaluation.result import Result, table
from explainers.evaluation.rows import Row
from explainers.render import contact_sheet, overlay
from explainers.render.charts import save_figure
from explainers.run.evaluate.batches import Folder
from explainers.storage.atomic import write_bytes, write_json
from explainers.storage.journal import Journal

EXTREMES = 4  # images at either end
WHAT = "model, explainers, metrics or options"


class ScoreJournal:
    """An append-only file of finished units, each with all its rows."""

    def __init__(self, out: Path) -> None:
        self.journal = Journal(out, WHAT, whole=lambda rows: True)
        self.done: set[str] = set()

    def open(self, facts: dict[str, Any]) -> set[str]:
        """The units that an earlier evaluation with these facts has finished.

        Raises:
            OptionError: the folder holds an evaluation that differs.
        """
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
        self.done = self.journal.open(digest)
        return self.done

    def append(self, key: str, rows: list[Row]) -> None:
        """Note a unit as done."""
        self.journal.append(key, [_packed(row) for row in rows])

    def rows(self, keys: Iterable[str]) -> list[Row]:
        """All rows of these units, in their order."""
        found = dict(self.journal.entries())
        return [_unpacked(row) for key in keys for row in found[key]]


def _packed(row: Row) -> Row:
    """Arrays as text, to the last bit."""
    packed = dict(row)
    if (curve := row.get("curve")) is not None:
        packed["curve"] = [curve.shares.tolist(), curve.values.tolist()]
    if (parts := row.get("parts")) is not None:
        data = zlib.compress(np.ascontiguousarray(parts, np.float64).tobytes(), 6)
        packed["parts"] = {"shape": list(parts.shape), "data": base64.b85encode(data).decode()}
    return packed


def _unpacked(row: Row) -> Row:
    unpacked = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    if (curve := row.get("curve")) is not None:
        unpacked["curve"] = Curve(np.array(curve[0]), np.array(curve[1]))
    if (parts := row.get("parts")) is not None:
        data = zlib.decompress(base64.b85decode(parts["data"]))
        unpacked["parts"] = np.frombuffer(data, np.float64).reshape(parts["shape"])
    return unpacked


def clear(out: Path) -> None:
    """Remove what an evaluation writes, and nothing else."""
    names = ("journal.jsonl", "scores.csv", "summary.csv", "summary.md", "manifest.json")
    for path in (*(out / name for name in names), *out.glob("figure-*.png")):
        path.unlink(missing_ok=True)


def found_maps(folder: Path, images: Any, title: str) -> dict[str, Any]:
    """Explainers made of maps in files: one for the folder, or one for each method whose maps a run of `explain` left
    in it, under titles such as `maps/grad-cam`."""
    names = [file.name for file in find_images(images)]
    endings = list(methods_of(folder, names))
    title = title or folder.name
    if not endings:
        return {title: folder}
    return {f"{title}/{ending[1:]}": (folder, ending) for ending in endings}


def write_figures(out: Path, result: Result) -> None:
    """figure-values.png, figure-agreement.png, and the curves of every score that has some."""
    _save(out / "figure-values.png", result.plot())
    if len(result.agreement()[0]) > 1 and len(result.explainers) > 2:
        _save(out / "figure-agreement.png", result.plot_agreement())
    for score in result.scores:
        if result.has_curves(score):
            _save(out / f"figure-curves-{_file_name(score)}.png", result.plot(score))


def write_extremes(out: Path, result: Result, source: Folder, explainers: Mapping[str, Explain | Stored]) -> None:
    """figure-extremes-METHOD.png: the images on which a method does best (first line) and worst by the first score."""
    score = result.scores[0]
    files = {file.name: file for file in source.files}
    for name in result.explainers:
        if name in CONTROLS or not (rows := result.best(name, score, EXTREMES)):
            continue
        worst = [row for row in result.worst(name, score, EXTREMES) if row not in rows]
        lines: list[list[tuple[str, np.ndarray]]] = [[], []]
        for kind, row in [("best", row) for row in rows] + [("worst", row) for row in worst]:
            photo = read_image(files[row["image"]].path, max_pixels=source.max_pixels).pixels
            image = source.preprocessing(photo)[None].to(source.device)
            explainer, height, width = explainers[name], image.shape[2], image.shape[3]
            if isinstance(explainer, Stored):
                made = explainer.maps([row["image"]], (height, width))
            else:
                made = torch.as_tensor(explainer(image, torch.tensor([row["target"]], device=source.device)))
            box = source.preprocessing.box(photo.shape[0], photo.shape[1])
            shown_map = overlay(photo, made[0].cpu().numpy(), box=box)
            lines[kind == "worst"] += [(row["image"], photo), (f"{kind}: {row['value']:.3f}", shown_map)]
        sheet = contact_sheet([line for line in lines if line], cell=128)
        write_image(out / f"figure-extremes-{_file_name(name)}.png", sheet)


def _save(path: Path, figure: Any) -> None:
    buffer = io.BytesIO()
    save_figure(figure, buffer)
    write_bytes(path, buffer.getvalue())


def _file_name(title: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+_-]", "-", title)


def write_tables(out: Path, result: Result) -> None:
    """scores.csv (a row per image, explainer and score), summary.csv, summary.md and manifest.json."""
    summary = result.summary()
    write_bytes(out / "scores.csv", result.to_csv().encode("utf-8", "backslashreplace"))
    write_bytes(out / "summary.csv", table(summary.rows()).encode())
    write_bytes(out / "summary.md", (summary.to_markdown() + "\n").encode("utf-8", "backslashreplace"))
    tests = [vars(test) for test in summary.tests]
    write_json(out / "manifest.json", {**result.facts, "tests": tests, "refused": result.refused}, default=str)
