"""From the class that a run or an evaluation is asked for to what its explainers and passes are given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from explainers.core.layer_explainer import LayerExplainer
from explainers.core.preprocessing import AnyPreprocessing
from explainers.core.targets import NOT, resolve_targets
from explainers.errors import LayerError, OptionError, TargetError
from explainers.models.loaded import named_target
from explainers.network.guard import exact, preserved
from explainers.network.input import first_parameter
from explainers.network.output import Negative, Output, class_scores
from explainers.network.unwrapping import as_network


def settled_target(
    target: str, model: Any, preprocessing: AnyPreprocessing | None, output: Output | None, images: Any = None
) -> int | str:
    """The index that a class name means, or "not".

    Args:
        images: where they are a tensor, its first image tries a network whose preprocessing is not known.

    Raises:
        TargetError: no such class, or it cannot be told whether two names are those of one score or of two.
    """
    names = tuple(getattr(model, "class_names", None) or ())
    if len(names) != 2 or (target == NOT and NOT not in names):
        return named_target(target, names, len(names))
    image = any_input(preprocessing, images)
    if image is None:
        raise TargetError(f"target={target!r}: pass an index, or 'not' for the other class of a network with one score")
    parameter = first_parameter(as_network(model))
    image = image if parameter is None else image.to(parameter.device, parameter.dtype)
    return named_target(target, names, class_scores(model, image, output).shape[1])


@contextmanager
def impossible_first(
    explainers: Iterable[Any], target: Any, model: Any, image: Tensor | None, output: Output | None
) -> Iterator[None]:
    """Where going on with a folder is refused inside, a class or layer that there is not is told instead.

    Args:
        explainers: those that read a layer are asked for it; image: (1, C, H, W), any that the network takes; None:
            none is known.

    Raises:
        TargetError, LayerError: there is no such class, or no such layer.
    """
    try:
        yield
    except OptionError:
        if image is not None:
            _refuse_impossible(explainers, target, model, image, output)
        raise


def _refuse_impossible(
    explainers: Iterable[Any], target: Any, model: Any, image: Tensor, output: Output | None
) -> None:
    network = as_network(model)
    parameter = first_parameter(network)
    image = image if parameter is None else image.to(parameter.device, parameter.dtype)
    try:
        if isinstance(target, int):
            resolve_targets(target, class_scores(model, image, output))
        with preserved(network), exact(image, gradients=True):
            for each in explainers:
                if isinstance(each, LayerExplainer):
                    each.resolve(image)
    except (TargetError, LayerError):
        raise
    except Exception:  # what else a network raises is the run's to say
        return


def any_input(preprocessing: AnyPreprocessing | None, images: Any = None) -> Tensor | None:
    """An input (1, C, H, W) to try a network with: the first of a tensor of images, else noise; None: not known."""
    return images[:1] if isinstance(images, Tensor) else noise_for(preprocessing)


def noise_for(preprocessing: AnyPreprocessing | None) -> Tensor | None:
    """An input (1, C, *axes) of the size that a network takes, None where that is not known."""
    if preprocessing is None:
        return None
    size = preprocessing.input_size()
    return torch.randn(1, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float32, device="cpu")


def output_for(target: Any, output: Output | None) -> Output | None:
    """The `output=` of passes: for "not" it turns the one score around, and the class is index 0."""
    return Negative(output) if isinstance(target, str) and target == NOT else output
