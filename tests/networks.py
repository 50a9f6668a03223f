"""All test networks: library families, spellings of ReLU, structures, outputs and inputs, states."""

from __future__ import annotations

from network_case import METHODS, Case
from network_families import OTHERS, TORCHVISION
from network_spellings import SPELLINGS
from network_states import STATES
from network_traps import DOORS, STRUCTURES

FAMILIES = TORCHVISION + OTHERS
TRAPS = SPELLINGS + STRUCTURES + DOORS + STATES
NETWORKS: dict[str, Case] = {case.name: case for case in FAMILIES + TRAPS}

__all__ = ["FAMILIES", "METHODS", "NETWORKS", "TRAPS", "Case"]

if len(NETWORKS) != len(FAMILIES) + len(TRAPS):
    raise ValueError("two networks have the same name")
