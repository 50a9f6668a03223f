"""Lambda Attention Branch Network: the branch's map decides what a perception branch of lambda layers sees at all."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import nn

from explainers.baselines.networks.attention_network import AttentionBranch, AttentionNetwork, Gate
from explainers.baselines.networks.backbone import cut
from explainers.baselines.networks.registry import register_network
from explainers.baselines.networks.resnet import Bottleneck, conv3x3, lambda_mixing, resnet, stem
from explainers.errors import OptionError

EVIDENCE = 10  # channels between the branch's body and its two ends
DESIGNS = ("magnetogram", "lambda-resnet18", "lambda-resnet26", "lambda-resnet50")


class LABN(AttentionNetwork):
    """Lambda feature extractor, attention branch, lambda perception branch, which sees α ⊙ h and nothing else.

    Args:
        design: "magnetogram" (7 × 7 convolution to 16 channels; one lambda bottleneck to 32) or a Lambda ResNet, whose
            first two stages extract and whose others perceive.
        channels: of the images; classes: how many logits.
        threshold: θ; the perception branch does not see where α ≤ θ.
        lambda_branch: lambda layers in the attention branch too, where the published code has 3 × 3 convolutions.
        heads, key, scope: of the lambda layers.

    Source: Iida et al. 2022, section 4; sizes as in the published code.
    """

    def __init__(
        self,
        design: str = "magnetogram",
        *,
        channels: int = 1,
        classes: int = 2,
        threshold: float = 0.0,
        lambda_branch: bool = False,
        **lambdas: int,
    ) -> None:
        if unknown := sorted(set(lambdas) - {"heads", "key", "scope"}):
            raise OptionError(f"LABN has no setting {', '.join(unknown)}; its lambda layers have heads, key, scope")
        features, perception, head, width = _parts(design, channels, classes, lambdas)
        branch = _branch(width, classes, lambdas if lambda_branch else None)
        super().__init__(features, branch, Gate(bypass=False, threshold=threshold), perception, head)


def _parts(
    design: str, channels: int, classes: int, lambdas: dict[str, Any]
) -> tuple[nn.Module, nn.Module, nn.Module, int]:
    """Extractor, perception branch, head, and the channels between the first two."""
    if design not in DESIGNS:
        raise OptionError(f"no LABN design {design!r}; there are {', '.join(DESIGNS)}")
    if design != "magnetogram":
        parts = cut(resnet(design, channels=channels, classes=classes, **lambdas), stages=2)
        return parts.features, parts.stage, parts.head, parts.channels
    perception = nn.Sequential(Bottleneck(16, 8, 1, lambda_mixing(**lambdas)))
    head = nn.Sequential(
        OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc=nn.Linear(8 * Bottleneck.expansion, classes))
    )
    return stem(channels, 16, 7, 2, True), perception, head, 16


def _branch(width: int, classes: int, lambdas: dict[str, Any] | None) -> AttentionBranch:
    """Two bottlenecks to four times the width, ten channels of evidence, one map for all classes; no biases."""
    mixing = conv3x3 if lambdas is None else lambda_mixing(**lambdas)
    body = nn.Sequential(
        Bottleneck(width, width, 1, mixing), Bottleneck(width * Bottleneck.expansion, width, 1, mixing)
    )
    evidence = nn.Sequential(
        nn.BatchNorm2d(width * Bottleneck.expansion),
        nn.Conv2d(width * Bottleneck.expansion, EVIDENCE, 1, bias=False),
        nn.ReLU(),
    )
    to_map = nn.Sequential(
        nn.Conv2d(EVIDENCE, EVIDENCE, 1, bias=False),
        nn.BatchNorm2d(EVIDENCE),
        nn.ReLU(),
        nn.Conv2d(EVIDENCE, 1, 1, bias=False),
        nn.BatchNorm2d(1),
        nn.Sigmoid(),
    )
    to_logits = nn.Sequential(nn.Conv2d(EVIDENCE, classes, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return AttentionBranch(body, evidence, to_map, to_logits)


@register_network("labn", attention=True)
def _labn(
    *,
    channels: int,
    classes: int,
    design: str = "magnetogram",
    threshold: float = 0.0,
    lambda_branch: bool = False,
    heads: int = 4,
    key: int = 16,
    scope: int = 23,
) -> nn.Module:
    """Lambda feature extractor, attention branch, lambda perception branch that sees α ⊙ h alone."""
    return LABN(
        design,
        channels=channels,
        classes=classes,
        threshold=threshold,
        lambda_branch=lambda_branch,
        heads=heads,
        key=key,
        scope=scope,
    )
