"""The random masks of RISE: coarse grids and shifts drawn on the CPU from a seed, enlarged on the device in batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

PAIR = (0.7548776662466927, 0.5698402909980532)  # 1/ρ and 1/ρ² of the plastic number: steps that fill a square evenly


@dataclass(frozen=True)
class Block:
    """Masks that belong together: grids (n, h, w) of 0 and 1, shifts (n, 2) in pixels, one for all where `still`."""

    grids: Tensor
    shifts: Tensor
    still: bool

    def __len__(self) -> int:
        return len(self.grids)

    def __getitem__(self, rows: slice) -> Block:
        return Block(self.grids[rows], self.shifts[rows], self.still)


@dataclass(frozen=True)
class MaskShape:
    """A grid of h × w cells enlarged to (h + 1) × (w + 1) cells of pixels, of which an image is cut out at a shift.

    grid: (h, w); size: (H, W) of the image.
    """

    grid: tuple[int, int]
    size: tuple[int, int]

    @property
    def cell(self) -> tuple[int, int]:
        """(height, width) of a cell in pixels, which is also how many shifts there are."""
        return math.ceil(self.size[0] / self.grid[0]), math.ceil(self.size[1] / self.grid[1])

    def weights(self, shifts: Tensor, axis: int) -> Tensor:
        """(n, pixels, cells) float64: how much each row (axis 0) or column (axis 1) of a grid adds to each pixel.

        Bilinear enlargement is separable, so that a mask is rows @ grid @ columnsᵀ, and a shift moves where it is read.
        """
        cells, pixels, cell = self.grid[axis], self.size[axis], self.cell[axis]
        places = torch.arange(pixels, device="cpu")[None] + shifts[:, axis, None] + 0.5
        places = (places.double() * (cells / ((cells + 1) * cell)) - 0.5).clamp(0, cells - 1)
        lower = places.floor().clamp(max=max(cells - 2, 0))
        fraction = (places - lower)[..., None]
        weights = torch.zeros(len(shifts), pixels, cells, dtype=torch.float64, device="cpu")
        weights.scatter_(2, lower.long()[..., None], 1 - fraction)
        if cells > 1:
            weights.scatter_(2, lower.long()[..., None] + 1, fraction)
        return weights

    def enlarged(self, block: Block, like: Tensor) -> Tensor:
        """(n, H, W) masks between 0 and 1 of the grids of a block, on the device and in the type of `like`."""
        shifts = block.shifts[:1] if block.still else block.shifts
        rows, columns = self.weights(shifts, 0).to(like), self.weights(shifts, 1).to(like)
        return rows @ block.grids.to(like) @ columns.transpose(1, 2)

    def spread(self, values: Tensor, block: Block) -> Tensor:
        """(K, H, W): the sum over the masks of a block, each weighed by its value (n, K), in float64.

        Masks of one shift are summed as grids and enlarged once, which costs next to nothing.
        """
        grids = block.grids.to(values)
        if block.still:
            summed = torch.einsum("nk,nij->kij", values, grids)
            rows, columns = self.weights(block.shifts[:1], 0)[0], self.weights(block.shifts[:1], 1)[0]
            return rows.to(values) @ summed @ columns.T.to(values)
        rows, columns = self.weights(block.shifts, 0).to(values), self.weights(block.shifts, 1).to(values)
        across = grids @ columns.transpose(1, 2)  # (n, h, W)
        tall = rows.permute(1, 0, 2).flatten(1)  # (H, n·h)
        return torch.stack([tall @ (across * value[:, None, None]).flatten(0, 1) for value in values.unbind(1)])


def block_length(design: str, shape: MaskShape, p: float) -> int:
    """How many masks make a block."""
    if design == "paper" or p != 0.5:
        return 64
    return 2 * len(_hadamard(shape.grid[0] * shape.grid[1] + 1))


def draw_block(design: str, shape: MaskShape, p: float, seed: int, index: int) -> Block:
    """Block number `index` of a sequence of masks; each grid on its own is Bernoulli(p), whatever the design.

    Args:
        design: "paper" (independent grids and shifts) or "balanced" (every cell equally often on, cells uncorrelated
            where p is 0.5, one shift per block, and the shifts of successive blocks spread evenly).
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + index + 1)
    length, cells = block_length(design, shape, p), shape.grid[0] * shape.grid[1]
    if design == "paper":
        grids = torch.rand(length, cells, generator=generator, dtype=torch.float32, device="cpu") < p
        shifts = [torch.randint(cell, (length,), generator=generator, device="cpu") for cell in shape.cell]
        return Block(grids.view(length, *shape.grid), torch.stack(shifts, dim=1), still=False)
    grids = _orthogonal(cells, generator) if p == 0.5 else _even(length, cells, p, generator)
    start = torch.rand(2, generator=torch.Generator().manual_seed(seed * 1_000_003), dtype=torch.float64, device="cpu")
    place = (start + index * torch.tensor(PAIR, dtype=torch.float64, device="cpu")) % 1
    shift = (place * torch.tensor(shape.cell, device="cpu")).floor().long()
    return Block(grids.view(length, *shape.grid), shift.expand(length, 2), still=True)


def _orthogonal(cells: int, generator: torch.Generator) -> Tensor:
    """(2m, cells): columns of a Hadamard matrix, chosen, signed and ordered at random; behind each row its complement.

    Within the block every cell is on half of the time, any two cells agree half of the time, and what even numbers of
    cells do together cancels between a row and its complement.
    """
    matrix = _hadamard(cells + 1)
    order = torch.randperm(len(matrix), generator=generator, device="cpu")
    columns = torch.randperm(len(matrix), generator=generator, device="cpu")[:cells]
    signs = torch.randint(2, (cells,), generator=generator, device="cpu") == 1
    rows = (matrix[order][:, columns] > 0) ^ signs
    return torch.stack([rows, ~rows], dim=1).flatten(0, 1)


def _even(length: int, cells: int, p: float, generator: torch.Generator) -> Tensor:
    """(length, cells): each cell on in a share p of the rows, rounded up or down at random so that the mean is p."""
    whole = math.floor(p * length)
    more = torch.rand(cells, generator=generator, dtype=torch.float32, device="cpu") < p * length - whole
    ranks = (
        torch.rand(length, cells, generator=generator, dtype=torch.float32, device="cpu").argsort(dim=0).argsort(dim=0)
    )
    return ranks < whole + more.long()


@lru_cache(maxsize=8)
def _hadamard(least: int) -> Tensor:
    """The Hadamard matrix of Sylvester whose order is the power of two that reaches `least`."""
    matrix = torch.ones(1, 1, dtype=torch.float32, device="cpu")
    while len(matrix) < least:
        matrix = torch.cat([torch.cat([matrix, matrix], dim=1), torch.cat([matrix, -matrix], dim=1)])
    return matrix
