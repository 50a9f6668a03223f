"""The trainer: one loop for every network, that can be killed at any moment and goes on to the same weights."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from explainers.baselines.losses.loss import Loss
from explainers.baselines.networks.registry import create_network, network_options
from explainers.baselines.training.given_maps import Provider
from explainers.baselines.training.loop import Progress, Training, Watch, seeded
from explainers.baselines.training.resume import begun_with, take_over
from explainers.baselines.training.run_folder import (
    CONTENTS,
    FORMAT,
    LAST,
    RESULT,
    Run,
    open_run,
    read_run,
)
from explainers.baselines.training.settings.plans import Plan, frozen
from explainers.baselines.training.settings.recipes import merged, plan_for, recipe
from explainers.baselines.training.settings.settings import Settings
from explainers.baselines.training.updates import frozen_parts
from explainers.data.data_set import DataSet
from explainers.data.sets import data_set
from explainers.errors import OptionError
from explainers.models.loaded import choose_device
from explainers.storage.run_folder import RunFolder

WatchNetwork = Callable[[nn.Module, int], Any]  # the network, and how many epochs it has learnt


def train(
    network: str,
    data: str | DataSet,
    out: str | PathLike[str],
    settings: Settings | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    weights: str | None = None,
    start: str | PathLike[str] | None = None,
    given: Mapping[str, Provider] | None = None,
    device: str = "auto",
    overwrite: bool = False,
    tensorboard: bool = False,
    progress: Progress | None = None,
    watch: Watch | None = None,
    watch_network: WatchNetwork | None = None,
) -> Run:
    """Train a network; called again after an interruption, it goes on from the last whole epoch.

    On a CPU with the same number of threads, an interrupted and resumed training ends with the very weights of an
    undisturbed one: everything random in an epoch comes from the seed and the epoch's number.

    Args:
        network: one of `available_networks()`, such as "abn".
        data: a specification such as "folder:photos", or a DataSet.
        out: folder of the run: `run.json` (what was asked for), `last.safetensors` (to go on), `best.safetensors` (the
            weights with the lowest validation loss), `log.csv`, `result.json` (scores on the test images).
        settings: how; by default AdamW with cross entropy on each branch.
        options: of the network, such as {"backbone": "torchvision:resnet18"}.
        weights: of a library's backbone to start from: "DEFAULT", a name that the library knows, or a file.
        start: folder of another training, or a file, whose weights this one starts from; `result.json` has the scores
            of these weights as "start".
        given: maps from outside for losses that need them, by kind, such as "edited": each a function from a training
            image's index to its map (H, W) in 0 … 1 over the network's input, or None. Masks are the data set's own.
            Where the function has an attribute `identity`, a training goes on with maps of that identity alone.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        overwrite: remove an earlier training in `out`.
        tensorboard: write its files into `out`/tensorboard too.
        progress: called after each step with (epoch, step, steps, losses by name), counted from 1.
        watch: called after each epoch with its row of the log.
        watch_network: called before a training and after each epoch with the network and the epoch, such as
            `explainers.MapWatch`; a picture (H, W, 3) uint8 that it returns goes to TensorBoard, where that is written.

    Raises:
        OptionError: an unknown name or setting, or another training in `out`. DataError, ImageError: data that cannot
        be read. TrainingError: the loss is no number any more. UnsupportedError: the backbone cannot be cut.

    >>> run = train("abn", "folder:photos", "RUN", options={"backbone": "torchvision:resnet18"})  # doctest: +SKIP
    """
    settings = settings or Settings()
    options = {key: _absolute_code(value) if key == "backbone" else value for key, value in (options or {}).items()}
    defaults = network_options(network)
    if recipe(network).explains:
        options = {**begun_with(network, start, weights, options), **options}
    source = data_set(data) if isinstance(data, str) else data
    folder, chosen = Path(out), choose_device(device)
    names = {"channels": source.preprocessing.channels, "classes": len(source.class_names)}
    with seeded(settings.seed, -1):
        made = create_network(network, weights=weights, **names, **options)
    own = recipe(network)
    begun = {} if start is None else take_over(made, Path(start), folder, own.explains)
    made = made.to(chosen)
    losses = merged(settings.losses or own.losses(made), settings.more_losses)
    plan = plan_for(settings.plan or own.plan, losses)
    _check_counted(plan, [loss.name for loss in settings.more_losses])
    settings = replace(settings, losses=losses, more_losses=(), plan=plan)
    _check_plan(plan, losses, made, settings.epochs)
    config = {
        "format": FORMAT,
        "network": {
            "name": network,
            **names,
            "options": {**defaults, **options},
            "weights": weights,
            **begun,
        },
        "data": identity(source),
        "class_names": list(source.class_names),
        "preprocessing": source.preprocessing.describe(),
        **_given(given or {}, losses),
        "settings": settings.describe(),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
    }
    with RunFolder(folder, CONTENTS).held():
        open_run(folder, config, overwrite=overwrite, extend=settings.schedule.endless, defaults=defaults)
        if not (folder / RESULT).is_file():
            started = start is not None
            training = Training(made, source, losses, settings, folder, chosen, given or {}, started)
            with _writers(folder, tensorboard) as board:
                watches = [] if board is None else [board.write]
                if watch_network is not None:
                    watches.append(_looking(watch_network, made, board, fresh=not (folder / LAST).is_file()))
                training.go(progress, [*watches, *([] if watch is None else [watch])])
        return read_run(folder)


def _given(given: Mapping[str, Provider], losses: Sequence[Loss]) -> dict[str, Any]:
    """What tells maps from outside from others, where they say so.

    Raises:
        OptionError: no loss learns from them.
    """
    unused = sorted(set(given) - {loss.given for loss in losses})
    if unused:
        raise OptionError(
            f"given={unused}: none of the losses {', '.join(loss.name for loss in losses)} learns from such maps"
        )
    known = {kind: getattr(provider, "identity", None) for kind, provider in given.items()}
    known = {kind: identity for kind, identity in known.items() if identity is not None}
    return {"given": known} if known else {}


def _check_counted(plan: Plan, more: Sequence[str]) -> None:
    """A loss that was asked for beside the others is one that is meant to count.

    Raises:
        OptionError: it counts in no stage of the plan.
    """
    idle = [name for name in more if not any(stage.losses is None or name in stage.losses for stage in plan.stages())]
    if idle:
        raise OptionError(
            f"the losses {', '.join(idle)} count in no stage of the plan {type(plan).__name__}; name them there"
        )


def _check_plan(plan: Plan, losses: Sequence[Loss], network: nn.Module, epochs: int) -> None:
    """Mistakes that would show up in some later step.

    Raises:
        OptionError: a stage names a loss or a part that there is not, or leaves nothing to learn; no loss can be
        validated, or no epoch is.
    """
    known = {loss.name for loss in losses}
    for stage in plan.stages():
        strange = sorted(set(stage.losses or ()) - known)
        if strange or stage.losses == ():
            raise OptionError(f"the plan asks for losses {stage.losses}; there are {', '.join(sorted(known))}")
        with frozen(network, (*stage.frozen, *frozen_parts(network))):
            if not any(parameter.requires_grad for parameter in network.parameters()):
                raise OptionError(f"frozen={stage.frozen} leaves nothing to learn")
    if not any(plan.judged(epoch) for epoch in range(epochs)):
        raise OptionError(f"epochs={epochs}: the plan {type(plan).__name__} has none of them validated; train longer")
    if not any(loss.validated or loss.judged_by_batch for loss in losses):
        raise OptionError("none of the losses can be validated; add a CrossEntropy")
    for loss in losses:
        if getattr(loss, "of", "") == "attention_logits" and not hasattr(network, "forward_branches"):
            raise OptionError(f"the loss {loss.name!r} is on an attention branch, which this network does not have")


def identity(data: DataSet) -> dict[str, Any]:
    """What tells a data set from others: how many images of which names and classes each split has."""
    digest = hashlib.sha256()
    counts = {}
    for name in ("train", "val", "test"):
        split = getattr(data, name)
        counts[name] = 0 if split is None else len(split)
        for image, label in zip(split.names, split.labels, strict=True) if split is not None else ():
            digest.update(f"{name} {image} {label}\n".encode("utf-8", "backslashreplace"))
    return {"spec": _absolute(data.spec), **counts, "sha256": digest.hexdigest()}


def _absolute_code(spec: str) -> str:
    """A factory in a file of the user's, from wherever the run is loaded."""
    path, colon, factory = str(spec).rpartition(":")
    return f"{Path(path).resolve()}:{factory}" if colon and path.endswith(".py") and Path(path).is_file() else spec


def _absolute(spec: str) -> str:
    """The same files from wherever it is read again."""
    kind, colon, rest = spec.partition(":")
    return f"{kind}:{Path(rest).resolve()}" if colon and Path(rest).exists() else spec


@contextmanager
def _writers(folder: Path, wanted: bool) -> Iterator[Any]:
    """What takes each epoch's row to TensorBoard, where that is wanted."""
    if not wanted:
        yield None
        return
    from explainers.baselines.training.tensorboard import Board

    with Board(folder / "tensorboard") as board:
        yield board


def _looking(watch: WatchNetwork, network: nn.Module, board: Any, *, fresh: bool) -> Watch:
    """Has the network looked at now, where nothing has been learnt yet, and after each epoch."""

    def look(row: Mapping[str, Any]) -> None:
        epoch = int(row["epoch"])
        picture = watch(network, epoch)
        if board is not None and picture is not None:
            board.picture("watch", picture, epoch)

    if fresh:
        look({"epoch": 0})
    return look
