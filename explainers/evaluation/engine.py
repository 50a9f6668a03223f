"""Images through explainers through metrics, a chunk at a time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.errors import (
    DependencyError,
    ExplainersError,
    LayerError,
    MapError,
    OptionError,
    TargetError,
    UnsupportedError,
)
from explainers.evaluation.measuring.batch import Batch
from explainers.evaluation.measuring.chunk import Chunk, opened
from explainers.evaluation.measuring.lock_step import lock_step
from explainers.evaluation.measuring.passes import Passes
from explainers.evaluation.measuring.subject import Explain, Measured, Subject
from explainers.evaluation.measuring.validation import checked_maps
from explainers.evaluation.metric import Metric
from explainers.passes.predictor import Predictor

Row = dict[str, Any]
OF_THE_RUN = (OptionError, TargetError, DependencyError, MapError)  # errors that no other image would not have


@dataclass(frozen=True)
class Unit:
    """What was measured of one explainer on one batch; the piece that is done or not done (rows is None)."""

    key: str
    explainer: str
    names: tuple[str, ...]
    rows: list[Row] | None


@dataclass(frozen=True)
class Stored:
    """Maps that exist already.

    maps: from the names of images and the size (H, W) of the network's input to (N, H, W); digest: from the names to
    what tells the maps from others under these names.
    """

    maps: Callable[[Sequence[str], tuple[int, int]], Tensor]
    digest: Callable[[Sequence[str]], str]


@dataclass(eq=False)
class Engine:
    """Scores explainers.

    explainers: callables (images, targets) → maps (N, H, W), or Stored; metrics: by their titles; black: (C,) a black
    pixel as the network takes it, or None; skip_unsupported: leave out methods that refuse the network.
    """

    network: Any
    explainers: Mapping[str, Explain | Stored]
    metrics: Mapping[str, Metric]
    predictor: Predictor
    activation: str | None = "softmax"
    black: Tensor | None = None
    seed: int = 0
    skip_unsupported: bool = False
    refused: dict[str, str] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)
    """Explainers that have made maps of this network: what they refuse from then on is an image, not the network."""

    def run(self, batches: Iterable[Batch], done: frozenset[str] | set[str] = frozenset()) -> Iterator[Unit]:
        """The units of each batch that are not done yet.

        Units that are done come without rows, so that what a run consists of is known.

        Raises:
            MapError: an explainer's maps do not fit the images. UnsupportedError: a method cannot be right on this
            network, and skip_unsupported is not set. OptionError, TargetError: as everywhere.
        """
        for batch in batches:
            keys = {name: self._key(batch, name) for name in self.explainers if name not in self.refused}
            for name, key in keys.items():
                if key in done:
                    self.proven.add(name)
                    yield Unit(key, name, batch.names, None)
            left = {name: key for name, key in keys.items() if key not in done}
            if left:
                yield from self._batch(batch, left)

    def _key(self, batch: Batch, name: str) -> str:
        """Names a unit by its batch, its explainer and, where they are files, its maps."""
        explainer = self.explainers[name]
        maps = explainer.digest(batch.names) if isinstance(explainer, Stored) else ""
        return hashlib.sha256(f"{batch.digest} {name} {maps}".encode()).hexdigest()[:32]

    def _batch(self, batch: Batch, keys: Mapping[str, str]) -> Iterator[Unit]:
        chunk, broken = self._opened(batch)
        made: dict[str, _Made] = {}

        def maps_of(name: str) -> _Made:
            if name not in made:
                assert chunk is not None
                made[name] = self._made(name, chunk)
            return made[name]

        for name in keys if chunk is not None else ():
            if name not in self.proven:  # a refusal comes before any score is noted
                try:
                    maps_of(name)
                except (UnsupportedError, LayerError) as error:
                    self._refuse(name, error)
        for name, key in keys.items():
            if name in self.refused:
                continue
            rows = [self._failed(each, name, reason) for each, reason in broken.items()]
            if chunk is not None:
                rows += self._rows(name, chunk, maps_of(name), maps_of)
            yield Unit(key, name, batch.names, rows)

    def _opened(self, batch: Batch) -> tuple[Chunk | None, dict[str, str]]:
        """The chunk of the images that the network has scores for, and why the others have none."""
        rows, broken = list(range(len(batch.names))), {}
        try:
            return self._chunk(batch.select(rows)), {}
        except OF_THE_RUN:
            raise
        except ExplainersError as error:
            if len(rows) == 1:
                return None, {batch.names[0]: str(error)}
        for row in list(rows):
            try:
                self._chunk(batch.select([row]))
            except ExplainersError as error:
                broken[batch.names[row]] = str(error)
                rows.remove(row)
        return (self._chunk(batch.select(rows)) if rows else None), broken

    def _chunk(self, batch: Batch) -> Chunk:
        return opened(batch, self.predictor, self.activation, black=self.black, seed=self.seed)

    def _made(self, name: str, chunk: Chunk) -> _Made:
        """The maps of a chunk; where that fails it is halved, so that only the guilty image has none."""
        explainer = self.explainers[name]
        start = time.perf_counter()
        try:
            if isinstance(explainer, Stored):
                height, width = chunk.images.shape[-2:]
                returned: Any = explainer.maps(chunk.names, (height, width))
            else:
                returned = explainer(chunk.images, chunk.targets)
        except OF_THE_RUN:
            raise
        except ExplainersError as error:
            if isinstance(error, (UnsupportedError, LayerError)) and name not in self.proven:
                raise
            if len(chunk) == 1:
                empty = torch.zeros(1, *chunk.images.shape[-2:])
                return _Made(empty, {0: str(error)}, 0.0)
            middle = len(chunk) // 2
            first, second = (
                self._made(name, chunk.select(rows)) for rows in (range(middle), range(middle, len(chunk)))
            )
            return first.joined(second)
        self.proven.add(name)
        maps = checked_maps(returned, chunk.images, name)
        if maps.device.type == "cuda":
            torch.cuda.synchronize(maps.device)
        seconds = (time.perf_counter() - start) / len(chunk)
        finite = torch.isfinite(maps).flatten(1).all(dim=1).tolist()
        bad = {row: "the map has NaN or infinite values" for row, good in enumerate(finite) if not good}
        return _Made(maps, bad, 0.0 if isinstance(explainer, Stored) else seconds)

    def _rows(self, name: str, chunk: Chunk, made: _Made, maps_of: Callable[[str], _Made]) -> list[Row]:
        good = [row for row in range(len(chunk)) if row not in made.failed]
        rows = [self._failed(chunk.names[row], name, reason) for row, reason in sorted(made.failed.items())]
        if not good:
            return rows
        explainer = self.explainers[name]
        part = chunk.select(good)
        subject = Subject(
            part,
            made.maps[torch.tensor(good).to(made.maps.device)],
            None if isinstance(explainer, Stored) else explainer,
            self.network,
            Passes(self.predictor, self.activation),
            lambda other: self._other(other, maps_of, good),
        )
        metrics = {
            title: metric
            for title, metric in self.metrics.items()
            if subject.explain is not None or "explainer" not in metric.needs
        }
        for title, measured in zip(metrics, lock_step(subject, list(metrics.values())), strict=True):
            each = len(measured) // len(part)
            for row in range(len(part)):
                for result in measured[row * each : (row + 1) * each]:
                    rows.append(self._row(title, name, part, row, result, made.seconds))
        return rows

    def _other(self, name: str, maps_of: Callable[[str], _Made], rows: Sequence[int]) -> Tensor:
        if name not in self.explainers:
            raise OptionError(
                f"reference={name!r} is not among the explainers of this evaluation ({', '.join(self.explainers)})"
            )
        made = maps_of(name)
        maps = made.maps.clone()
        for row in made.failed:
            maps[row] = torch.nan
        return maps[torch.tensor(list(rows)).to(maps.device)]

    def _row(self, title: str, name: str, chunk: Chunk, row: int, result: Measured, seconds: float) -> Row:
        metric = self.metrics[title]
        return {
            "image": chunk.names[row],
            "explainer": name,
            "metric": metric.name,
            "score": "@".join([title, *map(str, result.settings.values())]),
            "value": None if np.isnan(result.value) else float(result.value),
            "target": int(chunk.targets[row]),
            "probability": float(chunk.probability[row]),
            "seconds": seconds,
            **metric.settings(),
            **result.settings,
            **result.details,
            "status": "ok",
            "reason": "not defined for this map" if np.isnan(result.value) else "",
            "curve": result.curve,
            "parts": result.parts,
        }

    def _failed(self, image: str, name: str, reason: str) -> Row:
        return {"image": image, "explainer": name, "metric": "", "status": "failed", "reason": reason}

    def _refuse(self, name: str, error: ExplainersError) -> None:
        if not self.skip_unsupported:
            raise error
        self.refused[name] = str(error)


@dataclass(frozen=True)
class _Made:
    maps: Tensor
    failed: dict[int, str]
    seconds: float

    def joined(self, other: _Made) -> _Made:
        count = len(self.maps)
        seconds = (self.seconds * count + other.seconds * len(other.maps)) / (count + len(other.maps))
        failed = {**self.failed, **{count + row: reason for row, reason in other.failed.items()}}
        return _Made(torch.cat([self.maps.to(other.maps.device), other.maps]), failed, seconds)
