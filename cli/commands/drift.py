"""`explain drift RUN` and `explain drift CKPT…`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from explainers.errors import OutputError

from ..arguments import explaining_arguments, figure_arguments, ground_truth_argument, labels_argument, model_arguments
from ..reporting import report_arguments, report_at_end
from ..values import note, print_json

HELP = "does the explanation survive more training? maps of many networks beside those of one"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Networks, images, methods, what is compared."""
    command.add_argument(
        "networks",
        nargs="*",
        metavar="RUN|CKPT",
        help="the folder of a training, whose kept epochs are compared (explain train --keep-every), or files of "
        "weights of one --model, also as a pattern",
    )
    model_arguments(command, several=True)
    compared = command.add_argument_group("comparison")
    compared.add_argument(
        "--data",
        metavar="SPEC",
        help="a data set, whose test images are taken (folder:PATH, cifar10:PATH, …), a folder of images, or digits:N "
        "(generated ones); default: that of the training",
    )
    ground_truth_argument(compared, "they are explained, and make the groups")
    compared.add_argument(
        "--images",
        metavar="N|all|groups",
        help="how many (default 200 of a data set, all of a folder); groups: all are looked at, and those of which the "
        "reference is clearly right (A), clearly wrong (B) and undecided (C) are explained",
    )
    compared.add_argument(
        "--per-class", metavar="A,B,C", help="images of a class in each group (default 5,5,3: 3 of either list for C)"
    )
    compared.add_argument("--group-by", metavar="TABLE.csv:COLUMN", help="groups of your own, by the column file")
    compared.add_argument(
        "--reference", metavar="best|EPOCH|FILE", help="what the others are compared with (default best, or the first)"
    )
    compared.add_argument(
        "--other-seed",
        action="append",
        metavar="RUN|CKPT|SPEC",
        help="a network trained from another seed, again for more: drift is what exceeds it",
    )
    compared.add_argument(
        "--target",
        metavar="label|reference|predicted|CLASS",
        help="which class is explained: the true one (default where it is known), the one that the reference predicts, "
        "each network's own, or one for all",
    )
    compared.add_argument(
        "--fail-under",
        metavar="[SIMILARITY:]VALUE",
        help="exit with 1 where a network's mean likeness (spearman, pearson, ssim, top-k; default spearman) is less",
    )
    compared.add_argument("--film", type=int, metavar="N", help="images shown network by network (default 3)")
    figure_arguments(compared)
    labels_argument(command)
    report_arguments(explaining_arguments(command, "drift")[1])


def act(arguments: argparse.Namespace) -> int:
    """`explain drift`."""
    from explainers.run.drift.comparison import Pictures, compare_in_folder
    from explainers.run.drift.outputs import CONTENTS
    from explainers.storage.lock import locked
    from explainers.storage.run_folder import RunFolder

    from ..drifting.lineup import lineup_of
    from ..drifting.settings import asked_methods, check_asked, default_methods, options_of, photos_of, threshold
    from ..terminal.progress import Progress

    limit, methods = threshold(arguments.fail_under), asked_methods(arguments)
    check_asked(arguments)
    lineup, model = lineup_of(arguments)
    methods = methods or default_methods(arguments, model)
    options = options_of(arguments, model)
    out = Path(arguments.out or "drift")
    with locked(out):
        folder = RunFolder(out, CONTENTS)
        folder.claim()  # before any test image is written there
        if arguments.overwrite:
            folder.clear()
        photos = photos_of(arguments, model, out)
        note(arguments, f"{len(lineup.networks)} networks, {photos.told}; the reference is {lineup.reference}")
        del model
        with Progress(quiet=arguments.quiet or arguments.json, unit="batch", units="batches of maps") as progress:
            found = compare_in_folder(
                lineup,
                photos,
                methods,
                out,
                options=options,
                pictures=Pictures(
                    not arguments.no_figures,
                    3 if arguments.film is None else arguments.film,
                    arguments.figures or "png",
                ),
                progress=progress.update,
            )
    return _told(arguments, found, out, limit)


def _told(arguments: argparse.Namespace, found: Any, out: Path, limit: tuple[str, float] | None) -> int:
    """Print what was found; returns the exit code."""
    from ..drifting.settings import below
    from ..terminal.telling import tell_failures, tell_tables

    lost = found.lost()
    tell_failures(lost)
    if found.nothing:
        raise OutputError(
            f"nothing could be compared with {found.reference}: no other network has a map, for the reasons above"
        )
    missed = [] if limit is None else below(found, *limit)
    for line in missed:
        note(arguments, line)
    if not arguments.json:
        tell_tables(found.summary(), out)
    page = report_at_end(arguments, out)
    if arguments.json:
        rows = found.summary().rows()
        networks = found.networks()
        more = {} if page is None else {"report": str(page)}
        print_json(
            {"likeness": rows, "networks": networks, "failed": found.failed, "below": missed, "out": str(out), **more}
        )
    return 1 if lost or missed else 0
