"""What the networks are, one file each, made of plain values that fit into a file (`registry.py`).

A network that explains itself is an `AttentionNetwork`. Begin with `attention_network.py`, then read `abn.py`.
`backbone.py` cuts a classifier into the parts that a branch needs, `resnet.py` builds our own.
"""

from explainers.baselines.networks import abn, ala, amb, fcam, gain, labn, plain, resnet
from explainers.baselines.networks.registry import (
    available_networks,
    create_network,
    network_entry,
    network_options,
    register_network,
)

__all__ = [
    "abn",
    "ala",
    "amb",
    "available_networks",
    "create_network",
    "fcam",
    "gain",
    "labn",
    "network_entry",
    "network_options",
    "plain",
    "register_network",
    "resnet",
]
