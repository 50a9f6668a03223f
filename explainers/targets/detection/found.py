"""What a detection network finds in images, to choose from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from explainers.errors import OptionError
from explainers.network.input import checked_images
from explainers.network.output import Output
from explainers.network.unwrapping import as_network
from explainers.targets.detection.corners import see_corners
from explainers.targets.detection.detections import Detections
from explainers.targets.detection.recognised import detections_of
from explainers.targets.settle import answers_for


def detections(model: Any, images: Tensor, *, min_score: float = 0.0, output: Output | None = None) -> list[Detections]:
    """What a network finds in each image, the best first, without gradient.

    Args:
        images: (N, C, H, W), as the network takes them; min_score: of what is listed (boxes without area never
            are); output: an adapter, from what the
            network returned to a list of `Detections`; torchvision's and transformers' networks need none.

    Raises:
        ImageError, OutputError. OptionError: min_score is no number of 0 … 1.

    >>> found = detections(model, images, min_score=0.5)  # doctest: +SKIP
    >>> maps = RISE(model)(images, targets=[[Box.of(found[0], 0), Box.of(found[0], 1)]])  # doctest: +SKIP
    """
    check_min_score(min_score)
    network = as_network(model)
    with torch.inference_mode(False):
        images = checked_images(images, network)
    answers = answers_for(network, images, output)
    found = [detections_of(answer)[0].detach() for answer in answers]
    for each in found:
        see_corners(each, images.shape[2:])
    return [each.listed(min_score) for each in found]


def check_min_score(value: Any) -> None:
    """See that it can be a score.

    Raises:
        OptionError: it cannot.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise OptionError(f"min_score={value!r}; expected a number of 0 … 1")
