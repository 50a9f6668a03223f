"""Whether a network gives an image the same scores whenever it sees it, and whatever else is in its batch."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from explainers.network.guard import GLOBAL_SWITCHES, exact, preserved
from explainers.network.input import ONE_BY_ONE, another, fixed_batch, run
from explainers.network.inputs.bound import Binding
from explainers.network.output import tensors_in
from explainers.passes.batch_size import is_out_of_memory

ROWS = 4  # of the batches that are compared, in which a turned order cannot pass unseen
PLACE = 1  # in them, of the image that is watched
CHANCE = (
    "the network gives something else when it sees the same image again (dropout or crops that stay on in evaluation, "
    "or a state that it keeps from call to call): each map is of chance as well, and differs from run to run. Switch "
    "that off in evaluation mode"
)
MIXED = (
    "what the network gives for an image depends on the others of its batch (statistics or a maximum of the whole "
    "batch, another order, a range of a quantisation): images, and changed copies of them, go through it one by one, "
    "which is right and slow"
)


def steadiness(network: Any, images: Tensor, rows: int = 1) -> tuple[str, ...]:
    """What there is to say of a network that is not steady, or mixes its batch; () of nearly all.

    A network that mixes gets a batch of one image from then on (`fixed_batch`).

    Args:
        network: as explainers hold it; images: (n, C, *axes) as it takes them, of which the first is looked at; rows:
            how large a batch may be tried: 1 where images go one by one anyway.

    Cost: two passes of at most `ROWS` images, once for a network; one more where they differ. The network and torch's
    generators are left as found. A network that fails is not judged here.
    """
    seen = _seen_of(network)
    if seen is None:
        return ()
    size = fixed_batch(network)
    rows = (ROWS if rows > 2 else rows) if size is None else 1
    if seen.rows < rows and not seen.note:
        devices = [images.device] if images.device.type == "cuda" else []
        with preserved(network), GLOBAL_SWITCHES, torch.random.fork_rng(devices), exact(images, gradients=False):
            try:
                seen.note = _chance(network, images, size or 1) if rows == 1 else _mixture(network, images, rows)
                seen.rows, seen.mixes = rows, seen.note == MIXED
            except Exception as error:  # the method itself says what is wrong
                seen.mixes = rows > 1 and not is_out_of_memory(error) and _one_by_one(network, images, rows)
    if seen.mixes:
        ONE_BY_ONE[network] = True
    return (seen.note,) if seen.note else ()


def tell_steadiness(network: Any, images: Tensor, rows: int = 1, stacklevel: int = 2) -> None:
    """Warn, once for a network, of what `steadiness` finds."""
    for note in steadiness(network, images, rows):
        if not _told(network):
            warnings.warn(note, stacklevel=stacklevel + 1)


def told_steadiness(network: Any, images: Tensor) -> tuple[str, ...]:
    """What `steadiness` finds, for whoever tells it: no warning says it once more."""
    notes = steadiness(network, images, ROWS)
    _told(network)
    return notes


def _told(network: Any) -> bool:
    """Whether it was told of the network before; from now on it was."""
    seen = _seen_of(network) or _Seen()
    before, seen.told = seen.told, True
    return before


@dataclass
class _Seen:
    """What was seen of a network.

    rows: of the largest batch that was tried; note: what there is to say; mixes: whether images go one by one; told:
    whether the note was.
    """

    rows: int = 0
    note: str = ""
    mixes: bool = False
    told: bool = False


_table: weakref.WeakKeyDictionary[Any, _Seen] = weakref.WeakKeyDictionary()


def _seen_of(network: Any) -> _Seen | None:
    """Shared by all that is bound to one network; None of what cannot be a weak key, and so is not remembered."""
    of = network.inner if isinstance(network, Binding) else network
    try:
        return _table.setdefault(of, _Seen())
    except TypeError:
        return None


def _chance(network: Any, images: Tensor, size: int) -> str:
    """By the same batch twice."""
    batch = images[:1].expand(size, *images.shape[1:])
    return "" if _alike(_numbers(run(network, batch)), _numbers(run(network, batch))) else CHANCE


def _mixture(network: Any, images: Tensor, rows: int) -> str:
    """By one image among others, and among the same in another order.

    The batch is as large both times, so that the image takes the same way through the same kernels.
    """
    first, second = _batches(images[:1], rows)
    before = _row(run(network, first), rows)
    if _alike(before, _row(run(network, second), rows)):
        return ""
    return MIXED if _alike(before, _row(run(network, first), rows)) else CHANCE


def _batches(image: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """An image at half its strength, among stronger ones and among fainter ones, at each place another.

    All values lie between those of the image and 0, for networks that insist on a range.
    """
    image = image if bool((image != image.flatten()[0]).any()) else another(image)
    watched, turned = image / 2, image.flip(-1)
    strong = [turned, watched, image, image.flip(2)]
    faint = [image.flip(2) / 4, watched, turned / 8, image / 4]
    return torch.cat(strong[:rows]), torch.cat(faint[:rows])


def _one_by_one(network: Any, images: Tensor, rows: int) -> bool:
    """Whether a network that fails on a batch takes one image, with a row for it, and fails on any batch."""
    try:
        returned = run(network, images[:1])
    except Exception:  # whatever a network raises on what it cannot take
        return False
    if not any(each.ndim and len(each) == 1 for each in tensors_in(returned)):
        return False  # it has a second input, of another number of images
    try:
        run(network, images[:1].expand(rows, *images.shape[1:]))
    except Exception:  # the same of several
        return True
    return False


def _numbers(returned: Any) -> list[Tensor]:
    """Copies: a network may give the same tensor again, with other values."""
    return [each.detach().clone() for each in tensors_in(returned)]


def _row(returned: Any, rows: int) -> list[Tensor]:
    return [each.detach().clone() for part in _of_image(returned, rows) for each in tensors_in(part)]


def _of_image(value: Any, rows: int) -> Iterator[Any]:
    """What belongs to the watched image, of whatever was returned for the batch."""
    if isinstance(value, Tensor):
        if value.ndim and len(value) == rows:
            yield value[PLACE]
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _of_image(each, rows)
    elif isinstance(value, (tuple, list)):
        if len(value) == rows and _is_of_each_image(value, rows):
            yield value[PLACE]
        else:
            for each in value:
                yield from _of_image(each, rows)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from _of_image(vars(value), rows)


def _is_of_each_image(value: Sequence[Any], rows: int) -> bool:
    """Whether a list has something of one kind for each image, as of detectors, and not several heads of a network."""
    heads = all(isinstance(each, Tensor) and each.ndim and len(each) == rows for each in value)
    kinds = {(type(each), each.ndim if isinstance(each, Tensor) else None) for each in value}
    return isinstance(value, list) and len(kinds) == 1 and not heads


def _alike(before: list[Tensor], again: list[Tensor]) -> bool:
    if len(before) != len(again):
        return False
    pairs = zip(before, again, strict=True)
    return all(
        one.shape == other.shape and torch.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True)
        for one, other in pairs
    )
