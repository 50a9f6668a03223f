"""From the options of a run to what it explains of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from explainers.data.images import ImageFile
from explainers.errors import TargetError
from explainers.models import LoadedModel
from explainers.network.input import first_parameter
from explainers.network.unwrapping import as_network
from explainers.run.explain.options import RunOptions
from explainers.run.targets import LABEL, Classes, Detected, FoundBoxes, Objects, Wanted, noise_for, settled_target
from explainers.run.targets.objects import ImageTargets
from explainers.targets import ClassScore, Target, answers_for, settle


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
        return Objects(loaded, None, options.activation, options.output)
    if isinstance(target, Target):
        _check(loaded, target, options)
        return Objects(loaded, target, options.activation, options.output)
    if isinstance(target, str) and target != LABEL:
        target = settled_target(target, loaded, loaded.preprocessing, options.output)
    if target == LABEL and labels is None:
        raise TargetError("target='label', but the images have no labels: pass labels= (--ground-truth)")
    if isinstance(target, int):
        _check(loaded, ClassScore(target) if target >= 0 else None, options)
    return Classes(loaded, target, options.top_k, options.activation, options.output, labels)


def _check(loaded: LoadedModel, target: Target | None, options: RunOptions) -> None:
    """See before anything is written that a target fits what the network returns.

    Raises:
        TargetError: it does not. Whatever else goes wrong with noise may be well with the images.
    """
    image = noise_for(loaded.preprocessing)
    if image is None or target is None:
        return
    network = as_network(loaded)
    try:
        image = image.to(loaded.device, getattr(first_parameter(network), "dtype", image.dtype))
        answers = answers_for(network, image, options.output)
        settled = settle(network, image, [target], options.output, answers)
        settled.rows[0][0].score(answers[0])
    except TargetError:
        raise
    except Exception:
        return
