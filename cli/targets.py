"""--target, --where and --task: their arguments, and what they mean: a class, a target object, or what is detected."""

from __future__ import annotations

import argparse
from typing import Any

from explainers.errors import TargetError

from .arguments import labels_argument
from .input_kind import PHOTOS
from .values import note


def target_arguments(command: argparse.ArgumentParser) -> Any:
    """What is explained."""
    target = command.add_argument_group("what is explained")
    target.add_argument(
        "--target",
        metavar="TARGET",
        help="a class: index, name, label (the true one) or not (the other class of a network with one score); "
        '"cat - dog", "cat - next", "cat - 0.5 dog" (why the one rather than the other); like:FILE (what '
        "makes embeddings alike); value:0, value:0:lowered (of a regression); FILE.py:function (of what the network "
        "returns for an image to one number); default: the predicted class",
    )
    target.add_argument(
        "--where",
        metavar="REGION",
        help="of a segmentation network, where its class is explained: predicted (where it is predicted), all, "
        "mask:FOLDER (files named like the images, white or not 0 inside), box:X0,Y0,X1,Y1 or pixel:X,Y of the photo; "
        "of volumes box:A0:A1,B0:B1,C0:C1 or voxel:A,B,C, of signals box:FROM:TO or sample:T",
    )
    labels_argument(target)
    return target


def detection_arguments(target: Any) -> None:
    """Which boxes that a network finds are explained."""
    target.add_argument(
        "--task",
        choices=("classification", "detection"),
        help="detection: each box that the network finds is explained; what it returned becomes boxes by "
        "--output FILE.py:function, but for torchvision's and transformers' networks",
    )
    target.add_argument("--detections", type=int, metavar="K", help="the K best of each image (default 3)")
    target.add_argument("--min-score", type=float, metavar="S", help="of detections that are explained (default 0.5)")


def typed_target(arguments: argparse.Namespace, loaded: Any) -> Any:
    """An index, a class name, "label", "not" or a target object; None where the predicted class is explained.

    Raises:
        TargetError: --target means nothing to this network. ImageError: the reference cannot be read.
    """
    from explainers.models.loaded import class_index
    from explainers.run.kinds import kind_of
    from explainers.run.targets.regions import region_of
    from explainers.run.targets.spelled import spelled_target
    from explainers.targets import Similarity

    given = getattr(arguments, "target", None)
    limit = getattr(arguments, "max_pixels", None)
    target = given
    if isinstance(given, str):
        target = spelled_target(given, loaded, loaded.preprocessing, max_pixels=limit)
        if isinstance(target, Similarity) and loaded.class_names and getattr(arguments, "output", None) is None:
            note(arguments, "like: compares the scores of the network's classes; an embedding is picked with --output")
    where = getattr(arguments, "where", None)
    if where is None:
        return target
    if isinstance(target, str) and loaded.class_names:
        target = class_index(target, loaded.class_names)
    if target is not None and not isinstance(target, int):
        raise TargetError(f"--target {given}: --where {where} needs a class, by index or name")
    kind = PHOTOS if loaded.preprocessing is None else kind_of(loaded.preprocessing).name
    return region_of(target, where, max_pixels=limit, kind=kind)


def typed_detections(arguments: argparse.Namespace) -> Any:
    """What of a detection network's boxes is explained; None where --task detection was not typed.

    Raises:
        OptionError: options of the one task with the other.
    """
    from explainers.errors import OptionError
    from explainers.run.targets import Detected

    count, least = getattr(arguments, "detections", None), getattr(arguments, "min_score", None)
    if getattr(arguments, "task", None) != "detection":
        for name, value in (("detections", count), ("min-score", least)):
            if value is not None:
                raise OptionError(f"--{name} goes with --task detection")
        return None
    for name in ("target", "where", "top_k", "ground_truth"):
        if getattr(arguments, name, None) is not None:
            flag, what = f"--{name.replace('_', '-')}", "regions" if name == "where" else "classes"
            raise OptionError(f"{flag} names {what}; --task detection explains boxes: leave out {flag}")
    return Detected(Detected.count if count is None else count, Detected.min_score if least is None else least)
