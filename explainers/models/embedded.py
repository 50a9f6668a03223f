"""The embedded default: a small classifier of digits on photographs, whose weights ship with the package."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "embedded.safetensors"
EMBEDDED_CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PREPROCESSING: dict[str, Any] = {
    "resize": (96, 96),
    "crop": None,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
    "source": "embedded",
}


class Block(nn.Module):
    """Two 3 × 3 convolutions with batch norm, and a skip connection."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.relu2 = nn.ReLU()
        self.short = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) → (N, after, H / stride, W / stride)."""
        y = self.relu1(self.norm1(self.conv1(x)))
        return self.relu2(self.norm2(self.conv2(y)) + self.short(x))


class EmbeddedNet(nn.Module):
    """A ResNet of one block per stage for 96 × 96 images; its last stage keeps 12 × 12 positions."""

    def __init__(self, widths: tuple[int, ...] = (24, 32, 64, 96, 128), classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        self.stage1 = Block(widths[0], widths[1], 1)
        self.stage2 = Block(widths[1], widths[2], 2)
        self.stage3 = Block(widths[2], widths[3], 2)
        self.stage4 = Block(widths[3], widths[4], 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(widths[4], classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) → (N, classes) logits."""
        x = self.stage4(self.stage3(self.stage2(self.stage1(self.stem(x)))))
        return self.head(self.pool(x).flatten(1))


def embedded_model() -> dict[str, Any]:
    """The trained network in evaluation mode, its preprocessing, class names and the hash of its weights."""
    from safetensors.torch import load

    data = WEIGHTS.read_bytes()
    network = EmbeddedNet()
    network.load_state_dict({name: _widened(value) for name, value in load(data).items()})
    return {
        "network": network.eval(),
        "preprocessing": dict(PREPROCESSING),
        "class_names": EMBEDDED_CLASSES,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _widened(value: Tensor) -> Tensor:
    """Weights are stored in half precision and used in float32."""
    return value.float() if value.dtype == torch.float16 else value
