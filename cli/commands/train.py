"""`explain train` and `explain networks`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..model_and_methods import preprocessed
from ..progress import Progress
from ..values import note, numbers, pairs, printable

SGT = ("sgt_weight", "keep", "patch", "rank", "fill")  # flags that say nothing without --sgt


def train(arguments: argparse.Namespace) -> int:
    """`explain train NETWORK --data SPEC --out RUN`."""
    from explainers.baselines import train as fit
    from explainers.data.sets import data_set

    data = data_set(arguments.data)
    data = replace(data, preprocessing=preprocessed(arguments, data.preprocessing, whole=True))
    _check_size(data.preprocessing)
    for text in data.notes:
        note(arguments, text)
    options = pairs(arguments.option, "--option", "threshold=0.75")
    if arguments.backbone is not None:
        options["backbone"] = arguments.backbone
    _before(arguments)
    shown = _Shown(quiet=arguments.quiet or arguments.json)
    with shown:
        run = fit(
            arguments.network,
            data,
            arguments.out,
            _settings(arguments),
            options=options,
            weights=arguments.weights,
            device=arguments.device or "auto",
            overwrite=arguments.overwrite,
            tensorboard=arguments.tensorboard,
            progress=shown.step,
            watch=shown.epoch,
        )
    if arguments.json:
        print(json.dumps({"run": str(run.folder), **run.result}, indent=2))
        return 0
    result = run.result
    early = ", stopped early" if result["stopped_early"] else ""
    print(f"best epoch {result['best_epoch']} of {result['epochs']}, in {result['seconds']:.0f} s{early}")
    for split in ("val", "test"):
        values = result.get(split, {})
        line = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in values.items() if value is not None)
        if line:
            print(f"{split:<5}{line}")
    if _guessing(result, len(data.class_names)):
        note(arguments, "the validation images are classified no better than by guessing; its maps mean nothing yet")
    print(f"run  {printable(str(run.folder))}")
    print(f"next explain evaluate {printable(str(run.folder))}, explain photos/ --model {printable(str(run.folder))}")
    return 0


def networks(arguments: argparse.Namespace) -> int:
    """`explain networks`."""
    from explainers.baselines.networks.registry import available_networks, network_entry, network_options

    rows: list[dict[str, Any]] = [
        {"name": name, "summary": network_entry(name).summary, "options": network_options(name)}
        for name in available_networks()
    ]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        options = ", ".join(f"{key}={value}" for key, value in row["options"].items())
        print(f"{row['name']:<{width}}  {row['summary']}\n{'':<{width}}  {options}")
    return 0


def _before(arguments: argparse.Namespace) -> None:
    """What an earlier start has left."""
    from explainers.baselines.training.run_folder import is_run, read_run

    folder = Path(arguments.out)
    if arguments.overwrite or not is_run(folder):
        return
    run = read_run(folder)
    if run.history and not run.result:
        epochs = f"{len(run.history)} whole epoch{'s' * (len(run.history) > 1)}"
        note(arguments, f"{arguments.out} has {epochs}; going on from there")
    elif run.result:
        note(
            arguments,
            f"the training in {arguments.out} has ended before; these are its results unless it has more epochs",
        )


def _guessing(result: Mapping[str, Any], classes: int) -> bool:
    """Whether the best weights do no better than a guess on the validation images."""
    return bool(result["val"]["balanced_accuracy"] <= 1 / classes + 0.02)


def _check_size(preprocessing: Any) -> None:
    """A crop that is larger than the resized photo would be filled with black.

    Raises:
        OptionError: it is.
    """
    from explainers.errors import OptionError

    resize, crop = preprocessing.resize, preprocessing.crop
    sides = (resize, resize) if isinstance(resize, int) else resize
    if crop is not None and sides is not None and (crop[0] > sides[0] or crop[1] > sides[1]):
        asked = "x".join(map(str, sides)) if isinstance(resize, tuple) else resize
        raise OptionError(
            f"--size {asked} and --crop {crop[0]}x{crop[1]}: the crop is larger than what it is cut from, and the rest "
            "would be black; give a smaller --crop or a larger --size"
        )


def _settings(arguments: argparse.Namespace) -> Any:
    """Settings out of flags; what was not typed keeps its default."""
    from explainers.baselines import SGD, AdamW, Settings, Throughout
    from explainers.baselines.training.schedules import SCHEDULES

    chosen: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in (
            "epochs",
            "patience",
            "batch_size",
            "sampling",
            "bias_samples",
            "precision",
            "clip",
            "keep_every",
            "seed",
        )
    }
    rates = {"lr": arguments.lr, "weight_decay": arguments.weight_decay}
    kind = SGD if arguments.optimizer == "sgd" else AdamW
    chosen["optimizer"] = kind(**{key: value for key, value in rates.items() if value is not None})
    chosen["schedule"] = SCHEDULES[arguments.schedule]() if arguments.schedule else None
    chosen["augment"] = tuple(arguments.augment) if arguments.augment else None
    chosen["plan"] = Throughout(frozen=tuple(arguments.freeze)) if arguments.freeze else None
    weights = arguments.class_weights
    chosen["class_weights"] = (
        weights if weights in (None, "balanced") else numbers(weights, "--class-weights", "1,5, or balanced")
    )
    chosen["losses"] = _losses(arguments)
    return Settings(**{key: value for key, value in chosen.items() if value is not None})


def _losses(arguments: argparse.Namespace) -> tuple[Any, ...] | None:
    """The terms that the flags ask for, or None where they ask for nothing special."""
    from explainers.baselines import CrossEntropy, SaliencyGuided
    from explainers.baselines.networks.registry import network_entry
    from explainers.errors import OptionError

    branches = network_entry(arguments.network).attention
    stray = [
        f"--{name.replace('_', '-')}" for name in SGT if getattr(arguments, name) is not None and not arguments.sgt
    ]
    if stray:
        raise OptionError(
            f"without --sgt there is no saliency guided training, and nothing for {', '.join(stray)} to set"
        )
    if arguments.attention_weight is not None and not branches:
        raise OptionError(f"--attention-weight: {arguments.network} has no attention branch")
    smoothing = arguments.label_smoothing or 0.0
    losses: list[Any] = [CrossEntropy(label_smoothing=smoothing)]
    weight = 1.0 if arguments.attention_weight is None else arguments.attention_weight
    if branches and weight != 0:
        losses.append(CrossEntropy("attention_logits", weight, smoothing))
    if arguments.sgt:
        given = {"weight": arguments.sgt_weight, "rank": arguments.rank, "fill": arguments.fill}
        given["keep"] = _one_or_several(numbers(arguments.keep, "--keep", "0.1 or 0.1,0.2"))
        patch = numbers(arguments.patch, "--patch", "4 or 4,8")
        if patch is not None and not all(side.is_integer() for side in patch):
            raise OptionError(f"--patch {arguments.patch}; expected whole numbers of pixels")
        given["patch"] = None if patch is None else _one_or_several(tuple(int(side) for side in patch))
        losses.append(SaliencyGuided(**{key: value for key, value in given.items() if value is not None}))
    return tuple(losses)


def _one_or_several(values: tuple[Any, ...] | None) -> Any:
    return values[0] if values is not None and len(values) == 1 else values


class _Shown(Progress):
    """The losses by their names beside the bar."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(quiet=quiet, unit="step", units="steps")

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Called after each epoch: a line of its own, above the bar on a terminal."""
        if self.quiet:
            return
        text = (
            f"epoch {row['epoch']}: loss {row['train_loss']:.4f}, validation loss {row['val_loss']:.4f}, "
            f"accuracy {row['val_accuracy']:.3f}, {row['seconds']:.1f} s"
        )
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        else:
            print(f"explain: {text}", file=sys.stderr)

    def step(self, epoch: int, step: int, steps: int, losses: Mapping[str, float]) -> None:
        """Called after each step."""
        if self.quiet:
            return
        text = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
        if not sys.stderr.isatty():
            self._line(f"epoch {epoch}, step {step} of {steps}, {text}")
            return
        bar = self._bar()
        if step == 1 or bar.total is None:
            bar.reset(total=steps)
            bar.set_description(f"epoch {epoch}")
        bar.set_postfix_str(text)
        bar.update(step - bar.n)
