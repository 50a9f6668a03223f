"""Curves of the score on the way from one image to another, pixel by pixel in the order of a heat map.

A `Walk` is the way of one image, and keeps what was seen on it; a `Trace` is a walk looked at by one way of sampling,
which decides the steps; a `Curve` is what came of that. `Walks` has them all for one explainer on a chunk, so that
metrics that go the same way share its passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from explainers.evaluation.measuring.chunk import Chunk
from explainers.evaluation.measuring.curve_sampling import Adaptive, Sampling, area, unseen_variances
from explainers.evaluation.measuring.fillings import Baseline
from explainers.evaluation.measuring.passes import Given, Job, Seen
from explainers.evaluation.measuring.ranking import Order, patch_orders, pixel_orders
from explainers.evaluation.measuring.unseen import Probe, Unseen, probe_of


@dataclass(frozen=True)
class Curve:
    """shares: 0 … 1 of the steps taken, ascending, both ends included; values: what was seen there."""

    shares: np.ndarray
    values: np.ndarray

    @property
    def area(self) -> float:
        """By the trapezoid rule."""
        return area(self.shares, self.values)

    def backwards(self) -> Curve:
        """The same way from its end."""
        return Curve(1 - self.shares[::-1], self.values[::-1])


class Walk:
    """The way of one image from `start` to `end`; what is seen at a step is kept, whoever asked for it."""

    def __init__(self, chunk: Chunk, row: int, start: str, end: str, order: Order) -> None:
        self.chunk, self.row, self.start, self.end, self.order = chunk, row, start, end, order
        self.seen: dict[int, tuple[float, bool]] = {}

    @property
    def steps(self) -> int:
        """Steps from start to end."""
        return self.order.steps

    def at(self, step: int) -> tuple[float, bool] | None:
        """(probability, hit) after a step, None while it is not known."""
        if step in (0, self.steps):
            known = self.chunk.ends.get(self.start if step == 0 else self.end)
            return None if known is None else (float(known[0][self.row]), bool(known[1][self.row]))
        return self.seen.get(step)

    def unknown_ends(self, steps: Sequence[int]) -> set[str]:
        """Whole images that have to be seen for these steps."""
        keys = {0: self.start, self.steps: self.end}
        return {keys[step] for step in steps if step in keys} - self.chunk.ends.keys()


class _Steps:
    """The passes of some steps of one walk."""

    def __init__(self, walk: Walk, steps: Sequence[int]) -> None:
        self.walk, self.steps = walk, sorted(steps)
        self.rows = [walk.row] * len(self.steps)

    def fill(self, first: int, last: int, buffer: Tensor) -> None:
        """Each image is the one before it with the pixels of the steps between."""
        walk = self.walk
        begin, end = (walk.chunk.substrates[key][walk.row] for key in (walk.start, walk.end))
        rows = buffer.movedim(1, -1)
        by_pixel = rows.is_contiguous()
        previous, done = begin, 0
        for step, row in zip(self.steps[first:last], rows, strict=True):
            state = row.view(-1, row.shape[-1]) if by_pixel else torch.empty_like(begin)
            state.copy_(previous)
            count = walk.order.count(step)
            changed = walk.order.pixels[done:count]
            state.index_copy_(0, changed, end.index_select(0, changed))
            if not by_pixel:
                row.copy_(state.view(row.shape))
            previous, done = state, count


class Trace:
    """A walk looked at by one way of sampling."""

    def __init__(self, walk: Walk, sampling: Sampling) -> None:
        self.walk, self.sampling = walk, sampling
        self.wanted = sampling.first(walk.steps)
        self.probe: Probe | None = None
        self.done = False

    def missing(self) -> list[int]:
        """Steps that have to be seen next."""
        return [step for step in self.wanted if self.walk.at(step) is None]

    def advance(self) -> None:
        """Everything wanted has been seen: go on, or be done."""
        while not self.done and not self.missing():
            more = self.sampling.more(np.array(self.wanted), self._values(0)) or self._probe()
            self.wanted = sorted({*self.wanted, *more})
            self.done = not more

    def _probe(self) -> list[int]:
        """Random steps, once, when the way of sampling has none to add.

        Drawn by the image's own seed: the same for all maps of an image, and others for the next image.
        """
        if not isinstance(self.sampling, Adaptive) or self.probe is not None:
            return []
        seed = self.walk.chunk.seeds()[self.walk.row]
        self.probe = probe_of(np.array(self.wanted), self._values(0), self.sampling.probes, seed)
        return self.probe.steps.tolist()

    def curve(self) -> Curve:
        """The target's probability along the way."""
        return Curve(np.array(self.wanted) / self.walk.steps, self._values(0))

    def unseen(self) -> Unseen | None:
        """How well the area is known; None where the steps were given, which make the area what it is."""
        if self.probe is None:
            return None
        positions, walk = np.array(self.wanted), self.walk
        gaps = np.diff(positions)
        seen = np.array([float(known[0]) for step in self.probe.steps.tolist() if (known := walk.at(step))])
        return Unseen(
            float(np.sqrt(unseen_variances(positions, self._values(0)).sum())),
            float(gaps[gaps > 1].max(initial=0)) / max(walk.steps, 1),
            tuple(self.probe.surprises(seen).tolist()),
            walk.chunk.reading.probability,
        )

    def hits(self) -> Curve:
        """1 where the predicted class is the expected one, else 0."""
        return Curve(np.array(self.wanted) / self.walk.steps, self._values(1))

    def _values(self, which: int) -> np.ndarray:
        seen = [self.walk.at(step) for step in self.wanted]
        return np.array([np.nan if each is None else float(each[which]) for each in seen])


class Walks:
    """All walks of one explainer's maps over the images of a chunk; equal ones are one."""

    def __init__(self, chunk: Chunk, maps: Tensor) -> None:
        self.chunk, self.maps = chunk, maps
        self._orders: dict[int, list[Order]] = {}
        self._walks: dict[tuple[int, str, str, int], Walk] = {}
        self._traces: dict[tuple[int, Sampling], Trace] = {}

    def order(self, patch: int = 1) -> list[Order]:
        """The ranking of each image's pixels, or of its patches."""
        if patch not in self._orders:
            made = pixel_orders(self.maps) if patch == 1 else patch_orders(self.maps, patch)
            self._orders[patch] = made
        return self._orders[patch]

    def traces(self, start: Baseline, end: Baseline, sampling: Sampling, patch: int = 1) -> list[Trace]:
        """The way of each image from one baseline (or `IMAGE`) to another, most important pixels first."""
        return [self.trace(row, start, end, sampling, patch) for row in range(len(self.chunk))]

    def trace(self, row: int, start: Baseline, end: Baseline, sampling: Sampling, patch: int = 1) -> Trace:
        """The same of one image."""
        keys = self.chunk.substrate(start), self.chunk.substrate(end)
        key = (row, *keys, patch)
        if key not in self._walks:
            self._walks[key] = Walk(self.chunk, row, *keys, self.order(patch)[row])
        walk = self._walks[key]
        return self._traces.setdefault((id(walk), sampling), Trace(walk, sampling))

    def jobs(self) -> list[tuple[Job, Walk | str]]:
        """The passes that unfinished traces need next, each step once, with where the answer belongs."""
        wanted: dict[int, tuple[Walk, set[int]]] = {}
        whole: set[str] = set()
        for trace in self._traces.values():
            trace.advance()
            if trace.done:
                continue
            walk, missing = trace.walk, trace.missing()
            whole |= walk.unknown_ends(missing)
            inner = {step for step in missing if 0 < step < walk.steps}
            wanted.setdefault(id(walk), (walk, set()))[1].update(inner)
        rows = range(len(self.chunk))
        found: list[tuple[Job, Walk | str]] = []
        for name in sorted(whole):
            found.append((Given(self.chunk.whole(name), rows), name))
        for walk, steps in wanted.values():
            if steps:
                found.append((_Steps(walk, list(steps)), walk))
        return found

    def tell(self, job: Job, place: Walk | str, seen: Seen) -> None:
        """What the network said of a job."""
        if isinstance(place, str):
            self.chunk.ends[place] = (seen.probability, seen.hit)
            return
        assert isinstance(job, _Steps)
        for step, probability, hit in zip(job.steps, seen.probability.tolist(), seen.hit.tolist(), strict=True):
            place.seen[step] = (probability, hit)


def finished(traces: Sequence[Trace]) -> Iterator[list[Job]]:
    """Wait until all traces are done; asks for no passes of its own."""
    while not all(trace.done for trace in traces):
        yield []
