"""The same call for every package: a network, its case, images and targets in, maps out, as its own documentation does.

Where a package needs the layer it is given by hand; what it needs for tokens or NHWC (`reshape_transform`) too. Maps
come back as (N, H, W): gradients reduced to the largest magnitude over the channels.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from answer_perturbation import OPTIONS as PERTURBED
from answers import SAMPLES, SIGMA
from network_case import OWN, Case, as_it_is
from torch import Tensor, nn

import explainers
from explainers.errors import ExplainersError

logging.getLogger("torchcam").setLevel(logging.ERROR)
WRAPPERS = ("", "module.", "_orig_mod.", "inner.")


@dataclass(frozen=True)
class Made:
    """Maps (N, H, W); scaled: to 0 … 1 by the package; layer: the one it chose itself, if it did."""

    maps: np.ndarray
    scaled: bool = False
    layer: str | None = None


Call = Callable[[Case, Any, Tensor, Tensor], Made]


OPTIONS: dict[str, dict[str, Any]] = {"smooth-grad": {"samples": SAMPLES, "sigma": SIGMA}, **PERTURBED}


def ours(method: str) -> Call:
    def call(case: Case, network: Any, images: Tensor, targets: Tensor) -> Made:
        options: dict[str, Any] = dict(OPTIONS.get(method, {}))
        if case.given and "layer" in explainers.method(method).needs and method not in OWN:
            options["layer"] = case.layer
        return Made(explainers.create(method, network, **options)(images, targets).numpy())

    return call


def layer_of(case: Case, network: Any) -> nn.Module:
    """The module a person would pass, also inside the wrappers that they know they have made."""
    if case.layer is None:
        raise LookupError("no layer to give by hand")
    names = dict(network.named_modules(remove_duplicate=False))
    name = case.layer.partition("#")[0]
    return next(names[prefix + name] for prefix in WRAPPERS if prefix + name in names)


def largest(values: Tensor) -> np.ndarray:
    return values.detach().abs().amax(dim=1).numpy()


def enlarged(maps: Tensor, images: Tensor) -> np.ndarray:
    return F.interpolate(maps, size=images.shape[-2:], mode="bilinear", align_corners=False)[:, 0].detach().numpy()


def captum_rule(name: str) -> Call:
    def call(case: Case, network: Any, images: Tensor, targets: Tensor) -> Made:
        import captum.attr

        return Made(largest(getattr(captum.attr, name)(network).attribute(images.clone(), target=targets)))

    return call


def captum_cam(case: Case, network: Any, images: Tensor, targets: Tensor) -> Made:
    from captum.attr import LayerGradCam

    method = LayerGradCam(network, layer_of(case, network))
    return Made(enlarged(method.attribute(images.clone(), target=targets, relu_attributions=True), images))


def pytorch_grad_cam_guided(case: Case, network: Any, images: Tensor, targets: Tensor) -> Made:
    from pytorch_grad_cam import GuidedBackpropReLUModel

    method = GuidedBackpropReLUModel(model=network, device="cpu")
    made = [method(image[None].clone(), target_category=int(c)) for image, c in zip(images, targets, strict=True)]
    return Made(np.abs(np.stack(made)).max(axis=3))


def pytorch_grad_cam_cam(case: Case, network: Any, images: Tensor, targets: Tensor) -> Made:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    reshape = {} if case.spatial is as_it_is else {"reshape_transform": case.spatial}
    with GradCAM(model=network, target_layers=[layer_of(case, network)], **reshape) as cam:
        wanted = [ClassifierOutputTarget(int(target)) for target in targets]
        return Made(cam(input_tensor=images.clone(), targets=wanted), scaled=True)


def torchcam_cam(case: Case, network: Any, images: Tensor, targets: Tensor) -> Made:
    from torchcam.methods import GradCAM

    with default_dtype(images.dtype):  # it looks for its layer with an image of torch's default precision
        with GradCAM(network, input_shape=tuple(images.shape[1:])) as cam:
            maps = cam(targets.tolist(), network(images.clone()))[0]
            chosen = cam.target_names[0]
    return Made(enlarged(maps[:, None], images), scaled=True, layer=chosen)


def zennit_rule(name: str) -> Call:
    def call(case: Case, network: Any, images: Tensor, targets: Tensor) -> Made:
        import zennit.composites
        from zennit.attribution import Gradient

        with Gradient(model=network, composite=getattr(zennit.composites, name)()) as attributor:
            return Made(largest(attributor(images.clone(), lambda scores: one_hot(targets, scores))[1]))

    return call


def one_hot(targets: Tensor, scores: Tensor) -> Tensor:
    return torch.eye(scores.shape[1], dtype=scores.dtype)[targets]


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


PEERS: dict[tuple[str, str], Call] = {
    ("guided-backprop", "captum"): captum_rule("GuidedBackprop"),
    ("guided-backprop", "pytorch-grad-cam"): pytorch_grad_cam_guided,
    ("guided-backprop", "zennit"): zennit_rule("GuidedBackprop"),
    ("deconvolution", "captum"): captum_rule("Deconvolution"),
    ("deconvolution", "zennit"): zennit_rule("DeconvNet"),
    ("grad-cam", "captum"): captum_cam,
    ("grad-cam", "pytorch-grad-cam"): pytorch_grad_cam_cam,
    ("grad-cam", "torch-cam"): torchcam_cam,
}
PACKAGES = {"captum": "captum", "pytorch-grad-cam": "pytorch_grad_cam", "torch-cam": "torchcam", "zennit": "zennit"}


def is_refusal(error: Exception, tool: str) -> bool:
    """Raised on purpose: by a `raise` or `assert` statement of the package itself, not somewhere below it."""
    if tool == "explainers":
        return isinstance(error, ExplainersError)
    last = traceback.extract_tb(error.__traceback__)[-1]
    return PACKAGES[tool] in Path(last.filename).parts and (last.line or "").lstrip().startswith(("raise", "assert"))
