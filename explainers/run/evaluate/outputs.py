"""The tables of an evaluation, and which files of its folder are its own."""

from __future__ import annotations

from collections.abc import Sequence

from explainers.evaluation.result import Result, table
from explainers.evaluation.tables.plain import as_plain
from explainers.run.evaluate.kept import IMAGES, MAPS, classes_of
from explainers.run.figure_files import any_format
from explainers.storage.atomic import write_bytes, write_json
from explainers.storage.run_folder import JOURNAL, MANIFEST, REPORT, Contents, RunFolder

CONTENTS = Contents(
    "evaluate",
    files=(
        *(JOURNAL, "scores.csv", "summary.csv", "summary.md", "summary.json", IMAGES, MANIFEST),
        *any_format("figure-*"),
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
    folder.write_manifest({**result.facts, **classes_of(names), **more}, files)
