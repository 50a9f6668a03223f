"""A resnet18 that was trained on photographs: ten things cut out of the pictures that scikit-image and scikit-learn
ship, pasted over others of them.

    python benchmarks/scenes.py --out scenes.pt    # about ten minutes on two cores

Every scene has one thing, of any size from a quarter to nine tenths of the side, on a texture. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch
import torch.nn.functional as F
import torchvision
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

SIDE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Picture, and the ellipse of the thing in it: row, column, half height, half width.
THINGS = {
    "astronaut": ("astronaut.png", 115, 225, 110, 75),
    "cat": ("chelsea.png", 130, 260, 125, 140),
    "cup": ("coffee.png", 200, 270, 120, 150),
    "motorcycle": ("motorcycle_left.png", 270, 370, 190, 310),
    "retina": ("retina.jpg", 700, 700, 600, 600),
    "cameraman": ("camera.png", 180, 230, 160, 120),
    "pagoda": ("china.jpg", 240, 180, 180, 130),
    "flower": ("flower.jpg", 210, 320, 130, 130),
    "cell": ("cell.png", 340, 430, 90, 90),
    "coins": ("coins.png", 150, 190, 140, 180),
}
TEXTURES = (
    "brick.png",
    "grass.png",
    "gravel.png",
    "moon.png",
    "page.png",
    "text.png",
    "ihc.png",
    "hubble_deep_field.jpg",
)


def picture(name: str) -> np.ndarray:
    """(H, W, 3) uint8."""
    if name in ("china.jpg", "flower.jpg"):
        return np.asarray(load_sample_image(name))
    found = cv2.imread(str(Path(skimage.data.__file__).parent / name), cv2.IMREAD_COLOR)
    assert found is not None, name
    return np.ascontiguousarray(found[:, :, ::-1])


@dataclass(frozen=True)
class Cut:
    """A thing (h, w, 3) in 0 … 1 and how much each pixel belongs to it (h, w)."""

    pixels: np.ndarray
    shape: np.ndarray


class Scenes:
    """Scenes by their number; the same number is always the same scene."""

    def __init__(self) -> None:
        self.cuts = [_cut(*place) for place in THINGS.values()]
        self.textures = [picture(name).astype(np.float32) / 255 for name in TEXTURES]

    def __call__(self, number: int) -> tuple[np.ndarray, np.ndarray, int]:
        """(SIDE, SIDE, 3) uint8, the mask (SIDE, SIDE) bool of the thing, its class."""
        chance = np.random.default_rng([7, number])
        target = int(chance.integers(len(self.cuts)))
        scene = self._ground(chance)
        cut = self.cuts[target]
        height, width = cut.shape.shape
        ratio = chance.uniform(0.25, 0.9) * SIDE / max(height, width)
        size = (max(8, round(width * ratio)), max(8, round(height * ratio)))
        pixels = cv2.resize(cut.pixels, size, interpolation=cv2.INTER_AREA)
        shape = cv2.resize(cut.shape, size, interpolation=cv2.INTER_AREA)
        if chance.random() < 0.5:
            pixels, shape = pixels[:, ::-1], shape[:, ::-1]
        top, left = (int(chance.integers(SIDE - each + 1)) for each in shape.shape)
        place = np.s_[top : top + shape.shape[0], left : left + shape.shape[1]]
        pixels = np.clip(pixels * chance.uniform(0.7, 1.2), 0, 1)
        scene[place] += shape[..., None] * (pixels - scene[place])
        mask = np.zeros((SIDE, SIDE), bool)
        mask[place] = shape > 0.5
        scene = scene + chance.normal(0, 0.02, scene.shape)
        return (np.clip(scene, 0, 1) * 255).astype(np.uint8), mask, target

    def _ground(self, chance: np.random.Generator) -> np.ndarray:
        texture = self.textures[int(chance.integers(len(self.textures)))]
        side = int(chance.integers(100, min(texture.shape[:2]) + 1))
        top, left = (int(chance.integers(each - side + 1)) for each in texture.shape[:2])
        part = cv2.resize(texture[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        tint = chance.uniform(0.5, 1.1, 3).astype(np.float32)  # so that colour alone does not tell thing from ground
        return np.clip(part * tint, 0, 1)


def _cut(name: str, row: int, column: int, tall: int, wide: int) -> Cut:
    whole = picture(name).astype(np.float32) / 255
    rows, columns = np.mgrid[: whole.shape[0], : whole.shape[1]]
    distance = np.hypot((rows - row) / tall, (columns - column) / wide)
    shape = np.clip((1 - distance) * 12, 0, 1).astype(np.float32)
    place = np.s_[max(row - tall, 0) : row + tall + 1, max(column - wide, 0) : column + wide + 1]
    return Cut(whole[place], shape[place])


def as_input(scenes: list[np.ndarray]) -> Tensor:
    """(N, 3, SIDE, SIDE) as the network takes it."""
    images = torch.from_numpy(np.stack(scenes)).permute(0, 3, 1, 2).float() / 255
    return (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def untrained() -> nn.Module:
    """A resnet18 of ten classes."""
    torch.manual_seed(0)
    return torchvision.models.resnet18(weights=None, num_classes=len(THINGS))


def trained(steps: int, batch: int = 32) -> tuple[nn.Module, float]:
    """The network, and its accuracy on 300 scenes of their own."""
    scenes, network = Scenes(), untrained().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    started = time.perf_counter()
    for step in range(steps):
        made = [scenes(step * batch + each) for each in range(batch)]
        images, labels = as_input([each[0] for each in made]), torch.tensor([each[2] for each in made])
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(network(images.contiguous(memory_format=torch.channels_last)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 25 == 0:
            print(f"{step} of {steps}: loss {loss.item():.3f}, {time.perf_counter() - started:.0f} s", flush=True)
    network.eval()
    right = 0
    for first in range(0, 300, 30):
        made = [scenes(10_000_000 + first + each) for each in range(30)]
        with torch.inference_mode():
            found = network(as_input([each[0] for each in made])).argmax(1)
        right += int((found == torch.tensor([each[2] for each in made])).sum())
    return network, right / 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="state dict of the network")
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    network, accuracy = trained(options.steps)
    torch.save(network.state_dict(), options.out)
    print(f"{accuracy:.3f} of 300 test scenes are right; {options.out}")


if __name__ == "__main__":
    main()
