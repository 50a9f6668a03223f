"""Does a heat map lie on the object? Maps against masks and boxes.

`maps` are finite values (N, H, W). `masks` are bool (N, H, W), True on the object, and checked by the caller: on the
maps' device, of their shape, none empty. Boxes are (left, top, right, bottom) in pixels, both ends included. Results
are float64. A ranking puts the earlier pixel in reading order first among equals.
"""

from __future__ import annotations

import torch
from torch import Tensor

from explainers.core.maps import scaled
from explainers.errors import OptionError
from explainers.evaluation.measuring.ranking import ranked

OTSU_BINS = 256
KINDS_OF_ERROR = ("other", "insufficiently attended", "over-attended", "")


def binarised(maps: Tensor, threshold: str | float) -> Tensor:
    """The region that a map points out, as bool (N, H, W); empty where the map is constant.

    Args:
        threshold: "mean" (values above the map's mean), "otsu" (see `otsu`), or a number from 0 to 1 (values above it,
            of the map scaled to 0 … 1).

    Raises:
        OptionError: anything else.
    """
    if threshold == "mean":
        values = maps.double()
        # rounding may put the mean of a constant map below its value
        return values > torch.maximum(values.mean(dim=(-2, -1), keepdim=True), values.amin(dim=(-2, -1), keepdim=True))
    if threshold == "otsu":
        return scaled(maps.double()) >= otsu(maps)[:, None, None]
    if isinstance(threshold, (int, float)) and not isinstance(threshold, bool) and 0 <= threshold <= 1:
        return scaled(maps.double()) > threshold
    raise OptionError(f'threshold={threshold!r}; expected "mean", "otsu" or a number from 0 to 1')


def otsu(maps: Tensor) -> Tensor:
    """(N,): the value of the map scaled to 0 … 1 from which on a pixel is foreground, in a histogram of 256 bins.

    It is the upper edge of the background's last bin, so the two classes are those whose variance was compared; the
    middle of that bin, as scikit-image has it, would cut through a class.

    Source: Otsu 1979, eq. 18; of equally good thresholds the lowest.
    """
    counts = _histogram((scaled(maps.double()) * OTSU_BINS).long().clamp(max=OTSU_BINS - 1).flatten(1), OTSU_BINS)
    levels = torch.arange(OTSU_BINS, device=counts.device, dtype=counts.dtype)
    background, mass = counts.cumsum(dim=1), (counts * levels).cumsum(dim=1)
    pixels, total = background[:, -1:], mass[:, -1:]
    between = (total * background - mass * pixels) ** 2 / (background * (pixels - background)).clamp(min=1)
    return (between[:, :-1].argmax(dim=1) + 1).double() / OTSU_BINS


def iou(regions: Tensor, masks: Tensor) -> Tensor:
    """(N,): pixels in both over pixels in either, both bool (N, H, W); NaN where there are none in either."""
    return (regions & masks).sum(dim=(-2, -1)).double() / (regions | masks).sum(dim=(-2, -1))


def iou_curve(maps: Tensor, masks: Tensor, thresholds: Tensor) -> Tensor:
    """(N, T): IoU of the mask and the map scaled to 0 … 1 where it is above each threshold (T,), in their order.

    Cost: one histogram for all thresholds; no region is made.
    """
    values = scaled(maps.double())
    ordered, order = thresholds.to(values).sort()
    passed = torch.bucketize(values, ordered)  # how many thresholds a value is strictly above
    inside, outside = _inside_and_outside(passed, masks, len(ordered) + 1).unbind(dim=1)
    hit, missed = _from_the_top(inside)[:, 1:], _from_the_top(outside)[:, 1:]
    curve = hit / (masks.sum(dim=(-2, -1))[:, None] + missed)
    return curve[:, order.argsort()]


def pointing_game(maps: Tensor, masks: Tensor, tolerance: float = 15) -> Tensor:
    """(N,): 1 where the map's largest value lies in the mask or closer to it than `tolerance` pixels, otherwise 0.

    Raises:
        OptionError: a negative tolerance.

    Source: Zhang et al. 2016; the tolerance, as a distance strictly below 15 pixels, as in TorchRay.
    """
    if not tolerance >= 0:
        raise OptionError(f"tolerance={tolerance!r}; expected a distance in pixels, 0 or more")
    height, width = maps.shape[-2:]
    place = maps.flatten(1).argmax(dim=1)[:, None]
    down = torch.arange(height, device=maps.device) - place // width
    across = torch.arange(width, device=maps.device) - place % width
    squares = (down**2)[:, :, None] + (across**2)[:, None, :]
    nearest = squares.masked_fill(~masks, height**2 + width**2).amin(dim=(-2, -1))
    return ((nearest == 0) | (nearest.double() < tolerance**2)).double()


def energy_pointing_game(maps: Tensor, masks: Tensor) -> Tensor:
    """(N,): share of the map's positive mass that lies in the mask, 0 … 1; NaN where nothing is positive.

    Source: Wang et al. 2020 (Score-CAM), section 4.3; negative values would let the share leave 0 … 1.
    """
    mass = maps.double().clamp(min=0)
    return (mass * masks).sum(dim=(-2, -1)) / mass.sum(dim=(-2, -1))


def relevance_rank(maps: Tensor, masks: Tensor) -> Tensor:
    """(N,): share of the K most important pixels that lie in the mask of K pixels, 0 … 1.

    Source: Arras et al. 2022, relevance rank accuracy.
    """
    found = masks.flatten(1).gather(1, ranked(maps.flatten(1))).cumsum(dim=1)
    size = found[:, -1:]
    return (found.gather(1, size - 1) / size.double())[:, 0]


def precision_recall_counts(maps: Tensor, masks: Tensor, bins: int = 1000) -> Tensor:
    """(N, 2, bins + 1): pixels inside and outside of the mask by floor(bins · value) of the map scaled to 0 … 1.

    Sums over images are the counts of a data set, which is how PxAP pools them.
    """
    return _inside_and_outside((scaled(maps.double()) * bins).long(), masks, bins + 1)


def average_precision(counts: Tensor) -> Tensor:
    """Σ_i (R_i - R_{i-1}) P_i over descending thresholds, from the counts (…, 2, bins + 1) above to (…), 0 … 1.

    Source: Choe et al. 2020, PxAP.
    """
    found = _from_the_top(counts)
    hit = found[..., 0, :]
    precision = hit / found.sum(dim=-2).clamp(min=1)  # no pixel reaches the highest bins, which add no recall either
    return (precision * counts[..., 0, :]).sum(dim=-1) / hit[..., 0]


def mask_boxes(masks: Tensor) -> Tensor:
    """(N, 4): the tight box of each mask."""
    sides = []
    for occupied in (masks.any(dim=-2).int(), masks.any(dim=-1).int()):
        sides.append((occupied.argmax(dim=-1), occupied.shape[-1] - 1 - occupied.flip(-1).argmax(dim=-1)))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], dim=-1)


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boxes (…, 4) with boxes (…, 4) to (…), in whole pixels: a box of one pixel has the area 1."""
    overlap = torch.cat([torch.maximum(first, second)[..., :2], torch.minimum(first, second)[..., 2:]], dim=-1)
    common = _area(overlap)
    return common / (_area(first) + _area(second) - common)


def component_boxes(region: Tensor) -> Tensor:
    """(B, 4): the boxes of the 8-connected components of a bool region (H, W), the one of most pixels first.

    Of components of one size, the box that begins further up comes first, then the one further to the left.
    """
    from explainers.data.images.files import opencv

    pixels = region.to(device="cpu", dtype=torch.uint8).numpy()
    statistics = torch.from_numpy(opencv().connectedComponentsWithStats(pixels, connectivity=8)[2]).long()
    left, top, width, height, size = statistics[1:].unbind(dim=1)  # the first is the background
    boxes = torch.stack([left, top, left + width - 1, top + height - 1], dim=1)
    first = (top * region.shape[1] + left).argsort(stable=True)
    return boxes[first[size[first].argsort(descending=True, stable=True)]].to(region.device)


def best_box_iou(maps: Tensor, masks: Tensor, thresholds: Tensor, multiple: bool = False) -> Tensor:
    """(N, T): IoU of the mask's tight box and the map's box at each threshold; 0 where no value reaches it.

    Args:
        thresholds: (T,), the map's region being its values, scaled to 0 … 1, of at least each.
        multiple: the best box of all components, instead of the box of the largest.

    Cost: a search for components on the CPU for each image and threshold.

    Source: Choe et al. 2020, MaxBoxAcc and MaxBoxAccV2, which compare it with 0.5 (or 0.3, 0.5 and 0.7); they cut the
    map in 256 steps and take the largest contour by its area, here the map is as it is and the pixels are counted.
    """
    values, levels = scaled(maps.double()).cpu(), thresholds.double().tolist()
    found = torch.zeros(len(maps), len(levels), dtype=torch.float64)
    for row, (value, box) in enumerate(zip(values, mask_boxes(masks).cpu(), strict=True)):
        for column, level in enumerate(levels):
            boxes = component_boxes(value >= level)
            if len(boxes):
                found[row, column] = box_iou(boxes if multiple else boxes[:1], box).max()
    return found.to(maps.device)


def attention_errors(maps: Tensor, masks: Tensor, threshold: str | float = "mean") -> list[str]:
    """How each map misses the object, by the recall and the precision of its region (see `binarised`).

    Returns:
        "over-attended" (recall ≥ 0.5 > precision: the object and much beyond it), "insufficiently attended"
        (precision ≥ 0.5 > recall: on the object, but missing most of it), "other" (both below; so is an empty region),
        or "" (both 0.5 or more).
    """
    regions = binarised(maps, threshold)
    common = (regions & masks).sum(dim=(-2, -1))
    covers = 2 * common >= masks.sum(dim=(-2, -1))
    precise = (2 * common >= regions.sum(dim=(-2, -1))) & (common > 0)
    return [KINDS_OF_ERROR[kind] for kind in (2 * covers.int() + precise.int()).tolist()]


def _histogram(bins: Tensor, count: int) -> Tensor:
    """(N, count) float64: how often each bin occurs in a row of (N, n)."""
    rows = torch.arange(len(bins), device=bins.device)[:, None] * count
    return torch.bincount((rows + bins).flatten(), minlength=len(bins) * count).view(-1, count).double()


def _inside_and_outside(bins: Tensor, masks: Tensor, count: int) -> Tensor:
    """(N, 2, count): the histograms of the bins (N, H, W) of the mask's pixels and of the others."""
    return _histogram((bins + count * ~masks).flatten(1), 2 * count).view(-1, 2, count)


def _from_the_top(counts: Tensor) -> Tensor:
    """Each bin's count and those of all bins above it."""
    return counts.flip(-1).cumsum(dim=-1).flip(-1)


def _area(boxes: Tensor) -> Tensor:
    """(…) float64 pixels of boxes (…, 4); 0 where right is left of left."""
    return (boxes[..., 2:] - boxes[..., :2] + 1).clamp(min=0).double().prod(dim=-1)
