"""Maps that are drawn while a network trains."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..values import note


def map_watch(arguments: argparse.Namespace, data: Any) -> Any:
    """What draws maps after each epoch, where that is asked for."""
    from explainers.baselines.training.run_folder import WATCHED
    from explainers.errors import OptionError
    from explainers.run.drift.watching import MapWatch, watched

    if not arguments.watch:
        if arguments.watch_images is not None:
            raise OptionError("--watch-images says how many images --watch draws: name a method (--watch grad-cam)")
        return None
    count = 8 if arguments.watch_images is None else arguments.watch_images
    given = watched(data.val, data.preprocessing, count)
    return MapWatch(given.pop("images"), arguments.watch, Path(arguments.out) / WATCHED, **given)


def tell_watch(arguments: argparse.Namespace, watch: Any, seconds: float) -> None:
    """What watching cost, and where its pictures are."""
    for epoch, reason in watch.failed.items():
        note(arguments, f"epoch {epoch} could not be watched: {reason}")
    if watch.epochs:
        share = f", {watch.seconds:.1f} s beside {seconds:.1f} s of training" if watch.seconds else ""
        note(arguments, f"maps of {len(watch.epochs)} epochs are drawn in {watch.out}{share}")
