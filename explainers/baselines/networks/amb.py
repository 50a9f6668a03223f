"""Attention mining branch: what the map takes away shall leave nothing to recognise the class by."""

from __future__ import annotations

from torch import nn

from explainers.baselines.networks.abn import attention_branch
from explainers.baselines.networks.attention_network import AttentionNetwork, Gate, Remainder
from explainers.baselines.networks.backbone import cut
from explainers.baselines.networks.plain import classifier
from explainers.baselines.networks.registry import register_network


class AMB(AttentionNetwork):
    """An attention branch network without bypass, whose perception branch is run on what the map leaves over too.

    The perception branch sees α ⊙ h. The mining branch *is* the perception branch, the same modules, on
    F* = F − T(α) ⊙ F; `forward_branches(images).mining_logits` runs it for the first that asks. It is there for losses
    (`AttentionMining`, `ComplementObjective`): the network answers as ABN does, with the same parameters.

    Args:
        backbone: a ResNet-like classifier; it is copied, its weights are where training starts.
        threshold: above it the map takes away. 0.78 was used on CUB-200-2010, 0.40 on Stanford Dogs.
        mask: "sigmoid", "straight-through" or "hard", see `mining_mask`. The source prints a hard threshold, by which
            the map learns nothing of what is mined; the sigmoid of GAIN is the default.
        omega: slope of the sigmoid.

    Raises:
        UnsupportedError: the backbone cannot be cut. OptionError: another mask, a threshold outside 0 … 1, a slope that
        is not positive.

    Source: Iwayoshi 2021.
    """

    def __init__(
        self, backbone: nn.Module, *, threshold: float = 0.78, mask: str = "sigmoid", omega: float = 10.0
    ) -> None:
        left = Remainder(threshold, mask, omega)
        parts = cut(backbone)
        branch = attention_branch(parts, parts.linear.out_features)
        super().__init__(parts.features, branch, Gate(bypass=False), parts.stage, parts.head, remainder=left)


@register_network("amb", attention=True)
def _amb(
    *,
    channels: int,
    classes: int,
    pretrained: str | None = None,
    backbone: str = "small-resnet",
    threshold: float = 0.78,
    mask: str = "sigmoid",
    omega: float = 10.0,
) -> nn.Module:
    """ABN without bypass, whose perception branch also learns from what the map leaves over (attention mining)."""
    return AMB(classifier(backbone, channels, classes, pretrained), threshold=threshold, mask=mask, omega=omega)
