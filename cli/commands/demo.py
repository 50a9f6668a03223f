"""`explain demo`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..arguments import common_arguments, output_arguments, picture_arguments

HELP = "explain the sample images with the embedded classifier"
DEMO = ("cam", "grad-cam", "layer-cam", "guided-backprop", "guided-grad-cam", "smooth-grad", "rise")
DEMO_OPTIONS: dict[str, dict[str, Any]] = {"rise": {"masks": 512, "precision": "auto"}}  # seconds, not minutes


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
    from explainers.data.samples import sample_images
    from explainers.run import MethodCall

    from ..explaining import explain_images

    loaded = load_model("embedded", device=arguments.device or "auto")
    calls = [MethodCall(name, DEMO_OPTIONS.get(name, {})) for name in arguments.method or DEMO]
    if arguments.contact_sheet is None:
        arguments.contact_sheet = 12
    return explain_images(arguments, sample_images(), loaded, calls, Path(arguments.out or "explain-demo"))
