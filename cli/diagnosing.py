"""The diagnosis that `explain layers` and `explain doctor` tell."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import explainers
from explainers.errors import ImageError

from .early_checks import check_paths
from .input_kind import kind_asked
from .model_and_methods import loaded_model
from .spelling import given
from .values import output

NETWORK = (  # options that say which network, and how it is fed
    *("model", "weights", "trust_model_file", "size", "crop", "mean", "std", "gray", "bands", "channels"),
    *("input_bands", "white", "data_kind", "window", "normalize", "output", "device"),
)


def diagnosed(arguments: argparse.Namespace) -> Any:
    """What the library makes of the network that arguments name, looked at with --image or noise."""
    import torch

    from explainers.network.input import input_channels

    check_paths(arguments)
    told, shape = bool(arguments.image or arguments.data_kind), tuple[int, ...]()
    arguments.kind = kind_asked(arguments, arguments.image) if told else None  # the network's to tell
    loaded = loaded_model(arguments)
    if arguments.image:
        from explainers.run.kinds import kind_of

        if loaded.preprocessing is None:
            raise ImageError(f"how {loaded.spec} takes a photo is not known; give --size, --crop, --mean, --std")
        kind = kind_of(loaded.preprocessing)
        subject = kind.read(Path(arguments.image), getattr(arguments, "max_pixels", None))
        images, shape = kind.input(subject)[None], kind.size(subject)
    else:
        square = (224, 224)
        known = loaded.preprocessing
        size = (input_channels(loaded.network, square), *square) if known is None else known.input_size()
        images = torch.randn(1, *size, generator=torch.Generator().manual_seed(0))
    found = explainers.diagnose(loaded, images.to(loaded.device), output=output(arguments.output))
    return replace(found, targets=tuple((what, _placed(options, shape)) for what, options in found.targets))


def _placed(options: str, shape: Sequence[int]) -> str:
    """Options of a target with the middle of the input, whose axes are so long, for a box and a place that are not
    said."""
    ends = [(side // 4, max(3 * side // 4, 1)) for side in shape]
    middle = [str(side // 2) for side in shape]
    if len(shape) == 2:
        (top, bottom), (left, right) = ends
        options = options.replace("X0,Y0,X1,Y1", f"{left},{top},{right},{bottom}")
        return options.replace("X,Y", f"{middle[1]},{middle[0]}")
    spans = ",".join(f"{start}:{stop}" for start, stop in ends)
    if len(shape) == 3:
        return options.replace("A0:A1,B0:B1,C0:C1", spans).replace("A,B,C", ",".join(middle))
    if len(shape) == 1:
        return options.replace("FROM:TO", spans).replace("sample:T", f"sample:{middle[0]}")
    return options


def run_command(arguments: argparse.Namespace) -> str:
    """`explain run` with the network that was typed, to paste."""
    words = ["explain", "run", arguments.image or "FOLDER"]
    for name in NETWORK:
        value = getattr(arguments, name, None)
        if given(value):
            words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return shlex.join(words)
