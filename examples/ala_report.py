"""Table, orderings and errors of the ALA study, out of what each row and seed measured."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from study import cell

from explainers.storage.atomic import write_bytes

BEGIN, END = "<!-- measured: written by examples/ala_study.py -->", "<!-- end of what is measured -->"
BETTER = {
    "mIoU, 0.5": "higher",
    "mIoU, mean + std": "higher",
    "mIoU, best of validation": "higher",
    "insertion": "higher",
    "deletion": "lower",
    "ID": "higher",
    "ID, three levels": "higher",
}
ERRORS = ("over-attended", "insufficiently attended", "other", "")
Found = Mapping[str, Sequence[dict[str, Any]]]  # of each row what its trainings measured


def page(options: argparse.Namespace, found: Found, papers: Mapping[str, Sequence[float]]) -> list[str]:
    """The measured part of the document.

    Args:
        options: that the study was started with; papers: of each row what the paper has.
    """
    what = f"{options.size} px, {options.classes} classes, {options.train} training images"
    return [
        f"Measured on {options.data or f'generated birds ({what})'}: {options.images} test images, {options.scored} of "
        f"them for insertion and deletion, {options.seeds} trainings of each network; the encoder, {options.encoder}, "
        "is one for all. Intervals are over images, of the mean over the trainings; the means of the trainings stand "
        "in brackets behind them.",
        "",
        *table(found, papers),
        "",
        "Orderings that all trainings share, the better one first:",
        "",
        *orderings(found),
        "",
        f"How the {options.worst} maps with the lowest overlap (at 0.5) miss the bird, by training:",
        "",
        *errors(found, options.worst),
        "",
        "The first training's maps of the same six test images:",
        "",
        "![A row of maps for each method](ala-study-maps.webp)",
    ]


def mean_of(made: dict[str, Any], score: str) -> float:
    """Over the images that have the score."""
    values = list(made["values"][score].values())
    return float(np.mean(values)) if values else float("nan")


def table(found: Found, papers: Mapping[str, Sequence[float]]) -> list[str]:
    """A line for each row: mean and interval over images, and behind it the mean of each training; below it what the
    paper has for the row, if anything: mIoU, insertion, deletion, ID."""
    lines = ["| method | accuracy | " + " | ".join(BETTER) + " |", "|---|---|" + "---|" * len(BETTER)]
    for title, paper in papers.items():
        accuracy = ", ".join(f"{made['accuracy']:.2f}" for made in found[title])
        cells = []
        for score in BETTER:
            values = matrix(found[title], score)
            seeds = "" if len(values) < 2 else " (" + ", ".join(f"{each:.3f}" for each in values.mean(axis=1)) + ")"
            cells.append(cell(values) + seeds)
        lines.append(f"| {title} | {accuracy} | " + " | ".join(cells) + " |")
        if paper:
            overlap, insertion, deletion, score = (f"*{value:.3f}*" for value in paper)
            lines.append(f"| *the paper, CUB-200-2011* |  | {overlap} |  |  | {insertion} | {deletion} |  | {score} |")
    return lines


def matrix(seeds: Sequence[dict[str, Any]], score: str) -> np.ndarray:
    """(trainings, images) of those images that have a value in every training; a constant map has none."""
    each = [made["values"][score] for made in seeds]
    images = [image for image in each[0] if all(image in values for values in each)]
    return np.array([[values[image] for image in images] for values in each]).reshape(len(each), len(images))


def orderings(found: Found) -> list[str]:
    """Of each two rows, which is better by each score in all trainings; else that the trainings do not agree."""
    lines = []
    for score, better in BETTER.items():
        means = {title: [mean_of(made, score) for made in seeds] for title, seeds in found.items()}
        settled, open_ = [], []
        for first, second in combinations(means, 2):
            pairs = _paired(means[first], means[second])
            ahead = [(one > other) == (better == "higher") for one, other in pairs if one != other]
            if len(ahead) == len(pairs) and len(set(ahead)) == 1:
                settled.append(f"{first} > {second}" if ahead[0] else f"{second} > {first}")
            else:
                open_.append(f"{first} / {second}")
        lines.append(f"- {score}: {'; '.join(settled) or 'nothing'}. Not settled: {'; '.join(open_) or 'nothing'}.")
    return lines


def _paired(first: list[float], second: list[float]) -> list[tuple[float, float]]:
    """Training by training; what was trained once, such as the encoder, stands beside every one of the other."""
    count = max(len(first), len(second))
    both = [each * count if len(each) == 1 else each for each in (first, second)]
    return list(zip(*both, strict=True))


def errors(found: Found, count: int) -> list[str]:
    """How so many maps with the lowest overlap miss the bird, by training."""
    lines = ["| method | over-attended | insufficient | other | neither |", "|---|---|---|---|---|"]
    for title, seeds in found.items():
        counts = []
        for made in seeds:
            values = made["values"]["mIoU, 0.5"]
            worst = sorted(values, key=values.__getitem__)[:count]
            counts.append([sum(made["errors"].get(image, "") == kind for image in worst) for kind in ERRORS])
        cells = [", ".join(map(str, each)) for each in zip(*counts, strict=True)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return [*lines, "| *the paper, ALA, worst 100* | *86* | *12* | *2* |  |"]


def written(path: Path, lines: list[str]) -> None:
    """The measured part of the document, in place of the one that stands there."""
    measured_part = "\n".join([BEGIN, "", *lines, "", END])
    fresh = f"# ALA and what it is compared with\n\n{BEGIN}{END}\n"
    text = path.read_text(encoding="utf-8") if path.is_file() else fresh
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{path} has no place for what is measured: {BEGIN} … {END}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    write_bytes(path, (before + measured_part + after).encode())
