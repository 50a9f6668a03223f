"""`explain export OUT`."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from ..arguments import common_arguments
from ..spelling import given, printable
from ..values import note, print_json

NAMED = 10  # maps that are told by name
HELP = "write the table or the maps of a finished run for other tools (Parquet, TIFF, Zarr, TensorBoard …)"
# What each format is made of. One called a-b is written by `write_a_b` of explainers/run/export/a_b.py.
FORMATS = {
    "parquet": "the table",
    "tiff": "the maps of a run over photos",
    "zarr": "the same maps as arrays of one store",
    "tensorboard": "overlays of a run, or scores of an evaluation",
    "label-studio": "regions of the maps as pre-annotations",
    "fiftyone": "a data set of photos with heat maps, classes, boxes and scores",
    "mlflow": "settings, scores, tables and pictures as a run of a tracking store",
}
OPTIONS = ("threshold", "largest", "image_url")  # which some formats take


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The folder, and what is made of it."""
    command.add_argument("folder", metavar="OUT", help="what --out of explain run or evaluate was")
    command.add_argument(
        "--to",
        required=True,
        choices=list(FORMATS),
        metavar="FORMAT",
        help="; ".join(f"{name}: {what}" for name, what in FORMATS.items()),
    )
    command.add_argument(
        "--out",
        "-o",
        metavar="PATH",
        help="the file or folder (default results.parquet or scores.parquet, tiff, maps.zarr, tensorboard, "
        "label-studio, fiftyone or mlflow in OUT)",
    )
    # Under a name of its own: where an export is interrupted nothing is kept that the next could go on from.
    command.add_argument("--overwrite", dest="replace", action="store_true", help="replace what is there")
    group = command.add_argument_group("label-studio")
    group.add_argument(
        "--threshold",
        metavar="T",
        help="where maps are cut: otsu (default), mean, mean+std, or a number from 0 to 1 of a map's range",
    )
    group.add_argument("--largest", action="store_true", help="keep the largest connected part of each region alone")
    group.add_argument(
        "--image-url",
        metavar="PREFIX",
        help="what stands before an image's name where Label Studio finds it (default /data/local-files/?d=)",
    )
    common_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain export OUT`: 0, also where something has no result or map, which is said of each."""
    from explainers.errors import counted

    write = writer(arguments.to)
    made = write(arguments.folder, arguments.out, overwrite=arguments.replace, **_options(arguments, write))
    for headline, named, count in made.remarks():
        note(arguments, headline)
        for title, reason in named[:NAMED]:
            note(arguments, f"{printable(title)}: {printable(reason)}")
        if count > NAMED:
            note(arguments, f"and {count - NAMED} more")
    if arguments.json:
        print_json(made.facts())
        return 0
    for name, count in made.counts.items():
        print(counted(count, name))
    print(f"{'folder' if made.path.is_dir() else 'file':<10}{printable(str(made.path))}")
    return 0


def writer(name: str) -> Callable[..., Any]:
    """The function that writes a format."""
    word = name.replace("-", "_")
    found: Callable[..., Any] = getattr(import_module(f"explainers.run.export.{word}"), f"write_{word}")
    return found


def _options(arguments: argparse.Namespace, write: Callable[..., Any]) -> dict[str, Any]:
    """What was typed for the format.

    Raises:
        OptionError: the format does not take it.
    """
    from explainers.errors import OptionError

    typed = {name: getattr(arguments, name) for name in OPTIONS if given(getattr(arguments, name))}
    for name in typed:
        if name not in inspect.signature(write).parameters:
            raise OptionError(f"--to {arguments.to} takes no --{name.replace('_', '-')}")
    if "threshold" in typed:
        with suppress(ValueError):
            typed["threshold"] = float(typed["threshold"])
    return typed
