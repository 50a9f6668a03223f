"""The tables of an evaluation, and which files of its folder are its own."""

from __future__ import annotations

from explainers.evaluation.result import Result, table
from explainers.storage.atomic import write_bytes
from explainers.storage.run_folder import JOURNAL, MANIFEST, Contents, RunFolder

CONTENTS = Contents(
    "model, explainers, metrics or options",
    files=(JOURNAL, "scores.csv", "summary.csv", "summary.md", MANIFEST, "figure-*.png"),
)


def write_tables(folder: RunFolder, result: Result) -> None:
    """scores.csv (a row per image, explainer and score), summary.csv, summary.md and manifest.json."""
    summary, out = result.summary(), folder.path
    write_bytes(out / "scores.csv", result.to_csv().encode("utf-8", "backslashreplace"))
    write_bytes(out / "summary.csv", table(summary.rows()).encode())
    write_bytes(out / "summary.md", (summary.to_markdown() + "\n").encode("utf-8", "backslashreplace"))
    tests = [vars(test) for test in summary.tests]
    folder.write_manifest(
        {**result.facts, "f(x)": list(summary.activations), "tests": tests, "refused": result.refused}
    )
