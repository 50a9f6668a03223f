"""The side network: a narrow transformer beside the encoder, which takes in its layers and turns queries into masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.baselines.networks.vision_transformer import SPREAD, Block, resized_table
from explainers.errors import OptionError

HIDDEN = 256  # width of the decoders


class SideNetwork(nn.Module):
    """Patches and learned queries through blocks of its own; what both become, multiplied, is a mask for each query.

    The encoder's layers are added to the patches, the first in front of the first block, the next behind it and so on:
    channel norm, 1 × 1 convolution, bilinear resizing. Positions are added in front and behind every block but the
    last, after the layer.

    Args:
        channels: of the images; encoder: width of its layers; grid: patches along its sides; fusions: how many layers.
        patch: side in pixels; blocks: the other sizes.

    Source: Hirano et al. 2024 (ALA), after Xu et al. 2023 (SAN).
    """

    undecayed = ("queries", "query_positions", "positions")  # what an optimiser's weight decay leaves alone

    def __init__(
        self, channels: int, encoder: int, grid: tuple[int, int], *, fusions: int, patch: int, blocks: SideBlocks
    ) -> None:
        super().__init__()
        if blocks.depth < fusions - 1:
            raise OptionError(
                f"side_depth={blocks.depth}; expected at least {fusions - 1}, as {fusions} layers of the encoder are "
                "taken in, the last behind that block"
            )
        width, self.grid = blocks.width, grid
        self.patches = nn.Conv2d(channels, width, patch, patch)
        self.queries = nn.Parameter(SPREAD * torch.randn(blocks.queries, width))
        self.query_positions = nn.Parameter(SPREAD * torch.randn(blocks.queries, width))
        self.positions = nn.Parameter(SPREAD * torch.randn(grid[0] * grid[1], width))
        self.fusions = nn.ModuleList(Fusion(encoder, width) for _ in range(fusions))
        self.blocks = nn.ModuleList(Block(width, blocks.heads) for _ in range(blocks.depth))
        self.query_decoder, self.patch_decoder = _decoder(width), _decoder(width)

    def forward(self, images: Tensor, layers: Sequence[Tensor]) -> Tensor:
        """Images (N, channels, H, W) and layers (N, encoder, h', w') to masks (N, queries, h, w), of any sign."""
        cut = self.patches(images)
        size, count = (int(cut.shape[2]), int(cut.shape[3])), len(self.queries)
        places = torch.cat([self.query_positions, resized_table(self.positions, self.grid, size)])
        tokens = torch.cat([self.queries.expand(len(images), -1, -1), cut.flatten(2).mT], dim=1) + places
        tokens = self._fused(tokens, 0, layers, size)
        for number, block in enumerate(self.blocks, start=1):
            tokens = self._fused(block(tokens), number, layers, size)
            if number < len(self.blocks):
                tokens = tokens + places
        queries, patches = self.query_decoder(tokens[:, :count]), self.patch_decoder(tokens[:, count:])
        return torch.einsum("nqc,npc->nqp", queries, patches).unflatten(2, size)

    def _fused(self, tokens: Tensor, number: int, layers: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """The patches with a layer of the encoder added, where one belongs behind this block."""
        if number >= len(self.fusions):
            return tokens
        count = len(self.queries)
        added = self.fusions[number](layers[number], size).flatten(2).mT
        return torch.cat([tokens[:, :count], tokens[:, count:] + added], dim=1)


@dataclass(frozen=True)
class SideBlocks:
    """Sizes of a side network. width, depth, heads: of its blocks; queries: how many masks it makes."""

    width: int = 64
    depth: int = 8
    heads: int = 4
    queries: int = 100

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.heads, self.queries) < 1:
            raise OptionError(
                f"side_width={self.width}, side_depth={self.depth}, side_heads={self.heads}, queries={self.queries}; "
                "expected at least 1"
            )


class Fusion(nn.Module):
    """A layer of the encoder as the side network takes it in."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm, self.proj = nn.LayerNorm(before), nn.Conv2d(before, after, 1)

    def forward(self, layer: Tensor, size: tuple[int, int]) -> Tensor:
        """(N, before, h', w') to (N, after, h, w)."""
        seen = self.proj(self.norm(layer.movedim(1, 3)).movedim(3, 1))
        return seen if seen.shape[2:] == size else F.interpolate(seen, size, mode="bilinear", align_corners=False)


class LastLayer(nn.Module):
    """What stands in the side network's place without it: masks straight from the encoder's last layer.

    Args:
        encoder: width of that layer; queries: how many masks.

    Source: the ablation without SBN of Hirano et al. 2024; that the layer is normed and projected is ours.
    """

    def __init__(self, encoder: int, queries: int) -> None:
        super().__init__()
        self.read = Fusion(encoder, queries)

    def forward(self, images: Tensor, layers: Sequence[Tensor]) -> Tensor:
        """Images, which are not looked at, and layers (N, encoder, h, w) to masks (N, queries, h, w)."""
        last = layers[-1]
        return self.read(last, (int(last.shape[2]), int(last.shape[3])))


def _decoder(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN)
    )
