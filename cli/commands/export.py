"""`explain export OUT`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..arguments import common_arguments
from ..spelling import printable
from ..values import note, print_json

NAMED = 10  # maps that are told by name
HELP = "write the table or the maps of a finished run for other tools (Parquet, TIFF)"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The folder, and what is made of it."""
    command.add_argument("folder", metavar="OUT", help="what --out of explain run or evaluate was")
    command.add_argument(
        "--to",
        required=True,
        choices=["parquet", "tiff"],
        help="the format: parquet, the table; tiff, the maps of a run over photos",
    )
    command.add_argument(
        "--out",
        "-o",
        metavar="PATH",
        help="the file, of tiff the folder (default OUT/results.parquet, OUT/scores.parquet or OUT/tiff)",
    )
    # Under a name of its own: where an export is interrupted nothing is kept that the next could go on from.
    command.add_argument("--overwrite", dest="replace", action="store_true", help="replace a file that is there")
    common_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain export OUT`: 0, also where rows have no result, which is said of each."""
    return _table(arguments) if arguments.to == "parquet" else _maps(arguments)


def _table(arguments: argparse.Namespace) -> int:
    from explainers.errors import counted
    from explainers.run.export.parquet import write_parquet

    made = write_parquet(arguments.folder, arguments.out, overwrite=arguments.replace)
    if made.failed:
        note(arguments, f"{counted(made.failed, 'row')} without a result, kept with status and reason:")
    _named(arguments, made.named, made.failed)
    if arguments.json:
        print_json({"out": str(made.path), "rows": made.rows, "failed": made.failed, "named": made.named})
    else:
        print(f"{counted(made.rows, 'row')}\nfile      {printable(str(made.path))}")
    return 0


def _maps(arguments: argparse.Namespace) -> int:
    from explainers.errors import counted
    from explainers.run.export.tiff import write_tiff

    made = write_tiff(arguments.folder, arguments.out, overwrite=arguments.replace)
    if made.left_out:
        note(arguments, f"{counted(len(made.left_out), 'map')} left out:")
    _named(arguments, made.left_out[:NAMED], len(made.left_out))
    if made.constant:
        note(arguments, f"{counted(len(made.constant), 'map')} the same everywhere:")
    _named(arguments, [(title, "constant") for title in made.constant[:NAMED]], len(made.constant))
    if arguments.json:
        told = {"left_out": made.left_out, "constant": made.constant}
        print_json({"out": str(made.folder), "files": made.files, **told})
    else:
        print(f"{counted(made.files, 'map')}\nfolder    {printable(str(made.folder))}")
    return 0


def _named(arguments: argparse.Namespace, told: Sequence[tuple[str, str]], count: int) -> None:
    for title, reason in told:
        note(arguments, f"{printable(title)}: {printable(reason)}")
    if count > len(told):
        note(arguments, f"and {count - len(told)} more")
