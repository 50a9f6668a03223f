"""What `explain drift` left: its table, what was found of each network, and its figures."""

from __future__ import annotations

from explainers.run.report.entry import Shown
from explainers.run.report.folder import ReadFolder

PICTURES = ("figure-*.png", "figure-*.webp")
DROPPED = "<!--"


def drifted(folder: ReadFolder) -> Shown:
    """The summary and the figures of a comparison."""
    found = Shown("drift", "Drift of heat maps")
    facts = folder.facts
    found.status = folder.status
    reference = facts.get("reference") or {}
    networks = facts.get("networks") or []
    found.facts = [
        ("reference", str(reference.get("name", ""))),
        ("networks", str(len(networks)) if networks else "not known yet"),
        ("methods", ", ".join(facts.get("methods") or [])),
        ("images", str(facts.get("images", ""))),
    ]
    lines, notes = _markdown(folder)
    if lines:
        found.tables = [("Likeness of maps with those of the reference", lines, notes)]
    found.figures = [
        (path.stem.removeprefix("figure-").replace("-", " "), path)
        for pattern in PICTURES
        for path in sorted(folder.path.glob(pattern))
    ]
    found.cautions = [f"{name} was left out: {reason}" for name, reason in (facts.get("refused") or {}).items()]
    return found


def _markdown(folder: ReadFolder) -> tuple[list[list[str]], list[str]]:
    """The lines and notes of summary.md, as the terminal shows them."""
    path = folder.path / "summary.md"
    if not path.is_file():
        return [], []
    text = path.read_text(encoding="utf-8").split("\n")
    cells = [[cell.strip().replace("\\|", "|") for cell in _cells(line)] for line in text if line.startswith("|")]
    lines = [line for line in cells if not all(set(cell) <= set("-: ") and cell for cell in line)]
    return lines, [line[2:] for line in text if line.startswith("- ")]


def _cells(line: str) -> list[str]:
    """The cells of a line of a table, in which \\| is no border."""
    return line.strip().strip("|").replace("\\|", DROPPED).replace("|", "\n").replace(DROPPED, "\\|").split("\n")
