"""The images that `explain evaluate` scores on: a folder, `digits:N`, or the test images of a training."""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from explainers.errors import OptionError
from explainers.storage.atomic import write_bytes
from explainers.storage.owner import MADE

from ..early_checks import check_images
from ..input_kind import files_asked
from ..values import note
from .metric_spec import SCORED, typed_metric

TEST_IMAGES = 200  # of a training, unless --images says otherwise


def is_training(images: str) -> bool:
    """Whether what is named is the folder of a training."""
    from explainers.baselines.training.run_folder import is_run

    return is_run(Path(images))


def check_scored(arguments: argparse.Namespace) -> None:
    """See, before any network is loaded, that what is named is one of the three, and chosen from as it can be.

    Raises:
        OptionError, ImageError: it is not.
    """
    from explainers.run.made_digits import digits_asked

    if arguments.count is not None and arguments.count < 1:
        raise OptionError(f"--images {arguments.count}; expected at least 1")
    training = is_training(arguments.images)
    digits = not training and digits_asked(arguments.images) is not None
    if (training or digits) and arguments.ground_truth is not None:
        raise OptionError(
            f"--ground-truth {arguments.ground_truth}: the classes of {arguments.images} are known; leave it out"
        )
    if not training and any(each is not None for each in (arguments.count, arguments.only, arguments.masks_of)):
        raise OptionError("--images, --only and --masks-of choose among the test images of a training; give its folder")
    if not training and not digits:
        check_images(arguments)


def scored_images(arguments: argparse.Namespace, loaded: Any, out: Path) -> tuple[str | Path, dict[str, int] | None]:
    """The folder to evaluate on; `digits:N` and the folder of a training make one, whose masks are the default."""
    if is_training(arguments.images):
        return _test_images(arguments, out)
    from explainers.run.made_digits import digits_asked, made_digits

    if (count := digits_asked(arguments.images)) is None:
        return arguments.images, true_labels(arguments, loaded)
    from explainers.data.generated.digits import CLASSES

    labels = made_digits(out / "digits", count)
    arguments.masks = arguments.masks or str(out / "digits" / "masks")
    return out / "digits" / "images", labels if loaded.class_names == CLASSES else None


def true_labels(arguments: argparse.Namespace, loaded: Any) -> dict[str, int] | None:
    """Image name → class index, by --ground-truth; None where the command has no such flag or it was not typed."""
    from explainers.run.true_classes import labels_of

    if getattr(arguments, "ground_truth", None) is None:
        return None
    return labels_of(arguments.ground_truth, files_asked(arguments, arguments.images), loaded.class_names)


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
    needed = _masks_needed(arguments, split.mask_names, spec)
    choice = f"{spec} {kind} {arguments.count} {wanted} {needed}"
    folder = out / "test" / hashlib.sha256(choice.encode()).hexdigest()[:8]  # another choice has other files
    shutil.rmtree(folder, ignore_errors=True)  # the data may have changed since
    write_bytes(out / "test" / MADE, b"")
    written = write_split(split, folder, count=arguments.count or TEST_IMAGES, label=wanted, masks=needed or False)
    counts = Counter(data.class_names[label] for label in written.labels.values())
    told = ", ".join(f"{name} {counts[name]}" for name in data.class_names if counts[name])
    blank = f"; masks are needed, and {written.blank} images before them have none" if written.blank else ""
    which = f"; masks: {needed}" if needed and split.mask_names != ("mask",) else ""
    note(arguments, f"{len(written.labels)} of {len(split)} {kind} images of {spec} are scored ({told}){blank}{which}")
    if needed:
        arguments.masks = str(written.masks)
    return written.images, written.labels


def _masks_needed(arguments: argparse.Namespace, names: tuple[str, ...], spec: str) -> str:
    """The name of the masks that the metrics need, empty where they need none or have those of a folder.

    Raises:
        OptionError: there are none of the name that is given, nothing needs them, or boxes are all and shapes count.
    """
    needy = [metric for metric in map(typed_metric, arguments.metric or SCORED) if "masks" in metric.needs]
    chosen = arguments.masks_of
    if chosen is not None and (arguments.masks is not None or not needy):
        reason = "--masks gives others" if arguments.masks is not None else "no metric needs masks"
        raise OptionError(f"--masks-of {chosen} has no use here: {reason}")
    if not needy or arguments.masks is not None:
        return ""
    name: str = chosen or names[0]
    if name not in names:
        raise OptionError(f"--masks-of {name}: the masks of {spec} are {', '.join(names)}")
    unfit = [metric.name for metric in needy if not metric.boxes]
    if name == "box" and unfit:
        raise OptionError(
            f"{', '.join(unfit)} needs masks, and a box is none: of {spec} there is {', '.join(names)}. Give --masks, "
            "or score metrics of boxes alone, such as maxboxacc"
        )
    return name
