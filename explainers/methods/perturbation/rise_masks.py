"""The random masks of RISE: coarse grids and shifts drawn on the CPU from a seed, enlarged on the device in batches."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from explainers.errors import OptionError

# Steps that fill a square and a cube evenly: powers of 1/ρ, of the plastic number and of its likeness in three
# dimensions (ρ⁴ = ρ + 1). A signal takes the columns' share, so that it has the masks of an image of one row.
PAIR = (0.7548776662466927, 0.5698402909980532)
TRIPLE = (0.8191725133961645, 0.6710436067037893, 0.5497004779019703)
MOST_CELLS = 2**14  # of a design whose matrix then has 1 GiB
MOST_AT_ONCE = 2**24  # numbers in memory while masks of several shifts are summed


@dataclass(frozen=True)
class Block:
    """Masks that belong together: grids (n, *cells) of 0 and 1, shifts (n, axes) in pixels, one where `still`."""

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

    grid: (h, w); size: (H, W) of the image; with one axis or three likewise.
    """

    grid: tuple[int, ...]
    size: tuple[int, ...]

    @property
    def cell(self) -> tuple[int, ...]:
        """(height, width) of a cell in pixels, which is also how many shifts there are."""
        return tuple(math.ceil(size / cells) for size, cells in zip(self.size, self.grid, strict=True))

    def weights(self, shifts: Tensor, axis: int) -> Tensor:
        """(n, pixels, cells) float64: how much each cell of a grid along an axis adds to each pixel.

        Linear enlargement is separable, so that a mask is rows @ grid @ columnsᵀ, and a shift moves where it is read.
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
        """(n, *size) masks between 0 and 1 of the grids of a block, on the device and in the type of `like`."""
        shifts = block.shifts[:1] if block.still else block.shifts
        return self._along(range(len(self.grid)), block.grids.to(like), shifts)

    def spread(self, values: Tensor, block: Block) -> Tensor:
        """(K, *size): the sum over the masks of a block, each weighed by its value (n, K), in float64.

        Masks of one shift are summed as grids and enlarged once, which costs next to nothing.
        """
        grids, every = block.grids.to(values), range(len(self.grid))
        if block.still:
            return self._along(every, torch.einsum("nk,n...->k...", values, grids), block.shifts[:1])
        if len(self.grid) == 1:
            return values.T @ self._along(every, grids, block.shifts)
        pixels = math.prod(self.size[1:]) * self.grid[0]
        parts = torch.arange(len(block), device="cpu").split(max(1, MOST_AT_ONCE // pixels))
        return sum(
            (self._summed(values[part], grids[part], block.shifts[part]) for part in parts[1:]),
            self._summed(values[parts[0]], grids[parts[0]], block.shifts[parts[0]]),
        )

    def _summed(self, values: Tensor, grids: Tensor, shifts: Tensor) -> Tensor:
        """The same of masks that each have a shift of their own: the first axis is enlarged and summed in one."""
        across = self._along(range(1, len(self.grid)), grids, shifts).flatten(2)  # (n, h, W)
        tall = self.weights(shifts, 0).to(values).permute(1, 0, 2).flatten(1)  # (H, n·h)
        summed = [tall @ (across * value[:, None, None]).flatten(0, 1) for value in values.unbind(1)]
        return torch.stack(summed).unflatten(2, self.size[1:])

    def _along(self, axes: Sequence[int], values: Tensor, shifts: Tensor) -> Tensor:
        """Values (n, *cells) enlarged along some axes; shifts: (n, axes), or (1, axes) for all of them."""
        for axis in axes:
            weights = self.weights(shifts, axis).to(values)
            before, behind = values.shape[1 : axis + 1], values.shape[axis + 2 :]
            if behind:
                flat = values.reshape(len(values), math.prod(before), values.shape[axis + 1], math.prod(behind))
                values = (weights[:, None] @ flat).view(len(values), *before, -1, *behind)
            else:
                flat = values.reshape(len(values), math.prod(before), values.shape[axis + 1])
                values = (flat @ weights.transpose(1, 2)).view(len(values), *before, -1)
        return values


def block_length(design: str, shape: MaskShape, p: float) -> int:
    """How many masks make a block.

    Raises:
        OptionError: so many cells that their design does not fit into memory.
    """
    if design == "paper" or p != 0.5:
        return 64
    if math.prod(shape.grid) >= MOST_CELLS:
        raise OptionError(
            f"grid={shape.grid} has {math.prod(shape.grid)} cells, and the balanced design takes fewer than "
            f"{MOST_CELLS}; use a coarser grid or design='paper'"
        )
    return 2 * len(_hadamard(math.prod(shape.grid) + 1))


def draw_block(design: str, shape: MaskShape, p: float, seed: int, index: int) -> Block:
    """Block number `index` of a sequence of masks; each grid on its own is Bernoulli(p), whatever the design.

    Args:
        design: "paper" (independent grids and shifts) or "balanced" (every cell equally often on, cells uncorrelated
            where p is 0.5, one shift per block, and the shifts of successive blocks spread evenly).
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + index + 1)
    length, cells = block_length(design, shape, p), math.prod(shape.grid)
    if design == "paper":
        grids = torch.rand(length, cells, generator=generator, dtype=torch.float32, device="cpu") < p
        # Rows and columns first, so that a volume of one slice has the shifts of an image.
        last = [torch.randint(cell, (length,), generator=generator, device="cpu") for cell in shape.cell[-2:]]
        first = [torch.randint(cell, (length,), generator=generator, device="cpu") for cell in shape.cell[:-2]]
        return Block(grids.view(length, *shape.grid), torch.stack([*first, *last], dim=1), still=False)
    grids = _orthogonal(cells, generator) if p == 0.5 else _even(length, cells, p, generator)
    shift = _even_shift(shape, seed, index)
    return Block(grids.view(length, *shape.grid), shift.expand(length, -1), still=True)


def _even_shift(shape: MaskShape, seed: int, index: int) -> Tensor:
    """(axes,) the shift of a block, such that those of successive blocks are spread evenly.

    Rows and columns come first. Behind a depth of one cell, whose shift changes nothing, they have those of an image.
    """
    deep = len(shape.grid) == 3 and shape.grid[0] > 1
    steps = torch.tensor(TRIPLE if deep else PAIR, dtype=torch.float64, device="cpu")
    generator = torch.Generator().manual_seed(seed * 1_000_003)
    start = torch.rand(len(steps), generator=generator, dtype=torch.float64, device="cpu")
    place = ((start + index * steps) % 1).tolist()  # of row, column and depth
    count = len(shape.grid)
    if count == 1:
        place = place[1:]
    elif count == 3:
        place = [place[2] if deep else 0.0, *place[:2]]
    return (
        (torch.tensor(place, dtype=torch.float64, device="cpu") * torch.tensor(shape.cell, device="cpu")).floor().long()
    )


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


def digest_of(image: Tensor) -> int:
    """A number of the image's content, so that its masks do not depend on its place in the batch."""
    values = image.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    return int.from_bytes(hashlib.sha256(values).digest()[:4], "big")
