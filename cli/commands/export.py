"""`explain export OUT`."""

from __future__ import annotations

import argparse

from ..arguments import common_arguments

HELP = "write the table of a finished run or evaluation for other tools (Parquet)"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The folder, and what is made of it."""
    command.add_argument("folder", metavar="OUT", help="what --out of explain run or evaluate was")
    command.add_argument("--to", required=True, choices=["parquet"], help="the format")
    command.add_argument(
        "--out",
        "-o",
        metavar="FILE",
        help="the file (default OUT/results.parquet or OUT/scores.parquet)",
    )
    # Under a name of its own: where an export is interrupted nothing is kept that the next could go on from.
    command.add_argument("--overwrite", dest="replace", action="store_true", help="replace a file that is there")
    common_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain export OUT`: 0, also where rows have no result, which the file tells of each."""
    from explainers.errors import counted
    from explainers.run.export.parquet import write_parquet

    from ..spelling import printable
    from ..values import note, print_json

    made = write_parquet(arguments.folder, arguments.out, overwrite=arguments.replace)
    if made.failed:
        note(arguments, f"{counted(made.failed, 'row')} without a result, kept with status and reason:")
    for title, reason in made.named:
        note(arguments, f"{printable(title)}: {printable(reason)}")
    if made.failed > len(made.named):
        note(arguments, f"and {made.failed - len(made.named)} more")
    if arguments.json:
        print_json({"out": str(made.path), "rows": made.rows, "failed": made.failed, "named": made.named})
    else:
        print(f"{counted(made.rows, 'row')}\nfile      {printable(str(made.path))}")
    return 0
