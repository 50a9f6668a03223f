"""From the arguments of `explain drift` to methods, images, settings and limits."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from explainers.core.option_types import whole_number
from explainers.errors import OptionError

from ..early_checks import DRIFT, check_paths, check_spelling
from ..model_and_methods import method_call, whole_specs
from ..values import activation, output, target, whole_numbers


def asked_methods(arguments: argparse.Namespace) -> dict[str, Any]:
    """The methods that were asked for by their titles, with their options; none where none was."""
    calls = [
        method_call(spec, argparse.Namespace(**{**vars(arguments), "masks": None, "seed": None}))
        for spec in whole_specs(arguments, arguments.method or [])
    ]
    return {call.title: (call.name, call.options) for call in calls}


def default_methods(arguments: argparse.Namespace, model: Any) -> dict[str, Any]:
    """What suits a network, where nothing was asked for."""
    arguments.method = ["attention", "grad-cam"] if hasattr(model.network, "forward_branches") else ["grad-cam"]
    return asked_methods(arguments)


def check_asked(arguments: argparse.Namespace) -> None:
    """What can be seen to be wrong before any network is loaded: numbers, files, a folder without images.

    Raises:
        OptionError, DataError, ImageError: something is.
    """
    from explainers.data.images import find_images
    from explainers.run.drift.photos import is_data_set
    from explainers.run.made_digits import digits_asked

    whole_numbers(arguments.per_class, "--per-class", "5,5,3")
    _count(arguments.images, None)
    check_paths(arguments)
    if arguments.data is None or is_data_set(arguments.data) or digits_asked(arguments.data) is not None:
        return
    check_spelling(arguments.data, DRIFT)
    find_images(arguments.data)


def options_of(arguments: argparse.Namespace, model: Any) -> Any:
    """Settings of the comparison."""
    from explainers.evaluation.drifting.groups import PER_CLASS
    from explainers.evaluation.drifting.options import GROUPED, LABEL, PREDICTED, REFERENCE, DriftOptions
    from explainers.models import class_index

    per_class = whole_numbers(arguments.per_class, "--per-class", "5,5,3")
    wanted = target(arguments.target)
    if isinstance(wanted, str) and wanted not in (LABEL, REFERENCE, PREDICTED):
        if not model.class_names:
            raise OptionError(f"--target {wanted}: the class names of the reference are not known; give an index")
        wanted = class_index(wanted, model.class_names)
    return DriftOptions(
        target=wanted,
        explained=GROUPED if arguments.images == GROUPED else "all",
        per_class=PER_CLASS if per_class is None else per_class,  # type: ignore[arg-type]
        seed=arguments.seed or 0,
        activation=activation(arguments.activation),
        output=output(arguments.output),
        batch_size=8 if arguments.batch_size is None else arguments.batch_size,
        skip_unsupported=arguments.skip_unsupported,
    )


def photos_of(arguments: argparse.Namespace, model: Any, out: Path) -> Any:
    """The images, with their classes and groups."""
    from explainers.baselines.training.run_folder import is_run, read_config
    from explainers.data.label_table import read_column
    from explainers.run.drift.photos import TEST_IMAGES, is_data_set, photos, with_groups

    spec = arguments.data
    if spec is None:
        run = next((Path(each) for each in (*arguments.networks, *(arguments.model or [])) if is_run(Path(each))), None)
        if run is None:
            raise OptionError("no images: give --data, such as folder:PATH or a folder of images")
        spec = read_config(run)["data"]["spec"]
    found = photos(
        spec,
        out,
        count=_count(arguments.images, TEST_IMAGES if is_data_set(spec) else None),
        class_names=model.class_names,
        truth=arguments.ground_truth,
        **({} if arguments.max_pixels is None else {"max_pixels": arguments.max_pixels}),
    )
    if arguments.group_by is None:
        return found
    table, colon, column = arguments.group_by.rpartition(":")
    if not colon:
        raise OptionError(f"--group-by {arguments.group_by}; expected TABLE.csv:COLUMN")
    return with_groups(found, read_column(Path(table), column))


def _count(given: str | None, default: int | None) -> int | None:
    if given is None:
        return default
    if str(given) in ("all", "groups"):
        return None
    if not (number := whole_number(str(given))) or number < 0:
        raise OptionError(f"--images {given}; expected a number of images, all, or groups")
    return number


def threshold(given: str | None) -> tuple[str, float] | None:
    """The similarity and the value of --fail-under."""
    from explainers.evaluation.metrics.similarity import SIMILARITIES

    if given is None:
        return None
    name, colon, value = str(given).rpartition(":")
    name = name if colon else next(iter(SIMILARITIES))
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if name not in SIMILARITIES or not -1 <= number <= 1:
        raise OptionError(
            f"--fail-under {given}; expected a value in -1 … 1, alone or behind {', '.join(SIMILARITIES)} and a colon, "
            "such as ssim:0.8"
        )
    return name, number


def below(found: Any, similarity: str, value: float) -> list[str]:
    """Networks and methods whose mean likeness over all images is less, or not known."""
    cells = found.summary().cells
    lines = []
    for name in found.checkpoints:
        for method in found.methods:
            cell = cells[name, method, "all", similarity]
            if not cell.value >= value:
                lines.append(f"{name}, {method}: {similarity} {cell.value:.3f} is less than {value:g}")
    return lines
