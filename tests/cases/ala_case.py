"""A small attention lattice adapter and the encoder that it starts from."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from explainers.baselines.networks.ala import vision_transformer


@pytest.fixture
def start(tmp_path):
    """Weights of an encoder, as a pre-training leaves them."""
    torch.manual_seed(3)
    network = vision_transformer("tiny-vit", channels=1)
    save_file(network.state_dict(), tmp_path / "encoder.safetensors")
    return tmp_path / "encoder.safetensors"
