"""The table that a person reads: every explainer by every score, with what has to be known to read it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from explainers.core.maps import CONSTANT, CONSTANT_REASON
from explainers.errors import counted
from explainers.evaluation.attention_errors import AttentionErrors, attention_errors_of, attention_notes
from explainers.evaluation.controls import is_control
from explainers.evaluation.intervals import FEW
from explainers.evaluation.metric import Metric
from explainers.evaluation.rows import NOTHING as NOTHING_THERE, UNMATCHED, Row, file_of
from explainers.evaluation.statistics import images_needed
from explainers.evaluation.tables.about_detections import about_detections
from explainers.evaluation.tables.areas import NOTHING, Areas, about_areas, areas_of
from explainers.evaluation.tables.columns import laid_out, markdown, number_text, setting_text
from explainers.evaluation.tables.comparison import SIGNIFICANT, Cell, Test, compared, parts_of

ARROWS = {"higher": "↑", "lower": "↓", "": ""}
RANDOMISATION = "model-randomisation"
SURVIVES = 0.5
LEGEND = (
    "[…] 95 % interval over images; = no other explainer is better, ° not better than every control (paired sign-flip "
    "tests over the images of both, Holm-corrected, 5 %)"
)


@dataclass(frozen=True)
class Summary:
    """All explainers by all scores, the best by the first score on top.

    cells: by (explainer, score); tests: every pair by every score; seconds: per map; surviving: explainers whose maps
    hardly change when the network's weights are drawn anew; failed: explainer → images without a map; cautions: score →
    what has to be known to read it; constant: explainer → images whose map is the same everywhere; activations: what
    turned scores into f(x); attention: how regions miss their masks, by (explainer, score); areas: by (explainer,
    score), how well those under adaptive curves are known; detections: lines on them, where they are what is
    explained; because: explainer → why the first of its maps that are the same everywhere is so.
    """

    scores: tuple[str, ...]
    explainers: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]
    tests: list[Test]
    better: dict[str, str]
    settings: dict[str, str]
    seconds: dict[str, float]
    images: int
    surviving: tuple[str, ...] = ()
    failed: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    cautions: dict[str, str] = field(default_factory=dict)
    constant: dict[str, int] = field(default_factory=dict)
    activations: tuple[str, ...] = ()
    attention: dict[tuple[str, str], AttentionErrors] = field(default_factory=dict)
    areas: dict[tuple[str, str], Areas] = field(default_factory=dict)
    detections: tuple[str, ...] = ()
    because: dict[str, str] = field(default_factory=dict)

    def heading(self, score: str) -> str:
        """A score with the direction in which it is better."""
        return f"{score} {ARROWS[self.better[score]]}".strip()

    def rows(self) -> list[dict[str, Any]]:
        """A dict per explainer and score, for CSV and JSON."""
        found = []
        randomised = any(_is_randomisation(score) for score in self.scores)
        for explainer in self.explainers:
            for score in self.scores:
                cell = self.cells.get((explainer, score))
                if cell is None:
                    continue
                low, high = cell.interval or (None, None)
                chance, areas = self.cells.get(("random", score)), self.areas.get((explainer, score))
                found.append(
                    {
                        "explainer": explainer,
                        "control": is_control(explainer),
                        "score": score,
                        "better": self.better[score],
                        "value": cell.value,
                        "low": low,
                        "high": high,
                        "images": cell.images,
                        "random": None if chance is None else chance.value,
                        "no_other_is_better": None if score in self.untestable else cell.best,
                        "no_better_than_control": None
                        if is_control(explainer) or score in self.untestable
                        else cell.chance,
                        "survives_randomisation": explainer in self.surviving if randomised else None,
                        "seconds_per_map": self.seconds.get(explainer),
                        **(NOTHING if areas is None else areas.columns()),
                        "settings": self.settings[score],
                        **(errors.columns() if (errors := self.attention.get((explainer, score))) else {}),
                    }
                )
        return found

    def notes(self) -> list[str]:
        """What has to be known to read the table."""
        lines = [f"{self.images} image{'s' * (self.images != 1)}; {LEGEND}"]
        if self.images == 1:
            lines.append("a single image has no interval and nothing to test")
        elif 0 < self.images < FEW:
            lines.append(
                f"fewer than {FEW} images: intervals of skewed scores hold the true value less often than they say "
                "(docs/metrics.md)"
            )
        lines += [*self.detections, *self._too_few()]
        lines += [f"{self.heading(score)}: {text}" for score, text in self.cautions.items()]
        lines += [
            f"{', '.join(map(self.heading, scores))}: {settings}"
            for settings, scores in self._by_settings().items()
            if settings
        ]
        lines += [text] if (text := about_areas(self.areas)) else []
        if self.surviving:
            lines.append(
                f"! maps of {', '.join(self.surviving)} stay alike (above {SURVIVES}) when the network's weights are "
                "drawn anew: they do not explain this network"
            )
        lines += attention_notes(self.attention, self.explainers)
        lines += [f"f(x): {activation}" for activation in self.activations]
        lines += [
            f"{name}: {counted(count, 'image')} with a map that is the same everywhere, not scored{self.because[name]}"
            for name, count in self.constant.items()
        ]
        lines += [f"{name}: {counted(count, 'image')} without a map or value" for name, count in self.failed.items()]
        lines += [f"left out {name}: {reason}" for name, reason in self.refused.items()]
        return lines

    def _too_few(self) -> list[str]:
        """Where no difference could be found, however large: with how many images it could."""
        scores: dict[tuple[int, int | None], list[str]] = {}
        for score, told in self.untestable.items():
            scores.setdefault(told, []).append(score)
        return [
            f"{', '.join(names)}: no difference can be found with so few images, however large: {tests} pairs need "
            + ("fewer explainers" if needed is None else f"{needed} images")
            for (tests, needed), names in scores.items()
        ]

    def _by_settings(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for score in self.scores:
            found.setdefault(self.settings[score], []).append(score)
        return found

    def cell_text(self, explainer: str, score: str) -> str:
        """One cell of the table."""
        cell = self.cells.get((explainer, score))
        if cell is None:
            return "–"
        text = number_text(cell.value)
        if cell.interval is not None:
            text += f" [{number_text(cell.interval[0])}, {number_text(cell.interval[1])}]"
        return text if score in self.untestable else text + "=" * cell.best + "°" * cell.chance

    @cached_property
    def untestable(self) -> dict[str, tuple[int, int | None]]:
        """Scores of which no difference could be found, however large: their tests, and the images these need."""
        found: dict[str, tuple[int, int | None]] = {}
        for score in self.scores:
            tests = sum(each.score == score for each in self.tests)
            needed = images_needed(tests, level=SIGNIFICANT) if tests else 0
            images = max((cell.images for (_, of), cell in self.cells.items() if of == score), default=0)
            if needed is None or images < needed:
                found[score] = (tests, needed)
        return found

    def lines(self) -> list[list[str]]:
        """Heading and rows of the table as text."""
        heading = ["explainer", *map(self.heading, self.scores), "s/map"]
        body = []
        for name in self.explainers:
            mark = "!" if name in self.surviving else ""
            seconds = self.seconds.get(name)
            body.append(
                [name + mark]
                + [self.cell_text(name, score) for score in self.scores]
                + ["–" if seconds is None else number_text(seconds)]
            )
        return [heading, *body]

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 160) -> str:
        """The table in as many blocks of columns as it takes to stay within a width."""
        return "\n".join([*laid_out(self.lines(), width), *self.notes()])

    def to_markdown(self) -> str:
        """The table for a document."""
        return "\n".join([*markdown(self.lines()), "", *(f"- {note}" for note in self.notes())])

    def _repr_html_(self) -> str:
        head, *body = self.lines()
        style = ' style="text-align:left"'
        cells = "".join(f'<th scope="col"{style}>{html.escape(cell)}</th>' for cell in head)
        rows = "".join(f"<tr>{self._row(line, style)}</tr>" for line in body)
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes())
        return f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table><ul>{notes}</ul>"

    def _row(self, line: Sequence[str], style: str) -> str:
        name, *rest = (html.escape(cell) for cell in line)
        control = is_control(line[0].rstrip("!"))
        name = f"<em>{name}</em> (control)" if control else name
        return f'<th scope="row"{style}>{name}</th>' + "".join(f"<td{style}>{cell}</td>" for cell in rest)


def summarise(
    rows: Sequence[Row], metrics: dict[str, Metric], *, refused: dict[str, str] | None = None, seed: int = 0
) -> Summary:
    """The summary of an evaluation's rows."""
    good = [row for row in rows if row["status"] == "ok"]
    scores = tuple(dict.fromkeys(row["score"] for row in good))
    names = tuple(dict.fromkeys(row["explainer"] for row in rows))
    cells: dict[tuple[str, str], Cell] = {}
    tests, better, settings, cautions = list[Test](), {}, {}, {}
    for score in scores:
        metric = metrics[score.partition("@")[0]]
        better[score] = metric.better
        settings[score] = ", ".join(f"{key} {setting_text(value)}" for key, value in metric.settings().items())
        own = [row for row in good if row["score"] == score]
        cautions[score], found = metric.caution_of(own), parts_of(own, names)
        filled, pairs = compared(score, found, metric, seed, {row.get("quantity") for row in own} == {"probability"})
        cells.update(filled)
        tests += pairs
    seconds = {}
    for name in names:
        times = {row["image"]: row["seconds"] for row in good if row["explainer"] == name}
        if times and any(times.values()):
            seconds[name] = float(np.mean(list(times.values())))
    lacking: dict[str, set[str]] = {name: set() for name in names}
    same: dict[str, set[str]] = {name: set() for name in names}
    because: dict[str, str] = {}
    for row in rows:
        if row["status"] == NOTHING_THERE:
            continue
        if row["status"] == CONSTANT:
            same[row["explainer"]].add(row["image"])
            because.setdefault(row["explainer"], row["reason"].removeprefix(CONSTANT_REASON))
        elif row["status"] != "ok" or (row["value"] is None and row.get("reason") != UNMATCHED):
            lacking[row["explainer"]].add(row["image"])
    return Summary(
        scores,
        _sorted(names, scores, cells, better),
        cells,
        tests,
        better,
        settings,
        seconds,
        len({file_of(row) for row in rows if row["status"] != NOTHING_THERE}),
        _surviving(names, cells, scores),
        {name: len(images) for name, images in lacking.items() if images},
        dict(refused or {}),
        {score: text for score, text in cautions.items() if text},
        {name: len(images) for name, images in same.items() if images},
        tuple(dict.fromkeys(row["activation"] for row in good if row.get("activation"))),
        attention_errors_of(rows),
        areas_of([row for row in good if row["value"] is not None]),
        about_detections(rows, names),
        because,
    )


def _sorted(
    names: Sequence[str], scores: Sequence[str], cells: dict[tuple[str, str], Cell], better: dict[str, str]
) -> tuple[str, ...]:
    if not scores:
        return tuple(names)
    sign = -1.0 if better[scores[0]] == "higher" else 1.0

    def place(name: str) -> tuple[bool, float]:
        cell = cells.get((name, scores[0]))
        missing = cell is None or np.isnan(cell.value)
        return missing, 0.0 if cell is None or missing else sign * cell.value

    return tuple(sorted(names, key=place))


def _surviving(names: Sequence[str], cells: dict[tuple[str, str], Cell], scores: Sequence[str]) -> tuple[str, ...]:
    """Explainers whose maps of the randomised network resemble those of the network."""
    judged = [score for score in scores if _is_randomisation(score)]
    return tuple(
        name
        for name in names
        if not is_control(name)
        and any((name, score) in cells and cells[name, score].value > SURVIVES for score in judged)
    )


def _is_randomisation(score: str) -> bool:
    return score.partition("@")[0].startswith(RANDOMISATION)
