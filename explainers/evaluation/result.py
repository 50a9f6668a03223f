"""What an evaluation found: rows, tables, curves."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from explainers.errors import DependencyError, OptionError
from explainers.evaluation.controls import CONTROLS
from explainers.evaluation.intervals import interval_of
from explainers.evaluation.measuring.curves import Curve
from explainers.evaluation.metric import Metric
from explainers.evaluation.metrics.similarity import average_ranks
from explainers.evaluation.rows import Row
from explainers.evaluation.tables.summary import Summary, summarise
from explainers.storage.csv_text import csv_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HIDDEN = ("curve", "parts", "map")  # not in tables


@dataclass(eq=False)
class Result:
    """Scores of explainers on images.

    rows: one dict per image, explainer and score: `image`, `explainer`, `metric`, `score` (the metric with its setting,
    such as pid@16), `value` (None where it is not defined), `target`, `probability` (of target
    objects that have none, `f(x)` instead), `quantity` (what f(x) is), `seconds` per map, the metric's
    settings, `status`, `reason`, `curve`; where there is no map to judge, one row of no metric and no score says why;
    metrics: by their titles; refused: explainer → why it was left out.
    """

    rows: list[Row]
    metrics: dict[str, Metric]
    refused: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> Summary:
        """Means with intervals, and what they say about the explainers."""
        return self._summary

    @cached_property
    def _summary(self) -> Summary:
        return summarise(self.rows, self.metrics, refused=self.refused, seed=self.seed)

    @property
    def explainers(self) -> tuple[str, ...]:
        """In the order in which they were given."""
        return tuple(dict.fromkeys(row["explainer"] for row in self.rows))

    @property
    def scores(self) -> tuple[str, ...]:
        """The metrics with their settings, in order."""
        return tuple(dict.fromkeys(row["score"] for row in self.rows if row["status"] == "ok"))

    @property
    def failed(self) -> list[Row]:
        """Images for which an explainer has no map, or a score is not defined."""
        return [row for row in self.rows if row["status"] != "ok" or row["value"] is None]

    def values(self, score: str) -> dict[str, dict[str, float]]:
        """explainer → image → value.

        Raises:
            OptionError: there is no such score.
        """
        if score not in self.scores:
            raise OptionError(f"no score {score!r}; there are {', '.join(self.scores)}")
        found: dict[str, dict[str, float]] = {name: {} for name in self.explainers}
        for row in self.rows:
            if row.get("score") == score and row["value"] is not None:
                found[row["explainer"]][row["image"]] = row["value"]
        return found

    def curves(self, score: str, *, points: int = 101) -> dict[str, tuple[Curve, Curve | None, Curve | None]]:
        """Mean curve of each explainer over images with the ends of its 95 % band (None for a single image).

        Raises:
            OptionError: the score has no curves.
        """
        shares = np.linspace(0, 1, points)
        found = {}
        for name in self.explainers:
            curves = [
                row["curve"]
                for row in self.rows
                if row["explainer"] == name and row.get("score") == score and row.get("curve") is not None
            ]
            if not curves:
                continue
            lines = np.stack([np.interp(shares, curve.shares, curve.values) for curve in curves])
            within = self._heights_within(score)
            band = [interval_of(line, within=within, seed=self.seed, resamples=500) for line in lines.T]
            ends: list[Curve | None] = [None, None]
            if band[0] is not None:
                ends = [Curve(shares, np.array([each[side] for each in band if each])) for side in (0, 1)]
            found[name] = (Curve(shares, lines.mean(axis=0)), ends[0], ends[1])
        if not found:
            raise OptionError(f"score {score!r} has no curves")
        return found

    def worst(self, explainer: str, score: str, count: int = 5) -> list[Row]:
        """The rows of the images on which an explainer does worst by a score, the worst first."""
        return self._ranked(explainer, score)[:count]

    def best(self, explainer: str, score: str, count: int = 5) -> list[Row]:
        """The rows of the images on which an explainer does best by a score, the best first."""
        return self._ranked(explainer, score)[::-1][:count]

    def _ranked(self, explainer: str, score: str) -> list[Row]:
        if score not in self.scores or explainer not in self.explainers:
            raise OptionError(
                f"no score {score!r} of {explainer!r}; scores are {', '.join(self.scores)}, explainers "
                f"{', '.join(self.explainers)}"
            )
        rows = [
            row
            for row in self.rows
            if row["explainer"] == explainer and row.get("score") == score and row["value"] is not None
        ]
        sign = 1 if self.metrics[score.partition("@")[0]].better == "higher" else -1
        return sorted(rows, key=lambda row: sign * row["value"])

    def to_csv(self, path: Any = None) -> str:
        """All rows as CSV, without the curves; written to `path` where one is given."""
        text = table([{key: value for key, value in row.items() if key not in HIDDEN} for row in self.rows])
        if path is not None:
            with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                file.write(text)
        return text

    def to_frame(self) -> Any:
        """All rows as a pandas DataFrame, without the curves.

        Raises:
            DependencyError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise DependencyError(
                "to_frame() needs pandas: pip install pandas; result.rows and to_csv() do not"
            ) from error
        return pandas.DataFrame([{key: value for key, value in row.items() if key not in HIDDEN} for row in self.rows])

    def plot(self, score: str | None = None) -> Figure:
        """Curves with bands of a score that has some; otherwise, or where none is named, values with intervals.

        Raises:
            OptionError: there is no such score.
        """
        from explainers.render.charts import curve_chart, dot_chart

        summary = self.summary()
        if score is not None and score not in self.scores:
            raise OptionError(f"no score {score!r}; there are {', '.join(self.scores)}")
        if score is not None and self.has_curves(score):
            across, heights = self.axes(score)
            title = summary.heading(score)
            within, curves = self._heights_within(score), self.curves(score)
            return curve_chart(curves, title=title, gray=CONTROLS, across=across, heights=heights, within=within)
        titles = {each: summary.heading(each) for each in ([score] if score else self.scores)}
        return dot_chart(summary.rows(), titles=titles, gray=CONTROLS)

    def has_curves(self, score: str) -> bool:
        """Whether a score comes with curves."""
        return any(row.get("curve") is not None for row in self.rows if row.get("score") == score)

    def axes(self, score: str) -> tuple[str, str]:
        """What a score's curves are over, and what they show; of f(x) what it is: "f(x): similarity (like cat.jpg)"."""
        metric = self.metrics[score.partition("@")[0]]
        rows = [row for row in self.rows if row.get("score") == score]
        quantities = {row["quantity"] for row in rows if row.get("quantity")}
        if metric.heights != Metric.heights or len(quantities) != 1:
            return metric.across, metric.heights
        targets = {row["target"] for row in rows}
        named = targets.pop() if len(targets) == 1 else None
        told = f" ({named})" if isinstance(named, str) else ""
        return metric.across, f"{metric.heights}: {quantities.pop()}{told}"

    def _heights_within(self, score: str) -> tuple[float, float] | None:
        """The range of what a score's curves show, where it is known."""
        return (0.0, 1.0) if self.axes(score)[1].startswith(f"{Metric.heights}: probability") else None

    def agreement(self) -> tuple[list[str], np.ndarray]:
        """Scores with a direction, and Spearman's correlation (S, S) of the explainers' values between them, turned so
        that 1 is the same order from best to worst."""
        summary = self.summary()
        scores = [score for score in self.scores if summary.better[score]]
        names = [name for name in self.explainers if all((name, score) in summary.cells for score in scores)]
        signs = [1.0 if summary.better[score] == "higher" else -1.0 for score in scores]
        values = torch.tensor(
            [
                [sign * summary.cells[name, score].value for name in names]
                for sign, score in zip(signs, scores, strict=True)
            ],
            dtype=torch.float64,
            device="cpu",
        )
        ranks = average_ranks(values.nan_to_num()) if len(names) else values
        if len(names) < 2:
            return scores, np.full((len(scores),) * 2, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):  # a score that is the same for all agrees with nothing
            return scores, np.atleast_2d(np.corrcoef(ranks.numpy()))

    def plot_agreement(self) -> Figure:
        """Whether the scores put the explainers in the same order."""
        from explainers.render.charts import agreement_chart

        scores, table_ = self.agreement()
        return agreement_chart(table_, scores)

    def __repr__(self) -> str:
        images = len({row["image"] for row in self.rows})
        return f"Result({images} images, {len(self.explainers)} explainers, scores {', '.join(self.scores)})"

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_png_(self) -> bytes:
        """Curves of the first score that has some, otherwise the values with their intervals."""
        score = next((score for score in self.scores if self.has_curves(score)), None)
        buffer = io.BytesIO()
        self.plot(score).savefig(buffer, format="png", dpi=72, bbox_inches="tight")
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        return str(self._repr_mimebundle_()["text/html"])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Table and figure, the figure alone, and the table as text: a notebook shows the first that it can."""
        from explainers.render.report import still

        made: dict[str, Any] = {"text/html": self.summary()._repr_html_(), "text/plain": str(self)}
        if self.scores:
            made["image/png"] = self._repr_png_()
            made["text/html"] += still(made["image/png"], "Curves, or values with their intervals")
        return made


def table(rows: Sequence[Mapping[str, Any]] | Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV with the columns of all of them."""
    listed = list(rows)
    columns = list(dict.fromkeys(key for row in listed for key in row))
    for last in ("status", "reason"):
        if last in columns:
            columns.append(columns.pop(columns.index(last)))
    return csv_text(columns, ({key: _cell(value) for key, value in row.items()} for row in listed))


def _cell(value: Any) -> Any:
    return "+".join(map(str, value)) if isinstance(value, tuple) else value
