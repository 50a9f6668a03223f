"""The tables of a comparison, and which files of its folder are its own."""

from __future__ import annotations

from explainers.evaluation.drifting.result import Drift
from explainers.evaluation.result import table
from explainers.run.drift.folder_keeper import MAPS
from explainers.run.drift.photos import Photos
from explainers.run.figure_files import any_format
from explainers.storage.atomic import write_bytes
from explainers.storage.run_folder import JOURNAL, MANIFEST, REPORT, Contents, RunFolder

TABLES = ("drift.csv", "scores.csv", "networks.csv", "summary.csv", "summary.md")
FIGURES = ("similarity-*", "scores", "training", "film-*", "changed-*")
CONTENTS = Contents(
    "drift",
    files=(
        *(JOURNAL, *TABLES, MANIFEST, "figure-film-*.webp"),
        *(name for figure in FIGURES for name in any_format(f"figure-{figure}")),
    ),
    folders=(MAPS, REPORT),
)


def write_tables(folder: RunFolder, found: Drift) -> list[str]:
    """drift.csv (a row per network, method and image), scores.csv (what each network says of each image), networks.csv,
    summary.csv, summary.md; returns their names."""
    summary = found.summary()
    texts = (
        found.to_csv(),
        table(found.scores()),
        table(found.networks()),
        table(summary.rows()),
        summary.to_markdown() + "\n",
    )
    for name, text in zip(TABLES, texts, strict=True):
        write_bytes(folder.path / name, text.encode("utf-8", "backslashreplace"))
    return list(TABLES)


def write_manifest(folder: RunFolder, found: Drift, photos: Photos, files: list[str]) -> None:
    """manifest.json: what decided the values, what was left out, and the tables and pictures."""
    more = {
        "status": "failed" if found.nothing else "done",
        "images": photos.told,
        "networks": [vars(each) for each in found.compared.values()],
        "groups": {name: [found.names[row] for row in rows] for name, rows in found.groups.items()},
        "failed": found.failed,
        "refused": found.refused,
        "unread": found.unread,
    }
    folder.write_manifest({**found.facts, **more}, files)
