"""What --target and --task mean: a class, a target object made of the text, or what a network detects."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from explainers.errors import TargetError


def typed_target(arguments: argparse.Namespace, loaded: Any) -> Any:
    """An index, a class name, "label", "not" or a target object; None where the predicted class is explained.

    Raises:
        TargetError: --target means nothing to this network. ImageError: the reference cannot be read.
    """
    from explainers.models.target_words import target_of

    given = getattr(arguments, "target", None)
    if isinstance(given, str):
        given = target_of(given, loaded.class_names, lambda path: _input(path, arguments, loaded))
    where = getattr(arguments, "where", None)
    return given if where is None else _region(given, where, arguments, loaded)


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
            raise OptionError(
                f"--{name.replace('_', '-')} names classes; --task detection explains boxes: leave it out"
            )
    return Detected(Detected.count if count is None else count, Detected.min_score if least is None else least)


def _region(given: Any, where: str, arguments: argparse.Namespace, loaded: Any) -> Any:
    """A class over a region of each image."""
    from explainers.models.loaded import class_index
    from explainers.run.targets.regions import region_of

    if isinstance(given, str) and not loaded.class_names:
        raise TargetError(f"--target {given}: --where needs a class, by index or name")
    index = class_index(given, loaded.class_names) if isinstance(given, str) else given
    if index is not None and not isinstance(index, int):
        raise TargetError(f"--target {arguments.target}: --where needs a class, by index or name")
    limit = getattr(arguments, "max_pixels", None)
    return region_of(index, where, **({} if limit is None else {"max_pixels": limit}))


def _input(path: str, arguments: argparse.Namespace, loaded: Any) -> Any:
    """The file behind like: as the network takes it, read and prepared like the images."""
    from explainers.data.images import MAX_PIXELS
    from explainers.run.kinds import kind_of

    if loaded.preprocessing is None:
        raise TargetError(
            f"--target like:{path}: how {loaded.spec} takes a photo is not known; give --size, --crop, --mean, --std"
        )
    limit = getattr(arguments, "max_pixels", None)
    kind = kind_of(loaded.preprocessing)
    return kind.input(kind.read(Path(path), MAX_PIXELS if limit is None else limit))
