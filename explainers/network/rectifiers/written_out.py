"""Units that several nodes make together: a product, a choice or a bent sum of a tensor and a function of it.

From each node a chain leads back through everything that works on each value alone. Where two branches of one node
have a tensor in common there, the node makes a function of each of its values, such as x · sigmoid(x) or
max(x, x / 10), and not a gate that sees other positions, a residual sum or a maximum over branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from explainers.network.rectifiers.graph import Edge, kind_of, positive, saved, shape_of
from explainers.network.rectifiers.in_place import is_view_change
from explainers.network.rectifiers.nodes import CHOICES, STRICT, reading

VIEWS = frozenset(
    ("View", "UnsafeView", "ReshapeAlias", "Transpose", "Permute", "T", "Expand", "Squeeze", "Unsqueeze", "Alias",
     "AsStrided")
)  # fmt: skip
AFFINE = VIEWS | {"Add", "Sub", "Rsub", "Neg", "Clone", "ToCopy", "Copy", "Div", "Mul", "Addcmul"}
SUMS = frozenset(("Add", "Sub", "Rsub"))
# A value of the output depends on several of the input; whatever else keeps the shape is taken to be a bent function.
MIXING = (
    "Convolution", "Mkldnn", "Cudnn", "Miopen", "Slow", "Thnn", "Addmm", "Mm", "Bmm", "Baddbmm", "Addbmm", "Addmv",
    "Mv", "Dot", "Linear", "Native", "RmsNorm", "FusedRmsNorm", "Softmax", "LogSoftmax", "SafeSoftmax", "Cum",
    "Logcumsumexp", "Flip", "Roll", "Upsample", "Mean", "Sum", "Prod", "Var", "Std", "Norm", "LinalgVectorNorm",
    "ScaledDotProduct", "Fft", "Grid", "Im2Col", "Col2Im", "Unfold", "Index", "Gather", "Slice", "Select", "Split",
    "Unbind", "Cat", "Stack", "Repeat", "Diag", "Tril", "Triu", "Rot90", "Embedding", "EfficientAttention",
    "FlashAttention", "Constant", "Reflection", "Replication", "Max", "Min", "Amax", "Amin", "Sort", "Topk",
    "Median", "Kthvalue", "AdaptiveAvg", "AdaptiveMax", "Avg", "AccumulateGrad", "Glu", "PixelShuffle",
    "PixelUnshuffle", "ChannelShuffle", "CopySlices", "NarrowCopy", "Trilinear", "Cdist", "Renorm",
)  # fmt: skip
REDUCTIONS = frozenset(
    ("Max", "Min", "Amax", "Amin", "Median", "Nanmedian", "Sort", "Topk", "Kthvalue", "Logsumexp", "Mode", "Aminmax",
     "Cummax", "Cummin")
)  # fmt: skip
POOLS = ("MaxPool", "AdaptiveMaxPool", "FractionalMaxPool")
LOGARITHMS, EXPONENTIALS = ("Log", "Log1P", "Log2", "Log10"), ("Exp", "Expm1", "Exp2", "Sigmoid", "Softplus")
RECTIFIES, BENDS = 1, 2  # of a chain: through a ReLU; through another function that is not affine

Chain = dict[Edge, int]  # what a value is a function of, the nearest first, and how bent the way there is


def written_out(nodes: Sequence[Any], ranked: Sequence[Any] = ()) -> list[Any]:
    """The nodes that close such a unit.

    Args:
        nodes: those that the image feeds, each behind those that it reads; ranked: those that choose for each value
            by a place in an order, as a maximum does.
    """
    fed, choices = set(nodes), set(ranked)
    chains: dict[Any, Chain] = {}
    found = []
    for node in nodes:
        edges = [(parent, index) for parent, index in node.next_functions if parent in fed]
        sides = [_of_edge(edge, chains) for edge in dict.fromkeys(edges)]
        chains[node] = _of_node(node, edges, sides)
        selects = node in choices or kind_of(node) in REDUCTIONS or kind_of(node).startswith(POOLS)
        if _closes(node, sides) or (selects and _selects(node, fed, chains)) or _inverts(node, sides):
            found.append(node)
    return found


def _of_edge(edge: Edge, chains: dict[Any, Chain]) -> Chain:
    node, index = edge
    return {edge: 0, **(chains.get(node, {}) if index == 0 else {})}


def _of_node(node: Any, edges: list[Edge], sides: list[Chain]) -> Chain:
    kind = kind_of(node)
    mixes = kind.startswith(MIXING) and kind not in CHOICES
    if not sides or mixes:
        return {}
    if kind not in VIEWS and len(sides) == 1 and shape_of(edges[0][0], edges[0][1]) != shape_of(node):
        return {} if kind not in AFFINE else sides[0]
    own = _bend(node, kind, edges)
    shared = [edge for edge in sides[0] if all(edge in side for side in sides[1:])]
    return {edge: max(own, *(side[edge] for side in sides)) for edge in shared}


def _bend(node: Any, kind: str, edges: list[Edge]) -> int:
    if kind in STRICT and reading(node) == "strict":
        return RECTIFIES
    squares = kind in ("Mul", "Div", "Addcmul") and len(edges) > 1
    inverse = kind == "Div" and node.next_functions[0][0] is not edges[0][0]
    return 0 if kind in AFFINE and not squares and not inverse else BENDS


def _closes(node: Any, sides: list[Chain]) -> bool:
    """Whether two branches of a node are functions of one tensor that make a bent one together."""
    kind = kind_of(node)
    if kind.startswith(MIXING) and kind not in CHOICES and not is_view_change(node):
        return False
    least = 0 if kind in CHOICES else BENDS if kind in SUMS else RECTIFIES
    return any(bend is not None and bend >= least for bend in map(_shared, combinations(sides, 2)))


def _shared(pair: tuple[Chain, Chain]) -> int | None:
    first, second = pair
    nearest = next((edge for edge in first if edge in second), None)
    return None if nearest is None else max(first[nearest], second[nearest])


def _selects(node: Any, fed: set[Any], chains: dict[Any, Chain]) -> bool:
    """A maximum or such over a stack of x with a constant, or with a function of x."""
    pools = kind_of(node).startswith(POOLS)
    below, steps = node.next_functions[0][0], 0
    while below is not None and kind_of(below) in VIEWS:
        below, steps = below.next_functions[0][0], steps + 1
    if below is None or kind_of(below) not in ("Stack", "Cat", "ConstantPadNd"):
        return False
    if kind_of(below) == "ConstantPadNd":
        return not pools  # of which that is a border
    if steps == 0 and not (_pools_along(node, below) if pools else _along(node, below)):
        return False
    parents = [edge for edge in below.next_functions if edge[0] in fed]
    if len(parents) < len(below.next_functions):
        return True
    pairs = combinations([_of_edge(edge, chains) for edge in parents], 2)
    return any(_shared(pair) is not None for pair in pairs)


def _along(reduction: Any, stack: Any) -> bool:
    """Whether the reduction goes over the dimension along which was stacked; True where that is not known."""
    over, along = saved(reduction, "dim")[0], saved(stack, "dim")[0]
    shape = shape_of(stack)
    if over is None or along is None or shape is None:
        return True
    every = over if isinstance(over, tuple) else (over,)
    return not every or positive(along, len(shape)) in {positive(dim, len(shape)) for dim in every}


def _pools_along(pool: Any, stack: Any) -> bool:
    """The same of a pooling, which goes over the last dimensions."""
    along, shape = saved(stack, "dim")[0], shape_of(stack)
    if along is None or shape is None:
        return True
    return positive(along, len(shape)) >= len(shape) - (3 if "3D" in kind_of(pool) else 2)


def _inverts(node: Any, sides: list[Chain]) -> bool:
    """log(1 + eˣ), and √(x²): what a function and nearly its inverse make is bent like a rectifier."""
    if len(sides) != 1:
        return False
    behind = [edge[0] for edge in sides[0]]
    if kind_of(node) in LOGARITHMS:
        return any(kind_of(other) in EXPONENTIALS and sides[0].get((other, 0)) is not None for other in behind[:-1])
    roots = kind_of(node) == "Sqrt" or (kind_of(node) == "Pow" and saved(node, "exponent")[0] == 0.5)
    return roots and any(_is_square(other) for other in behind[:-1])


def _is_square(node: Any) -> bool:
    if kind_of(node) == "Pow":
        return saved(node, "exponent")[0] == 2
    return kind_of(node) == "Mul" and len(node.next_functions) == 2 and len(set(node.next_functions)) == 1
