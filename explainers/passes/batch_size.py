"""How many images go through a network at once: measured on the work itself, halved when memory runs out."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from explainers.errors import DeviceMemoryError

WORTHWHILE = 0.9  # a larger batch must take less than this share of the time per image
TRIALS = 3  # batches of each size; the fastest counts, since the first prepares buffers and others are disturbed
LARGEST = {"cpu": 32, "cuda": 512}
SMALLEST = 8


class BatchSize:
    """The size of the next batch.

    Args:
        most: given by the user, or None to measure.
        fixed: the size a network insists on, or None.
        device: "cpu", "cuda", "mps".
    """

    def __init__(self, most: int | None, fixed: int | None, device: str) -> None:
        self.searching = fixed is None and most is None
        self.fixed = fixed
        self.largest = LARGEST.get(device, 64)
        # Kernels of a CPU round otherwise for fewer images than this. In multiples of it a score depends neither on
        # the batch size nor on what else is in the batch, to the last bit.
        self.quantum = SMALLEST if device == "cpu" else 1
        self.now = fixed or max(self.quantum, (most or SMALLEST) // self.quantum * self.quantum)
        self._times: dict[int, list[float]] = {}

    def filled(self, count: int) -> int:
        """How many images a pass of `count` is filled up to."""
        return self.fixed or -(-count // self.quantum) * self.quantum

    def took(self, count: int, seconds: float) -> None:
        """A batch of `count` images has taken so long; the size grows while that pays."""
        if not self.searching or count != self.now:  # a last, shorter batch says nothing
            return
        times = self._times.setdefault(self.now, [])
        times.append(seconds / count)
        if len(times) < TRIALS:
            return
        smaller = min(self._times.get(self.now // 2, [float("inf")]))
        if min(times) > WORTHWHILE * smaller:
            self.now, self.searching = min(self._times, key=lambda size: min(self._times[size])), False
        elif self.now < self.largest:
            self.now *= 2
        else:
            self.searching = False

    def halve(self, count: int, error: BaseException, like: Tensor) -> None:
        """Memory ran out on a batch of `count`; the next one is half as large.

        Raises:
            DeviceMemoryError: it was one image, or the network takes no smaller batch.
        """
        if self.fixed:
            raise does_not_fit(f"a batch of {self.fixed}, which is fixed here,", error, like) from error
        if count == 1 and self.quantum == 1:
            raise does_not_fit("a single image", error, like) from error
        self.searching = False
        if count <= self.quantum:
            warnings.warn(
                f"memory ran out with {self.quantum} images of {tuple(like.shape[1:])} at a time; smaller batches "
                "change scores in their last bits",
                stacklevel=2,
            )
            self.quantum = 1
        self.now = max(1, count // 2)


def does_not_fit(what: str, error: BaseException, like: Tensor) -> DeviceMemoryError:
    """The error of memory that runs out with the least there can be."""
    size = " × ".join(map(str, like.shape[1:]))
    first = str(error).strip().partition("\n")[0]
    return DeviceMemoryError(
        f"memory ran out on {like.device} with {what} of {size}: {first}. "
        "Use smaller images, another device, or precision='auto'"
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on whatever device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        sign in text
        for sign in ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")
    )
