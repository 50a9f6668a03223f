"""The files that an evaluation leaves, and whether anything came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from explainers.core.image_by_image import every_image
from explainers.errors import MapError
from explainers.evaluation.chunk_maps import Stored
from explainers.evaluation.controls import is_control
from explainers.evaluation.result import Result, table
from explainers.evaluation.rows import NOTHING, Row
from explainers.evaluation.tables.plain import as_plain
from explainers.run.evaluate.kept import IMAGES, MAPS, classes_of
from explainers.run.figure_files import any_format
from explainers.storage.atomic import write_bytes, write_json
from explainers.storage.run_folder import JOURNAL, MANIFEST, REPORT, Contents, RunFolder

FIGURES = ("figure-values", "figure-agreement", "figure-curves-*", "figure-extremes-*")
CONTENTS = Contents(
    "evaluate",
    files=(
        *(JOURNAL, "scores.csv", "summary.csv", "summary.md", "summary.json", IMAGES, MANIFEST),
        *(name for figure in FIGURES for name in any_format(figure)),
    ),
    folders=(MAPS, REPORT),
)


def write_tables(folder: RunFolder, result: Result) -> list[str]:
    """scores.csv (a row per image, explainer and score), summary.csv, summary.md and summary.json; their names."""
    summary, out = result.summary(), folder.path
    write_bytes(out / "scores.csv", result.to_csv().encode("utf-8", "backslashreplace"))
    write_bytes(out / "summary.csv", table(summary.rows()).encode())
    write_bytes(out / "summary.md", (summary.to_markdown() + "\n").encode("utf-8", "backslashreplace"))
    write_json(out / "summary.json", as_plain(summary))
    return ["scores.csv", "summary.csv", "summary.md", "summary.json"]


def write_manifest(
    folder: RunFolder, result: Result, dropped: list[str], files: list[str], names: Sequence[str] | None = None
) -> None:
    """manifest.json: what decided the values, the tests, what was left out, and the tables and figures.

    Args:
        dropped: images of earlier starts that are no longer scored; files: names of what was made; names: of the
            classes.
    """
    summary = result.summary()
    more = {
        "status": "done",
        "f(x)": list(summary.activations),
        "tests": [vars(test) for test in summary.tests],
        "refused": result.refused,
        "dropped": dropped,
    }
    nothing = {row["image"]: row["reason"] for row in result.rows if row["status"] == NOTHING}
    more |= {"nothing": nothing} if nothing else {}
    folder.write_manifest({**result.facts, **classes_of(names), **more}, files)


def check_made(rows: list[Row], explainers: Mapping[str, Any]) -> None:
    """See that something came of the images that could be read.

    Raises:
        MapError: none of the maps in files is good. OutputError: no explainer has a map of any of the images. Both with
            the first reason. Constant maps are maps.
    """
    for title in (title for title, each in explainers.items() if isinstance(each, Stored)):
        stored = [row for row in rows if row["explainer"] == title]
        if stored and all(row["status"] == "failed" for row in stored):
            raise MapError(
                f"none of the {len(stored)} maps of {title} can be used, the first since {stored[0]['reason']}"
                if len(stored) > 1
                else f"the only map of {title} cannot be used: {stored[0]['reason']}"
            )
    own = [row for row in rows if not is_control(row["explainer"])] or rows
    if own and all(row["status"] == "failed" for row in own):
        raise every_image(len({row["image"] for row in own}), own[0]["reason"])
