"""The door: a run folder into a page, whichever command wrote it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from explainers import __version__
from explainers.errors import OptionError
from explainers.render.report import FolderSink, SingleFileSink, Sink, page
from explainers.render.report.page import palette
from explainers.run.report.arrays import RecordingPacker
from explainers.run.report.cautions import cautions_of, how_to_read, key_figures
from explainers.run.report.drifted import drifted
from explainers.run.report.entry import Shown
from explainers.run.report.evaluated import evaluated
from explainers.run.report.explained import explained
from explainers.run.report.folder import ReadFolder
from explainers.run.report.gallery import Gallery, Progress, gallery, told_all
from explainers.run.report.trained import trained
from explainers.storage.lock import locked
from explainers.storage.run_folder import REPORT

READERS: Mapping[str, Callable[[ReadFolder], Shown]] = {
    "run": explained,
    "evaluate": evaluated,
    "drift": drifted,
    "train": trained,
}
SIDE = 448  # pixels of the longer side of photos


@dataclass(frozen=True)
class ReportOptions:
    """single_file: one HTML file instead of a folder; to: where (None: `report/`, or `report.html`, in the run's
    folder); side: pixels of the longer side of photos."""

    single_file: bool = False
    to: Path | None = None
    side: int = SIDE

    def __post_init__(self) -> None:
        if self.side < 32:
            raise OptionError(f"side={self.side} (--side); photos of a report have at least 32 pixels")


def make_report(
    out: str | PathLike[str], options: ReportOptions | None = None, progress: Progress | None = None
) -> Path:
    """Make a page of what `explain run`, `evaluate`, `train` or `drift` left in a folder, which opens without a server.

    A page that was there before stays whole until the new one is.

    Args:
        out: the folder of the run, finished or not; progress: called with (images done, of how many).

    Returns:
        The page.

    Raises:
        DataError: the folder holds no run. OptionError: one file would be too large; another process makes the report.
        WriteError: it cannot be written.

    Cost: reading each photo once, some 20 ms an image; no network is loaded.
    """
    options = options or ReportOptions()
    folder = ReadFolder(Path(out))
    shown = READERS[folder.command](folder)
    if options.single_file:
        to = options.to or folder.path / "report.html"
        return _written(folder, shown, SingleFileSink(to), options, progress)
    to = options.to or folder.path / REPORT
    with locked(to):
        return _written(folder, shown, FolderSink(to), options, progress)


def _written(
    folder: ReadFolder,
    shown: Shown,
    sink: FolderSink | SingleFileSink,
    options: ReportOptions,
    progress: Progress | None,
) -> Path:
    try:
        kind = folder.kind
        packer = None if kind is None else RecordingPacker(shown, options.side, kind)
        packed = gallery(shown, sink, options.side, progress, packer)
        data = _data(shown, packed, sink)
        report = told_all(_report(folder, shown, packed, sink))
        html = page(report, told_all(data), chunks=sink.chunks(), single=sink.single)
        return sink.close(html)
    except BaseException:
        sink.discard()
        raise


def _report(folder: ReadFolder, shown: Shown, packed: Gallery, sink: Sink) -> dict[str, Any]:
    """What the template shows."""
    manifest = {key: value for key, value in folder.facts.items() if key not in ("classes", "probe")}
    return {
        "command": shown.command,
        "title": shown.title,
        "name": folder.path.resolve().name,
        "status": shown.status,
        "figures_of": key_figures(shown, packed),
        "facts": [(name, value) for name, value in shown.facts if value],
        "reading": how_to_read(shown, packed),
        "cautions": [*shown.cautions, *cautions_of(shown, packed)],
        "tables": [{"caption": caption, "lines": lines, "notes": notes} for caption, lines, notes in shown.tables],
        "controls": shown.controls,
        "agreement": _agreement(shown, packed),
        "pictures": [
            {"caption": caption, "src": sink.picture(f"figure-{index:03d}{path.suffix}", path.read_bytes())}
            for index, (caption, path) in enumerate(shown.figures)
        ],
        "images": len(packed.images),
        "charts": bool(shown.lines),
        "manifest": json.dumps(told_all(manifest), indent=2, default=str, ensure_ascii=False),
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "version": __version__,
    }


def _agreement(shown: Shown, packed: Gallery) -> dict[str, Any] | None:
    """How alike the methods are, where there are two of them at least."""
    mean = packed.agreement.mean()
    if mean is None:
        return None
    return {"methods": shown.methods, "table": packed.agreement.table(), "mean": mean}


def _data(shown: Shown, packed: Gallery, sink: Sink) -> dict[str, Any]:
    """What the scripts show."""
    told = shown.preprocessing or {}
    mean = [round(255 * each) for each in told.get("mean") or (0.5, 0.5, 0.5)]
    return {
        "root": sink.root,
        "single": sink.single,
        "command": shown.command,
        "kind": told.get("kind", "photo"),
        "methods": [{"title": title, **shown.recipes.get(title, {})} for title in shown.methods],
        "controls": [{"title": title} for title in shown.controls],
        "scores": [
            {"name": name, "better": better, "curve": shown.curves.get(name)} for name, better in shown.scores.items()
        ],
        "palette": palette(shown.cmap),
        "opacity": shown.opacity,
        "zero": mean if len(mean) == 3 else [mean[0]] * 3,
        "charts": shown.lines,
        "images": packed.images,
    }
