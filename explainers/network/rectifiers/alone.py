"""Units that are made through nodes which see several values, and are functions of each value alone all the same.

Such as x · softmax([x, 0])[0] or a GLU of [x, x]. What a gate is and what an activation written out is is decided
here, by what values of the output depend on: **where they meet again, a gate has seen other values than the one that
it multiplies, and a unit that one alone**. So squeeze and excitation, attention, and a GLU of two convolutions are
gates: their factor is another function of the image, and no rule of ReLUs concerns it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from explainers.network.rectifiers.graph import kind_of, saved, shape_of
from explainers.network.rectifiers.in_place import is_view_change
from explainers.network.rectifiers.spread import (
    ELEMENTWISE,
    PASSED,
    POOLS,
    REDUCTIONS,
    SOFTMAXES,
    UNIVARIATE,
    Given,
    spread,
)
from explainers.network.rectifiers.written_out import EXPONENTIALS, LOGARITHMS

# Linear, or a norm over values: what they make alone is no rectifier. Beginnings of names.
LINEAR = (
    "Add", "Sub", "Rsub", "Neg", "Clone", "ToCopy", "Copy", "Lift", "Alias", "View", "UnsafeView", "ReshapeAlias",
    "ReshapeCopy", "Transpose", "Permute", "T", "Expand", "Squeeze", "Unsqueeze", "AsStrided", "Slice", "Select",
    "Split", "SplitWithSizes", "UnsafeSplit", "UnsafeSplitWithSizes", "Unbind", "Chunk", "NarrowCopy", "Cat", "Stack",
    "Repeat", "RepeatInterleave", "Flip", "Roll", "Rot90", "DiagEmbed", "Tril", "Triu", "Sum",
    "Mean", "Nansum", "Cumsum", "IndexSelect", "IndexAdd", "UnsafeIndex", "Embedding",
    "ConstantPadNd", "PixelShuffle", "PixelUnshuffle", "ChannelShuffle", "Im2Col", "Col2Im", "Unfold", "Real", "Imag",
    "Conj", "ConjPhysical", "Complex", "AccumulateGrad", "GroupedMm", "NativeDropout", "FusedDropout", "SelectScatter",
    "SliceScatter", "DiagonalScatter", "AsStridedScatter", "Values", "PinMemory", "SparseMask", "SparseSum",
    "Coalesce", "Deg2Rad", "Rad2Deg", "AffineGridGenerator", "Round", "Contiguous", "WeightNormInterface",
)  # fmt: skip
MIXING = (
    "Convolution", "Mkldnn", "Cudnn", "Miopen", "Mps", "Slow", "Thnn", "Nnpack", "Conv", "Native", "BatchNorm",
    "FusedRmsNorm", "Upsample", "AvgPool", "AdaptiveAvgPool", "ReflectionPad", "ReplicationPad", "GridSampler", "Fft",
    "ViewAs", "To", "Nested", "FakeQuantize", "Renorm", "MaxUnpool", "Foreach", "Ctc", "Lstm", "EmbeddingBag",
    "Generated",
)  # fmt: skip
PRODUCTS_OF_TWO = frozenset(
    ("Mm", "Bmm", "Baddbmm", "Addmm", "Addbmm", "Addmv", "Addr", "Mv", "Dot", "Vdot", "Linear", "Matmul", "Trilinear")
)
WEIGHTED = ("Convolution", "Addmm", "Mm", "Linear", "Mkldnn", "Cudnn", "Slow", "ConvDepthwise", "Upsample", "Native")
FLATTENED = frozenset((*EXPONENTIALS, "Tanh", "Erf", "Erfc", "Cosh", "Sinh", "LinalgMatrixExp", *SOFTMAXES))
# What is a unit only behind one of others: the inverse of a function that flattens, a root of a square, a diagonal
# of all products of two.
BEHIND: dict[str, frozenset[str]] = {
    **dict.fromkeys((*LOGARITHMS, "Asinh", "Acosh", "Logit"), FLATTENED),
    **dict.fromkeys(("Sqrt", "Rsqrt", "Pow"), frozenset(("Pow", "Mul", "Var", "Cosh"))),
    **dict.fromkeys(("Diagonal", "Trace", "Index", "Gather", "Take"), PRODUCTS_OF_TWO | {"Mul"}),
}
NOISE = 1e-7
MOST, STEPS = 16, 400  # values that one may depend on before it is seen to mix; nodes gone through for that
TRIES, ENOUGH = 16, 4  # values of an output that are looked at, until so many depend on something


def alone(nodes: Sequence[Any]) -> list[Any]:
    """The nodes that close a unit of each value alone.

    Args:
        nodes: those that the image feeds, each behind those that it reads.
    """
    place = {node: index for index, node in enumerate(nodes)}
    with torch.no_grad():
        return [node for node in nodes if _may_close(node, place) and _is_alone(node, place)]


def _may_close(node: Any, place: dict[Any, int]) -> bool:
    kind = kind_of(node)
    fed = {edge for edge in node.next_functions if edge[0] in place}
    if not fed or is_view_change(node):
        return False
    if kind in BEHIND or _is_complex(node):
        return True
    if kind in ELEMENTWISE or kind in PRODUCTS_OF_TWO or kind.startswith("Convolution"):
        return len(fed) > 1 and _factors(node, kind, place) > 1
    if kind == "NanToNum":
        value = saved(node, "self")[0]
        return not isinstance(value, Tensor) or not bool(value.isfinite().all())
    return not (kind in LINEAR or kind in PASSED or kind in ("Softmax", "SafeSoftmax") or kind.startswith(MIXING))


def _factors(node: Any, kind: str, place: dict[Any, int]) -> int:
    """How many of those that are multiplied the image feeds; what is added to a product is none."""
    edges = node.next_functions
    if kind.startswith(("Add", "Badd")):
        edges = edges[1:3]
    elif kind.startswith("Convolution"):
        edges = edges[:2]
    return sum(parent in place for parent, _ in edges)


def _is_alone(node: Any, place: dict[Any, int]) -> bool:
    """Whether those values of one of its outputs that are tried depend on one value alone somewhere before."""
    return any(
        _is_output_alone(node, output, described, place) for output, described in enumerate(node._input_metadata)
    )


def _is_output_alone(node: Any, output: int, described: Any, place: dict[Any, int]) -> bool:
    shape = shape_of(node, output)
    if shape is None or not (described.dtype.is_floating_point or described.dtype.is_complex):
        return False
    found = 0
    for part in range(TRIES):
        given = torch.zeros(shape, dtype=described.dtype, device=described.device)
        given.view(-1)[int((0.137 + part * 0.6180339887) % 1 * given.numel())] = 1
        try:
            depends = _on_one_value(node, {output: given}, place)
        except (RuntimeError, TypeError, AttributeError, NotImplementedError, IndexError):
            return False
        if depends is False:
            return False
        found += depends is True
        if found == ENOUGH:
            break
    return found > 0


def _on_one_value(node: Any, given: Given, place: dict[Any, int]) -> bool | None:
    """Whether `given` comes from one value alone, where all ways meet again; None where it comes from nothing."""
    kind = kind_of(node)
    waiting: dict[Any, Given] = {}
    order: list[int] = []
    sent = _send(node, given, waiting, order, place)
    if not order or (sent == 1 and (kind in REDUCTIONS or kind.startswith(POOLS))):
        return None  # or a window of one value
    every, passed = list(place), set[str]()
    behind = None if _is_complex(node) else BEHIND.get(kind)
    for _ in range(STEPS):
        if not order:
            return False
        current = every[-heapq.heappop(order)]
        outputs = waiting.pop(current)
        met = not waiting and sum(map(_count, outputs.values())) == 1
        if met and (behind is None or not passed.isdisjoint(behind)):
            return behind is None or _is_root(node)
        passed.add(kind_of(current))
        if _send(current, outputs, waiting, order, place) > MOST and kind_of(current).startswith(WEIGHTED):
            return False
    return False


def _is_complex(node: Any) -> bool:
    """Whether it bends complex values, as the root of negative ones."""
    return kind_of(node) in UNIVARIATE and node._input_metadata[0].dtype.is_complex


def _is_root(node: Any) -> bool:
    """Of a power, whether its exponent is between 0 and 1; of other nodes True."""
    exponent = saved(node, "exponent")[0] if kind_of(node) == "Pow" else 0.5
    return isinstance(exponent, float) and abs(exponent) < 1


def _send(node: Any, given: Given, waiting: dict[Any, Given], order: list[int], place: dict[Any, int]) -> int:
    """Hands what arrives at the edges of a node to the nodes there; how many values it sent at most."""
    most = 0
    for (parent, output), value in zip(node.next_functions, spread(node, given), strict=False):
        if parent not in place or not isinstance(value, Tensor):
            continue
        count = _count(value)
        if count == 0:
            continue
        most = max(most, count)
        if parent not in waiting:
            waiting[parent] = {}
            heapq.heappush(order, -place[parent])
        before = waiting[parent].get(output)
        waiting[parent][output] = value if before is None else before + value
    return most


def _count(value: Tensor) -> int:
    sizes = value.abs()
    return int((sizes > NOISE * sizes.max()).sum()) if value.numel() else 0
