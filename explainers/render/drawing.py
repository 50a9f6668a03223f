"""Figures of matplotlib as this package makes them: shown in notebooks, and the same file each time they are saved."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explainers.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")  # that figures are written in
# Text stays text, which can be searched, set in another type and read aloud; names within a file are not drawn by lot.
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "explainers", "pdf.fonttype": 42}
UNDATED: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
RESOLUTION = {"png": 130, "svg": 200, "pdf": 200}  # dots an inch: of the file, or of photos in it


def new_figure(size: tuple[float, float]) -> Figure:
    """An empty figure of (width, height) inches, without pyplot's bookkeeping."""
    import matplotlib
    from matplotlib.figure import Figure

    class Shown(Figure):
        """A figure that notebooks display, and that is saved as the same bytes whenever it is."""

        def savefig(self, fname: Any, **more: Any) -> None:
            """As matplotlib's."""
            named = isinstance(fname, (str, PathLike))
            kind = (more.get("format") or (Path(fname).suffix[1:] if named else "")).lower()
            if kind in UNDATED:
                more["metadata"] = {**UNDATED[kind], **(more.get("metadata") or {})}
            more.setdefault("dpi", RESOLUTION.get(kind, RESOLUTION["png"]))
            with matplotlib.rc_context(SETTINGS):
                super().savefig(fname, **more)

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=96)
            return buffer.getvalue()

    return Shown(figsize=size, layout="constrained")


def checked_format(name: str) -> str:
    """The name of a format that figures can be written in.

    Raises:
        OptionError: they cannot.
    """
    if name not in FORMATS:
        raise OptionError(f"figures={name!r}; expected {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    return name


def save_figure(fig: Figure, path: Any, *, format: str | None = None) -> None:
    """Write a figure as PNG, SVG or PDF, by the suffix; format: of what has none, such as a buffer."""
    more: dict[str, Any] = {} if format is None else {"format": format}
    fig.savefig(path, **more)
