"""RISE: the mean of random masks, each weighed by what the network says of the image behind it."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from explainers.core.explainer import Explained
from explainers.core.perturbation_explainer import PerturbationExplainer
from explainers.core.registry import register
from explainers.errors import OptionError
from explainers.methods.perturbation.region import Region, Roi, placed, region_of, sides
from explainers.methods.perturbation.rise_masks import Block, MaskShape, block_length, digest_of, draw_block
from explainers.network.output import Output
from explainers.passes.activation import Reading
from explainers.passes.substrate import substrate_of

DESIGNS = ("balanced", "paper")
MASKS = 4000  # per image, in the paper
LEAST_BLOCKS = 4  # before `tolerance` may end a run
CLASSES = 4  # enlarged at a time, where there are many: what a cache holds


@dataclass(frozen=True)
class RiseEstimate:
    """A running estimate. image: its row in the batch; maps: (K, *axes); masks: how many it is made of."""

    image: int
    maps: Tensor
    masks: int


@register
class RISE(PerturbationExplainer):
    """Σ_i S_c(x ⊙ M_i) M_i / (N p) over random masks M: grids of cells on with probability p, enlarged and shifted.

    The default design has the expectation of the paper's estimator with a fraction of its masks: blocks in which every
    cell is on equally often and (at p = 0.5) uncorrelated with every other, each mask beside its complement, all under
    one shift, and the shifts of successive blocks spread evenly. All target classes share one set of passes.

    Args:
        masks: how many, per image; the most, where `tolerance` is given. None: the paper's 4,000, or the whole blocks
            in them that the balanced design takes (of 128 with grid 7: 3,968). Other numbers it makes up to whole
            blocks, 200 to 256, with a warning: a begun block would add error. Fewer than a block are taken as they are,
            without a standard error. `details` say how many were used.
        grid: cells a side, or (rows, columns), (slices, rows, columns) of a volume: one slice of cells hides all depths
            alike; p: share of cells that stay.
        design: "balanced" or "paper" (independent masks, as published).
        substrate: what masked pixels become: "zero" (after normalisation, the paper's), "mean", "blur", or an image.
        tolerance: stop when the correlation of the map with its limit is estimated at 1 - tolerance or more, from the
            agreement of two halves of the masks; the smallest over the target classes counts.
        roi: (start, stop) of each axis: this region alone is masked, as if it were the image; the map is 0 outside.
        seed: of the masks; share_masks: the same masks for all images, or for each image its own, by its content.
        watch: called with a RiseEstimate after each block of masks.

    Cost: `masks` forward passes per image, and memory for one batch.

    >>> maps = RISE(model, masks=2000, precision="auto")(images)  # doctest: +SKIP

    Source: Petsiuk et al. 2018, equation 6; `explain` adds the standard error of each pixel, from the spread of blocks.
    """

    name = "rise"
    reference = "Petsiuk et al. 2018"

    def __init__(
        self,
        model: Any,
        *,
        output: Output | None = None,
        activation: str | None = "auto",
        masks: int | None = None,
        grid: int | tuple[int, ...] = 7,
        p: float = 0.5,
        design: str = "balanced",
        substrate: str | Tensor = "zero",
        tolerance: float | None = None,
        roi: Roi | None = None,
        seed: int = 0,
        share_masks: bool = True,
        watch: Callable[[RiseEstimate], object] | None = None,
        **passes: Any,
    ) -> None:
        super().__init__(model, output=output, activation=activation, **passes)
        fewest = min((grid,) if isinstance(grid, int) else grid, default=0)
        if isinstance(masks, bool) or (masks is not None and masks < 1) or fewest < 1:
            raise OptionError(f"masks={masks}, grid={grid}: expected at least one mask and one cell a side")
        if not 0 < p < 1:
            raise OptionError(f"p={p}; expected a share of cells between 0 and 1")
        if design not in DESIGNS:
            raise OptionError(f"design={design!r}; expected 'balanced' or 'paper'")
        if tolerance is not None and not 0 < tolerance < 1:
            raise OptionError(f"tolerance={tolerance}; expected a number between 0 and 1, such as 0.02")
        self.grid, self.p, self.design, self.substrate = grid, p, design, substrate
        self.tolerance, self.roi, self.seed, self.share_masks, self.watch = tolerance, roi, seed, share_masks, watch
        self.usual = masks is None
        sides_of_image = (grid, grid) if isinstance(grid, int) else tuple(grid)
        self.masks = self._usual(sides_of_image) if masks is None else masks
        self.planned = self._planned(sides_of_image)  # an image's, where the grid is a number

    def _block(self, grid: tuple[int, ...]) -> int:
        return block_length(self.design, MaskShape(grid, grid), self.p)

    def _usual(self, grid: tuple[int, ...]) -> int:
        """The paper's number of masks, or the whole blocks in it."""
        length = self._block(grid) if self.design == "balanced" else 1
        return max(1, MASKS // length) * length

    def _planned(self, grid: tuple[int, ...]) -> int:
        """How many masks are made of those asked for: never fewer, and told where there are more."""
        length = self._block(grid)
        if self.design != "balanced" or self.masks <= length or self.masks % length == 0:
            return self.masks
        planned = math.ceil(self.masks / length) * length
        warnings.warn(
            f"rise makes {planned} masks of the {self.masks} asked for: its design takes whole blocks of {length}",
            stacklevel=4,
        )
        return planned

    def planned_for(self, shape: MaskShape) -> int:
        """The same for what has this shape."""
        if len(shape.size) == 2 or not isinstance(self.grid, int):
            return self.planned
        return self._usual(shape.grid) if self.usual else self._planned(shape.grid)

    def _shape(self, size: tuple[int, ...]) -> MaskShape:
        """Of masks of this size. Of a volume or signal a number of cells is at most one for each position."""
        grid = sides("grid", self.grid, (1,) * len(size))
        if isinstance(self.grid, int) and len(size) != 2:
            grid = tuple(map(min, grid, size))
        return MaskShape(grid, size)

    @classmethod
    def trial(cls, model: Any, images: Tensor, *, output: Output | None = None) -> None:
        """Two masks."""
        cls(model, output=output, masks=2)(images[:1])

    def compute(self, images: Tensor, targets: Any) -> Explained:
        """Maps and standard errors, image by image."""
        reading, classes = self.clean(images, targets)
        substrates = substrate_of(images, self.substrate)
        region = region_of(self.roi, images.shape[2:])
        shape = self._shape(tuple(span.stop - span.start for span in region))
        found = [
            self._explain(row, image, substrate, wanted, (region, shape), reading)
            for row, (image, substrate, wanted) in enumerate(zip(images, substrates, classes, strict=True))
        ]
        maps, errors, details = zip(*found, strict=True)
        return Explained(torch.stack(maps), torch.stack(errors), tuple(details))

    def _explain(
        self,
        row: int,
        image: Tensor,
        substrate: Tensor,
        classes: Tensor,
        masked: tuple[Region, MaskShape],
        reading: Reading,
    ) -> tuple[Tensor, Tensor, dict[str, Any]]:
        (region, shape), size = masked, image.shape[1:]
        estimate = _Estimate(self, shape, self.seed if self.share_masks else self.seed + digest_of(image))
        zero, whole = isinstance(self.substrate, str) and self.substrate == "zero", shape.size == tuple(size)
        inside = (slice(None), *region)
        seen, hidden = image[inside], substrate[inside]
        change = None if zero else seen - hidden

        def make(start: int, stop: int, buffer: Tensor) -> Tensor:
            masks = estimate.enlarged(start, stop, image)[:, None]
            out = buffer if whole else None
            mixed = torch.mul(seen, masks, out=out) if change is None else torch.addcmul(hidden, masks, change, out=out)
            if not whole:
                buffer[:] = image
                buffer[(slice(None), *inside)] = mixed
            return buffer

        def take(start: int, scores: Tensor) -> bool:
            completed = estimate.add(reading(scores)[:, classes])
            if completed and self.watch is not None:
                self.watch(RiseEstimate(row, placed(estimate.running().float(), region, size), estimate.used))
            return completed and estimate.settled()

        began, before = time.perf_counter(), self.predictor.passes
        self.predictor.run(estimate.planned, image[None], make, take)
        maps, errors = (placed(each, region, size) for each in estimate.maps())
        passes = self.predictor.passes - before
        details = {
            "masks": estimate.used,
            "passes_per_second": passes / (time.perf_counter() - began),
            "activation": str(reading),
        }
        return maps.to(image.device), errors.to(image.device), details


class _Estimate:
    """The masks of one image block by block, and the scores they have got.

    Scores are put to use when their block is complete, so that no sum depends on the size of the batches.
    """

    def __init__(self, rise: RISE, shape: MaskShape, seed: int) -> None:
        self.rise, self.shape, self.seed = rise, shape, seed
        self.length = block_length(rise.design, shape, rise.p)
        self.planned = rise.planned_for(shape)
        self.used = 0
        self._waiting: list[Tensor] = []
        self._done: list[Tensor] = []  # scores (n, K) of each block; the last one may be shorter
        self._halves: list[Tensor] = []  # sums over the complete blocks of even and of odd number
        self._blocks: dict[int, Block] = {}

    def block(self, index: int) -> Block:
        """A block by its number; the last two are kept."""
        if index not in self._blocks:
            self._blocks = {key: value for key, value in self._blocks.items() if key >= index - 1}
            self._blocks[index] = draw_block(self.rise.design, self.shape, self.rise.p, self.seed, index)
        return self._blocks[index]

    def enlarged(self, start: int, stop: int, like: Tensor) -> Tensor:
        """Masks start … stop - 1, (n, *axes)."""
        parts = []
        while start < stop:
            index, first = divmod(start, self.length)
            last = min(self.length, first + stop - start)
            parts.append(self.shape.enlarged(self.block(index)[first:last], like))
            start += last - first
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def add(self, scores: Tensor) -> bool:
        """Note the scores (n, K) of the next masks; whether they have completed a block."""
        self._waiting.append(scores.cpu())
        completed = False
        while (size := min(self.length, self.planned - self.used)) and sum(map(len, self._waiting)) >= size:
            joined = torch.cat(self._waiting)
            self._done.append(joined[:size])
            self._waiting = [joined[size:]]
            self.used += size
            completed = True
            if self.rise.tolerance is not None or self.rise.watch is not None:
                self._halve()
        return completed

    def maps(self) -> tuple[Tensor, Tensor]:
        """The estimate (K, *axes) and its standard error, NaN where there are no two complete blocks to compare."""
        count = self._done[0].shape[1]
        parts = [self._maps(slice(first, first + CLASSES)) for first in range(0, count, CLASSES)]
        maps, errors = zip(*parts, strict=True)
        return torch.cat(maps), torch.cat(errors)

    def running(self) -> Tensor:
        """The estimate (K, *axes) from the complete blocks."""
        complete = sum(len(scores) == self.length for scores in self._done)
        return sum(self._halves[1:], self._halves[0]) / (complete * self.length * self.rise.p)

    def settled(self) -> bool:
        """Whether two halves of the masks agree so well that more would hardly change the map."""
        if self.rise.tolerance is None or len(self._done) < LEAST_BLOCKS:
            return False
        first, second = (half.flatten(1) - half.flatten(1).mean(dim=1, keepdim=True) for half in self._halves)
        agreement = torch.cosine_similarity(first, second, dim=1).clamp(min=0)
        # Spearman and Brown: how far the whole agrees with another whole; its root, with the limit.
        limit = (2 * agreement / (1 + agreement)).sqrt()
        return bool((limit >= 1 - self.rise.tolerance).all())

    def _maps(self, classes: slice) -> tuple[Tensor, Tensor]:
        scores = [done[:, classes].double() for done in self._done]
        whole = [values for values in scores if len(values) == self.length]
        total = torch.zeros(scores[0].shape[1], *self.shape.size, dtype=torch.float64, device="cpu")
        mean, spread = torch.zeros_like(total), torch.zeros_like(total)
        for index, values in enumerate(scores):
            part = self.shape.spread(values, self.block(index)[: len(values)])
            total += part
            if len(values) < self.length:
                continue
            change = part - mean  # Welford's update: squares of large sums would cancel
            mean.add_(change, alpha=1 / (index + 1))
            spread.addcmul_(change, part.sub_(mean))
        maps = total / (self.used * self.rise.p)
        if len(whole) < 2:
            return maps.float(), torch.full_like(maps, math.nan).float()
        share = (self.length / self.used) ** 0.5 / (self.length * self.rise.p)  # of one block, to the mean of all
        return maps.float(), spread.div_(len(whole) - 1).sqrt_().mul_(share).float()

    def _halve(self) -> None:
        index = len(self._done) - 1
        if len(self._done[index]) < self.length:
            return
        part = self.shape.spread(self._done[index].double(), self.block(index))
        if len(self._halves) < 2:
            self._halves.append(part)
        else:
            self._halves[index % 2] += part
