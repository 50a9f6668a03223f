"""`explain demo`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..arguments import common_arguments, output_arguments, picture_arguments
from ..values import note, print_json

HELP = "explain images that ship with the package: photographs, and digits with masks"
DEMO = ("cam", "grad-cam", "layer-cam", "guided-backprop", "guided-grad-cam", "smooth-grad", "rise")
DEMO_OPTIONS: dict[str, dict[str, Any]] = {"rise": {"masks": 512, "precision": "auto"}}  # seconds, not minutes
MODELS = {"photographs": "photographs", "digits": "embedded"}  # of each folder


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Output, and other methods than the selection."""
    picture_arguments(output_arguments(command, "explain-demo"))
    command.add_argument(
        "--method", "-m", action="append", metavar="NAME", help="instead of a selection, again for more"
    )
    command.set_defaults(overwrite=True)
    common_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain demo`."""
    from explainers import load_model
    from explainers.data.samples import sample_images, sample_photographs
    from explainers.run import MethodCall

    from ..explaining import as_json, code_of, explained_images
    from ..model_and_methods import DEFAULTS

    calls = [MethodCall(name, DEMO_OPTIONS.get(name, {})) for name in arguments.method or DEMO]
    if arguments.contact_sheet is None:
        arguments.contact_sheet = 12
    out = Path(arguments.out or "explain-demo")
    summaries = {}
    for folder, images in {"photographs": sample_photographs(), "digits": sample_images()}.items():
        note(arguments, f"{folder}: {DEFAULTS[MODELS[folder]]}")
        loaded = load_model(MODELS[folder], device=arguments.device or "auto")
        summaries[folder] = explained_images(arguments, images, loaded, calls, out / folder)
    if arguments.json:
        print_json({folder: as_json(summary) for folder, summary in summaries.items()})
    return max(map(code_of, summaries.values()))
