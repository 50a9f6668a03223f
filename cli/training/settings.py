"""From the flags of `explain train` to the settings of a training."""

from __future__ import annotations

import argparse
from typing import Any

from ..values import numbers, options_in

SGT = ("sgt_weight", "keep", "patch", "rank", "fill")  # flags that say nothing without --sgt


def training_settings(arguments: argparse.Namespace) -> Any:
    """Settings out of flags; what was not typed keeps its default."""
    from explainers.baselines import SGD, AdamW, Settings, Throughout
    from explainers.baselines.training.settings.schedules import SCHEDULES

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
    resting = _resting(arguments)
    chosen["plan"] = Throughout(frozen=resting) if resting else None
    weights = arguments.class_weights
    chosen["class_weights"] = (
        weights if weights in (None, "balanced") else numbers(weights, "--class-weights", "1,5, or balanced")
    )
    chosen["losses"] = _losses(arguments)
    chosen["more_losses"] = _more_losses(arguments) or None
    return Settings(**{key: value for key, value in chosen.items() if value is not None})


def _resting(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Parts that do not learn: those that are named, or the network's own where people edited its maps."""
    from explainers.baselines.training.settings.recipes import recipe
    from explainers.errors import OptionError

    named = tuple(arguments.freeze or (recipe(arguments.network).resting if arguments.edited is not None else ()))
    if "none" in named and len(named) > 1:
        raise OptionError(f"--freeze {' --freeze '.join(named)}; none stands alone")
    return () if named == ("none",) else named


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
    if not arguments.sgt and arguments.attention_weight is None and arguments.label_smoothing is None:
        return None  # the network's own recipe
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


def _more_losses(arguments: argparse.Namespace) -> tuple[Any, ...]:
    """Those that were typed, and the one that learns from edited maps where there are some."""
    from explainers.baselines import HumanKnowledge
    from explainers.baselines.training.settings.recipes import recipe

    typed = tuple(_typed_loss(spec) for spec in arguments.loss or ())
    learning = recipe(arguments.network).edited or HumanKnowledge()
    known = arguments.edited is None or any(
        loss.name == HumanKnowledge.name or loss.given == "edited" for loss in typed
    )
    return typed if known else (*typed, learning)


def _typed_loss(spec: str) -> Any:
    """A loss from `NAME` or `NAME:KEY=VALUE,…`."""
    from explainers.baselines import create_loss

    name, colon, rest = spec.partition(":")
    return create_loss(name, **(options_in(rest, spec, "--loss", "size-barrier:weight=0.2,t=2") if colon else {}))


def _one_or_several(values: tuple[Any, ...] | None) -> Any:
    return values[0] if values is not None and len(values) == 1 else values
