"""Maps and masks to compare, by a function or in an evaluation."""

from __future__ import annotations

import numpy as np
import torch

import explainers

SIZES = [(1, 7), (5, 1), (9, 6), (17, 24)]


def cases(size: tuple[int, int], count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Signed, tied and constant maps (N, H, W), and masks none of which is empty."""
    maps = torch.randn(count, *size)
    maps[1] = maps[1].round().clamp(min=0)
    maps[1, 0, 0] = 2
    maps[2] = 0.1
    masks = torch.rand(count, *size) < 0.4
    masks[:, -1, -1] = True
    return maps, masks


def minmax(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    span = values.max() - values.min()
    return (values - values.min()) / span if span else np.zeros_like(values)


def each(maps: torch.Tensor, masks: torch.Tensor):
    return zip(maps.numpy(), masks.numpy())


def flags(*rows: str) -> torch.Tensor:
    return torch.tensor([[mark == "#" for mark in row] for row in rows])


def network(x):
    return torch.stack([x.mean((1, 2, 3)), -x.mean((1, 2, 3))], 1)


def objects(count=9):
    images, masks = torch.randn(count, 3, 14, 11), torch.zeros(count, 14, 11, dtype=torch.bool)
    for row in range(count):
        masks[row, row % 5 : row % 5 + 6, 2:8] = True
    maps = masks + 1.5 * torch.rand(count, 14, 11)
    return images, masks, maps


def evaluated(metric, images, masks, maps):
    place = {tuple(image.flatten()[:3].tolist()): map_ for image, map_ in zip(images, maps, strict=True)}

    def explainer(batch, targets):
        return torch.stack([place[tuple(image.flatten()[:3].tolist())] for image in batch])

    return explainers.evaluate(network, images, {"given": explainer}, [metric], masks=masks, batch_size=4)
