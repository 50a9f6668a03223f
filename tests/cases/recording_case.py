"""Volumes, a signal and a clip whose networks look for what is bright, so that maps have known peaks."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHAPE, WINDOW = (14, 10, 8), (0, 1000)
BLOBS = {"a": (3, 7, 2), "b": (10, 2, 5)}
AFFINE = np.diag([2.0, 1.0, 3.0, 1.0])
RATE, LENGTH, LOUD = 8000, 200, 120
NETWORK = '''
import torch
from torch import nn


class Bright(nn.Module):
    """Class 1 by how much lies above 0.5; with kernels of one place, so that maps point at single places."""

    def __init__(self, convolution, channels):
        super().__init__()
        self.bright = convolution(channels, 1, 1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(1, 2)
        with torch.no_grad():
            self.bright.weight.fill_(1 / channels)
            self.bright.bias.fill_(-0.5)
            self.head.weight.copy_(torch.tensor([[-1.0], [1.0]]))
            self.head.bias.copy_(torch.tensor([0.01, 0.0]))

    def forward(self, x):
        return self.head(self.relu(self.bright(x)).flatten(2).mean(2) * 100)


def volume():
    return Bright(nn.Conv3d, 1)


def clip():
    return Bright(nn.Conv3d, 3)


def signal():
    return Bright(nn.Conv1d, 2)
'''


def network(root: Path) -> Path:
    """A file of the three networks."""
    path = root / "net.py"
    path.write_text(NETWORK)
    return path


def scan(name: str) -> np.ndarray:
    """Noise with one bright place."""
    values = np.random.default_rng(0).uniform(0, 300, SHAPE)
    values[BLOBS[name]] = 1000
    return values.astype(np.int16)


def scans(root: Path) -> Path:
    """Two NIfTI files, and masks of their bright places beside them."""
    nibabel = pytest.importorskip("nibabel")
    for folder in ("scans", "masks"):
        (root / folder).mkdir(parents=True)
    for name, blob in BLOBS.items():
        nibabel.save(nibabel.Nifti1Image(scan(name), AFFINE), root / "scans" / f"{name}.nii.gz")
        mask = np.zeros(SHAPE, np.uint8)
        mask[blob] = 1
        nibabel.save(nibabel.Nifti1Image(mask, AFFINE), root / "masks" / f"{name}.nii.gz")
    return root / "scans"


def sounds(root: Path) -> Path:
    """A WAV file of two channels with one loud sample."""
    (root / "sounds").mkdir(parents=True)
    samples = np.zeros((LENGTH, 2), np.int16)
    samples[LOUD] = 32767
    with wave.open(str(root / "sounds" / "s.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return root / "sounds"


def clips(root: Path) -> Path:
    """A clip of three frames with a bright pixel in its last."""
    (root / "clips" / "one").mkdir(parents=True)
    for number in (8, 9, 10):  # "frame10" comes before the others by its letters
        pixels = np.zeros((6, 9, 3), np.uint8)
        pixels[4, 7] = 255 * (number == 10)
        Image.fromarray(pixels).save(root / "clips" / "one" / f"frame{number}.png")
    return root / "clips"
