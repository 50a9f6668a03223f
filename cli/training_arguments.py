"""What can be typed behind `explain train`."""

from __future__ import annotations

import argparse


def train_arguments(command: argparse.ArgumentParser) -> None:
    """Network, data, losses, optimisation."""
    from .arguments import common, preprocessing_arguments

    command.add_argument("network", metavar="NETWORK", help="see explain networks: abn, labn, lambda-resnet, plain")
    command.add_argument(
        "--data",
        required=True,
        metavar="SPEC",
        help="folder:PATH (class folders), cifar10:PATH, defn:PATH, idrid:PATH, magnetogram[:KEY=VALUE,…] (generated)",
    )
    command.add_argument(
        "--out", "-o", required=True, metavar="RUN", help="folder of the training; goes on where it was"
    )
    command.add_argument("--device", metavar="NAME", help="auto (default), cpu, cuda, cuda:N or mps")
    network = command.add_argument_group("network")
    network.add_argument("--backbone", metavar="SPEC", help="small-resnet, cifar-resnet20, torchvision:resnet18, …")
    network.add_argument("--weights", metavar="WEIGHTS", help="of the backbone: DEFAULT, a name or a file")
    network.add_argument(
        "--option", action="append", metavar="KEY=VALUE", help="of the network, such as threshold=0.75"
    )
    preprocessing_arguments(network)
    _losses(command.add_argument_group("losses"))
    _optimisation(command.add_argument_group("optimisation"))
    command.add_argument("--keep-every", type=int, metavar="N", help="keep the weights of every so many epochs too")
    command.add_argument("--tensorboard", action="store_true", help="write a log for TensorBoard too")
    command.add_argument("--config", metavar="FILE", help="options from a TOML file; what is typed wins")
    command.add_argument("--overwrite", action="store_true", help="remove an earlier training in --out")
    common(command)


def _losses(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--attention-weight", type=float, metavar="W", help="of the attention branch's cross entropy (default 1)"
    )
    group.add_argument("--label-smoothing", type=float, metavar="0…1", help="of every cross entropy (default 0)")
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


def _optimisation(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--epochs", type=int, metavar="N", help="at most (default 30)")
    group.add_argument(
        "--patience", type=int, metavar="N", help="stop so many epochs after the best one (default never)"
    )
    group.add_argument("--batch-size", type=int, metavar="N", help="images in a step (default 32)")
    group.add_argument("--optimizer", choices=("adamw", "sgd"), help="default adamw")
    group.add_argument("--lr", type=float, metavar="R", help="learning rate (default 0.001, sgd 0.1)")
    group.add_argument("--weight-decay", type=float, metavar="D", help="default 0.01, sgd 0.0001")
    group.add_argument("--schedule", choices=("plateau", "cosine", "milestones", "constant"), help="default plateau")
    group.add_argument("--sampling", choices=("natural", "balanced"), help="balanced: all classes equally often")
    group.add_argument("--augment", action="append", metavar="NAME", help="flip, vertical-flip, shift; again for more")
    group.add_argument("--freeze", action="append", metavar="PART", help="such as features; again for more")
    group.add_argument("--precision", choices=("float32", "bfloat16", "float16"), help="default float32")
    group.add_argument("--clip", type=float, metavar="NORM", help="largest norm of the gradient")
    group.add_argument("--seed", type=int, metavar="N", help="of everything that is drawn at random (default 0)")
