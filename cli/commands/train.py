"""`explain train NETWORK --data SPEC --out RUN`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import explainers

from ..arguments import common_arguments, device_argument, preprocessing_arguments
from ..reporting import report_arguments, report_at_end
from ..spelling import printable
from ..terminal.telling import downloads_as_notes
from ..values import note, print_json

HELP = "train a network that explains itself, or any classifier"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Network, data, losses, optimisation."""
    command.add_argument("network", metavar="NETWORK", help="see explain networks: abn, labn, lambda-resnet, plain")
    command.add_argument(
        "--data",
        metavar="SPEC",
        help="folder:PATH (class folders); cifar10:, cub200-2010:, cub200-2011:, defn:, idrid:, image-net:, "
        "imagenet-s: or stanford-dogs:PATH; birds[:KEY=VALUE,…] or magnetogram[:KEY=VALUE,…] (generated)",
    )
    command.add_argument("--out", "-o", metavar="RUN", help="folder of the training; goes on where it was")
    device_argument(command)
    network = command.add_argument_group("network")
    network.add_argument("--backbone", metavar="SPEC", help="small-resnet, cifar-resnet20, torchvision:resnet18, …")
    network.add_argument("--weights", metavar="WEIGHTS", help="of the backbone: DEFAULT, a name or a file")
    network.add_argument(
        "--option", action="append", metavar="KEY=VALUE", help="of the network, such as threshold=0.75"
    )
    preprocessing_arguments(network)
    _start_arguments(command.add_argument_group("another training as the start"))
    _loss_arguments(command.add_argument_group("losses"))
    _optimisation_arguments(command.add_argument_group("optimisation"))
    command.add_argument("--keep-every", type=int, metavar="N", help="keep the weights of every so many epochs too")
    command.add_argument(
        "--watch",
        action="append",
        metavar="METHOD",
        help="draw maps of the same validation images after each epoch (RUN/watch/film-METHOD.png); again for more",
    )
    command.add_argument("--watch-images", type=int, metavar="N", help="how many are watched (default 8)")
    command.add_argument("--tensorboard", action="store_true", help="write a log for TensorBoard too")
    command.add_argument("--config", metavar="FILE", help="options from a TOML file; what is typed wins")
    command.add_argument("--overwrite", action="store_true", help="remove an earlier training in --out")
    report_arguments(command)
    common_arguments(command)


def _start_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--resume-from",
        metavar="RUN",
        help="start from a training's best weights; its data, preprocessing and network options hold where none are "
        "typed",
    )
    group.add_argument(
        "--edited",
        metavar="EDIT|masks",
        help="learn the maps that a person has painted in a folder of explain edit-list, or the data set's masks; "
        "features, where the network has such, rest unless --freeze says otherwise",
    )
    group.add_argument("--preview", action="store_true", help="draw the edited images before, edited and after")
    group.add_argument(
        "--trust-model-file", action="store_true", help="allow a backbone of that training that is code, which is run"
    )


def _loss_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--attention-weight", type=float, metavar="W", help="of the attention branch's cross entropy (default 1)"
    )
    group.add_argument("--label-smoothing", type=float, metavar="0…1", help="of every cross entropy (default 0)")
    group.add_argument(
        "--loss",
        action="append",
        metavar="NAME[:KEY=VALUE,…]",
        help="one more term, or another in place of the one of its name, such as complement-objective or "
        "size-barrier:weight=0.2; again for more (docs/networks.md lists them)",
    )
    group.add_argument("--class-weights", metavar="balanced|W,W,…", help="in every cross entropy")
    group.add_argument("--sgt", action="store_true", help="saliency guided training: a pass over masked images")
    group.add_argument("--sgt-weight", type=float, metavar="W", help="of its divergence (default 0.5)")
    group.add_argument(
        "--keep", metavar="SHARE[,…]", help="of the image that stays (default 0.1); several: one is drawn"
    )
    group.add_argument("--patch", metavar="N[,…]", help="side of what stays or goes together (default 1)")
    group.add_argument("--rank", metavar="BY", help="auto (default), attention, gradient or magnitude")
    group.add_argument("--fill", metavar="WITH", help="bias (default), black, mean, blur or uniform")
    group.add_argument("--bias-samples", type=int, metavar="N", help="bias images of label 0 per epoch (default 0)")


def _optimisation_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--epochs", type=int, metavar="N", help="at most (default 30)")
    group.add_argument(
        "--patience", type=int, metavar="N", help="stop so many epochs after the best one (default never)"
    )
    group.add_argument("--batch-size", type=int, metavar="N", help="images in a step (default 32)")
    group.add_argument("--optimizer", choices=("adamw", "sgd"), help="default adamw")
    group.add_argument("--lr", type=float, metavar="R", help="learning rate (default 0.001, sgd 0.1)")
    group.add_argument("--weight-decay", type=float, metavar="D", help="default 0.01, sgd 0.0001")
    schedules = ("plateau", "cosine", "milestones", "polynomial", "constant")
    group.add_argument("--schedule", choices=schedules, help="default plateau")
    group.add_argument("--sampling", choices=("natural", "balanced"), help="balanced: all classes equally often")
    group.add_argument("--augment", action="append", metavar="NAME", help="flip, vertical-flip, shift; again for more")
    group.add_argument("--freeze", action="append", metavar="PART", help="such as features, or none; again for more")
    group.add_argument("--precision", choices=("float32", "bfloat16", "float16"), help="default float32")
    group.add_argument("--clip", type=float, metavar="NORM", help="largest norm of the gradient")
    group.add_argument("--seed", type=int, metavar="N", help="of everything that is drawn at random (default 0)")


def act(arguments: argparse.Namespace) -> int:
    """`explain train NETWORK --data SPEC --out RUN`."""
    from explainers.baselines import train as fit
    from explainers.baselines.networks.registry import network_entry

    from ..terminal.progress import TrainingProgress
    from ..training.beginning import beginning, learned, maps_to_learn
    from ..training.settings import training_settings
    from ..training.watching import map_watch, tell_watch

    network_entry(arguments.network)  # there is one of this name, before anything is said
    for method in arguments.watch or []:
        explainers.method(method)
    settings = training_settings(arguments)
    data, options, start = beginning(arguments)
    for text in data.notes:
        note(arguments, text)
    edited, before = maps_to_learn(arguments, data)
    more: dict[str, Any] = {} if start is None else {"start": start}
    if edited is not None:
        more["given"] = {"edited": edited}
    _before(arguments)
    watch = map_watch(arguments, data)
    shown = TrainingProgress(quiet=arguments.quiet or arguments.json)
    with shown, downloads_as_notes(arguments):
        run = fit(
            arguments.network,
            data,
            arguments.out,
            settings,
            options=options,
            weights=arguments.weights,
            device=arguments.device or "auto",
            overwrite=arguments.overwrite,
            tensorboard=arguments.tensorboard,
            progress=shown.step,
            watch=shown.epoch,
            **({} if watch is None else {"watch_network": watch}),
            **more,
        )
    if watch is not None:
        tell_watch(arguments, watch, run.result["seconds"])
    outcome = None if edited is None else learned(arguments, before, edited)
    if not arguments.json:
        _tell(arguments, run, outcome, len(data.class_names))
    page = report_at_end(arguments, run.folder)
    if arguments.json:
        also: dict[str, Any] = {} if outcome is None else {"edited": outcome}
        also |= {} if page is None else {"report": str(page)}
        print_json({"run": str(run.folder), **run.result, **also})
    return 0


def _tell(arguments: argparse.Namespace, run: Any, learned: Mapping[str, Any] | None, classes: int) -> None:
    """The outcome in lines, before and after where the training started from another."""
    result = run.result
    early = ", stopped early" if result["stopped_early"] else ""
    print(f"best epoch {result['best_epoch']} of {result['epochs']}, in {result['seconds']:.0f} s{early}")
    for split in ("val", "test"):
        started = result.get("start", {}).get(split)
        if started:
            print(f"{split:<5}{_scores(started)} (before)")
        if split in result:
            print(f"{split:<5}{_scores(result[split])}{' (after)' if started else ''}")
    if learned is not None:
        print(
            f"edited images: {learned['right_before']} of {learned['images']} right before, {learned['right_after']} "
            f"after; distance of their maps to the edited ones {learned['distance_before']:.3f} before, "
            f"{learned['distance_after']:.3f} after"
        )
        if learned["distance_after"] >= learned["distance_before"]:
            note(
                arguments, "the maps are no nearer to the edited ones; train longer, or --loss human-knowledge:weight=5"
            )
        for page in learned.get("preview", ()):
            print(f"drawn {printable(page)}")
    if _guessing(result, classes):
        note(arguments, "the validation images are classified no better than by guessing; its maps mean nothing yet")
    print(f"run  {printable(str(run.folder))}")
    print(f"next explain evaluate {printable(str(run.folder))}, explain photos/ --model {printable(str(run.folder))}")


def _scores(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in values.items() if value is not None)


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
