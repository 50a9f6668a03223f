"""What a comparison of networks says: means with intervals, and whether a difference is more than chance makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from explainers.errors import counted
from explainers.evaluation.drifting.table_lines import (
    CHECKPOINT,
    EVERY_IMAGE,
    METHOD_SEED,
    NETWORK_SEED,
    RANDOM_MAPS,
    TOO_FEW,
)
from explainers.evaluation.intervals import FEW, interval_of
from explainers.evaluation.metrics.similarity import RANGES
from explainers.evaluation.statistics import holm, images_needed, mean_tests
from explainers.evaluation.tables.columns import laid_out, markdown
from explainers.evaluation.tables.comparison import SIGNIFICANT

if TYPE_CHECKING:
    from explainers.evaluation.drifting.result import Drift

SAME, TRAINING, CHANGED, DRIFT = "same", "another training", "changed", "drift"
UNTESTED = "too few images"
WORDS = {
    SAME: "no less alike than with another seed of the method",
    TRAINING: "less alike than with another seed of the method, and no less than networks of another training seed",
    CHANGED: "less alike than with another seed of the method; what another training makes is not known",
    DRIFT: "less alike than with another seed of the method and than networks of another training seed",
}
LEGEND = (
    "[…] 95 % interval over images; ° no more alike than random maps (paired sign-flip tests over images, "
    "Holm-corrected, 5 %)"
)


@dataclass(frozen=True)
class Mean:
    """A likeness over the images of a group. interval: None for fewer than two images; images: that have a value."""

    value: float
    interval: tuple[float, float] | None
    images: int


@dataclass(frozen=True)
class Verdict:
    """What is said of a network's maps, over all images that are explained.

    word: "same", "another training", "changed" or "drift", see WORDS, or "too few images" where no difference could be
    found, however large; as_random: whether they are no more alike than random maps, None where that could not be
    found; p: of the tests against each kind of chance, corrected.
    """

    word: str
    as_random: bool | None
    p: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class DriftSummary:
    """The table that a person reads.

    cells: (name, method, group, similarity) → mean; verdicts: (name, method, similarity), of networks but the
    reference; tests: how many p-values of each similarity are corrected together.
    """

    drift: Drift
    cells: dict[tuple[str, str, str, str], Mean]
    verdicts: dict[tuple[str, str, str], Verdict]
    tests: int

    def rows(self) -> list[dict[str, Any]]:
        """A dict per network or row of chance, method, group and similarity."""
        found = []
        for (name, method, group, similarity), cell in self.cells.items():
            compared = self.drift.compared[name]
            verdict = self.verdicts.get((name, method, similarity)) if group == EVERY_IMAGE else None
            low, high = cell.interval or (None, None)
            row = {"checkpoint": name, "kind": compared.kind, "epoch": compared.epoch, "method": method}
            row |= {"group": group, "similarity": similarity, "value": None if np.isnan(cell.value) else cell.value}
            row |= {"low": low, "high": high, "images": cell.images, "verdict": verdict.word if verdict else ""}
            row["as_random"] = verdict.as_random if verdict else None
            for kind in (METHOD_SEED, NETWORK_SEED, RANDOM_MAPS):
                row[f"p_{kind.replace(' ', '_')}"] = None if verdict is None else verdict.p.get(kind)
            found.append(row)
        return found

    def lines(self, group: str = EVERY_IMAGE) -> list[list[str]]:
        """Heading and rows of the table as text: networks by methods, then what chance makes."""
        similarities = self.drift.similarities
        lines = [["network", "method", *similarities, "by " + similarities[0]]]
        names = [*self.drift.checkpoints]
        for kind in (METHOD_SEED, NETWORK_SEED, RANDOM_MAPS):
            names += self.drift.of_kind(kind)
        for method in self.drift.methods:
            for name in names:
                cells = [self.cells.get((name, method, group, each)) for each in similarities]
                if cells[0] is None:
                    continue
                verdict = self.verdicts.get((name, method, similarities[0])) if group == EVERY_IMAGE else None
                word = "reference" if name == self.drift.reference else self._kind(name)
                word = word if verdict is None else verdict.word + " °" * bool(verdict.as_random)
                lines.append([name, method, *(_text(each) for each in cells), word])
        return lines

    def _kind(self, name: str) -> str:
        kind = self.drift.compared[name].kind
        return "" if kind == CHECKPOINT else "chance"

    def network_lines(self) -> list[list[str]]:
        """Heading and rows of what the networks say."""
        columns = ("accuracy", "loss", "entropy", "probability", "weight_norm")
        lines = [["network", *(each.replace("_", " ") for each in columns)]]
        rows = {row["checkpoint"]: row for row in self.drift.networks() if "accuracy" in row}
        for name in (each for each in (*self.drift.checkpoints, *self.drift.of_kind(NETWORK_SEED)) if each in rows):
            values = (rows[name][column] for column in columns)
            lines.append([name, *("" if value is None else f"{value:.4g}" for value in values)])
        return lines

    def notes(self) -> list[str]:
        """What has to be known to read the tables."""
        found = self.drift
        count = len(found.explained)
        lines = [f"likeness of maps to those of {found.reference}, {count} image{'s' * (count != 1)}; {LEGEND}"]
        shown = found.similarities[0]
        words = {verdict.word for (_, __, similarity), verdict in self.verdicts.items() if similarity == shown}
        lines += [f"scores are read by {found.reading}"] if found.reading else []
        if found.labels is not None and not found.groups:
            lines.append("no groups: the reference's probabilities do not sum to 1 on every image")
        lines += [f"{word}: {text}" for word, text in WORDS.items() if word in words]
        if 0 < count < FEW:
            lines.append(
                f"fewer than {FEW} images: intervals of skewed scores hold the true value less often than they say "
                "(docs/metrics.md)"
            )
        needed = images_needed(self.tests, level=SIGNIFICANT) if self.tests else 0
        if needed is None or count < needed:
            more = "fewer networks or methods" if needed is None else f"{needed} images"
            lines.append(f"{TOO_FEW}, however large: {self.tests} tests need {more}")
        for left_out in (found.failed, found.refused, found.unread):
            together: dict[str, list[str]] = {}
            for name, reason in left_out.items():
                together.setdefault(reason, []).append(name)
            lines += [f"left out {', '.join(names)}: {reason}" for reason, names in together.items()]
        lines += self._lacking()
        return lines

    def _lacking(self) -> list[str]:
        """Maps that are not compared, and those that count as 0."""
        lines = []
        for (name, method), status in self.drift.status.items():
            counts: dict[tuple[str, str], int] = {}
            for each in status:
                if each[0] != "ok":
                    counts[each] = counts.get(each, 0) + 1
            lines += [
                f"{name}, {method}, {counted(number, 'image')}: {why} ({what})"
                for (what, why), number in counts.items()
            ]
        return lines

    def text(self, width: int = 160) -> str:
        """Both tables and the notes."""
        tables = [*laid_out(self.lines(), width), *laid_out(self.network_lines(), width)]
        return "\n".join([*tables, *self.notes()])

    def to_markdown(self) -> str:
        """The same for a document."""
        notes = [f"- {note}" for note in self.notes()]
        return "\n".join([*markdown(self.lines()), "", *markdown(self.network_lines()), "", *notes])

    def __str__(self) -> str:
        return self.text()


def summarise(drift: Drift) -> DriftSummary:
    """Means of every group, and tests over all images that are explained."""
    cells = {}
    groups = {EVERY_IMAGE: drift.places(), **{name: drift.places(name) for name in drift.groups}}
    for (name, method), values in drift.likeness.items():
        for group, places in groups.items():
            for similarity, each in values.items():
                cells[name, method, group, similarity] = _mean(each[places], drift.seed, RANGES[similarity])
    verdicts, tests = {}, 0
    for similarity in drift.similarities:
        found, tests = _verdicts(drift, similarity)
        verdicts.update({(name, method, similarity): each for (name, method), each in found.items()})
    return DriftSummary(drift, cells, verdicts, tests)


def _mean(values: np.ndarray, seed: int, within: tuple[float, float]) -> Mean:
    known = values[~np.isnan(values)]
    if not len(known):
        return Mean(float("nan"), None, 0)
    return Mean(float(known.mean()), interval_of(known, within=within, seed=seed), len(known))


def _verdicts(drift: Drift, similarity: str) -> tuple[dict[tuple[str, str], Verdict], int]:
    """Of each network but the reference and each method, and how many tests were made."""
    asked: list[tuple[str, str, str]] = []
    differences = []
    for method in drift.methods:
        levels = chance_levels(drift, method, similarity)
        for name in drift.checkpoints:
            if name != drift.reference:
                own = drift.likeness[name, method][similarity]
                asked += [(name, method, kind) for kind in levels]
                differences += [own - level for level in levels.values()]
    if not asked:
        return {}, 0
    means, p = _tested(np.stack(differences, axis=1), drift.seed)
    corrected = dict(zip(asked, holm(p).tolist(), strict=True))
    sign = dict(zip(asked, np.sign(means).tolist(), strict=True))

    def differs(key: tuple[str, str, str], direction: int) -> bool:
        return key in corrected and corrected[key] < SIGNIFICANT and sign[key] == direction

    needed = images_needed(len(asked), level=SIGNIFICANT)
    common = dict(zip(asked, (~np.isnan(np.stack(differences, axis=1))).sum(axis=0).tolist(), strict=True))
    found = {}
    for name, method in dict.fromkeys((name, method) for name, method, _ in asked):
        own_p = {kind: corrected[name, method, kind] for _, __, kind in asked if (name, method, kind) in corrected}
        few = needed is None or min(common[name, method, kind] for kind in own_p) < needed
        if few and min(own_p.values()) >= SIGNIFICANT:  # Holm finds some beside others that are clear
            found[name, method] = Verdict(UNTESTED, None, own_p)
            continue
        word = SAME
        if differs((name, method, METHOD_SEED), -1):
            known = (name, method, NETWORK_SEED) in corrected
            word = CHANGED if not known else DRIFT if differs((name, method, NETWORK_SEED), -1) else TRAINING
        found[name, method] = Verdict(word, not differs((name, method, RANDOM_MAPS), 1), own_p)
    return found, len(asked)


def chance_levels(drift: Drift, method: str, similarity: str) -> dict[str, np.ndarray]:
    """Kind of chance → (n,) likeness of each image; of several networks of another training seed the mean."""
    found = {}
    for kind in (METHOD_SEED, NETWORK_SEED, RANDOM_MAPS):
        rows = [drift.likeness[name, method][similarity] for name in drift.of_kind(kind)]
        if rows:
            found[kind] = np.stack(rows).mean(axis=0)
    return found


def _tested(differences: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and p of each column of (n, P), over the images that have a value; p is 1 where there is none."""
    means, p = np.zeros(differences.shape[1]), np.ones(differences.shape[1])
    together: dict[bytes, list[int]] = {}  # columns of the same images are tested by the same exchanges
    for column, known in enumerate(~np.isnan(differences.T)):
        together.setdefault(known.tobytes(), []).append(column)
    for mask, columns in together.items():
        known = np.frombuffer(mask, bool)
        if known.any():
            part = differences[known][:, columns]
            means[columns], p[columns] = part.mean(axis=0), mean_tests(part, seed)
    return means, p


def _text(cell: Mean | None) -> str:
    if cell is None or np.isnan(cell.value):
        return "–"
    ends = "" if cell.interval is None else f" [{cell.interval[0]:.3f}, {cell.interval[1]:.3f}]"
    return f"{cell.value:.3f}{ends}"
