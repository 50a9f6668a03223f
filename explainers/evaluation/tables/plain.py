"""The table as plain values, for a file that another program reads."""

from __future__ import annotations

from typing import Any

from explainers.evaluation.controls import is_control
from explainers.evaluation.tables.summary import Summary


def as_plain(summary: Summary) -> dict[str, Any]:
    """Its lines as text, its notes, and what they say of the explainers.

    Returns:
        lines (heading first), notes, scores (with the direction that is better), explainers, controls, surviving,
        images, no_better_than_control: by score, those that are not better than every control, where that can be told,
        and untestable: of scores by which nothing can, how many images would do, None where no number would.
    """
    return {
        "lines": summary.lines(),
        "notes": summary.notes(),
        "scores": {score: summary.better[score] for score in summary.scores},
        "explainers": list(summary.explainers),
        "controls": [name for name in summary.explainers if is_control(name)],
        "surviving": list(summary.surviving),
        "no_better_than_control": {
            score: [name for name in summary.explainers if _is_chance(summary, name, score)] for score in summary.scores
        },
        "images": summary.images,
        "untestable": {score: needed for score, (_, needed) in summary.untestable.items()},
    }


def _is_chance(summary: Summary, explainer: str, score: str) -> bool:
    """Whether an explainer is not better than every control by a score that can tell."""
    cell = summary.cells.get((explainer, score))
    return cell is not None and cell.chance and score not in summary.untestable
