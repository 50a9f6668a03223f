"""`explain run FOLDER`, or `explain FOLDER`."""

from __future__ import annotations

import argparse
from pathlib import Path

from explainers.errors import OptionError

from ..arguments import (
    explaining_arguments,
    ground_truth_argument,
    model_arguments,
    picture_arguments,
)
from ..reporting import report_arguments, report_at_end
from ..spelling import given
from ..targets import detection_arguments, target_arguments
from ..values import print_json

HELP = "explain the images of a folder; `explain FOLDER` is the same"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Images, network, methods, output."""
    command.add_argument(
        "images",
        metavar="FOLDER",
        help="a folder of images, volumes or signals (searched with all below it), or one file",
    )
    model_arguments(command)
    target = target_arguments(command)
    target.add_argument("--top-k", type=int, metavar="K", help="explain the K best classes of each image")
    detection_arguments(target)
    ground_truth_argument(target, "the table and contact sheets name them, and --target label explains them")
    passes, output = explaining_arguments(command, "explained")
    passes.add_argument(
        "--masks",
        type=int,
        metavar="N",
        help="masks of rise per image, made up to whole blocks (default 3968, in the paper's design 4000)",
    )
    picture_arguments(output)
    report_arguments(output)


def act(arguments: argparse.Namespace) -> int:
    """`explain run FOLDER`."""
    from ..early_checks import check_images, check_paths
    from ..explaining import as_json, code_of, explained_images, run_options
    from ..model_and_methods import FLAGS, loaded_model, method_call, whole_specs

    run_options(arguments)  # what they cannot be is said first
    check_images(arguments)
    check_paths(arguments)
    calls = [method_call(spec, arguments) for spec in whole_specs(arguments, arguments.method or ["grad-cam"])]
    for flag in FLAGS:
        if given(getattr(arguments, flag)) and not any(flag in call.options for call in calls):
            raise OptionError(f"--{flag}: none of the methods {', '.join(call.title for call in calls)} has it")
    options = run_options(arguments)  # `-m all` lets methods refuse
    loaded = loaded_model(arguments)
    out = Path(arguments.out or "explained")
    summary = explained_images(arguments, arguments.images, loaded, calls, out, options)
    page = report_at_end(arguments, out)
    if arguments.json:
        print_json({**as_json(summary), **({} if page is None else {"report": str(page)})})
    return code_of(summary)
