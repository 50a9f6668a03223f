"""Detectors that are small, and one whose answer is known exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.ssd import SSD

from explainers.data.images import write_image
from explainers.targets import Detections


class GridDetector(nn.Module):
    """A head as of YOLO on a grid of cells of 8x8 pixels: (N, 5 + C, h, w) of centre, size, objectness and classes.

    Two convolutions in front of it; the objectness of a cell rises with the brightness of its pixels alone.
    """

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.classes = classes
        self.features = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.ReLU())
        self.head = nn.Conv2d(6, 5 + classes, 1)
        with torch.no_grad():
            drawn = torch.Generator().manual_seed(0)
            for value in self.parameters():
                value.copy_(torch.randn(value.shape, generator=drawn) * 0.3)
            self.features[0].weight[0] = 1 / 192
            self.features[0].bias[0] = 0
            self.head.weight[4] = torch.tensor([8.0, 0, 0, 0, 0, 0])[:, None, None]
            self.head.bias[4] = -4

    def forward(self, images: Tensor) -> Tensor:
        """(N, 5 + C, h, w)."""
        return self.head(self.features(images))


def read_grid(returned: Tensor) -> list[Detections]:
    """The adapter: as many candidates as cells."""
    rows, columns = returned.shape[-2:]
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    found = []
    for each in returned.flatten(2).transpose(1, 2):  # (cells, 5 + C)
        centre = (each[:, :2].sigmoid() + torch.stack([x.flatten(), y.flatten()], dim=1)) * 8
        half = each[:, 2:4].exp() * 6
        objectness, probabilities = each[:, 4].sigmoid(), each[:, 5:].softmax(dim=1)
        best, labels = probabilities.max(dim=1)
        boxes = torch.cat([centre - half, centre + half], dim=1)
        found.append(Detections(boxes, objectness * best, labels, probabilities, objectness))
    return found


def pyramid(channels: int = 8) -> nn.Module:
    """Three convolutions, their steps 4, 8 and 16 pixels, with a pyramid of as many levels behind them."""
    body = nn.Sequential()
    sides = [(3, 8, 4), (8, 8, 2), (8, 12, 2)]
    for index, (before, after, stride) in enumerate(sides):
        body.add_module(f"c{index}", nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.ReLU()))
    return BackboneWithFPN(body, {f"c{index}": f"{index}" for index in range(3)}, [8, 8, 12], channels)


def anchors() -> AnchorGenerator:
    """One anchor for each position of four levels."""
    return AnchorGenerator(((8,), (16,), (32,), (48,)), ((1.0,),) * 4)


class Stages(nn.Module):
    """Two stages for SSD, which reads boxes of both."""

    out_channels = (8, 12)

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.coarse = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        fine = self.fine(images)
        return {"0": fine, "1": self.coarse(fine)}


def torchvision_detector(name: str) -> nn.Module:
    """One of torchvision's heads on a small backbone, with random weights, that keeps whatever it finds."""
    torch.manual_seed(0)
    common = {"num_classes": 4, "min_size": 64, "max_size": 96}
    keep = {"score_thresh": 0.0, "detections_per_img": 8, "topk_candidates": 30}
    if name == "fasterrcnn":
        few = {"rpn_pre_nms_top_n_test": 40, "rpn_post_nms_top_n_test": 12, "box_score_thresh": 0.0}
        boxes = {"box_head": TwoMLPHead(8 * 49, 16), "box_predictor": FastRCNNPredictor(16, 4), "num_classes": None}
        made: Any = FasterRCNN(pyramid(), rpn_anchor_generator=anchors(), **{**common, **few, **boxes})
    elif name == "retinanet":
        made = RetinaNet(pyramid(), anchor_generator=anchors(), **common, **keep)
    elif name == "fcos":
        made = FCOS(pyramid(32), anchor_generator=anchors(), **common, **keep)
    else:
        made = SSD(Stages(), DefaultBoxGenerator([[2], [2]]), (64, 64), 4, **keep)
    for part in made.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_normal_(part.weight)
    return made.eval()


def detr() -> nn.Module:
    """A tiny DETR of transformers."""
    from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

    torch.manual_seed(0)
    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic", out_features=["stage2"]
    )
    config = DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone_config=backbone, backbone=None, num_queries=6,
        d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, num_labels=3, init_std=0.3, init_xavier_std=2.0,
    )  # fmt: skip
    return DetrForObjectDetection(config).eval()


def detector(name: str) -> tuple[nn.Module, Any]:
    """A detector and its adapter, None where it needs none."""
    if name == "grid":
        return GridDetector(), read_grid
    return (detr() if name == "detr" else torchvision_detector(name)), None


def spotted_photos(root: Path) -> Path:
    """Two with a bright spot, one of them with two, and a dark one in between, whose detections score little."""
    for name, spots in (("a.png", [(20, 30)]), ("b.png", []), ("c.png", [(20, 30), (70, 100)])):
        pixels = np.random.default_rng(1).integers(0, 60, (96, 128, 3), np.uint8)
        for y, x in spots:
            pixels[y : y + 12, x : x + 12] = 255
        write_image(root / name, pixels)
    return root
