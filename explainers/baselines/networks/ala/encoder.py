"""A vision transformer read layer by layer: its patches behind the first norm and each block, at any image size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from explainers.baselines.networks.plain import fitted_convolution
from explainers.baselines.networks.vision_transformer import resized_table, vision_transformer
from explainers.errors import UnsupportedError
from explainers.models import load_model
from explainers.network.guard import preserved


@dataclass(frozen=True)
class Anatomy:
    """Where a vision transformer keeps what.

    patches: the convolution that cuts an image into them; prefix: (P, C), the tokens in front; table: (P' + h·w, C),
    positions of the patches, and of the prefix where P' = P; grid: the (h, w) that it is for; before: what tokens pass
    on their way to the first block; blocks: in their order.
    """

    patches: nn.Conv2d
    prefix: Tensor
    table: Tensor
    grid: tuple[int, int]
    before: tuple[Callable[[Tensor], Tensor], ...]
    blocks: Sequence[nn.Module]

    def tokens(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """(N, P + h·w, C) as the first block gets them, and (h, w)."""
        cut = self.patches(images)
        size = int(cut.shape[2]), int(cut.shape[3])
        table, places = resized_table(self.table, self.grid, size), cut.flatten(2).mT
        front = self.prefix.expand(len(images), -1, -1)
        if len(table) == places.shape[1]:  # the prefix has no positions
            tokens = torch.cat([front, places + table], dim=1)
        else:
            tokens = torch.cat([front, places], dim=1) + table
        for layer in self.before:
            tokens = layer(tokens)
        return tokens, size


def anatomy(network: Any) -> Anatomy:
    """Of a vision transformer of open_clip, timm or torchvision, or of our own.

    Raises:
        UnsupportedError: it is none, so it has no patch tokens.
    """
    if hasattr(network, "trunk"):  # open_clip's wrapper of timm's
        return anatomy(network.trunk)
    if hasattr(network, "resblocks") or hasattr(getattr(network, "transformer", None), "resblocks"):
        front = network.class_embedding.view(1, -1)
        before = (network.patch_dropout, network.ln_pre)
        return Anatomy(
            network.conv1,
            front,
            network.positional_embedding,
            tuple(network.grid_size),
            before,
            network.transformer.resblocks,
        )
    if hasattr(network, "conv_proj") and hasattr(network, "class_token"):
        side = network.image_size // network.patch_size
        table = network.encoder.pos_embedding[0]
        blocks = list(network.encoder.layers)
        return Anatomy(
            network.conv_proj, network.class_token[0], table, (side, side), (network.encoder.dropout,), blocks
        )
    embedding = getattr(network, "patch_embed", None)
    if isinstance(getattr(embedding, "proj", None), nn.Conv2d) and isinstance(
        getattr(network, "pos_embed", None), Tensor
    ):
        return _timms(network, embedding)
    raise UnsupportedError(
        f"{type(network).__name__} has no patch tokens with a table of positions, which ala reads layer by layer; use "
        "a vision transformer: open_clip:ViT-B-16, timm:vit_base_patch16_224, torchvision:vit_b_16, small-vit"
    )


def _timms(network: Any, embedding: Any) -> Anatomy:
    tokens = [getattr(network, name, None) for name in ("cls_token", "dist_token", "reg_token")]
    front = [token[0] for token in tokens if token is not None]
    table = network.pos_embed[0]
    before = [getattr(network, name, None) for name in ("pos_drop", "patch_drop", "norm_pre")]
    return Anatomy(
        embedding.proj,
        torch.cat(front) if front else table[:0],
        table,
        tuple(embedding.grid_size),
        tuple(layer for layer in before if layer is not None),
        network.blocks,
    )


class Encoder(nn.Module):
    """The patches of chosen layers of a vision transformer.

    Args:
        network: of open_clip, timm, torchvision, or `VisionTransformer`.
        layers: which, 0 being behind the first norm and n behind the n-th block; blocks behind the last are not run.

    Attributes:
        width: channels of each; grid: (h, w) that its table of positions is for; patch: side in pixels.

    Raises:
        UnsupportedError: it has no patch tokens, or its parts run in another order than they are listed.
    """

    def __init__(self, network: nn.Module, layers: Sequence[int]) -> None:
        super().__init__()
        self.network, self.layers = network, tuple(layers)
        parts = anatomy(network)
        self.width, self.grid, self.patch = parts.table.shape[-1], parts.grid, int(parts.patches.kernel_size[0])
        self._check(parts)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, width, h, w) of each of the layers."""
        parts = anatomy(self.network)
        tokens, size = parts.tokens(images)
        found = {0: tokens}
        for number in range(1, max(self.layers) + 1):
            found[number] = parts.blocks[number - 1](found[number - 1])
        start = len(parts.prefix)
        return [found[number][:, start:].mT.unflatten(2, size) for number in self.layers]

    def unread_layers(self) -> dict[str, nn.Module]:
        """The network's linear layers behind its blocks, by name: of the scores or embedding that nobody reads."""
        within = {module for block in anatomy(self.network).blocks for module in block.modules()}
        linear = [each for each in self.network.named_modules() if isinstance(each[1], nn.Linear)]
        return {name: module for name, module in linear if module not in within}

    @torch.no_grad()
    def _check(self, parts: Anatomy) -> None:
        """That its last block gives what it gives in the network's own pass, for an image of its own size."""
        height, width = (side * self.patch for side in parts.grid)
        noise = torch.randn(1, parts.patches.in_channels, height, width, generator=torch.Generator().manual_seed(0))
        noise, seen = noise.to(parts.table), []
        with preserved(self.network):
            handle = parts.blocks[-1].register_forward_hook(lambda _, __, made: seen.append(made))
            try:
                self.network(noise)
                tokens = parts.tokens(noise)[0]
                for block in parts.blocks:
                    tokens = block(tokens)
            except (RuntimeError, TypeError, ValueError, AssertionError) as error:
                raise self._refusal(str(error).partition("\n")[0]) from error
            finally:
                handle.remove()
        own = seen[0] if seen else None
        if not isinstance(own, Tensor) or own.shape != tokens.shape or not torch.allclose(own, tokens, 1e-3, 1e-3):
            raise self._refusal("its blocks, run one after the other, do not give what they give in it")

    def _refusal(self, why: str) -> UnsupportedError:
        return UnsupportedError(
            f"{type(self.network).__name__} cannot be read layer by layer: {why}; use a plain vision transformer "
            "(open_clip:ViT-B-16, timm:vit_base_patch16_224, torchvision:vit_b_16, small-vit)"
        )


def backbone_of(spec: str, channels: int, pretrained: str | None) -> nn.Module:
    """A vision transformer of a library, its first convolution fitted to the images, or one of our own.

    Raises:
        UnsupportedError: it is no module. OptionError, ModelFileError: it is not known.
    """
    if ":" not in spec:
        return vision_transformer(spec, channels=channels)
    loaded = load_model(spec, weights=pretrained, device="cpu")
    if not isinstance(loaded.network, nn.Module):
        raise UnsupportedError(f"{spec} is no torch.nn.Module, so its layers cannot be read")
    return fitted_convolution(loaded.network, channels)


def depth_of(network: nn.Module) -> int:
    """How many blocks it has.

    Raises:
        UnsupportedError: it has no patch tokens.
    """
    return len(anatomy(network).blocks)
