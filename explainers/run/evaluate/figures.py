"""Figures of an evaluation: values, agreement of metrics, curves, and the images at either end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.maps import as_tensor
from explainers.data.images import ImageFile, Photo
from explainers.evaluation.chunk_maps import Stored
from explainers.evaluation.controls import is_control
from explainers.evaluation.measuring.subject import Explain
from explainers.evaluation.result import Result
from explainers.evaluation.rows import Row, file_of
from explainers.render import Style
from explainers.render.sheet import AnyCell
from explainers.run.evaluate.folder import Folder
from explainers.run.figure_files import file_name, written_figure, written_sheet
from explainers.run.true_classes import true_name
from explainers.targets import Function, Target

EXTREMES = 4  # images at either end


def write_figures(out: Path, result: Result, format: str) -> list[str]:
    """figure-values, figure-agreement, and the curves of every score that has some; returns the names of the files.

    Args:
        format: "png", "svg" or "pdf".
    """
    made = [written_figure(out / f"figure-values.{format}", result.plot())]
    if len(result.agreement()[0]) > 1 and len(result.explainers) > 2:
        made.append(written_figure(out / f"figure-agreement.{format}", result.plot_agreement()))
    for score in result.scores:
        if result.has_curves(score):
            made.append(written_figure(out / f"figure-curves-{file_name(score)}.{format}", result.plot(score)))
    return made


def write_extremes(
    out: Path,
    result: Result,
    source: Folder,
    explainers: Mapping[str, Explain | Stored],
    class_names: Sequence[str] | None,
    watched_objects: Target | None = None,
    format: str = "png",
) -> list[str]:
    """figure-extremes-METHOD: the images on which a method does best (first line) and worst by the first score.

    Captions say the class that was watched, and the true one where it is known.

    Args:
        watched_objects: the target object of all images, where they have no own ones (`source.own`) and no classes;
            format: "png", "svg" or "pdf".

    Returns their names.
    """
    made_files = []
    score = result.scores[0]
    files = {file.name: file for file in source.files}
    for name in result.explainers:
        if is_control(name) or not (rows := result.best(name, score, EXTREMES)):
            continue
        worst = [row for row in result.worst(name, score, EXTREMES) if row not in rows]
        lines: list[list[AnyCell]] = [[], []]
        for kind, row in [("best", row) for row in rows] + [("worst", row) for row in worst]:
            subject = source.subject(files[file_of(row)])
            image = source.kind.input(subject)[None].to(source.device)
            explainer, size = explainers[name], tuple(image.shape[2:])
            target = _target(row, files[file_of(row)], subject, source, watched_objects)
            if isinstance(explainer, Stored):
                made = explainer.maps([row["image"]], size)
            else:
                made = as_tensor(explainer(image, target))
            outline = None if isinstance(target, Tensor) else target[0].outline(size)
            around = None if outline is None else outline.numpy()
            values = made[0].cpu().numpy()
            shown_map = source.kind.drawn(subject, values, Style(), around)[".png"]
            assert isinstance(shown_map, np.ndarray)
            true = None if source.labels is None else source.labels[file_of(row)]
            told = [row["image"], *([] if true is None else [f"true {true_name(true, class_names)}"])]
            named = row["target"] if isinstance(row["target"], str) else true_name(row["target"], class_names)
            watched = f"{kind}: {row['value']:.3f}\n{named}"
            scale = source.kind.scale(values, Style())
            lines[kind == "worst"] += [("\n".join(told), source.kind.shown(subject)), (watched, shown_map, scale)]
        path = out / f"figure-extremes-{file_name(name)}.{format}"
        made_files.append(written_sheet(path, [line for line in lines if line], cell=128))
    return made_files


def watched_object(targets: Any, rows: Sequence[Row]) -> Target | None:
    """The target object that all images were watched by; None where it was classes, or objects of their own.

    Args:
        targets: what was asked for; a function may choose classes, or be a target of its own, as the rows say.
    """
    if isinstance(targets, Target):
        return targets
    named = any(isinstance(row["target"], str) for row in rows)
    return Function(targets) if callable(targets) and named else None


def _target(row: Row, file: ImageFile, photo: Photo, source: Folder, same: Target | None) -> Any:
    """What an explainer was called with for an image."""
    if source.boxes is not None:
        return [source.boxes.targets[row["image"]]]
    target = same if source.own is None else source.own.of(file, photo, source.preprocessing)
    return torch.tensor([row["target"]], device=source.device) if target is None else [target]
