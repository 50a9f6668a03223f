"""What --target and --where mean: a class, or a target object."""

from __future__ import annotations

import argparse
from typing import Any

from explainers.errors import TargetError


def typed_target(arguments: argparse.Namespace, loaded: Any) -> Any:
    """An index, a class name, "label", "not" or a target object; None where the predicted class is explained.

    Raises:
        TargetError: --target means nothing to this network. ImageError: the reference cannot be read.
    """
    from explainers.data.images import MAX_PIXELS
    from explainers.models.loaded import class_index
    from explainers.run.targets.regions import region_of
    from explainers.run.targets.spelled import spelled_target

    given = getattr(arguments, "target", None)
    limit = getattr(arguments, "max_pixels", None) or MAX_PIXELS
    target = given
    if isinstance(given, str):
        target = spelled_target(given, loaded, loaded.preprocessing, max_pixels=limit)
    where = getattr(arguments, "where", None)
    if where is None:
        return target
    if isinstance(target, str) and loaded.class_names:
        target = class_index(target, loaded.class_names)
    if target is not None and not isinstance(target, int):
        raise TargetError(f"--target {given}: --where {where} needs a class, by index or name")
    return region_of(target, where, max_pixels=limit)
