"""What a network raises on an image: told as what it does not take, and it costs that image alone, of runs and
evaluations."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from explainers.errors import (
    DependencyError,
    ExplainersError,
    ImageError,
    LayerError,
    MapError,
    OptionError,
    OutputError,
    ReaderError,
    TargetError,
    UnsupportedError,
)
from explainers.network.input import fixed_batch, runs
from explainers.network.inputs import is_bound
from explainers.passes.batch_size import is_out_of_memory

Item = TypeVar("Item")
Made = TypeVar("Made")

OF_THE_RUN = (OptionError, TargetError, DependencyError, MapError)  # errors that no other image would not have
OF_THE_METHOD = (UnsupportedError, LayerError)  # what a method says of a network before it has made a map of it
SIZES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 64)  # of batches that are tried where one image is refused
MOST_VALUES = 1 << 23  # in such a batch, or the remedy could use up the memory
SIDES = (32, 64, 128, 224, 256)  # of larger images that are tried


@dataclass(frozen=True)
class Failure:
    """Why an image has nothing."""

    reason: str


def is_of_the_run(error: Exception) -> bool:
    """Whether an error would be the same on every other image."""
    return isinstance(error, OF_THE_RUN) and not isinstance(error, ReaderError)


def in_parts(
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], Made],
    of_the_run: Callable[[Exception], bool] = is_of_the_run,
) -> Iterator[tuple[Sequence[Item], Made | Failure]]:
    """Work on all items together; where that raises, on halves, so that the guilty one alone fails.

    Whatever is raised counts, since it is somebody's network that raises it, and memory that runs out on a batch may
    do for half of it.

    Args:
        of_the_run: which errors are raised instead.

    Returns:
        Parts in the order of the items, each with what was made of it; a Failure stands with one item.
    """
    left = [items] if len(items) else []
    while left:
        part = left.pop()
        try:
            made: Made | Failure = work(part)
        except Exception as error:
            if of_the_run(error):
                raise
            made, memory = Failure(reason_of(error)), is_out_of_memory(error)
        else:
            yield part, made
            continue
        if memory:  # here, where the error no longer holds the tensors of the pass that failed
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        if len(part) == 1:
            yield part, made
        else:
            middle = len(part) // 2
            left += [part[middle:], part[:middle]]


def reason_of(error: BaseException) -> str:
    """The first line of an error, with its kind where it is none of ours."""
    text = str(error).strip().partition("\n")[0]
    return text if isinstance(error, ExplainersError) else f"{type(error).__name__}: {text}".removesuffix(": ")


def reason_of_file(error: Exception) -> str:
    """Why a file cannot be read, whatever a decoder raises, or memory that runs out; it is raised again where it would
    be the same for every other file."""
    if is_of_the_run(error) and not isinstance(error, MapError):
        raise error
    return reason_of(error)


def every_image(count: int, reason: str) -> OutputError:
    """What to raise where nothing was made of any image that could be read."""
    images = "the only image" if count == 1 else f"every image ({count})"
    return OutputError(f"the network or its explanation fails on {images}: {reason}")


def no_method(refused: Mapping[str, str]) -> UnsupportedError:
    """What to raise where every method was left out, with the reason of each."""
    return UnsupportedError(
        "no method works on this network:\n" + "\n".join(f"  {name}: {reason}" for name, reason in refused.items())
    )


@contextmanager
def no_exit() -> Iterator[None]:
    """A network that leaves the program ends the run with an error.

    Raises:
        OutputError: sys.exit was called inside.
    """
    try:
        yield
    except SystemExit as leaving:
        raise OutputError(
            f"the network's code (or an explainer's) called sys.exit({leaving.code!r}) while an image was explained; "
            "the run is not finished"
        ) from leaving


@contextmanager
def told_of_network(network: Any, images: Tensor) -> Iterator[None]:
    """What is raised inside is told as the network's where it does fail on these images; what else it may be stays.

    Nothing is tried while all goes well.

    Raises:
        ImageError: the network fails on such images, or takes batches of some sizes alone.
    """
    try:
        yield
    except ExplainersError:
        raise
    except Exception as error:  # somebody's network raises anything
        if is_out_of_memory(error) or is_bound(network):
            raise
        if why := _untaken(network, images, reason_of(error)):
            raise ImageError(why) from error
        raise


def _untaken(network: Any, images: Tensor, raised: str) -> str:
    """What is wrong between network and images; "" where the network takes them."""
    fixed = fixed_batch(network)
    sizes = [fixed] if fixed else sorted({1, 2, len(images)})

    def taken(size: int) -> bool:
        return runs(network, images[:1].expand(size, *images.shape[1:]))

    found = [size for size in sizes if taken(size)]
    if found == sizes:
        same = bool(fixed) or runs(network, images)
        return "" if same else f"the network fails on one image, or more, of this batch: {raised}"
    if found == [1]:
        return f"the network takes one image at a time; set network.fixed_batch = 1. It raised {raised}"
    if fixed is None and 1 not in found:
        most = MOST_VALUES // images[0].numel()
        size = next((size for size in SIZES if size <= most and taken(size)), None)
        if size is not None:
            return (
                f"the network takes batches of {size}, and not of {_listed([one for one in sizes if one != size])}; "
                f"set network.fixed_batch = {size}, so that all batches have as many. It raised {raised}"
            )
    shape = tuple(images.shape[1:])
    if found:
        left = [size for size in sizes if size not in found]
        return f"the network fails on batches of {_listed(left)} images of shape {shape}: {raised}"
    return f"the network fails on images of shape {shape}: {raised}{_larger(network, images)}"


def _larger(network: Any, images: Tensor) -> str:
    """What to do, where the network takes larger images, in words that follow a reason."""
    given = tuple(images.shape[2:])
    for side in SIDES:
        if len(given) == 2 and side > min(given) and runs(network, images.new_zeros(1, images.shape[1], side, side)):
            return f". It runs on {side} × {side}: enlarge them"
    return ""


def _listed(sizes: list[int]) -> str:
    return ", ".join(map(str, sizes))
