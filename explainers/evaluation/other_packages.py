"""Explainers of other packages as callables (images, targets) → maps; told by the module that their class is from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.maps import upsample
from explainers.errors import OptionError
from explainers.evaluation.measuring.subject import Explain


def as_explainer(given: Any, name: str) -> Explain:
    """A callable (images (N, C, *axes), targets (N,)) → maps (N, *axes).

    Args:
        given: a CAM object of pytorch-grad-cam, an extractor of torch-cam, an attribution of captum (its attributions
            are summed over the channels), or any such callable.

    Raises:
        OptionError: nothing of these.
    """
    family = type(given).__module__.partition(".")[0]
    if family == "pytorch_grad_cam":
        return _of_grad_cam(given)
    if family == "torchcam":
        return _of_torchcam(given)
    if family == "captum" and hasattr(given, "attribute"):
        return _of_captum(given)
    if callable(given) and not isinstance(given, type):
        return given  # type: ignore[no-any-return]
    raise OptionError(
        f"explainer {name!r}: expected a method's name, an explainer, or a callable (images, targets) → maps, got "
        f"{given if isinstance(given, type) else type(given)}"
    )


def _of_grad_cam(cam: Any) -> Explain:
    def explain(images: Tensor, targets: Tensor) -> Tensor:
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        chosen = [ClassifierOutputTarget(target) for target in targets.tolist()]
        return torch.from_numpy(np.asarray(cam(input_tensor=images, targets=chosen)))

    return explain


def _of_torchcam(extractor: Any) -> Explain:
    def explain(images: Tensor, targets: Tensor) -> Tensor:
        with torch.enable_grad():
            scores = extractor.model(images.detach().requires_grad_())
            maps = extractor(targets.tolist(), scores)
        if len(maps) != 1:
            raise OptionError(f"the torch-cam extractor reads {len(maps)} layers; score one extractor for each")
        return upsample(maps[0].detach()[:, None], images.shape[2:])[:, 0]

    return explain


def _of_captum(attribution: Any) -> Explain:
    def explain(images: Tensor, targets: Tensor) -> Tensor:
        with torch.enable_grad():
            values = attribution.attribute(images.detach().requires_grad_(), target=targets)
        if isinstance(values, tuple):
            values = values[0]
        return upsample(values.detach().sum(dim=1, keepdim=True), images.shape[2:])[:, 0]

    return explain
