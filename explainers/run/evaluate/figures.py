"""Figures of an evaluation: values, agreement of metrics, curves, and the images at either end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.image_by_image import reason_of
from explainers.core.maps import as_tensor
from explainers.data.images import ImageFile, Photo
from explainers.errors import ImageError
from explainers.evaluation.chunk_maps import Stored
from explainers.evaluation.controls import is_control
from explainers.evaluation.measuring.subject import Explain
from explainers.evaluation.result import Result
from explainers.evaluation.rows import Row, file_of
from explainers.render import Scale, Style
from explainers.render.sheet import EMPTY, AnyCell
from explainers.run.evaluate.folder import Folder
from explainers.run.figure_files import file_name, written_figure, written_sheet
from explainers.run.true_classes import true_name
from explainers.storage.paths import shown
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
            told = row["image"]
            if source.labels is not None:
                told += f"\ntrue {true_name(source.labels[file_of(row)], class_names)}"
            named = row["target"] if isinstance(row["target"], str) else true_name(row["target"], class_names)
            watched = f"{kind}: {row['value']:.3f}\n{named}"
            try:
                photo, shown_map, scale = _pictures(row, files[file_of(row)], source, explainers[name], watched_objects)
            except Exception as error:  # the scores are there, whatever has become of the file
                lines[kind == "worst"] += [(f"{told}\n{reason_of(error)}", EMPTY), (watched, EMPTY)]
            else:
                lines[kind == "worst"] += [(told, photo), (watched, shown_map, scale)]
        path = out / f"figure-extremes-{file_name(name)}.{format}"
        made_files.append(written_sheet(path, [line for line in lines if line], cell=128))
    return made_files


def _pictures(
    row: Row, file: ImageFile, source: Folder, explainer: Explain | Stored, watched: Target | None
) -> tuple[np.ndarray, np.ndarray, Scale | None]:
    """The photo of a row, its map, and the scale of that.

    Raises:
        ImageError: it cannot be read any more, or is another one than was scored.
    """
    subject = source.subject(file)
    if source.kind.digest(subject) != source.seen[file.name][1]:
        raise ImageError(f"{shown(file.path)} has changed since it was scored; the same command scores it anew")
    image = source.kind.input(subject)[None].to(source.device)
    target, size = _target(row, file, subject, source, watched), tuple(image.shape[2:])
    made = (
        explainer.maps([row["image"]], size) if isinstance(explainer, Stored) else as_tensor(explainer(image, target))
    )
    outline = None if isinstance(target, Tensor) else target[0].outline(size)
    values = made[0].cpu().numpy()
    drawn = source.kind.drawn(subject, values, Style(), None if outline is None else outline.numpy())[".png"]
    assert isinstance(drawn, np.ndarray)
    return source.kind.shown(subject), drawn, source.kind.scale(values, Style())


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
