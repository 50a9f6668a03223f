"""`explain evaluate` and `explain metrics`."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import explainers
from explainers.errors import OptionError

from ..model_and_methods import loaded_model, method_call
from ..progress import Progress
from ..values import note, printable, target, value_of

SCORED = ("insertion", "deletion")
TEST_IMAGES = 200  # of a training, unless --images says otherwise


def evaluate(arguments: argparse.Namespace) -> int:
    """`explain evaluate FOLDER`."""
    from explainers.storage.atomic import locked

    if arguments.model is None and _is_training(arguments.images):
        arguments.model = arguments.images
    loaded = loaded_model(arguments)
    if not arguments.method and not arguments.maps and hasattr(loaded.network, "forward_branches"):
        arguments.method = ["attention", "grad-cam"]  # what it says of itself beside what is found afterwards
    for text in loaded.notes:
        note(arguments, text)
    out = Path(arguments.out or "evaluated")
    with locked(out):
        return _evaluate(arguments, loaded, out)


def _evaluate(arguments: argparse.Namespace, loaded: Any, out: Path) -> int:
    from explainers.run.evaluate.outputs import clear

    if arguments.overwrite:
        clear(out)
    images, labels = _images(arguments, loaded, out)
    chosen = _scored(arguments, images)
    with Progress(quiet=arguments.quiet or arguments.json, unit="batch", units="batches of maps") as progress:
        result = explainers.evaluate(
            loaded,
            images,
            chosen,
            [_metric(spec) for spec in arguments.metric or SCORED],
            target(arguments.target),
            arguments.masks,
            labels=labels,
            activation={None: "softmax", "none": None}.get(arguments.activation, arguments.activation),
            seed=arguments.seed or 0,
            out=out,
            figures=not arguments.no_figures,
            batch_size=8 if arguments.batch_size is None else arguments.batch_size,
            skip_unsupported=arguments.skip_unsupported,
            precision=arguments.precision or "float32",
            compile=arguments.compile,
            progress=progress.update,
            **({} if arguments.max_pixels is None else {"max_pixels": arguments.max_pixels}),
        )
    failed = dict.fromkeys((row["image"], row["reason"]) for row in result.rows if row["status"] != "ok")
    for image, reason in failed:
        print(f"explain: failed: {printable(image)}: {printable(reason)}", file=sys.stderr)
    if arguments.json:
        print(json.dumps({"scores": result.summary().rows(), "refused": result.refused, "out": str(out)}, indent=2))
    else:
        width = max(80, shutil.get_terminal_size((160, 24)).columns)
        print("\n".join(printable(line) for line in result.summary().text(width).split("\n")))
        print(f"\ntables and figures  {printable(str(out))}")
    return 1 if failed else 0


def _images(arguments: argparse.Namespace, loaded: Any, out: Path) -> tuple[str | Path, dict[str, int] | None]:
    """The folder to evaluate on; `digits:N` and the folder of a training make one, whose masks are the default."""
    if arguments.count is not None and arguments.count < 1:
        raise OptionError(f"--images {arguments.count}; expected at least 1")
    known = _is_training(arguments.images) or arguments.images.startswith("digits:")
    if known and arguments.ground_truth is not None:
        raise OptionError(
            f"--ground-truth {arguments.ground_truth}: the classes of {arguments.images} are known; leave it out"
        )
    if _is_training(arguments.images):
        return _test_images(arguments, out)
    if arguments.count is not None or arguments.only is not None:
        raise OptionError("--images and --only choose among the test images of a training; give its folder")
    kind, colon, count = arguments.images.partition(":")
    if kind != "digits" or not colon:
        return arguments.images, _labels(arguments, loaded)
    if not count.isdigit() or not int(count):
        raise OptionError(f"{arguments.images!r}; expected digits:N with N images of at least 1")
    from explainers.data.generated.digits import CLASSES, write_digits

    labels = write_digits(out / "digits", int(count))
    arguments.masks = arguments.masks or str(out / "digits" / "masks")
    return out / "digits" / "images", labels if loaded.class_names == CLASSES else None


def _labels(arguments: argparse.Namespace, loaded: Any) -> dict[str, int] | None:
    from explainers.data.images.files import find_images
    from explainers.run.evaluate.true_classes import labels_of

    if arguments.ground_truth is None:
        return None
    return labels_of(arguments.ground_truth, find_images(arguments.images), loaded.class_names)


def _is_training(images: str) -> bool:
    from explainers.baselines.training.run_folder import is_run

    return is_run(Path(images))


def _test_images(arguments: argparse.Namespace, out: Path) -> tuple[Path, dict[str, int]]:
    """Test images of a training as files, with their true classes; masks where every image has one."""
    from explainers.baselines.training.run_folder import read_config
    from explainers.data.sets import data_set
    from explainers.data.sets.export import write_split
    from explainers.models import class_index

    spec = read_config(Path(arguments.images))["data"]["spec"]
    data = data_set(spec)
    split, kind = (data.val, "validation") if data.test is None else (data.test, "test")
    if data.test is None:
        note(arguments, f"{spec} has no test images; its validation images, which chose the weights, are taken instead")
    wanted = None if arguments.only is None else class_index(str(arguments.only), data.class_names)
    needed = any("masks" in _metric(spec).needs for spec in arguments.metric or SCORED) and arguments.masks is None
    choice = f"{spec} {kind} {arguments.count} {wanted} {needed}"
    folder = out / "test" / hashlib.sha256(choice.encode()).hexdigest()[:8]  # another choice has other files
    shutil.rmtree(folder, ignore_errors=True)  # the data may have changed since
    written = write_split(split, folder, count=arguments.count or TEST_IMAGES, label=wanted, masks=needed)
    counts = Counter(data.class_names[label] for label in written.labels.values())
    told = ", ".join(f"{name} {counts[name]}" for name in data.class_names if counts[name])
    blank = f"; masks are needed, and {written.blank} images before them have none" if written.blank else ""
    note(arguments, f"{len(written.labels)} of {len(split)} {kind} images of {spec} are scored ({told}){blank}")
    if needed:
        arguments.masks = str(written.masks)
    return written.images, written.labels


def _scored(arguments: argparse.Namespace, images: Any) -> dict[str, Any]:
    """Methods and folders of maps by their titles."""
    from explainers.run.evaluate.outputs import found_maps

    specs = arguments.method or ([] if arguments.maps else ["grad-cam"])
    arguments.skip_unsupported = arguments.skip_unsupported or "all" in specs
    specs = [name for spec in specs for name in (explainers.available() if spec == "all" else [spec])]
    arguments.method = arguments.method and specs
    chosen: dict[str, Any] = {}
    ours = {**vars(arguments), "masks": None}  # here --masks is a folder
    for call in [method_call(spec, argparse.Namespace(**ours)) for spec in dict.fromkeys(specs)]:
        chosen[call.title] = (call.name, call.options)
    for entry in arguments.maps or []:
        title, equals, folder = entry.partition("=")
        path = Path(folder if equals else entry)
        chosen.update(found_maps(path, images, title if equals else ""))
    return chosen


def _metric(spec: str) -> Any:
    """A metric from `NAME` or `NAME:KEY=VALUE,…`; lists are joined with +."""
    family = "quantus:" if spec.startswith("quantus:") else ""
    name, colon, rest = spec[len(family) :].partition(":")
    options = {}
    for entry in rest.split(",") if colon else []:
        key, equals, value = entry.partition("=")
        if not equals:
            raise OptionError(
                f"--metric {spec!r}; expected NAME:KEY=VALUE,KEY=VALUE, such as pid:patch=16+32,baseline=zero"
            )
        parts = value.split("+")
        options[key.replace("-", "_")] = value_of(value) if len(parts) == 1 else tuple(map(value_of, parts))
    return explainers.create_metric(family + name, **options)


def metrics(arguments: argparse.Namespace) -> int:
    """`explain metrics`."""
    from explainers.evaluation.metric import metric_class, metric_options

    rows: list[dict[str, Any]] = []
    for name in explainers.available_metrics():
        cls = metric_class(name)
        summary = (cls.__doc__ or "").partition("\n")[0]
        facts = {"better": cls.better, "needs": sorted(cls.needs), "reference": cls.reference, "summary": summary}
        rows.append({"name": name, **facts, "options": metric_options(cls)})
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        better = f"; {row['better']} is better" if row["better"] else ""
        needs = f"; needs {' and '.join(row['needs'])}" if row["needs"] else ""
        print(f"{row['name']:<{width}}  {row['summary']}\n{'':<{width}}  {row['reference']}{better}{needs}")
        defaults: dict[str, Any] = row["options"]
        if defaults:
            print(f"{'':<{width}}  {', '.join(f'{key}={_shown(value)}' for key, value in defaults.items())}")
    return 0


def _shown(value: Any) -> str:
    """A value as --metric takes it."""
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()
