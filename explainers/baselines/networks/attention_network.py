"""The protocol of a network that explains itself: a classifier whose forward pass makes and uses an attention map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.baselines.losses.mining_mask import mining_mask
from explainers.errors import OptionError
from explainers.passes.still import still


@dataclass(frozen=True)
class Branches:
    """What one forward pass makes, each part with its graph; what a network does not make is None.

    logits: (N, classes) of the perception branch; attention_logits: (N, classes) of the attention branch;
    attention_map: (N, 1, h, w) in 0 … 1; features: (N, C, h, w) that both branches read; attention_pooled: (N, D), what
    the attention branch's body gives, pooled; pool: makes what the perception branch's last layer reads; mine: runs the
    perception branch on what the map leaves over, where the network learns by that; map_logits: (N, 2, H, W) of
    background and foreground, whose softmax the map is; activate: makes the class activation maps that teach such a
    map.
    """

    logits: Tensor
    attention_logits: Tensor | None
    attention_map: Tensor
    features: Tensor
    attention_pooled: Tensor | None = None
    pool: Callable[[], Tensor] | None = field(default=None, repr=False)
    mine: Callable[[], Tensor] | None = field(default=None, repr=False)
    map_logits: Tensor | None = None
    activate: Callable[[], Tensor] | None = field(default=None, repr=False)

    @cached_property
    def perception_pooled(self) -> Tensor | None:
        """(N, D) that the last layer of the perception branch reads, with dropout before it drawn anew."""
        return None if self.pool is None else self.pool()

    @cached_property
    def mining_logits(self) -> Tensor | None:
        """(N, classes) of the mining branch, whose pass is run by the first to ask."""
        return None if self.mine is None else self.mine()

    @cached_property
    def cams(self) -> Tensor | None:
        """(N, classes, h, w) class activation maps without a graph, made for the first to ask."""
        return None if self.activate is None else self.activate()


class ExplainingNetwork(nn.Module):
    """A classifier, from images to logits, that makes a map on its way. Derive from it and write `forward_branches`.

    Attributes:
        attention_map: (N, 1, h, w) of the last `network(images)`, without a graph; None before the first. What needs
            the map of certain images calls `forward_branches`, which keeps nothing.
        scores_follow_map: whether a map given in place of the network's own changes the logits.
    """

    attention_map: Tensor | None
    scores_follow_map = True

    def __init__(self) -> None:
        super().__init__()
        # A buffer, so that it moves with the network and explaining puts it back.
        self.register_buffer("attention_map", None, persistent=False)

    def forward_branches(self, images: Tensor, attention_map: Tensor | float | None = None) -> Branches:
        """All that a pass over images (N, channels, H, W) makes, for losses and maps.

        Args:
            attention_map: (N, 1, h, w) or (1, 1, h, w) in 0 … 1, or one number for all cells, in place of the network's
                own, which is not made then.

        Raises:
            OptionError: a given map of another size, or outside 0 … 1.
        """
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, H, W) → (N, classes) logits of the perception branch."""
        branches = self.forward_branches(images)
        if not torch.compiler.is_compiling():  # a compiled or exported graph has no place for it
            self.attention_map = branches.attention_map.detach()
        return branches.logits


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


class Remainder(nn.Module):
    """What the attention map leaves of the features: F* = F − T(A) ⊙ F, with T(A) as in `mining_mask`.

    Args:
        threshold, kind, omega: of `mining_mask`.

    Source: Iwayoshi 2021; Li et al. 2018, eq. 4 and 5.
    """

    def __init__(self, threshold: float, kind: str = "sigmoid", omega: float = 10.0) -> None:
        super().__init__()
        mining_mask(torch.zeros(1), threshold, kind, omega)  # a mistake is found here
        self.threshold, self.kind, self.omega = threshold, kind, omega

    def forward(self, features: Tensor, attention_map: Tensor) -> Tensor:
        """(N, C, h, w) and (N, 1, h, w) to (N, C, h, w)."""
        return features - mining_mask(attention_map, self.threshold, self.kind, self.omega) * features

    def extra_repr(self) -> str:
        """The settings."""
        return f"threshold={self.threshold}, kind={self.kind!r}, omega={self.omega}"


class AttentionBranch(nn.Module):
    """Features to an attention map and logits of its own.

    Args:
        body: features (N, C, h, w) to (N, D, h, w); evidence: these to (N, K, h, w), not negative; to_map: evidence to
            (N, 1, h, w) in 0 … 1; to_logits: evidence to (N, classes).
    """

    def __init__(self, body: nn.Module, evidence: nn.Module, to_map: nn.Module, to_logits: nn.Module) -> None:
        super().__init__()
        self.body, self.evidence, self.to_map, self.to_logits = body, evidence, to_map, to_logits

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The map (N, 1, h, w), the logits (N, classes), and what the body gives, pooled (N, D)."""
        body = self.body(features)
        evidence = self.evidence(body)
        return self.to_map(evidence), self.to_logits(evidence), body.mean(dim=(2, 3))


class AttentionNetwork(ExplainingNetwork):
    """Feature extractor, attention branch, perception branch: a classifier like any other, from images to logits.

    Args:
        features: images to (N, C, h, w).
        attention: these to (map, logits) or (map, logits, pooled), as `AttentionBranch` does.
        gate: features and map to the features that are perceived.
        perception: these to (N, D, u, v).
        head: these to (N, classes), pooling and a linear layer.
        remainder: features and map to what the map leaves over, which perception branch and head are run on again for
            losses that mine it; None for networks that learn without.
    """

    def __init__(
        self,
        features: nn.Module,
        attention: nn.Module,
        gate: nn.Module,
        perception: nn.Module,
        head: nn.Module,
        *,
        remainder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.features, self.attention, self.gate = features, attention, gate
        self.perception, self.head, self.remainder = perception, head, remainder

    def forward_branches(self, images: Tensor, attention_map: Tensor | float | None = None) -> Branches:
        """As `ExplainingNetwork`; a given map skips the attention branch, and the perception branch answers."""
        features = self.features(images)
        if attention_map is not None:
            given = given_map(attention_map, features)
            logits, pool = self._perceived(self.gate(features, given))
            return Branches(logits, None, given, features, None, pool, self._mining(features, given))
        made, attention_logits, *rest = self.attention(features)
        logits, pool = self._perceived(self.gate(features, made))
        attended = rest[0] if rest else None
        return Branches(logits, attention_logits, made, features, attended, pool, self._mining(features, made))

    def _mining(self, features: Tensor, attention_map: Tensor) -> Callable[[], Tensor] | None:
        """The mining branch, which is the perception branch once more, on what the map leaves over.

        In training its batch norm normalises by what it is given, and counts none of it: the running statistics are
        those of the perception branch, by which the network is evaluated.
        """
        if self.remainder is None:
            return None
        left: nn.Module = self.remainder

        def mine() -> Tensor:
            with still(self):
                return self._perceived(left(features, attention_map))[0]

        return mine

    def _perceived(self, gated: Tensor) -> tuple[Tensor, Callable[[], Tensor] | None]:
        """The logits, and what makes the last layer's input where the head is a sequence that ends in it.

        The head is called as a whole, or nobody who watches it would see it run.
        """
        seen, head = self.perception(gated), self.head
        if not isinstance(head, nn.Sequential) or not isinstance(head[-1], nn.Linear):
            return head(seen), None
        before = head[:-1]
        return head(seen), lambda: before(seen)


def given_map(attention_map: Tensor | float, features: Tensor) -> Tensor:
    """A map from outside, as the gate takes it: (N, 1, h, w) for features (N, C, h, w).

    Raises:
        OptionError: it has another size, or values outside 0 … 1.
    """
    count, size = len(features), features.shape[2:]
    if not isinstance(attention_map, Tensor):
        attention_map = features.new_full((1, 1, *size), float(attention_map))
    if attention_map.shape not in ((count, 1, *size), (1, 1, *size)):
        raise OptionError(
            f"attention_map of shape {tuple(attention_map.shape)}; expected ({count}, 1, {size[0]}, {size[1]}), a "
            "value for each position of the features"
        )
    lowest, highest = float(attention_map.detach().min()), float(attention_map.detach().max())
    if not (lowest >= 0 and highest <= 1):
        raise OptionError(f"attention_map with values in {lowest:.4g} … {highest:.4g}; expected 0 … 1")
    return attention_map.to(features).expand(count, -1, -1, -1)
