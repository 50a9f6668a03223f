"""Figures as files of a folder."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from explainers.render.charts import save_figure
from explainers.storage.atomic import write_bytes


def written_figure(path: Path, figure: Any) -> str:
    """Write a figure, whole or not at all; returns its name."""
    buffer = io.BytesIO()
    save_figure(figure, buffer)
    write_bytes(path, buffer.getvalue())
    return path.name


def file_name(title: str) -> str:
    """A title as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.+_-]", "-", title)
