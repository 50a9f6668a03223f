"""What `explain drift` left: its table, what was found of each network, and its figures."""

from __future__ import annotations

import re
from typing import Any

from explainers.evaluation.drifting.table_lines import CHECKPOINT, NETWORK_SEED, TOO_FEW
from explainers.run.report.entry import Shown
from explainers.run.report.folder import ReadFolder

PICTURES = ("figure-*.png", "figure-*.svg", "figure-*.webp")
CAPTIONS = ("Likeness of maps with those of the reference", "What the networks say")


def drifted(folder: ReadFolder) -> Shown:
    """The summary and the figures of a comparison."""
    found = Shown("drift", "Drift of heat maps")
    facts = folder.facts
    found.status = folder.status
    reference = facts.get("reference") or {}
    networks = facts.get("networks") or []
    found.facts = [
        ("reference", str(reference.get("name", ""))),
        ("networks", _counted(networks)),
        ("methods", ", ".join(facts.get("methods") or [])),
        ("images", str(facts.get("images", ""))),
    ]
    tables, notes = _markdown(folder)
    found.tables = [(caption, lines, []) for caption, lines in zip(CAPTIONS, tables, strict=False)]
    found.cautions = [f"{note[:1].upper()}{note[1:]}." for note in notes if note.startswith(TOO_FEW)]
    if found.tables:
        found.tables[-1] = (*found.tables[-1][:2], notes)
    found.figures = [
        (path.stem.removeprefix("figure-").replace("-", " "), path)
        for pattern in PICTURES
        for path in sorted(folder.path.glob(pattern))
    ]
    found.cautions += [f"{name} was left out: {reason}" for name, reason in (facts.get("refused") or {}).items()]
    return found


def _counted(networks: list[dict[str, Any]]) -> str:
    """How many networks were compared: rows of chance are none, and those of another training seed are told apart."""
    kinds = [each.get("kind") for each in networks]
    others = kinds.count(NETWORK_SEED)
    told = str(kinds.count(CHECKPOINT)) + (f", and {others} of another training seed" if others else "")
    return told if networks else "not known yet"


def _markdown(folder: ReadFolder) -> tuple[list[list[list[str]]], list[str]]:
    """The tables and notes of summary.md, as the terminal shows them."""
    path = folder.path / "summary.md"
    if not path.is_file():
        return [], []
    text = path.read_text(encoding="utf-8")
    tables: list[list[list[str]]] = []
    for block in text.split("\n\n"):
        lines = [_cells(line) for line in block.split("\n") if line.startswith("|")]
        if lines:
            tables.append([line for line in lines if not all(cell and set(cell) <= set("-:") for cell in line)])
    return tables, [line[2:] for line in text.split("\n") if line.startswith("- ")]


def _cells(line: str) -> list[str]:
    """The cells of a line of a table, in which \\| is no border."""
    parts = re.split(r"(?<!\\)\|", line.strip())[1:-1]
    return [part.strip().replace("\\|", "|") for part in parts]
