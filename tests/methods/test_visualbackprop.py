"""VisualBackProp against loops on a chain, and its stages on a branched network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small import Residual, Tokens, lively
from torch import nn

import explainers
from explainers.errors import UnsupportedError


def spread(mean: np.ndarray, size: tuple[int, int], kernel: int, stride: int, padding: int) -> np.ndarray:
    """Transposed convolution with ones: every position adds itself to all positions of its window."""
    result = np.zeros(size)
    for i in range(mean.shape[0]):
        for j in range(mean.shape[1]):
            for a in range(kernel):
                for b in range(kernel):
                    y, x = i * stride - padding + a, j * stride - padding + b
                    if 0 <= y < size[0] and 0 <= x < size[1]:
                        result[y, x] += mean[i, j]
    return result


def test_map_of_a_chain_equals_the_loops():
    model = nn.Sequential(
        nn.Conv2d(3, 5, 5, stride=2, padding=1),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(5, 6, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    )
    model, images = lively(model).double(), torch.randn(2, 3, 22, 29, dtype=torch.float64)
    maps = explainers.create("visual-backprop", model)(images).numpy()
    with torch.no_grad():
        first = model[:3](images).mean(1).numpy()
        pooled = model[:4](images).mean(1).numpy()
        last = model[:6](images).mean(1).numpy()
    for row in range(2):
        value = spread(last[row], pooled[row].shape, 3, 1, 0) * pooled[row]
        value = spread(value, first[row].shape, 3, 2, 1) * first[row]
        expected = spread(value, (22, 29), 5, 2, 1)
        np.testing.assert_allclose(maps[row], expected, rtol=1e-5)


def test_branches_are_walked_by_stages_and_the_strided_window_between_them():
    model, images = lively(Residual()), torch.randn(2, 3, 16, 24)
    with torch.no_grad():
        stem = model.stem(images)
        block = model.block(stem)
    ones = torch.ones(1, 1, 3, 3)
    value = F.conv_transpose2d(block.mean(1, keepdim=True), ones, stride=2, padding=1, output_padding=1)
    value = F.conv_transpose2d(value * stem.mean(1, keepdim=True), ones, padding=1)
    torch.testing.assert_close(explainers.create("visual-backprop", model)(images), value[:, 0], rtol=1e-5, atol=1e-6)


class Around(nn.Module):
    """Convolutions around something that moves positions, and is undone behind the second."""

    def __init__(self, there, back):
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(a, b, 3, padding=1) for a, b in ((3, 4), (4, 5), (5, 6)))
        self.there, self.back, self.head = there, back, nn.Linear(6, 4)

    def forward(self, x):
        x = self.there(self.first(x).relu())
        return self.head(self.third(self.back(self.second(x).relu())).mean((2, 3)))


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (lambda x: x.flip(3), lambda x: x.flip(3)),
        (lambda x: x.roll(5, 2), lambda x: x.roll(-5, 2)),
    ],
)
def test_layers_between_that_are_moved_are_none_of_the_stages(there, back):
    model, images = lively(Around(there, back)), torch.randn(2, 3, 12, 20)
    with torch.no_grad():
        x = there(model.first(images).relu())
        last = model.third(back(model.second(x).relu())).mean(1, keepdim=True)
    wanted = F.conv_transpose2d(last, torch.ones(1, 1, 3, 3), padding=1)[:, 0]
    torch.testing.assert_close(explainers.create("visual-backprop", model)(images), wanted, rtol=1e-5, atol=1e-6)


def test_transformers_are_refused():
    with pytest.raises(UnsupportedError, match="holds tokens, not feature maps"):
        explainers.create("visual-backprop", lively(Tokens()))(torch.randn(1, 3, 16, 24))
