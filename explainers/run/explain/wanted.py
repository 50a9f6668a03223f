"""From the options of a run to what it explains of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from explainers.data.images import ImageFile
from explainers.errors import TargetError
from explainers.models import LoadedModel
from explainers.run.explain.options import RunOptions
from explainers.run.targets import LABEL, Classes, Detected, FoundBoxes, Objects, Wanted, settled_target
from explainers.run.targets.fitting import check_fits
from explainers.run.targets.objects import ImageTargets
from explainers.targets import ClassScore, Target


def wanted_of(
    loaded: LoadedModel, options: RunOptions, files: Sequence[ImageFile], labels: Mapping[str, int] | None
) -> Wanted:
    """What a run explains of each of its images.

    Args:
        labels: image name → true class.

    Raises:
        TargetError: a class that the network does not have, or "label" without labels. MapError: an image without what
        its target is made of.
    """
    target = options.target
    if isinstance(target, Detected):
        return FoundBoxes(loaded, target, options.output)
    if isinstance(target, ImageTargets):
        target.check(files)
        check_fits(loaded, loaded.preprocessing, target.anywhere, options.output)
        return Objects(loaded, None, options.activation, options.output)
    if isinstance(target, Target):
        check_fits(loaded, loaded.preprocessing, target, options.output)
        return Objects(loaded, target, options.activation, options.output)
    if isinstance(target, str) and target != LABEL:
        target = settled_target(target, loaded, loaded.preprocessing, options.output)
    if target == LABEL and labels is None:
        raise TargetError("target='label', but the images have no labels: pass labels= (--ground-truth)")
    if isinstance(target, int):
        check_fits(loaded, loaded.preprocessing, ClassScore(target) if target >= 0 else None, options.output)
    return Classes(loaded, target, options.top_k, options.activation, options.output, labels)
