"""Images through explainers through metrics, a chunk at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from explainers.core.explainer import Explainer
from explainers.core.image_by_image import OF_THE_METHOD, Failure, in_parts, is_of_the_run, told_of_network
from explainers.core.maps import constant_reason, is_constant
from explainers.core.rounding.saturation import at_end
from explainers.errors import ExplainersError, LayerError, UnsupportedError
from explainers.evaluation.chunk_maps import ChunkMaps, Stored
from explainers.evaluation.measuring.batch import Batch
from explainers.evaluation.measuring.chunk import Chunk, opened
from explainers.evaluation.measuring.lock_step import lock_step
from explainers.evaluation.measuring.subject import Explain, Subject
from explainers.evaluation.measuring.watched import refuse_unfit
from explainers.evaluation.metric import Metric
from explainers.evaluation.rows import Row, constant_row, failed_row, measured_row
from explainers.passes.activation import Reading
from explainers.passes.predictor import Predictor


@dataclass(frozen=True)
class Unit:
    """What was measured of one explainer on one batch.

    keys: of each piece that is done or not done, with the names of its images: one, whatever the batch it came in;
    rows: of the images that were not done before, None where all were; maps: (H, W) float32 of those that have one, by
    their names; outlines: (h, w) bool of what is watched in images, of those in which it is less than all; left: the
    keys of the images that were not done before.
    """

    keys: Mapping[str, tuple[str, ...]]
    explainer: str
    rows: list[Row] | None
    maps: Mapping[str, Tensor] = field(default_factory=dict)
    outlines: Mapping[str, Tensor] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    def pieces(self) -> dict[str, list[Row]]:
        """The rows of each piece that was not done before, by its key; there may be none of it."""
        return {key: [row for row in self.rows or [] if row["image"] in self.keys[key]] for key in self.left}


@dataclass(eq=False)
class Engine:
    """Scores explainers.

    explainers: callables (images, targets) → maps (N, *axes), or Stored; metrics: by their titles; black: (C,) a black
    pixel as the network takes it, or None; skip_unsupported: leave out methods that refuse the network.
    """

    network: Any
    explainers: Mapping[str, Explain | Stored]
    metrics: Mapping[str, Metric]
    predictor: Predictor
    activation: str | None = "auto"
    black: Tensor | None = None
    seed: int = 0
    skip_unsupported: bool = False
    refused: dict[str, str] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)
    """Explainers that have made maps of this network: what they refuse from then on is an image, not the network."""
    reading: Reading | None = None
    """What turns scores into f(x), from the first images on."""

    def run(self, batches: Iterable[Batch], done: frozenset[str] | set[str] = frozenset()) -> Iterator[Unit]:
        """The units of each batch that are not done yet.

        Units that are done come without rows, so that what a run consists of is known.

        Raises:
            MapError: an explainer's maps do not fit the images. UnsupportedError: a method cannot be right on this
            network, and skip_unsupported is not set. OptionError, TargetError: as everywhere.
        """
        for batch in batches:
            yield from self._units(batch, done)

    def _units(self, batch: Batch, done: frozenset[str] | set[str]) -> Iterator[Unit]:
        pieces = _pieces(batch)
        with nullcontext() if batch.inputs is None else self.network.given(batch.inputs):
            keys = {name: self._keys(pieces, name) for name in self.explainers if name not in self.refused}
            self.proven |= {name for name, own in keys.items() if not own.keys().isdisjoint(done)}
            asked = {name: own for name, own in keys.items() if own.keys() - done}
            # Batches are gone through whole: kernels round otherwise for other numbers of images.
            made = self._batch(batch, asked, done) if asked else iter(())
            waiting = next(made, None)
            for name, own in keys.items():  # in one order, whatever was done before
                if name not in asked:
                    yield Unit(own, name, None)
                elif waiting is not None and waiting.explainer == name:
                    yield waiting
                    waiting = next(made, None)

    def _keys(self, pieces: Sequence[Batch], name: str) -> dict[str, tuple[str, ...]]:
        """Names each piece of a batch by what is in it, its explainer and, where they are files, its maps."""
        explainer, found = self.explainers[name], {}
        for piece in pieces:
            maps = explainer.digest(piece.names) if isinstance(explainer, Stored) else ""
            found[hashlib.sha256(f"{piece.digest} {name} {maps}".encode()).hexdigest()[:32]] = piece.names
        return found

    def _batch(
        self, batch: Batch, keys: Mapping[str, Mapping[str, tuple[str, ...]]], done: frozenset[str] | set[str]
    ) -> Iterator[Unit]:
        """The units of these explainers, each of which has images that are not done."""
        chunk, broken = self._opened(batch)
        all_maps = None if chunk is None else ChunkMaps(chunk, self.explainers, self.proven)
        outlines = {} if chunk is None else chunk.outlines()
        for name in keys:
            if all_maps is not None and name not in self.proven:  # a refusal comes before any score is noted
                try:
                    all_maps.of(name)
                except (UnsupportedError, LayerError) as error:
                    self._refuse(name, error)
        for name, own in keys.items():
            if name in self.refused:
                continue
            rows = [failed_row(each, name, reason) for each, reason in broken.items()]
            maps: dict[str, Tensor] = {}
            if all_maps is not None:
                rows += self._rows(name, all_maps)
                maps = all_maps.by_image(name)
            left = tuple(key for key in own if key not in done)
            images = {image for key in left for image in own[key]}
            rows = [row for row in rows if row["image"] in images]
            maps = {image: map_ for image, map_ in maps.items() if image in images}
            yield Unit(own, name, rows, maps, outlines, left)

    def _opened(self, batch: Batch) -> tuple[Chunk | None, dict[str, str]]:
        """The chunk of the images that the network has scores for, and why the others have none."""
        rows: list[int] = []
        broken: dict[str, str] = {}
        for part, found in in_parts(range(len(batch.names)), lambda rows: self._chunk(batch.select(rows))):
            if isinstance(found, Failure):
                broken[batch.names[part[0]]] = found.reason
            elif len(part) == len(batch.names):
                return found, {}
            else:
                rows += part
        for _, joined in in_parts([rows] if rows else [], lambda parts: self._chunk(batch.select(parts[0]))):
            if not isinstance(joined, Failure):
                return joined, broken
            broken |= {batch.names[row]: joined.reason for row in rows}  # together they fail, though none does alone
        return None, broken

    def _chunk(self, batch: Batch) -> Chunk:
        activation = self.activation if self.reading is None else self.reading
        with told_of_network(self.predictor.network, batch.images):
            chunk = opened(batch, self.predictor, activation, black=self.black, seed=self.seed)
        self.reading = chunk.reading if chunk.watched is None else chunk.watched.scores.classes
        return chunk

    def _rows(self, name: str, all_maps: ChunkMaps) -> list[Row]:
        """What all metrics say of an explainer's maps; first the images that have none, or a constant one."""
        chunk, made = all_maps.chunk, all_maps.of(name)
        same = [row for row in range(len(chunk)) if row not in made.failed and is_constant(made.maps[row])]
        good = [row for row in range(len(chunk)) if row not in made.failed and row not in same]
        rows = [failed_row(chunk.names[row], name, reason) for row, reason in sorted(made.failed.items())]
        ours = isinstance(self.explainers[name], Explainer)
        for row in same:
            value = float(chunk.probability[row])
            end = at_end(self.explainers[name], value, chunk.quantity(row), str(chunk.reading)) if ours else ""
            why = constant_reason(made.maps[row], made.layers, ours=ours, at_end=end)
            rows.append(constant_row(chunk.names[row], name, why))
        if not good:
            return rows
        for part, found in in_parts(good, lambda part: self._measured(name, all_maps, part), _of_the_run):
            if isinstance(found, Failure):
                rows.append(failed_row(chunk.names[part[0]], name, found.reason))
            else:
                rows += found
        return rows

    def _measured(self, name: str, all_maps: ChunkMaps, good: Sequence[int]) -> list[Row]:
        """What all metrics say of an explainer's maps of these images."""
        chunk, made, explainer = all_maps.chunk, all_maps.of(name), self.explainers[name]
        part = chunk.select(good)
        subject = Subject(
            part,
            made.maps[torch.tensor(good, device="cpu").to(made.maps.device)],
            None if isinstance(explainer, Stored) else part.explainer(explainer),
            self.network,
            part.passes(self.predictor),
            lambda other: all_maps.other(other, good),
        )
        metrics = {
            title: metric
            for title, metric in self.metrics.items()
            if subject.explain is not None or "explainer" not in metric.needs
        }
        for title, metric in metrics.items():
            refuse_unfit(title, metric, part.watched)
        rows = []
        for title, measured in zip(metrics, lock_step(subject, list(metrics.values())), strict=True):
            each = len(measured) // len(part)
            for row in range(len(part)):
                for result in measured[row * each : (row + 1) * each]:
                    rows.append(measured_row(part, row, name, title, metrics[title], result, made.seconds))
        return rows

    def _refuse(self, name: str, error: ExplainersError) -> None:
        if not self.skip_unsupported:
            raise error
        self.refused[name] = str(error)


def _of_the_run(error: Exception) -> bool:
    """What a metric refuses, it refuses for every image."""
    return is_of_the_run(error) or isinstance(error, OF_THE_METHOD)


def _pieces(batch: Batch) -> list[Batch]:
    """A batch image by image; whole where a name is given twice, which tells no rows apart."""
    count = len(batch.names)
    if count == 1 or len(set(batch.names)) < count:
        return [batch]
    return [batch.select((row,)) for row in range(count)]
