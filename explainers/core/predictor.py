"""Every perturbation pass of the project: many changed copies of images through one network, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.core.guard import exact, preserved
from explainers.core.network import as_network, checked_images, fixed_batch, run
from explainers.core.output import Output, scores_of
from explainers.core.replica import Replica, chosen_precision
from explainers.errors import DeviceMemoryError, OptionError

Maker = Callable[[int, int, Tensor], Tensor]  # (start, stop, buffer (stop - start, C, H, W)) → the images of these rows
Taker = Callable[[int, Tensor], None]  # (start, scores (n, classes))
Progress = Callable[[int, int], None]  # passes done, of how many

ACTIVATIONS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: lambda scores: scores,
    "softmax": lambda scores: scores.softmax(dim=1),
    "sigmoid": torch.sigmoid,
}
QUANTUM = 8  # images per pass on a CPU; kernels for fewer round otherwise, so smaller batches are filled up to it
LARGEST = {"cpu": 64, "cuda": 512, "mps": 64}
WORTHWHILE = 0.95  # a larger batch must take less than this share of the time per image


class Predictor:
    """Scores of many images, in float32, whatever happens around the network on the way.

    It owns the batch size (measured on the work itself, halved when memory runs out), the memory format, the precision
    and compilation. The network that the user holds is never changed: what is faster works on a replica of it.

    Args:
        model: a network, a LoadedModel, or any callable from images to scores.
        output: from what the model returns to scores (N, classes).
        activation: "softmax", "sigmoid" or None, applied in float32.
        batch_size: most images per pass; None measures. On a CPU in float32 passes of fewer than 8 images are filled up
            to 8, so that a score does not depend on the batch size, to the last bit.
        precision: "float32" (exact), "auto" (bfloat16 or float16 where the hardware is made for it), or a dtype.
        compile: run through torch.compile with frozen weights; the first pass then takes up to a minute.
        progress: called with (passes done, of how many) after each batch.

    >>> Predictor(model)(batches)  # (N, classes)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Any,
        *,
        output: Output | None = None,
        activation: str | None = None,
        batch_size: int | None = None,
        precision: str | torch.dtype = "float32",
        compile: bool = False,
        progress: Progress | None = None,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise OptionError(f"activation={activation!r}; expected 'softmax', 'sigmoid' or None")
        if batch_size is not None and (isinstance(batch_size, bool) or batch_size < 1):
            raise OptionError(f"batch_size={batch_size}; expected at least 1, or None to measure the best")
        self.network, self.output, self.activation = as_network(model), output, activation
        self.batch_size, self.progress = batch_size, progress
        self.replica = Replica(self.network, chosen_precision(precision), compile=compile)
        self.passes, self.seconds = 0, 0.0  # images sent through the network so far, and the time that it took
        self._sizes: dict[tuple[Any, ...], _BatchSize] = {}

    def __call__(self, batches: Tensor | Iterable[Tensor]) -> Tensor:
        """Scores (N, classes) of all images of the batches, in order, float32 on the images' device."""
        found = []
        for batch in [batches] if isinstance(batches, Tensor) else batches:
            images = checked_images(batch, self.network)

            def rows(start: int, stop: int, buffer: Tensor, images: Tensor = images) -> Tensor:
                return buffer.copy_(images[start:stop])

            self.run(len(images), images[:1], rows, lambda _, scores: found.append(scores))
        if not found:
            raise OptionError("there are no images to predict: the iterator was empty")
        return torch.cat(found)

    def run(self, count: int, like: Tensor, make: Maker, take: Taker) -> None:
        """Make `count` images batch by batch, pass them through the network and hand over the scores, in order.

        Args:
            count: how many images there are in all.
            like: (…, C, H, W) checked images, for size, type and device, and to try the network on.
            make: fills a buffer with the images start … stop - 1 (or returns a tensor of its own). It can be called
                again for the same rows, after memory ran out.
            take: gets (start, scores (n, classes) in float32) of each batch.

        Raises:
            DeviceMemoryError: not even one image fits. OutputError: what the network returns is not understood.
        """
        device = like.device
        with preserved(self.network), torch.inference_mode(), _undisturbed(like):
            network = self.replica.ready(like, self._scored)
            size = self._size(like)
            buffer: Tensor | None = None
            start = 0
            while start < count:
                stop = min(count, start + size.now)
                filled = size.filled(stop - start)
                began = time.perf_counter()
                try:
                    if buffer is None or len(buffer) < filled:
                        buffer = None
                        buffer = self._buffer(like, filled)
                    images = make(start, stop, buffer[: stop - start])
                    images = _filled(images, buffer, filled)
                    scores = self._pass(network, images)[: stop - start]
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    size.halve(stop - start, error, like)
                    buffer = None
                    _release(device)
                    continue
                if device.type == "cuda" and size.searching:
                    torch.cuda.synchronize(device)
                seconds = time.perf_counter() - began
                size.took(stop - start, seconds)
                self.passes += stop - start
                self.seconds += seconds
                take(start, scores)
                start = stop
                if self.progress:
                    self.progress(start, count)

    def describe(self) -> dict[str, Any]:
        """What was used, for a manifest: precision, batch size, passes."""
        sizes = sorted({size.now for size in self._sizes.values()})
        return {
            "precision": self.replica.precision_name,
            "compiled": self.replica.compile,
            "batch_size": sizes[-1] if sizes else self.batch_size,
            "passes": self.passes,
        }

    def _pass(self, network: Any, images: Tensor) -> Tensor:
        scores = self._scored(network, images).float()
        return ACTIVATIONS[self.activation](scores)

    def _scored(self, network: Any, images: Tensor) -> Tensor:
        returned = run(network, images) if network is self.network else network(images)
        return scores_of(returned, len(images), self.output)

    def _size(self, like: Tensor) -> _BatchSize:
        key = (tuple(like.shape[-3:]), like.device)
        if key not in self._sizes:
            fixed = fixed_batch(self.network) or (self.batch_size if self.replica.compile else None)
            cpu = like.device.type == "cpu"
            self._sizes[key] = _BatchSize(self.batch_size, fixed, LARGEST[like.device.type], QUANTUM if cpu else 1)
        return self._sizes[key]

    def _buffer(self, like: Tensor, size: int) -> Tensor:
        buffer = torch.empty((size, *like.shape[-3:]), dtype=like.dtype, device=like.device)
        return buffer.to(memory_format=torch.channels_last) if self.replica.channels_last else buffer
