"""What each operation of the autograd graph does to the dimensions of its operands."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from explainers.network.axes import moves
from explainers.network.axes.axis import (
    MOST_MOVED,
    OTHER,
    UNKNOWN,
    Axes,
    Dim,
    bordered,
    dim,
    image_axes,
    joined,
    resized,
    together,
    unknown,
)  # fmt: skip
from explainers.network.axes.frequencies import as_complex, as_real, frequencies
from explainers.network.axes.masked import picked, put_back
from explainers.network.axes.moves import Operands, Shape, index_of

MOST_OWN = 3  # positions that the padding of a small convolution may add at each end

Rule = Callable[[Any, Operands, Shape], Axes | None]


def elementwise(_: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Also norms, dropout, softmax: whatever gives its operand's shape back. Unknown where that is not so."""
    known = [axes for axes in operands if axes is not None]
    fitting = [axes for axes in known if _broadcasts(axes, shape)]
    if not known:
        return None
    return together(fitting, shape) if fitting else unknown(shape)


def first_operand(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Written into in place; cut-outs (`regions`) that are written into something new stay what they are."""
    if (back := put_back(node, operands, shape)) is not None:
        return back
    if operands and operands[0] is None and any(_cut_out(axes, len(shape)) for axes in operands[1:]):
        return regions(node, operands, shape)
    if operands and operands[0] is None and type(node).__name__ == "CopySlices":
        return moves.into_nothing(operands, shape)
    return elementwise(node, operands[:1], shape)


def normalised(node: Any, operands: Operands, shape: Shape, rank: int = 4) -> Axes | None:
    """Batch and group norms, which are defined on (N, C, …)."""
    axes = elementwise(node, operands[:1], shape)
    defined = _defined(shape, rank)
    nothing = axes is None or all(each.unknown or each.size == 1 for each in axes)
    return defined if nothing and defined is not None else axes


def convolved(node: Any, operands: Operands, shape: Shape, rank: int = 4) -> Axes | None:
    """(N, C, …), whose last dimensions are the operand's, resized; (N, C, h, w) where nothing is known of them."""
    defined, operand = _defined(shape, rank), operands[0]
    if operand is None:
        return defined
    strides = getattr(node, "_saved_stride", ())
    known = len(strides) == len(shape) - 2 and not getattr(node, "_saved_transposed", False)
    steps = strides if known else [None] * (len(shape) - 2)
    last = [_windowed(*each) for each in zip(operand[2:], shape[2:], steps, strict=True)]
    if defined is not None and all(each.unknown or each.size == 1 for each in last):
        last = list(defined[2:])
    return (operand[0], dim(OTHER, shape[1]), *last)


def _windowed(before: Dim, size: int, stride: int | None) -> Dim:
    """What windows in these steps leave: of a border as much less as they are larger than their own padding.

    They add one where that is far larger than they are; a few positions are not counted.
    """
    if stride is None or not before.parts:
        return resized(before, size)
    more = stride * size - before.size - (stride - 1)  # by as much is their own padding larger, at least
    if more / 2 > max(MOST_OWN, before.size * MOST_MOVED):
        return resized(bordered(before, more / 2, more / 2, before.size + more), size)
    part, less = before.parts[0], -more
    added = sum(max(0.0, each) for each in (part.ahead, part.behind))
    if len(before.parts) != 1 or not added:
        return resized(before, size)
    if less <= 0:
        return resized(before, size)
    cells = added * before.size / (1 + part.ahead + part.behind)
    left = max(0.0, 1 - less / cells) if cells > less + 1e-6 else 0.0
    ahead, behind = (each * left if each > 0 else each for each in (part.ahead, part.behind))
    return resized(replace(before, parts=(replace(part, ahead=ahead, behind=behind),)), size)


def pooled(node: Any, operands: Operands, shape: Shape, rank: int = 4) -> Axes | None:
    """Poolings and interpolations: as convolutions, but each channel for itself."""
    axes, operand = convolved(node, operands, shape, rank), operands[0]
    return axes if axes is None or operand is None else (operand[0], resized(operand[1], shape[1]), *axes[2:])


def reduced(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Means, sums, maxima over dimensions."""
    operand = operands[0]
    if operand is None or len(operand) == len(shape):
        return operand and tuple(
            each if each.size == size else dim(UNKNOWN, size) for each, size in zip(operand, shape, strict=True)
        )
    saved = getattr(node, "_saved_dim", None)
    if saved is None:
        return unknown(shape)
    gone = {index_of(place, len(operand)) for place in (saved if isinstance(saved, (tuple, list)) else (saved,))}
    left = tuple(each for place, each in enumerate(operand) if place not in gone)
    return left if len(left) == len(shape) else unknown(shape)


def multiplied(_: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Matrix products: rows of the first, columns of the second, which are channels where it is a weight."""
    first, second = operands[-2:]
    if first is None and second is None:
        return None
    rows = first[-2] if first is not None else dim(OTHER, shape[-2])
    columns = second[-1] if second is not None else dim(OTHER, shape[-1])
    batch = together([each[:1] for each in (first, second) if each is not None], shape[:1]) if len(shape) == 3 else ()
    return (*batch, rows, columns)


def mapped(_: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Linear layers."""
    return operands[0] and (*operands[0][:-1], dim(OTHER, shape[-1]))


def attended(_: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Fused attention, which has the positions of its queries: none where these are learned, as in DETR's decoder."""
    query, *others = operands[:3]
    if query is not None:
        return (*query[:-1], dim(OTHER, shape[-1]))
    known = next((axes for axes in others if axes is not None and len(axes) == len(shape)), None)
    if known is None:
        return None
    front = [each if each.size == size else dim(OTHER, size) for each, size in zip(known, shape[:-2], strict=False)]
    return (*front, dim(OTHER, shape[-2]), dim(OTHER, shape[-1]))


def patches(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """`F.unfold`: (N, C · kernel, positions)."""
    operand = operands[0]
    if operand is None or len(operand) != 4:
        return None if operand is None else unknown(shape)
    windows = zip(node._saved_kernel_size, node._saved_stride, node._saved_padding, node._saved_dilation, strict=True)
    grid = [
        resized(each, (each.size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
        for each, (kernel, stride, padding, dilation) in zip(operand[2:], windows, strict=True)
    ]
    return (operand[0], dim(OTHER, shape[1]), Dim(joined([part for each in grid for part in each.parts])))


def strips(node: Any, operands: Operands, shape: Shape) -> Axes | None:
    """`Tensor.unfold`: windows along one dimension, whose entries come last."""
    operand = operands[0]
    if operand is None:
        return None
    place = index_of(node._saved_dimension, len(operand))
    return (*operand[:place], resized(operand[place], shape[place]), *operand[place + 1 :], dim(OTHER, shape[-1]))


def transformed(_: Any, operands: Operands, shape: Shape) -> Axes | None:
    """What recurrent layers have read so far: of positions mixed, or not known."""
    return None if all(axes is None for axes in operands) else unknown(shape)


def regions(_: Any, operands: Operands, shape: Shape) -> Axes | None:
    """Cut-outs of boxes, whose rows are boxes and whose grids are each within its own."""
    return tuple(dim(OTHER, size) for size in shape)


def _cut_out(axes: Axes | None, count: int) -> bool:
    """Whether no dimension is any of the image's, nor the batch."""
    return axes is not None and len(axes) == count == 4 and all(each.size == 1 or _other(each) for each in axes)


def _other(each: Dim) -> bool:
    return all(part.axis == OTHER for part in each.parts)


def _broadcasts(axes: Axes, shape: Shape) -> bool:
    sizes = [1] * (len(shape) - len(axes)) + [each.size for each in axes]
    return len(axes) <= len(shape) and all(size in (1, wanted) for size, wanted in zip(sizes, shape, strict=True))


def _defined(shape: Shape, rank: int) -> Axes | None:
    return image_axes(shape) if len(shape) == rank else None


RULES: dict[str, Rule] = {
    **dict.fromkeys(("Convolution", "SlowConv2D", "ConvDepthwise2D", "CudnnConvolution", "MkldnnConvolution"),
                    convolved),
    **dict.fromkeys(("SlowConv3D", "SlowConvDilated3D", "ConvDepthwise3D"), convolved),
    **dict.fromkeys(("MaxPool2DWithIndices", "AvgPool2D", "AdaptiveAvgPool2D", "AdaptiveMaxPool2D",
                     "FractionalMaxPool2D", "PixelShuffle", "PixelUnshuffle"), pooled),
    **dict.fromkeys(("MaxPool3DWithIndices", "AvgPool3D", "AdaptiveAvgPool3D", "AdaptiveMaxPool3D",
                     "FractionalMaxPool3D"), pooled),
    **dict.fromkeys(("NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm", "NativeGroupNorm"), normalised),
    **dict.fromkeys(("Mean", "Sum", "Amax", "Amin", "Max", "Min", "Std", "Var", "Prod", "Logsumexp", "Median",
                     "LinalgVectorNorm", "Norm"), reduced),
    **dict.fromkeys(("Mm", "Bmm", "Addmm", "Baddbmm"), multiplied),
    "Linear": mapped,
    **dict.fromkeys(("ScaledDotProductFlashAttentionForCpu", "ScaledDotProductFlashAttention",
                     "ScaledDotProductEfficientAttention", "ScaledDotProductCudnnAttention"), attended),
    **dict.fromkeys(("FftC2C", "FftR2C", "FftC2R"), frequencies),
    **dict.fromkeys(("MkldnnRnnLayer", "CudnnRnn"), transformed),
    **dict.fromkeys(("GridSampler2D", "GridSampler3D"), moves.warped),
    "ViewAsReal": as_real, "ViewAsComplex": as_complex,
    **dict.fromkeys(("CopySlices", "IndexPut", "SliceScatter", "SelectScatter", "Scatter", "ScatterAdd", "IndexAdd",
                     "IndexCopy", "IndexFill", "MaskedScatter"), first_operand),
    **dict.fromkeys(("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze"), moves.rearranged),
    **dict.fromkeys(("Transpose", "T"), moves.transposed),
    **dict.fromkeys(("Split", "SplitWithSizes"), moves.split),
    **dict.fromkeys(("Select", "Unbind"), moves.selected),
    **dict.fromkeys(("Sort", "Topk", "IndexSelect", "Gather", "Take", "Diagonal", "Rot90"), moves.shuffled),
    **dict.fromkeys(("Index", "MaskedSelect"), picked),
    "AsStrided": moves.strided, "Permute": moves.permuted, "Slice": moves.sliced, "Cat": moves.concatenated,
    "Stack": moves.stacked, "Flip": moves.flipped, "Roll": moves.rolled, "ConstantPadNd": moves.padded,
    "Repeat": moves.repeated, "Im2Col": patches, "Unfold": strips,
}  # fmt: skip


DEFINING = (convolved, pooled, normalised)  # say what their result is where nothing is known of what they read
REGIONS = re.compile("roi_?(align|pool)", re.IGNORECASE)  # torchvision's, however it names them


def rule_of(node: Any, rank: int = 4) -> Rule:
    """What the node does to dimensions; element by element where it is not one of the above.

    rank: how many dimensions the network's input has, which what is (N, C, …) by definition has as well.
    """
    name = type(node).__name__.partition("Backward")[0]
    if REGIONS.search(type(node).__name__):
        return regions
    if name.startswith(("ReflectionPad", "ReplicationPad")):
        return moves.framed
    rule = pooled if name.startswith("Upsample") else RULES.get(name, elementwise)
    return partial(rule, rank=rank) if rule in DEFINING else rule
