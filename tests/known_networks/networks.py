"""All test networks: library families, spellings of ReLU, structures, outputs and inputs, states."""

from __future__ import annotations

from network_case import CHANNELS, METHODS, Case
from network_families import OTHERS, TORCHVISION
from network_own import OWN
from network_spellings import SPELLINGS
from network_states import STATES
from network_traps import DOORS, STRUCTURES

FAMILIES = TORCHVISION + OTHERS
TRAPS = SPELLINGS + STRUCTURES + DOORS + STATES + OWN
NETWORKS: dict[str, Case] = {case.name: case for case in FAMILIES + TRAPS}

NARROW = ("timm test_efficientnet", "timm test_resnet", "timm test_vit", "timm test_convnext", "HF ConvNeXt")

__all__ = ["FAMILIES", "METHODS", "NETWORKS", "TRAPS", "Case", "affordable"]

if len(NETWORKS) != len(FAMILIES) + len(TRAPS):
    raise ValueError("two networks have the same name")


def affordable(case: Case, method: str) -> bool:
    """Whether a method that takes a pass per channel is tried: not on library networks with hundreds of them."""
    return method not in CHANNELS or case not in FAMILIES or case.name in NARROW
