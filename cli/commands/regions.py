"""`explain regions OUT`."""

from __future__ import annotations

import argparse
from contextlib import suppress

from ..arguments import common_arguments

HELP = "write the regions that the maps of a run point out as COCO annotations (masks and boxes)"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The folder, and where maps are cut."""
    command.add_argument("folder", metavar="OUT", help="what --out of explain run was")
    command.add_argument(
        "--threshold",
        metavar="T",
        help="where maps are cut: otsu (default), mean, mean+std, or a number from 0 to 1 of a map's range",
    )
    command.add_argument("--largest", action="store_true", help="keep the largest connected part of each region alone")
    command.add_argument("--method", "-m", action="append", metavar="NAME", help="of these methods alone")
    command.add_argument("--out", "-o", metavar="FILE", help="the JSON file (default OUT/regions.json)")
    common_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain regions OUT`: 0 where every map points out something, 1 where some do not."""
    from explainers.run.regions import summary, write_regions

    from ..spelling import printable
    from ..values import note, print_json

    given = "otsu" if arguments.threshold is None else arguments.threshold
    with suppress(ValueError):
        given = float(given)
    found = write_regions(
        arguments.folder,
        arguments.out,
        threshold=given,
        largest=arguments.largest,
        methods=arguments.method or (),
    )
    for title, reason in found.empty[:10]:
        note(arguments, f"{printable(title)}: {reason}")
    if len(found.empty) > 10:
        note(arguments, f"{len(found.empty) - 10} more maps without a region")
    if arguments.json:
        print_json({"out": str(found.path), "images": found.images, "regions": found.regions, "empty": found.empty})
    else:
        print(f"{summary(found)}\nfile      {printable(str(found.path))}")
    return 1 if found.empty else 0
