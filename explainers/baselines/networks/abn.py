"""Attention Branch Network: any ResNet with a branch in front of its last stage that says where to look."""

from __future__ import annotations

from copy import deepcopy

from torch import nn

from explainers.baselines.networks.attention_network import AttentionBranch, AttentionNetwork, Gate
from explainers.baselines.networks.backbone import Cut, cut
from explainers.baselines.networks.plain import classifier
from explainers.baselines.networks.registry import register_network
from explainers.errors import UnsupportedError


class ABN(AttentionNetwork):
    """A backbone cut before its last stage; the attention branch is a copy of that stage which keeps the size.

    The perception branch sees (1 + α) ⊙ h. Train with cross entropy on both branches' logits.

    Args:
        backbone: a ResNet-like classifier; it is copied, its weights are where training starts.
        bypass: False for α ⊙ h.

    Raises:
        UnsupportedError: the backbone cannot be cut.

    Source: Fukui et al. 2019, section 3. The branch pools over whatever size there is.

    >>> network = ABN(torchvision.models.resnet50(num_classes=10))  # doctest: +SKIP
    >>> network.forward_branches(images).attention_map.shape  # doctest: +SKIP
    torch.Size([8, 1, 14, 14])
    """

    def __init__(self, backbone: nn.Module, *, bypass: bool = True) -> None:
        parts = cut(backbone)
        super().__init__(
            parts.features,
            attention_branch(parts, parts.linear.out_features),
            Gate(bypass=bypass),
            parts.stage,
            parts.head,
        )


def attention_branch(parts: Cut, classes: int) -> AttentionBranch:
    """Stage, batch norm, 1 × 1 to one channel per class; from these the map and, pooled, the logits; no biases."""
    evidence = nn.Sequential(
        nn.BatchNorm2d(parts.width),
        nn.Conv2d(parts.width, classes, 1, bias=False),
        nn.BatchNorm2d(classes),
        nn.ReLU(),
    )
    to_map = nn.Sequential(nn.Conv2d(classes, 1, 3, padding=1, bias=False), nn.BatchNorm2d(1), nn.Sigmoid())
    to_logits = nn.Sequential(nn.Conv2d(classes, classes, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return AttentionBranch(without_stride(parts.stage), evidence, to_map, to_logits)


def without_stride(stage: nn.Module) -> nn.Module:
    """A copy of a stage that keeps the size of what it sees.

    Raises:
        UnsupportedError: a pooling layer shrinks it in a way that cannot be undone.
    """
    copy = deepcopy(stage)
    for parent in copy.modules():
        for name, module in parent.named_children():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
            elif isinstance(module, (nn.AvgPool2d, nn.MaxPool2d)):
                kernel, padding = _side(module.kernel_size), _side(module.padding)
                if kernel == 2 * padding + 1:
                    module.stride = 1
                elif kernel == _side(module.stride):
                    setattr(parent, name, nn.Identity())
                else:
                    raise UnsupportedError(f"the last stage pools by {module}, which has no form that keeps the size")
    return copy


def _side(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


@register_network("abn", attention=True)
def _abn(
    *,
    channels: int,
    classes: int,
    pretrained: str | None = None,
    backbone: str = "small-resnet",
    bypass: bool = True,
) -> nn.Module:
    """A ResNet with an attention branch before its last stage; perception sees (1 + α) ⊙ h."""
    return ABN(classifier(backbone, channels, classes, pretrained), bypass=bypass)
