"""The maps of all explainers on one chunk, made when they are first asked for, and what an explainer may fail at."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from explainers.core.explainer import Explainer
from explainers.core.image_by_image import OF_THE_METHOD, Failure, in_parts, is_of_the_run
from explainers.errors import MapError, OptionError
from explainers.evaluation.measuring.chunk import Chunk
from explainers.evaluation.measuring.subject import Explain
from explainers.evaluation.measuring.validation import checked_maps
from explainers.evaluation.shared_passes import explained_together


@dataclass(frozen=True)
class Stored:
    """Maps that exist already.

    maps: from the names of images and the size (*axes) of the network's input to (N, *axes); digest: from the names to
    what tells the maps from others under these names; check: of names, size and what is watched of each (a class, "not"
    or a target object), refuses maps of something else. A MapError of `maps` or `check` costs the guilty image alone.
    """

    maps: Callable[[Sequence[str], tuple[int, ...]], Tensor]
    digest: Callable[[Sequence[str]], str]
    check: Callable[[Sequence[str], tuple[int, ...], Sequence[Any]], None] | None = None


@dataclass(frozen=True)
class Made:
    """Maps of one explainer.

    maps: (N, *axes) float32; failed: row → why it has no map, or none that can be judged; seconds: per map; layers:
    that it read, where it is ours and reads some.
    """

    maps: Tensor
    failed: dict[int, str]
    seconds: float
    layers: tuple[str, ...] = ()

    def joined(self, other: Made) -> Made:
        """These maps and then those of the other."""
        count = len(self.maps)
        seconds = (self.seconds * count + other.seconds * len(other.maps)) / (count + len(other.maps))
        failed = {**self.failed, **{count + row: reason for row, reason in other.failed.items()}}
        maps = torch.cat([self.maps.to(other.maps.device), other.maps])
        return Made(maps, failed, seconds, self.layers or other.layers)


class ChunkMaps:
    """Maps by the explainer's name.

    Args:
        proven: explainers that have made maps of this network: what they refuse from then on is an image, not the
            network. Grows.
    """

    def __init__(self, chunk: Chunk, explainers: Mapping[str, Explain | Stored], proven: set[str]) -> None:
        self.chunk, self.explainers, self.proven = chunk, explainers, proven
        self._made: dict[str, Made] = {}

    def of(self, name: str) -> Made:
        """The maps of an explainer, made once.

        Raises:
            MapError: they do not fit the images. UnsupportedError, LayerError: an explainer that is not proven refuses
                the network. OptionError, TargetError, DependencyError: as everywhere.
        """
        if name not in self._made:
            self._made[name] = self._make(name, self.chunk)
        return self._made[name]

    def other(self, name: str, rows: Sequence[int]) -> Tensor:
        """An explainer's maps of some rows to compare with, NaN where there is none.

        Raises:
            OptionError: there is no such explainer.
        """
        if name not in self.explainers:
            raise OptionError(
                f"reference={name!r} is not among the explainers of this evaluation ({', '.join(self.explainers)})"
            )
        made = self.of(name)
        maps = made.maps.clone()
        for row in made.failed:
            maps[row] = torch.nan
        return maps[torch.tensor(list(rows), device="cpu").to(maps.device)]

    def by_image(self, name: str) -> dict[str, Tensor]:
        """An explainer's maps (H, W) by the names of their images, without those that have none."""
        made = self.of(name)
        return {each: made.maps[row] for row, each in enumerate(self.chunk.names) if row not in made.failed}

    def _make(self, name: str, chunk: Chunk) -> Made:
        """The maps of a chunk; where that fails it is halved, so that only the guilty image has none."""

        stored = isinstance(self.explainers[name], Stored)

        def of_the_run(error: Exception) -> bool:
            if stored and isinstance(error, MapError):
                return False  # each image has a file of its own, and the others' may be good
            return is_of_the_run(error) or (isinstance(error, OF_THE_METHOD) and name not in self.proven)

        def made_of(rows: Sequence[int]) -> Made:
            return self._whole(name, chunk if len(rows) == len(chunk) else chunk.select(rows))

        parts = []
        for _, made in in_parts(range(len(chunk)), made_of, of_the_run):
            if isinstance(made, Failure):
                empty = torch.zeros(1, *chunk.images.shape[2:], dtype=torch.float32, device="cpu")
                made = Made(empty, {0: made.reason}, 0.0)
            parts.append(made)
        return reduce(Made.joined, parts)

    def _whole(self, name: str, chunk: Chunk) -> Made:
        """The maps of a chunk, all at once."""
        explainer, layers = self.explainers[name], ()  # type: Any, tuple[str, ...]
        start = time.perf_counter()
        if isinstance(explainer, Stored):
            size = tuple(chunk.images.shape[2:])
            if explainer.check is not None:
                explainer.check(chunk.names, size, [chunk.asked(row) for row in range(len(chunk))])
            returned: Any = explainer.maps(chunk.names, size)
        else:
            called = chunk.explainer(explainer)
            returned = _explained(called, chunk)
            layers = called.layers if isinstance(called, Explainer) else ()
        self.proven.add(name)
        maps = checked_maps(returned, chunk.images, name)
        if maps.device.type == "cuda":
            torch.cuda.synchronize(maps.device)
        seconds = (time.perf_counter() - start) / len(chunk)
        finite = torch.isfinite(maps).flatten(1).all(dim=1).tolist()
        bad = {row: "the map has NaN or infinite values" for row, good in enumerate(finite) if not good}
        return Made(maps, bad, 0.0 if isinstance(explainer, Stored) else seconds, layers)


def _explained(called: Explain, chunk: Chunk) -> Any:
    """The maps of a chunk; targets of one image share its passes, where the method is ours."""
    if chunk.watched is not None and isinstance(called, Explainer):
        return explained_together(called, chunk.images, chunk.targets)
    return called(chunk.images, chunk.targets)
