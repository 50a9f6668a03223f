"""Attention Lattice Adapter: frozen encoder, side network, attention branch, perception branch."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from explainers.baselines.networks.ala.encoder import Encoder, backbone_of, depth_of
from explainers.baselines.networks.ala.side_network import LastLayer, SideBlocks, SideNetwork
from explainers.baselines.networks.attention_network import Branches, ExplainingNetwork, Gate, given_map
from explainers.baselines.networks.registry import register_network
from explainers.errors import OptionError

FUSIONS = 4  # layers of the encoder that are read, 0, 3, 6 and 9 of twelve
LEAST_SPAN = 1e-7  # added to the span of a map that is scaled, as in the authors' code
BODY, HEAD, DEEP = (256, 128), 256, (256, 1024, 256)  # widths of the perception branch


class ALA(ExplainingNetwork):
    """A frozen vision transformer that is perceived through a map, which a side network beside it makes.

    The attention branch turns the side network's masks into one map by a 1 × 1 convolution and scales it by its minimum
    and maximum; from the masks themselves it makes logits of its own. The perception branch sees a ⊙ h, h being the
    patches of the last layer that the side network reads; there is no bypass.

    Args:
        encoder: a vision transformer of open_clip, timm, torchvision or `VisionTransformer`; used as it is and frozen.
        channels: of the images; classes: how many logits.
        sbn: False for the ablation without side network: masks from the encoder's last layer.
        side: sizes of the side network; its patch is the encoder's.
        map_dropout: share of the map's positions that are 0 in training, before the scaling.
        second_mlp: another network from logits to logits behind the perception branch.

    Attributes:
        frozen_parts: what no training moves; undecayed: parameters that weight decay leaves alone.

    Where paper and published code differ: the code drops 0.75 of the map, the paper names no dropout, and the default
    is none, since the scaling takes dropped positions for values; the code has a second network from logits to logits
    behind the paper's, which is off by default. The map's span has 1e-7 added, as in the code. The side network has
    the width, depth and heads of the configuration for CUB; that for ImageNet-S is 240, 8 and 6.

    Raises:
        UnsupportedError: the encoder has no patch tokens.

    Source: Hirano et al. 2024.
    """

    frozen_parts = ("encoder",)

    def __init__(
        self,
        encoder: nn.Module,
        classes: int,
        *,
        channels: int = 3,
        sbn: bool = True,
        side: SideBlocks | None = None,
        map_dropout: float = 0.0,
        second_mlp: bool = False,
    ) -> None:
        super().__init__()
        depth, side = depth_of(encoder), side or SideBlocks()
        layers = read_layers(depth)
        self.encoder = Encoder(encoder, layers if sbn else (*layers, depth))
        width, patch = self.encoder.width, self.encoder.patch
        self.side: nn.Module = (
            SideNetwork(channels, width, self.encoder.grid, fusions=FUSIONS, patch=patch, blocks=side)
            if sbn
            else LastLayer(width, side.queries)
        )
        self.attention = MapBranch(side.queries, classes, map_dropout)
        self.gate = Gate(bypass=False)
        self.perception = _perception(width)
        self.head = _head(classes, second_mlp)
        self.undecayed = tuple(f"side.{name}" for name in getattr(self.side, "undecayed", ()))
        self.train(self.training)

    def train(self, mode: bool = True) -> ALA:
        """All but the encoder, which stays in evaluation mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward_branches(self, images: Tensor, attention_map: Tensor | float | None = None) -> Branches:
        """As `ExplainingNetwork`; features are the layer that is perceived, and a given map skips the side network."""
        layers = self.encoder(images)
        features, attention_logits = layers[FUSIONS - 1], None
        if attention_map is None:
            size = int(features.shape[2]), int(features.shape[3])
            made, attention_logits = self.attention(self.side(images, layers), size)
        else:
            made = given_map(attention_map, features)
        pooled = self.perception(self.gate(features, made)).mean(dim=(2, 3))
        return Branches(self.head(pooled), attention_logits, made, features, None, lambda: pooled)


class MapBranch(nn.Module):
    """Masks to a map and to logits, each by convolutions of 1 × 1.

    Args:
        masks: how many; classes: how many logits; dropout: share of the map's positions that are 0 in training.
    """

    def __init__(self, masks: int, classes: int, dropout: float) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise OptionError(f"map_dropout={dropout}; expected at least 0 and below 1")
        self.to_map, self.dropout = nn.Conv2d(masks, 1, 1), nn.Dropout(dropout)
        self.to_logits = nn.Sequential(
            nn.BatchNorm2d(masks),
            nn.Conv2d(masks, 32, 1),
            nn.ReLU(),
            nn.Conv2d(32, classes, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    def forward(self, masks: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """(N, masks, h', w') to the map (N, 1, h, w) in 0 … 1 and logits (N, classes)."""
        raw = self.dropout(self.to_map(masks))
        low, high = raw.amin(dim=(2, 3), keepdim=True), raw.amax(dim=(2, 3), keepdim=True)
        made = (raw - low) / (high - low + LEAST_SPAN)
        if made.shape[2:] != size:
            made = F.interpolate(made, size, mode="bilinear", align_corners=False)
        return made, self.to_logits(masks)


def read_layers(depth: int) -> tuple[int, ...]:
    """The encoder's layers that are read, spread as 0, 3, 6 and 9 over twelve: the halves are rounded up."""
    return tuple((2 * depth * index + FUSIONS) // (2 * FUSIONS) for index in range(FUSIONS))


def _perception(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip((width, *BODY), BODY, strict=False):
        # Rounded up, so that small images have something to pool; at the published sizes nothing is rounded.
        pool = nn.MaxPool2d(2, ceil_mode=True)
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), pool]
    return nn.Sequential(*layers)


def _head(classes: int, second_mlp: bool) -> nn.Sequential:
    """Dropout and two layers; where asked for, four more with batch norm."""
    layers: list[nn.Module] = [nn.Dropout(0.25), nn.Linear(BODY[-1], HEAD), nn.ReLU(), nn.Linear(HEAD, classes)]
    if second_mlp:
        before = classes
        for width in DEEP:
            layers += [nn.Linear(before, width), nn.BatchNorm1d(width), nn.ReLU()]
            before = width
        layers += [nn.Dropout(0.25), nn.Linear(before, classes)]
    return nn.Sequential(*layers)


@register_network("ala", attention=True)
def _ala(
    *,
    channels: int,
    classes: int,
    pretrained: str | None = None,
    backbone: str = "small-vit",
    sbn: bool = True,
    side_width: int = 64,
    side_depth: int = 8,
    side_heads: int = 4,
    queries: int = 100,
    map_dropout: float = 0.0,
    second_mlp: bool = False,
) -> nn.Module:
    """A frozen vision transformer, as CLIP's, perceived through the map of a side network; a ⊙ h alone."""
    return ALA(
        backbone_of(backbone, channels, pretrained),
        classes,
        channels=channels,
        sbn=sbn,
        side=SideBlocks(side_width, side_depth, side_heads, queries),
        map_dropout=map_dropout,
        second_mlp=second_mlp,
    )
