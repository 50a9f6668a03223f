"""What a comparison of networks found: a table of likenesses, what each network says, and groups of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from explainers.errors import OptionError
from explainers.evaluation.drifting.finished_units import Row
from explainers.evaluation.drifting.loaded_network import SAID
from explainers.evaluation.drifting.map_similarity import FAILED
from explainers.evaluation.drifting.options import LABEL, PREDICTED, REFERENCE
from explainers.evaluation.drifting.summary import DriftSummary, summarise
from explainers.evaluation.drifting.table_lines import CHECKPOINT, EVERY_IMAGE, METHOD_SEED, RANDOM_MAPS, Compared
from explainers.evaluation.metrics.similarity import SIMILARITIES
from explainers.evaluation.result import table


@dataclass(eq=False)
class Drift:
    """Maps of many networks beside those of one.

    reference: its name; methods: titles; names: of all images; labels: (N,) right classes, or None; classes,
    class_names: of the reference; reading: how its scores are read; target: which class is explained, see
    `DriftOptions`; explained: (n,) indices of the images that have maps; compared: networks and rows of chance by their
    names, in order; said: name → "entropy" (nats), "probability" (of the right class), "loss", "predicted" → (N,), NaN
    where it is not known; likeness: (name, method) → similarity → (n,), NaN where there is none; status: (name, method)
    → (n,) why; groups: name → indices of images; failed: network → why nothing was made of it; refused: method → why;
    unread: image → why.
    """

    reference: str
    methods: list[str]
    seed: int = 0
    names: list[str] = field(default_factory=list)
    labels: np.ndarray | None = None
    classes: int = 0
    class_names: Sequence[str] | None = None
    reading: str = ""
    target: str | int = REFERENCE
    explained: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    compared: dict[str, Compared] = field(default_factory=dict)
    said: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    likeness: dict[tuple[str, str], dict[str, np.ndarray]] = field(default_factory=dict)
    status: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=dict)
    groups: dict[str, np.ndarray] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def similarities(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(SIMILARITIES)

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The networks of which something was made, by epoch where all have one, else in the order given."""
        found = [each for each in self.compared.values() if each.kind == CHECKPOINT]
        if all(each.epoch is not None for each in found):
            found = sorted(found, key=lambda each: each.epoch or 0)
        return tuple(each.name for each in found)

    @property
    def nothing(self) -> bool:
        """Whether no map of any other network could be compared: they failed, each whole or in every map."""
        own = (self.reference, *self.of_kind(METHOD_SEED), *self.of_kind(RANDOM_MAPS))
        others = [status for (name, _), status in self.status.items() if name not in own]
        return bool(self.failed or others) and all(each[0] == FAILED for status in others for each in status)

    def lost(self) -> list[tuple[str, str]]:
        """(what, why) of networks, maps and images that nothing was made of."""
        maps = [
            (f"{name}, {method}, {self.names[int(self.explained[place])]}", reason)
            for (name, method), status in self.status.items()
            for place, (what, reason) in enumerate(status)
            if what == FAILED
        ]
        return [*self.failed.items(), *maps, *self.unread.items()]

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """The rows of one kind, see `Compared`."""
        return tuple(each.name for each in self.compared.values() if each.kind == kind)

    def targets(self, name: str, rows: np.ndarray) -> np.ndarray:
        """(n,) classes, in the reference's order, that are explained in a network, of these among all images; where a
        network predicts nothing, class 0 stands for it."""
        if isinstance(self.target, int):
            return np.full(len(rows), self.target, np.int64)
        if self.target == LABEL:
            assert self.labels is not None
            return self.labels[rows]
        own = self.target == PREDICTED and name in self.said
        found: np.ndarray = np.nan_to_num(self.said[name if own else self.reference]["predicted"][rows])
        return found.astype(np.int64)

    def places(self, group: str = EVERY_IMAGE) -> np.ndarray:
        """Where the images of a group stand among those that are explained.

        Raises:
            OptionError: there is no such group.
        """
        if group == EVERY_IMAGE:
            return np.arange(len(self.explained))
        if group not in self.groups:
            raise OptionError(f"no group {group!r}; there are {', '.join([EVERY_IMAGE, *self.groups])}")
        return np.flatnonzero(np.isin(self.explained, self.groups[group]))

    def grouped_by(self, column: Mapping[str, Any] | Sequence[Any]) -> None:
        """Put a grouping of the user's in the place of the groups A, B and C.

        Args:
            column: image → group, or a value for each image in order; None and "" are in no group.

        Raises:
            OptionError: an image is not in the mapping, another number of values, or a group called "all".
        """
        if isinstance(column, Mapping):
            lacking = [name for name in self.names if name not in column]
            if lacking:
                more = f" and {len(lacking) - 1} more images have" if len(lacking) > 1 else " has"
                raise OptionError(f"{lacking[0]}{more} no group; give each one, or ''")
            values = [column[name] for name in self.names]
        else:
            values = list(column)
        if len(values) != len(self.names):
            raise OptionError(f"{len(values)} groups for {len(self.names)} images")
        kept = [None if value is None or str(value) == "" else str(value) for value in values]
        if EVERY_IMAGE in kept:
            raise OptionError(f"a group cannot be called {EVERY_IMAGE!r}, which are all images")
        names = sorted({value for value in kept if value is not None})
        self.groups = {name: np.array([n for n, each in enumerate(kept) if each == name], np.int64) for name in names}
        self.__dict__.pop("_summary", None)

    def rows(self) -> Iterator[Row]:
        """One for each network or row of chance, method and image that is explained, one after the other."""
        member = {int(row): name for name, rows in self.groups.items() for row in rows}
        for (name, method), values in self.likeness.items():
            compared = self.compared[name]
            for place, image in enumerate(self.explained.tolist()):
                status, reason = self.status[name, method][place]
                yield {
                    "checkpoint": name,
                    "kind": compared.kind,
                    "epoch": compared.epoch,
                    "method": method,
                    "image": self.names[image],
                    "label": None if self.labels is None else int(self.labels[image]),
                    "group": member.get(image, ""),
                    **{key: _number(each[place]) for key, each in values.items()},
                    "status": status,
                    "reason": reason,
                }

    def scores(self) -> Iterator[Row]:
        """What each network says of each image."""
        for name, values in self.said.items():
            for image, title in enumerate(self.names):
                yield {
                    "checkpoint": name,
                    "epoch": self.compared[name].epoch,
                    "image": title,
                    "label": None if self.labels is None else int(self.labels[image]),
                    **{key: _number(values[key][image]) for key in SAID},
                }

    def networks(self) -> list[Row]:
        """One row for each network: accuracy, error, loss, entropy, probability of the right class, over all images
        that it has scores of, and the norm of its last layer's weights."""
        found = []
        for name, said in self.said.items():
            known = ~np.isnan(said["predicted"])
            row: Row = {"checkpoint": name, "kind": self.compared[name].kind, "epoch": self.compared[name].epoch}
            right = None
            if self.labels is not None and known.any():
                right = float((said["predicted"][known] == self.labels[known]).mean())
            row |= {"images": int(known.sum()), "accuracy": right, "error": None if right is None else 1 - right}
            row |= {key: _mean(said[key]) for key in ("loss", "entropy", "probability")}
            found.append(row | {"weight_norm": self.compared[name].norm, "layer": self.compared[name].layer})
        for name, reason in self.failed.items():
            found.append({"checkpoint": name, "kind": CHECKPOINT, "status": "failed", "reason": reason})
        return found

    def summary(self) -> DriftSummary:
        """Means with intervals, and what is more than chance."""
        return self._summary

    @cached_property
    def _summary(self) -> DriftSummary:
        return summarise(self)

    def changed(self, method: str, similarity: str, name: str, count: int = 10) -> list[int]:
        """Places among the explained images of those that a network changed most, the most changed first."""
        values = self.likeness[name, method][similarity]
        order = np.argsort(np.where(np.isnan(values), np.inf, values), kind="stable")
        return [int(place) for place in order[:count] if not np.isnan(values[place])]

    def to_csv(self) -> str:
        """All rows of maps as CSV."""
        return table(self.rows())

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return (
            f"Drift({len(self.checkpoints)} networks against {self.reference}, {len(self.explained)} images, "
            f"{', '.join(self.methods)})"
        )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
