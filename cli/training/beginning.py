"""What a training begins with: data and options, those of another training, maps that a person has edited."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from explainers.errors import counted

from ..spelling import given
from ..values import note, pairs


def beginning(arguments: argparse.Namespace) -> tuple[Any, dict[str, Any], str | None]:
    """The data, the network's options, and the training to start from; what is typed goes before what that one had."""
    from dataclasses import replace

    from explainers.data.sets import data_set
    from explainers.errors import OptionError

    from ..model_and_methods import preprocessed

    start = arguments.resume_from
    for name in ("data", "out"):  # after --config, which may hold them
        if getattr(arguments, name) is None and (name == "out" or start is None):
            raise OptionError(f"explain train needs --{name}, typed or as {name} = in --config")
    options = pairs(arguments.option, "--option", "threshold=0.75")
    if arguments.backbone is not None:
        options["backbone"] = arguments.backbone
    if start is None:
        stray = [f"--{name}" for name in ("edited", "preview") if given(getattr(arguments, name))]
        if stray:
            raise OptionError(f"{stray[0]} belongs to the fine-tuning of a training; name that with --resume-from RUN")
        data = data_set(arguments.data)
    else:
        from explainers.baselines.training.resume import resumed

        if arguments.weights is not None:
            raise OptionError(
                "--weights are of a library's backbone, and --resume-from brings all weights; leave one out"
            )
        trust = arguments.trust_model_file
        found = resumed(start, arguments.network, data=arguments.data, options=options, trust_model_file=trust)
        for text in found.notes:
            note(arguments, text)
        data, options = found.data, dict(found.options)
    data = replace(data, preprocessing=preprocessed(arguments, data.preprocessing))
    return data, options, start


def maps_to_learn(arguments: argparse.Namespace, data: Any) -> tuple[Any, Any]:
    """What a person has painted, or masks in its place, and the network before; None where none are asked for."""
    from explainers.errors import OptionError

    if arguments.edited is None:
        if arguments.preview:
            raise OptionError("--preview draws edited maps; name them with --edited EDIT")
        return None, None
    from explainers.baselines.networks.registry import network_entry
    from explainers.baselines.training.settings.recipes import recipe
    from explainers.run.edit import edited_maps, mask_maps, open_training

    if not network_entry(arguments.network).attention and recipe(arguments.network).edited is None:
        raise OptionError(f"--edited: {arguments.network} makes no attention map that could learn from an edited one")
    found = mask_maps(data) if arguments.edited == "masks" else edited_maps(arguments.edited, data)
    for text in found.notes:
        note(arguments, text)
    if arguments.edited != "masks":
        note(arguments, f"{counted(len(found), 'edited map')} in {arguments.edited}")
    device, trust = arguments.device or "auto", arguments.trust_model_file
    return found, open_training(arguments.resume_from, device=device, trust_model_file=trust, data=data)


def learned(arguments: argparse.Namespace, before: Any, edited: Any) -> dict[str, Any]:
    """What fine-tuning has made of the edited images, and their pictures where asked for."""
    from explainers.run.edit import changes, open_training, write_preview

    # What its backbone is was typed, or trusted when the training was read that this one started from.
    after = open_training(arguments.out, device=arguments.device or "auto", trust_model_file=True, data=before.data)
    found = list(changes(before, after, edited))
    pages = write_preview(Path(arguments.out), before, found) if arguments.preview else []
    distances = [sum(change.distances[when] for change in found) / len(found) for when in (0, 1)]
    return {
        "images": len(found),
        "right_before": sum(change.before.right for change in found),
        "right_after": sum(change.after.right for change in found),
        "distance_before": distances[0],
        "distance_after": distances[1],
        **({"preview": list(map(str, pages))} if pages else {}),
    }
