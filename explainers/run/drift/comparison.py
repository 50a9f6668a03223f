"""Networks compared on photos, in a folder: a comparison that was killed goes on to the same table."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from explainers import __version__
from explainers.errors import ImageError
from explainers.evaluation.drifting.drift import Lineup, compare
from explainers.evaluation.drifting.methods import titled_methods
from explainers.evaluation.drifting.networks import Checkpoint, named_checkpoints
from explainers.evaluation.drifting.options import DriftOptions
from explainers.evaluation.drifting.result import Drift
from explainers.methods import method as known_method
from explainers.models.loaded import state_hash
from explainers.network.unwrapping import as_network, class_name
from explainers.passes.own_code import function_name, own_code
from explainers.passes.probe import probe
from explainers.render.drawing import checked_format
from explainers.run.drift.figures import write_charts
from explainers.run.drift.film import Film
from explainers.run.drift.folder_keeper import FolderKeeper, whole
from explainers.run.drift.outputs import CONTENTS, write_manifest, write_tables
from explainers.run.drift.photos import Photos
from explainers.storage.run_folder import PROBE, RunFolder

Progress = Callable[[int, int | None, str], None]


@dataclass(frozen=True)
class Pictures:
    """What is drawn. wanted: any at all; film: of how many images the maps are shown network by network; format: "png",
    "svg" or "pdf", what figures are written as (films in motion are WebP)."""

    wanted: bool = True
    film: int = 3
    format: str = "png"

    def __post_init__(self) -> None:
        checked_format(self.format)


def compare_in_folder(
    lineup: Lineup,
    photos: Photos,
    methods: Mapping[str, Any] | Sequence[Any],
    out: Path,
    *,
    options: DriftOptions,
    pictures: Pictures = Pictures(),
    progress: Progress | None = None,
) -> Drift:
    """The comparison, its tables and its pictures, in a folder that is held.

    Args:
        lineup: with a reference whose preprocessing is known; progress: called with (units done, of how many, name).

    Raises:
        ImageError: it is not known how the reference takes a photo. OptionError: the folder holds another comparison.
        Otherwise as `explainers.evaluation.drift`.
    """
    folder = RunFolder(out, CONTENTS)
    checkpoints = named_checkpoints(lineup.networks)
    name = lineup.reference or next(iter(checkpoints))
    with folder.held():
        first = _Once(checkpoints[name])
        model = first.look()
        preprocessing = getattr(model, "preprocessing", None)
        if preprocessing is None:
            raise ImageError(
                f"how {name} takes a photo is not known: set it (--size, --crop, --mean, --std), or compare tensors "
                "with explainers.evaluation.drift"
            )
        facts = _facts(name, model, checkpoints[name], methods, options)
        facts[PROBE] = probe(model, preprocessing.input_size(), options.output)
        keeper = FolderKeeper(folder, folder.begin(facts, whole))
        titled = titled_methods(methods, output=options.output, activation=options.activation)
        del model
        networks = {**checkpoints, name: replace(checkpoints[name], load=first)}
        told = _Told(progress, photos, len(networks) + len(lineup.others or {}), len(methods), options.batch_size)
        found = compare(
            Lineup(networks, name, lineup.others),
            photos.source(preprocessing, options.batch_size),
            methods,
            options=options,
            keeper=keeper,
            told=told,
        )
        found.unread, found.facts = dict(photos.unread), facts
        if photos.groups is not None:
            found.grouped_by({each: photos.groups.get(each, "") for each in found.names})
        keeper.check()
        made = write_tables(folder, found)
        if pictures.wanted:
            made += write_charts(folder.path, found, pictures.format)
            film = Film(found, checkpoints, photos, titled, options, preprocessing)
            made += film.write(folder.path, pictures.film, pictures.format)
        write_manifest(folder, found, photos, made)
        return found


class _Once:
    """A checkpoint's network that was loaded to be looked at is not loaded again for its first use."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.waiting: list[Any] = []

    def look(self) -> Any:
        """The network, kept for the first call."""
        self.waiting = [self.checkpoint.load()]
        return self.waiting[0]

    def __call__(self) -> Any:
        return self.waiting.pop() if self.waiting else self.checkpoint.load()


def _facts(
    name: str,
    model: Any,
    checkpoint: Checkpoint,
    methods: Mapping[str, Any] | Sequence[Any],
    options: DriftOptions,
) -> dict[str, Any]:
    """Everything that decides the values but the other networks, of which there may be more when it goes on."""
    network = as_network(model)
    titled = titled_methods(methods, output=options.output, activation=options.activation)
    weights = checkpoint.identity or (state_hash(network) if isinstance(network, torch.nn.Module) else None)
    preprocessing = model.preprocessing.describe()
    return {
        "explainers": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "reference": {"name": name, "network": class_name(network), "weights": weights},
        "preprocessing": preprocessing,
        "methods": {method.title: method.describe() for method in titled},
        **own_code({method.title: known_method(method.name) if method.name else method.make for method in titled}),
        "target": options.target,
        "explained": options.explained,
        "per_class": list(options.per_class),
        "activation": options.activation,
        "output": None if options.output is None else function_name(options.output),
        "seed": options.seed,
        "batch_size": options.batch_size,
    }


class _Told:
    """Counts units for whoever wants to know."""

    def __init__(self, progress: Progress | None, photos: Photos, networks: int, methods: int, size: int) -> None:
        self.progress, self.count = progress, 0
        batches = -(-len(photos.files) // size)
        # scores and maps of each network; three times the reference's maps, and random ones
        self.total = networks * batches * (1 + methods) + 3 * batches * methods

    def __call__(self, name: str) -> None:
        self.count += 1
        if self.progress:
            self.progress(self.count, max(self.total, self.count), name)
