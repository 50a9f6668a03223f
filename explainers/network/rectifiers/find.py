"""All rectifiers between the scores of a network and the image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from explainers.network.rectifiers.alone import alone
from explainers.network.rectifiers.cuts import Cuts
from explainers.network.rectifiers.graph import from_image, kind_of
from explainers.network.rectifiers.in_place import is_view_change, reading_of_view_change
from explainers.network.rectifiers.nodes import reading
from explainers.network.rectifiers.written_out import written_out


@dataclass
class Rectifiers:
    """The rectifier nodes of a graph.

    strict: a ReLU in any spelling; smooth: GELU and its like; opaque: nodes that hide a rectifier or could; shifted:
    nodes that bend elsewhere than at zero.
    """

    strict: list[Any] = field(default_factory=list)
    smooth: list[Any] = field(default_factory=list)
    opaque: list[Any] = field(default_factory=list)
    shifted: list[Any] = field(default_factory=list)

    @staticmethod
    def counts(nodes: list[Any]) -> str:
        """Such as "17 Relu, 2 Hardtanh"."""
        names = Counter(kind_of(node) for node in nodes)
        return ", ".join(f"{count} {name}" for name, count in names.most_common())


def find_rectifiers(scores: Tensor, image: Tensor | None = None, cuts: Cuts | None = None) -> Rectifiers:
    """All rectifier nodes between the scores and the image (None: and all leaves of their graph).

    Args:
        cuts: that has watched the forward pass; without it what goes by the image without a gradient is seen by masks
            of two values alone.
    """
    found = Rectifiers()
    nodes = from_image(scores.grad_fn, image) if scores.grad_fn is not None else []
    seen_cut, ranked = ([], []) if cuts is None else (cuts.nodes(), cuts.ranked())
    closed = set(written_out(nodes, ranked)).union(set(nodes).intersection(seen_cut))
    if not closed and not any(reading(node) == "opaque" for node in nodes):
        closed.update(alone(nodes))
    lists = {"strict": found.strict, "smooth": found.smooth, "opaque": found.opaque, "shifted": found.shifted}
    for node in reversed(nodes):
        seen = reading_of_view_change(node) if is_view_change(node) else reading(node)
        if node in closed:
            seen = "opaque"
        if seen:
            lists[seen].append(node)
    return found
