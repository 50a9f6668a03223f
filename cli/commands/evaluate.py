"""`explain evaluate FOLDER`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import explainers

from ..arguments import (
    explaining_arguments,
    figure_arguments,
    ground_truth_argument,
    model_arguments,
)
from ..input_kind import batch_size, files_asked
from ..reporting import report_arguments, report_at_end
from ..spelling import printable
from ..targets import detection_arguments, target_arguments, typed_detections, typed_target
from ..terminal.telling import exit_code, tell_failures, tell_tables
from ..values import activation, known, note, output, print_json

HELP = "score methods on the images of a folder: which map can be believed?"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Images, network, methods, metrics, output."""
    command.add_argument(
        "images",
        metavar="FOLDER",
        help="a folder, an image file, digits:N (generated test images with their masks), or the folder of a training, "
        "whose network is scored on its test images",
    )
    command.add_argument(
        "--images", dest="count", type=int, metavar="N", help="test images of a training (default 200)"
    )
    command.add_argument("--only", metavar="CLASS", help="test images of a training with this true class")
    model_arguments(command)
    scoring = command.add_argument_group("scoring")
    scoring.add_argument(
        "--metric",
        action="append",
        metavar="NAME[:KEY=VALUE,…]",
        help="a metric (explain metrics lists them), again for more (default insertion and deletion), "
        "such as pid:patch=16+32,baseline=black",
    )
    scoring.add_argument(
        "--masks", metavar="FOLDER", help="what maps should show: files named like the images, white inside"
    )
    scoring.add_argument(
        "--masks-of",
        metavar="NAME",
        help="which masks of a training's test images, where its data has several: bird or parts (birds), mask, box or "
        "ignored (published sets); boxes serve metrics of boxes alone",
    )
    scoring.add_argument(
        "--boxes",
        metavar="TABLE|detected",
        help="where detections should be: a CSV table with the columns file,x0,y0,x1,y1 and perhaps class, in pixels "
        "of the photos, or COCO's annotations (.json); detected: each detection's own box",
    )
    ground_truth_argument(scoring, "metrics of accuracy go by them, and --target label watches them")
    scoring.add_argument(
        "--maps",
        action="append",
        metavar="[TITLE=]FOLDER",
        help="score maps made elsewhere: .npy, .npz or gray pictures named like the images, or maps of explain run",
    )
    figure_arguments(scoring)
    detection_arguments(target_arguments(command))
    _, output = explaining_arguments(command, "evaluated")
    output.add_argument("--no-maps", action="store_true", help="keep no maps: the report shows the table alone")
    report_arguments(output)


def act(arguments: argparse.Namespace) -> int:
    """`explain evaluate FOLDER`."""
    from explainers.run.made_digits import digits_asked
    from explainers.storage.lock import locked

    from ..early_checks import check_paths
    from ..model_and_methods import DEFAULT, loaded_model
    from ..scoring.metric_spec import SCORED, typed_metric
    from ..scoring.scored_images import check_scored, is_training

    typed_detections(arguments)  # what does not go together is said first
    metrics = [known(arguments, typed_metric, spec) for spec in arguments.metric or SCORED]
    calls = _calls(arguments) if arguments.method or arguments.maps else []
    check_paths(arguments)
    check_scored(arguments)
    if is_training(arguments.images):
        arguments.model = arguments.model or arguments.images
    loaded = loaded_model(arguments, "embedded" if digits_asked(arguments.images) is not None else DEFAULT)
    if not calls:
        if hasattr(loaded.network, "forward_branches"):
            arguments.method = ["attention", "grad-cam"]  # what it says of itself beside what is found afterwards
        calls = _calls(arguments)
    for text in loaded.notes:
        note(arguments, text)
    out = Path(arguments.out or "evaluated")
    with locked(out):
        return _evaluate(arguments, loaded, out, calls, metrics)


def _evaluate(
    arguments: argparse.Namespace, loaded: Any, out: Path, calls: Sequence[Any], metrics: Sequence[Any]
) -> int:
    from explainers.evaluation.rows import NOTHING
    from explainers.run.evaluate.outputs import CONTENTS
    from explainers.run.evaluate.stored_maps import UNSAID
    from explainers.storage.run_folder import RunFolder

    from ..scoring.scored_images import scored_images
    from ..terminal.progress import Progress

    folder = RunFolder(out, CONTENTS)
    folder.claim()  # before any test image is written there
    if arguments.overwrite:
        folder.clear()
    images, labels = scored_images(arguments, loaded, out)
    chosen = _scored(arguments, images, calls)
    titles = len(chosen) + (len(calls) if arguments.task == "detection" else 0)  # a control of each method
    _note_too_few(arguments, images, titles, loaded.preprocessing)
    with Progress(quiet=arguments.quiet or arguments.json, unit="batch", units="batches of maps") as progress:
        result = explainers.evaluate(
            loaded,
            images,
            chosen,
            metrics,
            typed_detections(arguments) or typed_target(arguments, loaded),
            arguments.masks,
            labels=labels,
            activation=activation(arguments.activation),
            output=output(arguments.output),
            boxes=arguments.boxes,
            seed=arguments.seed or 0,
            out=out,
            figures=not arguments.no_figures and (arguments.figures or True),
            maps=not arguments.no_maps,
            batch_size=batch_size(arguments),
            skip_unsupported=arguments.skip_unsupported,
            precision=arguments.precision or "float32",
            compile=arguments.compile,
            progress=progress.update,
            **({} if arguments.max_pixels is None else {"max_pixels": arguments.max_pixels}),
        )
    failed = dict.fromkeys((row["image"], row["reason"]) for row in result.rows if _is_failure(row))
    tell_failures(failed, images)
    for name, reason in dict.fromkeys((row["image"], row["reason"]) for row in result.rows if row["status"] == NOTHING):
        note(arguments, f"nothing to explain in {printable(name)}: {reason}")
    for title in result.facts.get(UNSAID, ()):
        note(
            arguments,
            f"the maps of {title} do not say what target they are of; they count as maps of the one asked for",
        )
    if not arguments.json:
        tell_tables(result.summary(), out)
    page = report_at_end(arguments, out)
    if arguments.json:
        more = {} if page is None else {"report": str(page)}
        print_json({"scores": result.summary().rows(), "refused": result.refused, "out": str(out), **more})
    return exit_code(bool(failed), any(row["status"] != "failed" for row in result.rows))


def _is_failure(row: Any) -> bool:
    """Whether a row says that something went wrong; that an image has no other box for a control does not."""
    from explainers.evaluation.controls import OTHER_BOX, is_control

    return row["status"] == "failed" and not (is_control(row["explainer"]) and row["explainer"].endswith(OTHER_BOX))


def _note_too_few(arguments: argparse.Namespace, images: Any, chosen: int, preprocessing: Any) -> None:
    """Before hours go into a table that cannot find any difference."""
    from explainers.evaluation.controls import CONTROLS
    from explainers.evaluation.statistics import images_needed
    from explainers.run.evaluate.folder import files_of

    files, titles = files_of(images, preprocessing), chosen + len(CONTROLS)
    needed = images_needed(titles * (titles - 1) // 2)
    if files is not None and (needed is None or len(files) < needed):
        more = "fewer methods" if needed is None else f"at least {needed}"
        note(
            arguments,
            f"with {len(files)} image{'s' * (len(files) != 1)} no difference between {titles} maps (controls among "
            f"them) can be found, however large; that needs {more}",
        )


def _calls(arguments: argparse.Namespace) -> list[Any]:
    """The methods that are scored."""
    from ..model_and_methods import method_call, whole_specs

    specs = whole_specs(arguments, arguments.method or ([] if arguments.maps else ["grad-cam"]))
    ours = {**vars(arguments), "masks": None}  # here --masks is a folder
    return [method_call(spec, argparse.Namespace(**ours)) for spec in specs]


def _scored(arguments: argparse.Namespace, images: Any, calls: Sequence[Any]) -> dict[str, Any]:
    """Methods and folders of maps by their titles."""
    from explainers.run.evaluate.stored_maps import found_maps

    chosen: dict[str, Any] = {call.title: (call.name, call.options) for call in calls}
    for entry in arguments.maps or []:
        title, equals, folder = entry.partition("=")
        path = Path(folder if equals else entry)
        files = files_asked(arguments, str(images))
        chosen.update(found_maps(path, files, title if equals else "", detections=arguments.task == "detection"))
    return chosen
