"""`explain demo`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..arguments import common_arguments, output_arguments, picture_arguments
from ..reporting import report_arguments, report_at_end
from ..values import note, print_json

HELP = "explain images that ship with the package: photographs, and digits with masks"
DEMO = ("cam", "grad-cam", "layer-cam", "guided-backprop", "guided-grad-cam", "smooth-grad", "rise")
# Two blocks of masks for RISE: the whole demo is about a minute on two cores, and RISE's maps are rough.
DEMO_OPTIONS: dict[str, dict[str, Any]] = {"rise": {"masks": 256, "precision": "auto"}}
MODELS = {"photographs": "photographs", "digits": "embedded"}  # of each folder


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Output, and other methods than the selection."""
    output = output_arguments(command, "explain-demo")
    picture_arguments(output)
    report_arguments(output)
    command.add_argument(
        "--method", "-m", action="append", metavar="NAME", help="instead of a selection, again for more"
    )
    command.add_argument(
        "--overwrite", action="store_true", help="remove an earlier demo in --out; default: go on from it"
    )
    common_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain demo`."""
    from explainers import load_model
    from explainers.data.samples import sample_images, sample_photographs
    from explainers.run import MethodCall

    from ..explaining import as_json, code_of, explained_images, run_options
    from ..model_and_methods import DEFAULTS

    calls = [MethodCall(name, DEMO_OPTIONS.get(name, {})) for name in arguments.method or DEMO]
    if arguments.contact_sheet is None:
        arguments.contact_sheet = 12
    out, options = Path(arguments.out or "explain-demo"), run_options(arguments)
    if "rise" in (call.name for call in calls):
        masks = DEMO_OPTIONS["rise"]["masks"]
        note(
            arguments, f"rise takes {masks} masks here, to be quick; its maps are smoother with its own number of them"
        )
    summaries = {}
    for folder, images in {"photographs": sample_photographs(), "digits": sample_images()}.items():
        note(arguments, f"{folder}: {DEFAULTS[MODELS[folder]]}")
        loaded = load_model(MODELS[folder], device=arguments.device or "auto")
        summaries[folder] = explained_images(arguments, images, loaded, calls, out / folder, options)
        report_at_end(arguments, out / folder)
    if arguments.json:
        print_json({folder: as_json(summary) for folder, summary in summaries.items()})
    return max(map(code_of, summaries.values()))
