"""Other packages on the networks of tasks, one input at a time, as their documentation calls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from answer_perturbation import strides, windows
from scipy.ndimage import zoom
from task_cases import Row, TaskCase, overlaps
from torch import Tensor, nn

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
CLASSES = ("classification", "volumes", "signals")


@dataclass(frozen=True)
class Made:
    """A map (*axes); scaled: to 0 … 1 by the package; row: where its target is another number, that one; enlarge: where
    it enlarges otherwise, from the map in the layer's resolution."""

    map: np.ndarray
    scaled: bool = False
    row: Row | None = None
    enlarge: Callable[[np.ndarray], np.ndarray] | None = None


class Returning(nn.Module):
    """The network with what is picked of its output, which these packages ask a user to write."""

    def __init__(self, network: nn.Module, pick: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.network, self.pick = network, pick

    def forward(self, images: Tensor) -> Tensor:
        return self.pick(self.network(images))


def _number(case: TaskCase, row: Row) -> Returning:
    """S of a batch of one."""
    return Returning(row.network, lambda returned: row.score(returned)[None])


def _layer(case: TaskCase, row: Row) -> nn.Module:
    return row.network.get_submodule(f"{case.prefix}{case.layer}")


def _enlarged(map_: Tensor, image: Tensor) -> np.ndarray:
    size = tuple(image.shape[1:])
    return F.interpolate(map_, size=size, mode=LINEAR[len(size)], align_corners=False)[0, 0].detach().numpy()


def captum_saliency(case: TaskCase, row: Row) -> Made:
    from captum.attr import Saliency

    values = Saliency(_number(case, row)).attribute(row.image[None].clone(), abs=True)
    return Made(values[0].amax(0).detach().numpy())


def captum_guided(case: TaskCase, row: Row) -> Made:
    from captum.attr import GuidedBackprop

    values = GuidedBackprop(_number(case, row)).attribute(row.image[None].clone())
    return Made(values[0].abs().amax(0).detach().numpy())


def captum_cam(case: TaskCase, row: Row) -> Made:
    from captum.attr import LayerGradCam

    method = LayerGradCam(_number(case, row), _layer(case, row))
    return Made(_enlarged(method.attribute(row.image[None].clone(), relu_attributions=True), row.image))


def captum_occlusion(case: TaskCase, row: Row) -> Made:
    from captum.attr import Occlusion

    size = tuple(row.image.shape[1:])
    method = Occlusion(lambda images: row.watched(row.network(images))[None])
    shapes = {"sliding_window_shapes": (len(row.image), *windows(size)), "strides": (len(row.image), *strides(size))}
    return Made(method.attribute(row.image[None].clone(), **shapes)[0, 0].detach().numpy())


def pytorch_grad_cam(case: TaskCase, row: Row) -> Made | None:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils import model_targets

    network, target, asked = row.network, None, None
    if row.classes is not None:
        target = model_targets.ClassifierOutputTarget(row.of_class)
    elif case.task == "segmentation":
        network, target = _segmenting(case, row)
    elif case.task == "detection":
        box, label = case.targets[0].box, case.targets[0].class_index
        target = model_targets.FasterRCNNBoxScoreTarget([label], [torch.tensor(box, dtype=torch.float64)])
        asked = replace(row, score=lambda returned: _box_score(box, label, returned))
    else:  # a function of one image's output, as its tutorial on embeddings does
        target = lambda output: row.score(output[None])  # noqa: E731
    with GradCAM(model=network, target_layers=[_layer(case, row)]) as cam:
        map_ = cam(input_tensor=row.image[None].clone(), targets=[target])[0]
        return Made(map_, True, asked, partial(_by_splines, map_.shape) if map_.ndim == 3 else None)
    return None  # its `with` swallows an IndexError inside it


def _by_splines(size: tuple[int, ...], native: np.ndarray) -> np.ndarray:
    """How it enlarges volumes: scaled to 0 … 1, by cubic splines, and nothing below 0."""
    scaled = (native - native.min()) / (native.max() - native.min())
    return np.maximum(zoom(scaled, [after / before for after, before in zip(size, native.shape, strict=True)]), 0)


def _segmenting(case: TaskCase, row: Row) -> tuple[nn.Module, Any]:
    """Its target takes a mask of the output's size; the one that the gradient of S by hand says."""
    from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget

    network = row.network
    if case.name == "coarse, dict":
        network = Returning(row.network, lambda returned: returned["out"])
    with torch.no_grad():
        clean = network(row.image[None])
    leaf = clean.clone().requires_grad_()
    returned = {"out": leaf} if network is not row.network else leaf
    (share,) = torch.autograd.grad(row.score(returned), leaf)
    index = int(share[0].abs().flatten(1).sum(1).argmax())
    return network, SemanticSegmentationTarget(index, share[0, index].numpy())


def _box_score(box: Any, label: int | None, returned: Any) -> Tensor:
    """FasterRCNNBoxScoreTarget by hand: IoU and score of the box that overlaps most, 0 if it is of another class."""
    overlap = overlaps(box, returned[0]["boxes"])
    at = int(overlap.argmax())
    if overlap[at] <= 0.5 or int(returned[0]["labels"][at]) != label:
        return returned[0]["scores"].sum() * 0
    x0, y0, x1, y1 = returned[0]["boxes"][at].unbind()
    shared = (x1.clamp(max=box[2]) - x0.clamp(min=box[0])) * (y1.clamp(max=box[3]) - y0.clamp(min=box[1]))
    area = (box[2] - box[0]) * (box[3] - box[1]) + (x1 - x0) * (y1 - y0)
    return shared / (area - shared) + returned[0]["scores"][at]


def torchcam_cam(case: TaskCase, row: Row) -> Made:
    from torchcam.methods import GradCAM

    index = row.of_class if row.classes is not None else case.targets.index
    with GradCAM(row.network, target_layer=_layer(case, row)) as cam:
        map_ = cam(index, row.network(row.image[None].clone()))[0]
    return Made(_enlarged(map_[:, None], row.image), scaled=True)


def monai_cam(case: TaskCase, row: Row) -> Made:
    """Enlarged with half-pixel centres and not turned around, as the others do; both are options of it."""
    from monai.visualize import GradCAM

    def enlarge(size: Any) -> Callable[[Tensor], Tensor]:
        mode = LINEAR[len(row.image.shape) - 1]
        return lambda map_: F.interpolate(map_, size=tuple(size), mode=mode, align_corners=False)

    index = row.of_class if row.classes is not None else case.targets.index
    cam = GradCAM(row.network, f"{case.prefix}{case.layer}", upsampler=enlarge, postprocessing=lambda map_: map_)
    return Made(cam(row.image[None].clone(), class_idx=index)[0, 0].detach().numpy())


TASK_PEERS: dict[tuple[str, str], Callable[[TaskCase, Row], Made | None]] = {
    ("saliency", "captum"): captum_saliency,
    ("guided-backprop", "captum"): captum_guided,
    ("grad-cam", "captum"): captum_cam,
    ("occlusion", "captum"): captum_occlusion,
    ("grad-cam", "pytorch-grad-cam"): pytorch_grad_cam,
    ("grad-cam", "torch-cam"): torchcam_cam,
    ("grad-cam", "monai"): monai_cam,
}


def offered(package: str, method: str, case: TaskCase) -> bool:
    """Whether the package documents a way to ask this question. Several inputs are bound by hand for all but captum."""
    if package in ("torch-cam", "monai"):
        lowered = case.task == "value" and case.targets.lowered
        plain = case.rows[0].classes is not None or (case.task == "value" and not lowered)
        return plain and case.name != "mapping"
    if package == "pytorch-grad-cam" and case.task == "detection":
        return case.name != "grid"  # which returns no boxes, labels and scores
    return not (package == "pytorch-grad-cam" and case.name == "mapping")
