"""`explain train NETWORK --data SPEC --out RUN`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..arguments import common_arguments, device_argument, preprocessing_arguments
from ..values import note, pairs, print_json, printable

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
    _loss_arguments(command.add_argument_group("losses"))
    _optimisation_arguments(command.add_argument_group("optimisation"))
    command.add_argument("--keep-every", type=int, metavar="N", help="keep the weights of every so many epochs too")
    command.add_argument("--tensorboard", action="store_true", help="write a log for TensorBoard too")
    command.add_argument("--config", metavar="FILE", help="options from a TOML file; what is typed wins")
    command.add_argument("--overwrite", action="store_true", help="remove an earlier training in --out")
    common_arguments(command)


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
    group.add_argument("--freeze", action="append", metavar="PART", help="such as features; again for more")
    group.add_argument("--precision", choices=("float32", "bfloat16", "float16"), help="default float32")
    group.add_argument("--clip", type=float, metavar="NORM", help="largest norm of the gradient")
    group.add_argument("--seed", type=int, metavar="N", help="of everything that is drawn at random (default 0)")


def act(arguments: argparse.Namespace) -> int:
    """`explain train NETWORK --data SPEC --out RUN`."""
    from dataclasses import replace

    from explainers.baselines import train as fit
    from explainers.data.sets import data_set
    from explainers.errors import OptionError

    from ..model_and_methods import preprocessed
    from ..progress import TrainingProgress
    from ..training_settings import training_settings

    for name in ("data", "out"):  # after --config, which may hold them
        if getattr(arguments, name) is None:
            raise OptionError(f"explain train needs --{name}, typed or as {name} = in --config")
    data = data_set(arguments.data)
    data = replace(data, preprocessing=preprocessed(arguments, data.preprocessing, whole=True))
    _check_size(data.preprocessing)
    for text in data.notes:
        note(arguments, text)
    options = pairs(arguments.option, "--option", "threshold=0.75")
    if arguments.backbone is not None:
        options["backbone"] = arguments.backbone
    _before(arguments)
    shown = TrainingProgress(quiet=arguments.quiet or arguments.json)
    with shown:
        run = fit(
            arguments.network,
            data,
            arguments.out,
            training_settings(arguments),
            options=options,
            weights=arguments.weights,
            device=arguments.device or "auto",
            overwrite=arguments.overwrite,
            tensorboard=arguments.tensorboard,
            progress=shown.step,
            watch=shown.epoch,
        )
    if arguments.json:
        print_json({"run": str(run.folder), **run.result})
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
