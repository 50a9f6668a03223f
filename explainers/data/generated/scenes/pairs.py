"""Two images that have one shape in common, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from explainers.data.generated.random_numbers import numbers_of
from explainers.data.generated.scenes.scene import MOST, Scene, check_size, drawn_look, drawn_scene


@dataclass(frozen=True, eq=False)
class Pair:
    """first, second: images whose first shape has the same kind and colour, in places, sizes and turns of their own;
    no other shape of the one has kind and colour of one of the other."""

    first: Scene
    second: Scene

    @property
    def masks(self) -> tuple[Tensor, Tensor]:
        """(S, S) bool of each image: the shape that both have."""
        return self.first.shapes == 1, self.second.shapes == 1


def pair(index: int, *, split: str = "test", seed: int = 0, size: int = 64) -> Pair:
    """Pair `index` of a split; each image has 2 or 3 shapes.

    Args:
        split: "train", "val" or "test".
        size: pixels a side, at least 32.

    Raises:
        OptionError: a setting out of its range.

    Cost: about 4 ms at 64 pixels on one thread.
    """
    check_size(size)
    rng = numbers_of("pair", split, seed, index)
    shared = drawn_look(rng)
    taken, images = {shared}, []
    for _ in range(2):
        looks = [shared]
        wanted = int(rng.integers(2, MOST))
        while len(looks) < wanted:
            look = drawn_look(rng)
            if look not in taken:
                taken.add(look)
                looks.append(look)
        images.append(drawn_scene(rng, looks, size))
    return Pair(*images)
