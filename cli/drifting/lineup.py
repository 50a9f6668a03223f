"""The networks that `explain drift` compares, and which of them is the reference."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from explainers.errors import OptionError

from ..model_and_methods import load_typed, preprocessed


def lineup_of(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """What is compared, and the reference's network."""
    from explainers.evaluation.drifting.drift import Lineup
    from explainers.run.drift.checkpoints import reference_name

    load = _loader(arguments)
    networks = _networks(arguments, load)
    if arguments.reference and Path(arguments.reference).is_file() and not _named(arguments.reference, networks):
        networks |= _of_files(arguments, [arguments.reference], load)
    name = reference_name(arguments.reference, networks)
    others = {f"other seed {each}": _one(arguments, each, load) for each in arguments.other_seed or []}
    if len(networks) < 2 and not others:
        raise OptionError(
            f"there is one network, {name}, and nothing to compare it with: give more files, --model again, or a "
            "training with --keep-every"
        )
    return Lineup(networks, name, others), networks[name].load()


def _loader(arguments: argparse.Namespace) -> Any:
    """Loads a network with the flags that are common to all."""

    def load(spec: str, weights: str | None = None) -> Any:
        weights = weights or (None if _holds_weights(spec) else arguments.weights)
        loaded = load_typed(arguments, spec, weights)
        return replace(loaded, preprocessing=preprocessed(arguments, loaded.preprocessing))

    return load


def _holds_weights(spec: str) -> bool:
    """Whether a model is a file or a training, which bring their weights."""
    return Path(spec).exists()


def _networks(arguments: argparse.Namespace, load: Any) -> dict[str, Any]:
    from explainers.baselines.training.run_folder import is_run
    from explainers.run.drift.checkpoints import of_models, of_training
    from explainers.storage.sought import not_written

    given, models = list(arguments.networks), list(arguments.model or [])
    folders = [each for each in given if Path(each).is_dir()]
    if strange := [each for each in folders if not is_run(Path(each))]:
        raise OptionError(not_written(Path(strange[0]), ("train",), instead="files of weights"))
    if folders and len(folders) < len(given):
        raise OptionError("give the folder of a training, or files of weights, not both")
    if not given and not models:
        raise OptionError("nothing to compare: give the folder of a training, files of weights, or --model twice")
    if len(folders) == 1 and not models:
        return of_training(Path(folders[0]), load)
    if folders:
        return of_models([*folders, *models], load)
    if given and len(models) > 1:
        raise OptionError(f"files of weights belong to one --model; there are {len(models)}")
    return _of_files(arguments, given, load) if given else of_models(models, load)


def _of_files(arguments: argparse.Namespace, given: list[str], load: Any) -> dict[str, Any]:
    from explainers.run.drift.checkpoints import of_files

    return of_files((arguments.model or [None])[0], given, load)


def _named(given: str, networks: dict[str, Any]) -> bool:
    return any(Path(name).name == Path(given).name for name in networks)


def _one(arguments: argparse.Namespace, given: str, load: Any) -> Any:
    """The network of --other-seed: a file of weights of the one --model, or whatever is a model itself."""
    from explainers.run.drift.checkpoints import of_models

    models = arguments.model or []
    if Path(given).is_file() and len(models) < 2:
        return next(iter(_of_files(arguments, [given], load).values()))
    return next(iter(of_models([given], load).values()))
