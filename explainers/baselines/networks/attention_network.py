"""The protocol of a network that explains itself: a classifier whose forward pass makes and uses an attention map."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.errors import OptionError


@dataclass(frozen=True)
class Branches:
    """What one forward pass makes, each part with its graph.

    logits: (N, classes) of the perception branch; attention_logits: (N, classes) of the attention branch;
    attention_map: (N, 1, h, w) in 0 … 1; features: (N, C, h, w) that both branches read.
    """

    logits: Tensor
    attention_logits: Tensor
    attention_map: Tensor
    features: Tensor


class Gate(nn.Module):
    """How the attention map weighs the features: α ⊙ h, or (1 + α) ⊙ h with a bypass.

    Args:
        bypass: add the unweighted features.
        threshold: θ in 0 … 1; values of the map at or below it count as 0 here. The map itself stays as it is.
    """

    def __init__(self, *, bypass: bool, threshold: float = 0.0) -> None:
        super().__init__()
        if not 0 <= threshold < 1:
            raise OptionError(f"threshold={threshold}; expected at least 0 and below 1, as the map lies in 0 … 1")
        self.bypass, self.threshold = bypass, threshold

    def forward(self, features: Tensor, attention_map: Tensor) -> Tensor:
        """(N, C, h, w) and (N, 1, h, w) to (N, C, h, w)."""
        if self.threshold > 0:
            attention_map = F.threshold(attention_map, self.threshold, 0.0)
        weighed = attention_map * features
        return features + weighed if self.bypass else weighed

    def extra_repr(self) -> str:
        """The settings."""
        return f"bypass={self.bypass}, threshold={self.threshold}"


class AttentionBranch(nn.Module):
    """Features to an attention map and logits of its own.

    Args:
        body: features (N, C, h, w) to (N, D, h, w); evidence: these to (N, K, h, w), not negative; to_map: evidence to
            (N, 1, h, w) in 0 … 1; to_logits: evidence to (N, classes).
    """

    def __init__(self, body: nn.Module, evidence: nn.Module, to_map: nn.Module, to_logits: nn.Module) -> None:
        super().__init__()
        self.body, self.evidence, self.to_map, self.to_logits = body, evidence, to_map, to_logits

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The map (N, 1, h, w) and the logits (N, classes)."""
        evidence = self.evidence(self.body(features))
        return self.to_map(evidence), self.to_logits(evidence)


class AttentionNetwork(nn.Module):
    """Feature extractor, attention branch, perception branch: a classifier like any other, from images to logits.

    Args:
        features: images to (N, C, h, w).
        attention: these to (map, logits), as `AttentionBranch` does.
        gate: features and map to the features that are perceived.
        perception: these to (N, D, u, v).
        head: these to (N, classes).

    Attributes:
        attention_map: (N, 1, h, w) of the last `network(images)`, without a graph; None before the first. What needs
            the map of certain images calls `forward_branches`, which keeps nothing.
    """

    attention_map: Tensor | None

    def __init__(
        self, features: nn.Module, attention: nn.Module, gate: nn.Module, perception: nn.Module, head: nn.Module
    ) -> None:
        super().__init__()
        self.features, self.attention, self.gate = features, attention, gate
        self.perception, self.head = perception, head
        # A buffer, so that it moves with the network and explaining puts it back.
        self.register_buffer("attention_map", None, persistent=False)

    def forward_branches(self, images: Tensor) -> Branches:
        """All that a pass over images (N, channels, H, W) makes, for losses and maps."""
        features = self.features(images)
        attention_map, attention_logits = self.attention(features)
        logits = self.head(self.perception(self.gate(features, attention_map)))
        return Branches(logits, attention_logits, attention_map, features)

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, H, W) → (N, classes) logits of the perception branch."""
        branches = self.forward_branches(images)
        if not torch.compiler.is_compiling():  # a compiled or exported graph has no place for it
            self.attention_map = branches.attention_map.detach()
        return branches.logits
