"""Every perturbation pass of the project: many changed copies of images through one network, a batch at a time."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OptionError
from explainers.network.ends import at_least_single
from explainers.network.guard import alone, exact, preserved
from explainers.network.input import checked_images, fixed_batch
from explainers.network.inputs import ALL, Key, bound, inputs_of
from explainers.network.output import Output, scores_of
from explainers.network.unwrapping import as_network, check_one_input
from explainers.passes.batch_size import BatchSize, does_not_fit, is_out_of_memory
from explainers.passes.replica import Network, Replica
from explainers.passes.steady import ROWS, tell_steadiness

Maker = Callable[
    [int, int, Tensor], Tensor
]  # (start, stop, buffer (stop - start, C, *axes)) → the images of these rows
Taker = Callable[[int, Tensor], object]  # (start, scores (n, classes)) → True to stop
Progress = Callable[[int, int], None]  # images done, of how many

MERGED = 32  # small batches are joined up to this
COMPILED_BATCH = {"cpu": 16, "cuda": 64}


class Predictor:
    """Scores of many images, at least in float32, whatever is done for speed on the way.

    It owns the batch size, the memory format, the precision and compilation. The network that the user holds is never
    changed: what is faster works on a replica of it.

    Args:
        model: a network, a LoadedModel, or any callable from images to scores.
        output: from what the model returns to scores (N, classes).
        batch_size: most images per pass; None measures. On a CPU passes have multiples of 8 images, at least 8, so that
            a score does not depend on the batch size, to the last bit.
        precision: "float32" (exact), "auto" (bfloat16 or float16 where the hardware is made for it), or a dtype.
        compile: through torch.compile with frozen weights; the first pass then takes up to a minute.
        progress: called with (images done, of how many) after each batch.

    >>> Predictor(model)(batches)  # (N, classes)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Any,
        *,
        output: Output | None = None,
        batch_size: int | None = None,
        precision: str | torch.dtype = "float32",
        compile: bool = False,
        progress: Progress | None = None,
    ) -> None:
        if batch_size is not None and (isinstance(batch_size, bool) or batch_size < 1):
            raise OptionError(f"batch_size={batch_size}; expected at least 1, or None to measure")
        self.network, self.output = as_network(model, several=True), output
        self.batch_size, self.progress = batch_size, progress
        self.replica = Replica(self.network, precision, compile=compile)
        self.passes = 0  # images sent through the network so far
        self._sizes: dict[tuple[Any, ...], BatchSize] = {}
        self._of_input: dict[Key, tuple[Any, Predictor]] = {}

    def __call__(self, batches: Any, *, forward_kwargs: Mapping[str, Any] | None = None) -> Tensor:
        """Scores (N, classes) of all images of the batches, in order, on the images' device, float32 (float64 where
        the network is).

        Args:
            batches: a tensor (N, C, H, W) or an iterable of them. Of a network of several inputs a mapping of them by
                name, or an iterable of mappings and tuples, as for every explainer; forward_kwargs: likewise.

        Raises:
            ImageError: a batch is no float tensor (N, C, *axes). OptionError: there is none. Otherwise as `run`.
        """
        several = [batches] if isinstance(batches, Mapping) else batches if _of_inputs(batches) else None
        if several is not None or forward_kwargs:
            each = _listed(batches) if several is None else several
            return torch.cat([self._of_inputs(one, forward_kwargs) for one in each])
        check_one_input(self.network)
        found: list[Tensor] = []
        checked = (checked_images(batch, self.network) for batch in _listed(batches))
        for images in _merged(checked, self.batch_size or MERGED):

            def rows(start: int, stop: int, buffer: Tensor, images: Tensor = images) -> Tensor:
                return buffer.copy_(images[start:stop])

            self.run(len(images), images, rows, lambda _, scores: found.append(scores))
        if not found:
            raise OptionError("there are no images to predict: the iterator was empty")
        return torch.cat(found)

    def _of_inputs(self, given: Any, keywords: Mapping[str, Any] | None) -> Tensor:
        """Scores (N, classes) of a batch of inputs; each row of a pass comes with the others of its image."""
        inputs, (key, *_) = inputs_of(self.network, given, ALL, keywords)
        kind = inputs.kind()
        if key not in self._of_input or self._of_input[key][0] != kind:
            self._of_input[key] = kind, self.for_network(bound(self.network, key))
        other = self._of_input[key][1]
        network: Any = other.network
        images: Tensor = inputs.parts[key]
        found: list[Tensor] = []

        def rows(start: int, stop: int, buffer: Tensor) -> Tensor:
            network.companions.inputs = inputs[range(start, stop)]
            return buffer.copy_(images[start:stop])

        before = other.passes
        with alone(network), network.given(inputs[[0]]):
            other.run(len(inputs), images, rows, lambda _, scores: found.append(scores))
        self.passes += other.passes - before
        return torch.cat(found)

    def run(self, count: int, like: Tensor, make: Maker, take: Taker) -> None:
        """Make `count` images batch by batch, pass them through the network, and hand over their scores in order.

        Args:
            like: (n, C, *axes) checked images, for size, type and device; the first one tries the network.
            make: fills the buffer with the images start … stop - 1, or returns a tensor of its own, which the network
                may overwrite. Called again for the same rows after memory ran out.
            take: gets (start, scores (n, classes), at least float32) of each batch; True ends the run.

        Raises:
            DeviceMemoryError: not even one image fits. OutputError: what the network returns is not understood.
        """
        with ExitStack() as stack:
            stack.enter_context(exact(like, gradients=False))
            stack.enter_context(preserved(self.network))
            least = BatchSize(self.batch_size, None, like.device.type).filled(1)
            tell_steadiness(self.network, like, max(least, min(count, self.batch_size or ROWS)), stacklevel=3)
            network = self._network(like)
            size, start, buffer = self._size(like), 0, None
            while start < count:
                stop = min(count, start + size.now)
                began = time.perf_counter()
                try:
                    if buffer is None or len(buffer) < size.filled(stop - start):
                        buffer = None
                        buffer = self._buffer(like, size.filled(size.now))
                    images = _filled(make(start, stop, buffer[: stop - start]), buffer[: size.filled(stop - start)])
                    scores = self._scores(network, images)[: stop - start]
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    size.halve(stop - start, error, like)
                    buffer = images = None
                    _release(like.device)
                    continue
                if size.searching and like.device.type == "cuda":
                    torch.cuda.synchronize(like.device)
                size.took(stop - start, time.perf_counter() - began)
                self.passes += stop - start
                start, begun = stop, start
                if take(begun, scores) is True:
                    break
                if self.progress:
                    self.progress(start, count)

    def for_output(self, output: Output) -> Predictor:
        """The same for other scores of what the network returns; batch sizes and replica are shared."""
        other = copy.copy(self)
        other.output = output
        return other

    def for_network(self, network: Callable[[Tensor], Any]) -> Predictor:
        """The same for another network, with a replica of that one."""
        other = copy.copy(self)
        other.network, other._sizes, other._of_input = network, {}, {}
        if self.replica.compile:
            raise OptionError("compile: a network of several inputs runs as it is; leave compile out")
        other.replica = Replica(network, self.replica.asked or "float32", compile=self.replica.compile)
        return other

    def describe(self) -> dict[str, Any]:
        """What was used, for a manifest: precision, whether compiled, the last batch size, how many passes."""
        sizes = [size.now for size in self._sizes.values()]
        return {
            "precision": self.replica.precision_name,
            "compile": self.replica.compile,
            "batch_size": sizes[-1] if sizes else self.batch_size,
            "passes": self.passes,
        }

    def _network(self, like: Tensor) -> Network:
        try:
            with torch.inference_mode():
                return self.replica.ready(like, self._raw)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise does_not_fit("a single image", error, like) from error
            raise

    def _scores(self, network: Network, images: Tensor) -> Tensor:
        with torch.inference_mode():
            scores = at_least_single(self._raw(network, images))
        return scores.clone()  # outside of inference mode, so that it can take part in a graph

    def _raw(self, network: Network, images: Tensor) -> Tensor:
        return scores_of(network(images), len(images), self.output)

    def _size(self, like: Tensor) -> BatchSize:
        key = (tuple(like.shape[1:]), like.device)
        if key not in self._sizes:
            fixed = fixed_batch(self.network)
            if fixed is None and self.replica.compile:  # one shape, compiled once
                fixed = self.batch_size or COMPILED_BATCH.get(like.device.type, 16)
            self._sizes[key] = BatchSize(self.batch_size, fixed, like.device.type)
        return self._sizes[key]

    def _buffer(self, like: Tensor, size: int) -> Tensor:
        layout = torch.channels_last if self.replica.channels_last and like.ndim == 4 else torch.contiguous_format
        return torch.empty((size, *like.shape[1:]), dtype=like.dtype, device=like.device, memory_format=layout)


def _of_inputs(batches: Any) -> bool:
    """Whether the first of several batches is one of several inputs."""
    return isinstance(batches, (list, tuple)) and bool(batches) and isinstance(batches[0], (Mapping, tuple))


def _listed(batches: Tensor | Iterable[Tensor]) -> Iterable[Tensor]:
    return [batches] if isinstance(batches, Tensor) else batches


def _merged(batches: Iterable[Tensor], least: int) -> Iterator[Tensor]:
    """Successive batches of one shape joined until they make a full one."""
    waiting: list[Tensor] = []
    for batch in batches:
        if waiting and waiting[0].shape[1:] != batch.shape[1:]:
            yield torch.cat(waiting)
            waiting = []
        waiting.append(batch)
        if sum(map(len, waiting)) >= least:
            yield torch.cat(waiting) if len(waiting) > 1 else batch
            waiting = []
    if waiting:
        yield torch.cat(waiting)


def _filled(images: Tensor, buffer: Tensor) -> Tensor:
    """The images in a buffer that may be longer: what is left of it repeats the last one."""
    count = len(images)
    if images.data_ptr() != buffer.data_ptr():
        if len(buffer) == count and images.stride() == buffer.stride():
            return images
        buffer[:count] = images
    if len(buffer) > count:
        buffer[count:] = buffer[count - 1]
    return buffer


def _release(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
