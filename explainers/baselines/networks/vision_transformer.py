"""A small vision transformer of our own, built as CLIP's image encoder is, and the blocks of which it is made."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.errors import OptionError

SPREAD = 0.02  # standard deviation of learned tokens and positions at first
SIZES = {"small-vit": (8, 128, 6, 4), "tiny-vit": (8, 32, 4, 2)}  # patch, width, depth, heads


class Block(nn.Module):
    """Attention among the tokens, then a two-layer network on each, both behind a layer norm and added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise OptionError(f"width={width}, heads={heads}; expected a width that the heads divide")
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T, width) to the same."""
        parts = self.qkv(self.norm1(tokens)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*parts.unbind(0)).transpose(1, 2).flatten(2)
        tokens = tokens + self.proj(mixed)
        return tokens + self.mlp(self.norm2(tokens))


class PatchEmbedding(nn.Module):
    """Images to the tokens of their patches."""

    def __init__(self, channels: int, width: int, patch: int, grid: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)
        self.grid_size = (grid, grid)

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, width, h, w)."""
        return self.proj(images)


class VisionTransformer(nn.Module):
    """Patches and a class token, which a norm, the blocks, another norm and a linear layer turn into an embedding.

    The parts are called as timm's are. Images may have any size that holds a patch: the table of positions is resized.

    Args:
        channels: of the images; outputs: dimensions of the embedding, or classes.
        patch, width, depth, heads: of the transformer; grid: patches along a side that the table of positions is for.

    Source: Dosovitskiy et al. 2021; the norm in front of the blocks as in CLIP (Radford et al. 2021).
    """

    def __init__(
        self, channels: int = 3, outputs: int = 128, *, patch: int, width: int, depth: int, heads: int, grid: int = 8
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(channels, width, patch, grid)
        self.cls_token = nn.Parameter(SPREAD * torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(SPREAD * torch.randn(1, 1 + grid * grid, width))
        self.norm_pre = nn.LayerNorm(width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, outputs)."""
        patches = self.patch_embed(images)
        table = resized_table(self.pos_embed, self.patch_embed.grid_size, tuple(patches.shape[2:]))
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), patches.flatten(2).mT], dim=1) + table
        return self.head(self.norm(self.blocks(self.norm_pre(tokens)))[:, 0])


def vision_transformer(name: str, *, channels: int = 3, outputs: int = 128) -> VisionTransformer:
    """One of our own: "small-vit" (patches of 8, six layers 128 wide), or "tiny-vit" for tests.

    Raises:
        OptionError: no such network.
    """
    if name not in SIZES:
        raise OptionError(f"no vision transformer {name!r}; there are {', '.join(sorted(SIZES))}, and a library's")
    patch, width, depth, heads = SIZES[name]
    return VisionTransformer(channels, outputs, patch=patch, width=width, depth=depth, heads=heads)


def resized_table(table: Tensor, before: tuple[int, ...], after: tuple[int, ...]) -> Tensor:
    """A table of positions (…, prefix + h·w, C) for another grid: bicubic, the prefix's rows as they are.

    Args:
        before, after: (h, w) of the two grids.
    """
    if before == after:
        return table
    prefix = table.shape[-2] - before[0] * before[1]
    own, places = table[..., :prefix, :], table[..., prefix:, :]
    square = places.reshape(1, *before, -1).permute(0, 3, 1, 2)
    wide = F.interpolate(square, size=after, mode="bicubic", align_corners=False)
    return torch.cat([own, wide.flatten(2).mT.reshape(*table.shape[:-2], -1, table.shape[-1])], dim=-2)
