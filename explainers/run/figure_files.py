"""Figures and sheets as files of a folder, in the format that was asked for."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from explainers.data.images import write_image
from explainers.render import contact_sheet, figure
from explainers.render.drawing import FORMATS, save_figure
from explainers.render.sheet import AnyCell
from explainers.storage.atomic import write_bytes


def written_figure(path: Path, figure: Any) -> str:
    """Write a figure, whole or not at all, in the format of its suffix; returns its name."""
    buffer = io.BytesIO()
    save_figure(figure, buffer, format=path.suffix[1:])
    write_bytes(path, buffer.getvalue())
    _alone(path)
    return path.name


def written_sheet(path: Path, rows: Sequence[Sequence[AnyCell]], *, cell: int = 192) -> str:
    """Write a sheet of pictures in the format of its suffix; returns its name.

    Args:
        cell: pixels of the longer side of each picture; of SVG and PDF, where pictures keep more of theirs, a hundredth
            of an inch each.
    """
    if path.suffix == ".png":
        write_image(path, contact_sheet(rows, cell=cell))
        _alone(path)
        return path.name
    return written_figure(path, figure(rows, size=cell / 100))


def _alone(path: Path) -> None:
    """Remove the same figure in another format, which an earlier start with other images may have left."""
    for other in any_format(path.stem):
        if other != path.name:
            (path.parent / other).unlink(missing_ok=True)


def any_format(stem: str) -> tuple[str, ...]:
    """Names of a figure's files, or patterns of several figures', whatever format they were written in."""
    return tuple(f"{stem}.{each}" for each in FORMATS)


def file_name(title: str) -> str:
    """A title as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.+_-]", "-", title)
