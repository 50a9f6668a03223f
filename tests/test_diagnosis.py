"""What `diagnose` says of a network."""

from __future__ import annotations

import pytest
import torch
from detectors import GridDetector, detector, read_grid
from small import Residual, lively
from torch import nn

import explainers
from explainers.targets import Box


def test_diagnose_says_what_works_and_why_the_rest_does_not():
    network = lively(Residual()).train()
    network.stem.requires_grad_(False)
    told = explainers.diagnose(network, torch.randn(2, 3, 16, 24))
    assert told.layer == "block"
    assert told.stages[1] == ("stem", (6, 16, 24))
    assert told.strict == "3 Relu"
    assert (told.smooth, told.opaque, told.classes) == ("", "", 4)
    assert told.frozen == sum(value.numel() for value in network.stem.parameters())
    assert told.training == len(list(network.modules()))
    refused = [name for name, reason in told.methods.items() if reason]
    assert refused == ["attention", "attention-rollout", "lambda-attention"]
    text = str(told)
    assert "layer=None   block" in text
    assert "attention-rollout: attention-rollout cannot be right" in text
    assert told.to_dict()["layer"] == "block"


def test_diagnose_of_a_black_box_and_of_an_odd_output():
    told = explainers.diagnose(lambda x: x.detach().mean((2, 3)), torch.randn(1, 3, 8, 8))
    assert "no gradient" in " ".join(told.notes)
    works = {name for name, reason in told.methods.items() if reason == ""}
    assert works == {"rise", "occlusion", "lime", "kernel-shap"}
    told = explainers.diagnose(torch.nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8))
    assert told.task.startswith("segmentation: 4 classes at 6 × 6 positions; or boxes that are not decoded")
    assert told.classes == 4
    assert any("--where predicted" in command for _, command in told.targets)


def test_a_network_that_needs_an_adapter_is_tried_on_its_best_box():
    told = explainers.diagnose(GridDetector(), torch.rand(1, 3, 32, 40), output=read_grid)
    assert told.task.startswith("detection; in the image looked at it finds 20 boxes")
    assert told.targets[0][1] == "--task detection"
    assert (told.layer, told.classes) == ("features", None)  # as below, without the head
    assert {told.methods[name] for name in ("grad-cam", "saliency", "rise", "guided-backprop")} == {""}
    assert told.text("explain run photos").count("explain run photos --task detection") == 2
    grad_cam = explainers.GradCAM(GridDetector(), output=read_grid)
    grad_cam(torch.rand(1, 3, 32, 40), targets=Box())
    assert grad_cam.layers == (told.layer,)


@pytest.mark.parametrize("name", ["fasterrcnn", "retinanet", "fcos", "ssd", "detr"])
def test_methods_are_tried_on_the_best_box_of_networks_that_need_no_adapter(name, monkeypatch):
    monkeypatch.setattr("explainers.methods.available", lambda: ["occlusion", "saliency"])  # all of them take a minute
    told = explainers.diagnose(detector(name)[0], torch.rand(1, 3, 64, 64))
    assert told.task.startswith("detection; in the image looked at it finds")
    assert told.methods == {"occlusion": "", "saliency": ""}
    assert told.classes is None


def test_where_nothing_is_found_no_method_is_tried_and_the_image_is_blamed():
    told = explainers.diagnose(
        GridDetector(), torch.rand(1, 3, 16, 16), output=lambda raw: [each[:0] for each in read_grid(raw)]
    )
    assert told.task == "detection; in the image looked at it finds nothing"
    assert set(told.methods.values()) == {
        "the network finds no box in the image looked at, so that no method can be tried; give one (--image)"
    }


@pytest.mark.parametrize(
    ("output", "message", "methods"),
    [
        (
            lambda raw: raw.boxes,
            "output= fails on what the network returned, a tensor of shape (1, 8, 2, 2)",
            "methods      none was tried: ",
        ),
        (lambda raw: read_grid(raw) * 2, "gives detections of 2 images for 1", "works        nothing"),
    ],
)
def test_an_adapter_that_is_wrong_is_the_reason(output, message, methods):
    told = explainers.diagnose(GridDetector(), torch.rand(1, 3, 16, 16), output=output)
    assert message in str(told)
    assert methods in str(told)


class Fused(nn.Module):
    """A photo, and a second input that is scaled and added to the pooled features."""

    def __init__(self, width):
        super().__init__()
        self.photo = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.width = width
        self.other = nn.Linear(width, 4) if width else None
        self.head = nn.Linear(4, 3)

    def forward(self, photo, other):
        if self.other is None and other.shape != photo.shape:
            raise ValueError("both sides are photos")
        added = self.photo(other).mean((2, 3)) if self.other is None else self.other(other)
        return self.head(self.photo(photo).mean((2, 3)) + added)


@pytest.mark.parametrize(("width", "made"), [(0, "(1, 3, 12, 12)"), (5, "(1, 5)")])
def test_a_network_of_several_inputs_is_tried_with_inputs_made_up(width, made):
    told = explainers.diagnose(Fused(width), torch.rand(1, 3, 12, 12))
    assert (told.untried, told.methods["grad-cam"], told.methods["saliency"], told.classes) == ("", "", "", 3)
    assert told.layer == ("photo" if width else "photo#1"), "of a shared layer the run of the first input"
    assert told.task.startswith("several inputs: forward needs photo, other; ")
    assert f"made up to look at it: other noise of shape {made}" in told.notes
    assert told.network == "Fused"


def test_a_network_of_inputs_that_cannot_be_made_up_is_not_said_to_fail():
    class Named(Fused):
        def forward(self, photo, other):
            return super().forward(photo, other["age"])

    told = explainers.diagnose(Named(5), torch.rand(1, 3, 12, 12))
    assert told.untried != ""
    assert "methods      none was tried: " in str(told)
    assert "does not" not in str(told)
    assert "no spatial layer" not in str(told)
