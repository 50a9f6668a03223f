"""What stands in a line of a comparison: a network, or what chance makes."""

from __future__ import annotations

from dataclasses import dataclass

EVERY_IMAGE = "all"
CHECKPOINT, METHOD_SEED, NETWORK_SEED, RANDOM_MAPS = "checkpoint", "method seed", "network seed", "random maps"
TOO_FEW = "nothing can be found with so few images"  # as a note of the table begins


@dataclass(frozen=True)
class Compared:
    """One of the networks, or one of the rows that say what chance makes.

    kind: "checkpoint"; "method seed": the reference once more, with another seed of the method; "network seed": a
    network trained from another seed; "random maps". epoch: its place in a training, or None; layer, norm: of the last
    layer's weights, where there is one.
    """

    name: str
    kind: str = CHECKPOINT
    epoch: float | None = None
    layer: str | None = None
    norm: float | None = None
