"""From network to network: the reference first, then each of the others, one in memory at a time."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.image_by_image import reason_of
from explainers.errors import ImageError, LayerError, OptionError, UnsupportedError
from explainers.evaluation.controls import random_maps
from explainers.evaluation.drifting.finished_units import Keeper, Row, digest
from explainers.evaluation.drifting.groups import grouped, members
from explainers.evaluation.drifting.loaded_network import SAID, Classes, Opened, identity_of
from explainers.evaluation.drifting.map_similarity import failed, likeness, packed
from explainers.evaluation.drifting.methods import Method
from explainers.evaluation.drifting.networks import Checkpoint
from explainers.evaluation.drifting.options import GROUPED, LABEL, REFERENCE, DriftOptions
from explainers.evaluation.drifting.result import Drift
from explainers.evaluation.drifting.table_lines import CHECKPOINT, METHOD_SEED, RANDOM_MAPS, Compared
from explainers.evaluation.measuring.batch import Batch

Source = Callable[[Any], Iterable[Batch]]  # from a model to the images as it takes them, the same ones for every model
Told = Callable[[str], None]
RESEEDED, RANDOM = "another seed of the method", "random maps"


@dataclass(eq=False)
class Walk:
    """One comparison under way.

    identity, count, classes: of the reference: what tells its weights from others', how many scores it gives, and its
    classes; digests, counts, chosen: of each batch its content, how many images it has, and which are explained.
    """

    methods: Sequence[Method]
    source: Source
    keeper: Keeper
    options: DriftOptions
    found: Drift
    told: Told = lambda text: None
    identity: str = ""
    count: int = 0
    classes: Classes | None = None
    digests: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    chosen: list[list[int]] = field(default_factory=list)

    def reference(self, checkpoint: Checkpoint) -> None:
        """Everything of the reference: what it says, the maps that others are compared with, and what chance makes.

        Raises:
            ImageError: there are no images. UnsupportedError, LayerError: a method refuses the reference. Whatever
            loading it raises.
        """
        name = self.found.reference
        opened = Opened(checkpoint, self.options)
        self.identity = identity_of(checkpoint, opened, name)
        self._say(Compared(name, CHECKPOINT, checkpoint.epoch), self.identity, opened)
        opened.count = self.count
        names = getattr(opened.model, "class_names", None)
        self.classes = Classes(self.count, names, opened.reading, type(opened.network))
        self.found.classes, self.found.class_names, self.found.reading = self.count, names, str(opened.reading)
        self._choose()
        for number, batch in self._explained(opened.model):
            for method in self._left():
                self._keep_maps(opened, method, number, batch)
        if not self._left():
            raise UnsupportedError(f"no method is left: {'; '.join(self.found.refused.values())}")
        seed = self.options.seed
        self.found.compared[RESEEDED] = Compared(RESEEDED, METHOD_SEED)
        self.found.compared[RANDOM] = Compared(RANDOM, RANDOM_MAPS)
        for number, batch in self._explained(opened.model):
            for method in self._left():
                for each, own in ((name, seed), (RESEEDED, seed + 1)):
                    key = self._key(self.identity, method, own, number)
                    self._compare(each, key, opened, method, own, batch, number)
                self._unit(RANDOM, self._key(RANDOM, method, seed, number), method, number, self._random(batch))

    def other(self, name: str, kind: str, checkpoint: Checkpoint) -> None:
        """Another network; what is wrong with it is noted, and costs it alone."""
        try:
            self._other(Compared(name, kind, checkpoint.epoch), checkpoint)
        except Exception as error:  # somebody's network: whatever it raises is a fact about it
            for kept in (self.found.compared, self.found.said):
                kept.pop(name, None)
            for method in self.methods:
                self.found.likeness.pop((name, method.title), None)
                self.found.status.pop((name, method.title), None)
            self.found.failed[name] = reason_of(error)
        gc.collect()

    def _other(self, compared: Compared, checkpoint: Checkpoint) -> None:
        opened = None
        if not checkpoint.identity or not self._all_done(checkpoint.identity):
            opened = Opened(checkpoint, self.options, self.classes)
        identity = identity_of(checkpoint, opened, compared.name)
        self._say(compared, identity, opened)
        batches = self._numbers() if opened is None else self._explained(opened.model)
        for number, batch in batches:
            for method in self._left():
                key = self._key(identity, method, self.options.seed, number)
                self._compare(compared.name, key, opened, method, self.options.seed, batch, number)

    def _left(self) -> list[Method]:
        return [each for each in self.methods if each.title not in self.found.refused]

    # what networks say of all images

    def _say(self, compared: Compared, identity: str, opened: Opened | None) -> None:
        rows: list[Row] = []
        first = not self.digests
        if opened is None:
            rows = [self._kept(self._said_key(identity, digest)) for digest in self.digests]
        else:
            for batch in self.source(opened.model):
                if first:
                    self._add_images(batch)
                    if opened.reading is None:  # also where all is kept: other networks are read alike
                        opened.settle(batch)
                key = self._said_key(identity, batch.digest)
                kept = self.keeper.rows(key)
                if kept is None:
                    kept = [{"checkpoint": compared.name, **opened.said(batch)}]
                    self.keeper.note(key, kept)
                rows += kept
                self.told(f"{compared.name}, scores")
        if not rows:
            raise ImageError("there are no images to compare maps on")
        if [len(row["entropy"]) for row in rows] != self.counts:
            raise OptionError("it does not get the images that the reference gets: their sizes or numbers differ")
        counts = {row["classes"] for row in rows if row["classes"]}
        if first:
            self.count = max(counts, default=0)
        broken = {reason for row in rows for reason in row["failed"].values()}
        if all(len(row["failed"]) == len(row["entropy"]) for row in rows):
            raise ImageError(f"it has scores of no image: {sorted(broken)[0]}")
        layer, norm = rows[0].get("layer"), rows[0].get("norm")
        self.found.compared[compared.name] = Compared(compared.name, compared.kind, compared.epoch, layer, norm)
        self.found.said[compared.name] = {
            key: np.array([np.nan if each is None else each for row in rows for each in row[key]], np.float64)
            for key in SAID
        }

    def _add_images(self, batch: Batch) -> None:
        """An image stands where the reference meets it."""
        self.digests.append(batch.digest)
        self.counts.append(len(batch.names))
        self.found.names += batch.names
        if batch.labels is not None:
            before = np.zeros(0, np.int64) if self.found.labels is None else self.found.labels
            self.found.labels = np.concatenate([before, batch.labels.cpu().numpy().astype(np.int64)])
        known = 0 if self.found.labels is None else len(self.found.labels)
        if known not in (0, len(self.found.names)):
            raise OptionError("some batches have labels and others have none; give all of them, or none")

    # which images are explained, and which class of them

    def _choose(self) -> None:
        said, labels = self.found.said[self.found.reference], self.found.labels
        if labels is not None and not np.isnan(said["largest"]).any():
            found = grouped(said["probability"], said["largest"], said["predicted"], labels, self.options.per_class)
            self.found.groups = members(found)
        elif self.options.explained == GROUPED:
            raise OptionError(
                'explained="groups" needs labels of all images, and a reference whose probabilities sum to 1 on each'
            )
        chosen = set(range(len(self.found.names)))
        if self.options.explained == GROUPED:
            chosen = {row for rows in self.found.groups.values() for row in rows.tolist()}
        self.found.explained = np.array(sorted(chosen), np.int64)
        start = 0
        for count in self.counts:
            self.chosen.append([row for row in range(count) if start + row in chosen])
            start += count
        if self.options.target == LABEL and labels is None:
            raise OptionError('target="label", but the images have no labels: pass labels, or target="reference"')
        own = self.options.target
        self.found.target = (LABEL if labels is not None else REFERENCE) if own is None else own
        if isinstance(own, int) and not 0 <= own < self.count:
            raise OptionError(f"target={own}: the reference has classes 0 … {self.count - 1}")

    def _explained(self, model: Any) -> Iterator[tuple[int, Batch]]:
        """The batches with images that are explained, and of these alone."""
        for number, batch in enumerate(self.source(model)):
            if rows := self.chosen[number]:
                yield number, batch.select(rows)

    def _numbers(self) -> Iterator[tuple[int, None]]:
        return ((number, None) for number, rows in enumerate(self.chosen) if rows)

    def _rows(self, number: int) -> np.ndarray:
        """The images of a batch that are explained, among all."""
        return sum(self.counts[:number]) + np.array(self.chosen[number], np.int64)

    def _targets(self, name: str, number: int) -> Tensor:
        return torch.from_numpy(self.found.targets(name, self._rows(number)))

    # maps, and how alike they are

    def _keep_maps(self, opened: Opened, method: Method, number: int, batch: Batch) -> None:
        """Maps of the reference, NaN where there is none."""
        key = self._maps_key(method, number)
        if self.keeper.maps(key) is not None:
            opened.proven.add(method.title)
            return
        try:
            maps = opened.maps(method, self.options.seed, batch, self._targets(self.found.reference, number))
        except (UnsupportedError, LayerError) as error:
            if not self.options.skip_unsupported:
                raise
            self.found.refused[method.title] = str(error)
            return
        self.keeper.keep_maps(key, maps.numpy(), [{"checkpoint": self.found.reference, "method": method.title}])
        self.told(f"{self.found.reference}, {method.title}")

    def _compare(
        self,
        name: str,
        key: str,
        opened: Opened | None,
        method: Method,
        seed: int,
        batch: Batch | None,
        number: int,
    ) -> None:
        def make() -> Tensor:
            assert opened is not None
            assert batch is not None
            return opened.maps(method, seed, batch, self._targets(name, number))

        self._unit(name, key, method, number, make)

    def _random(self, batch: Batch) -> Callable[[], Tensor]:
        return lambda: random_maps(batch.images, self.options.seed)

    def _unit(self, name: str, key: str, method: Method, number: int, make: Callable[[], Tensor]) -> None:
        """A batch's likenesses, made where they are not kept."""
        kept = self.keeper.rows(key)
        if kept is None:
            reference = self.keeper.maps(self._maps_key(method, number))
            assert reference is not None
            try:
                row = packed(name, method.title, likeness(torch.from_numpy(np.array(reference)), make().cpu()))
            except (UnsupportedError, LayerError) as error:
                row = failed(name, method.title, len(reference), reason_of(error))
            kept = [row]
            self.keeper.note(key, kept)
        self._add(name, method.title, kept[0])
        self.told(f"{name}, {method.title}")

    def _add(self, name: str, method: str, row: Row) -> None:
        values = self.found.likeness.setdefault((name, method), {key: np.zeros(0) for key in self.found.similarities})
        for key in values:
            own = [np.nan if each is None else each for each in row[key]]
            values[key] = np.concatenate([values[key], own])
        status = self.found.status.setdefault((name, method), [])
        status += zip(row["status"], row["reason"], strict=True)

    # units, each named by everything that decides its values

    def _said_key(self, identity: str, batch: str) -> str:
        return digest("scores", identity, batch)

    def _maps_key(self, method: Method, number: int) -> str:
        return digest("maps", self.identity, *self._unit_parts(method, self.options.seed, number))

    def _key(self, identity: str, method: Method, seed: int, number: int) -> str:
        return digest("likeness", self.identity, identity, *self._unit_parts(method, seed, number))

    def _unit_parts(self, method: Method, seed: int, number: int) -> tuple[Any, ...]:
        drawn = seed if method.draws else ""  # without a seed the same maps, made once
        return method.title, method.describe(), drawn, self.digests[number], self.chosen[number], self.found.target

    def _kept(self, key: str) -> Row:
        rows = self.keeper.rows(key)
        assert rows is not None
        return rows[0]

    def _all_done(self, identity: str) -> bool:
        """Whether a network need not be loaded: all its units are kept."""
        keys = [self._said_key(identity, each) for each in self.digests]
        for number, _ in self._numbers():
            keys += [self._key(identity, method, self.options.seed, number) for method in self._left()]
        return all(self.keeper.rows(key) is not None for key in keys)
