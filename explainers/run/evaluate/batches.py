"""Tensors and data loaders as batches for an evaluation, and the classes that each batch is watched for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.maps import as_tensor
from explainers.data.images import ImageFile
from explainers.errors import ImageError, OptionError, TargetError, counted
from explainers.evaluation.measuring.batch import Batch
from explainers.evaluation.measuring.validation import checked_masks
from explainers.network.input import checked_images
from explainers.network.inputs import Inputs
from explainers.targets import as_objects, holds_targets


def of_loader(
    batches: Iterable[Any],
    network: Any,
    size: int,
    *,
    targets: Any = None,
    labels: Any = None,
    masks: Any = None,
    read: Callable[[Any], tuple[Tensor, Inputs]] | None = None,
) -> Iterator[Batch]:
    """Batches of at most `size` images out of a tensor (N, C, *axes) or an iterable of batches.

    Args:
        batches: each a tensor, a tuple (images, labels) or (images, labels, masks), or a dict with "images" and any of
            "labels", "masks", "targets", "names".
        targets, labels, masks: of all images in order, where the batches do not bring their own.
        read: from the "images" of a batch to the explained ones of several inputs and all of them; each image is a
        batch then, so that no pass is of images that come with different things.

    Raises:
        ImageError: there are no images, or they are none. OptionError: targets, labels or masks for another number.
    """
    start = 0
    for given in [batches] if isinstance(batches, Tensor) else batches:
        parts = _parts(given)
        images, inputs = (checked_images(parts["images"], network), None) if read is None else read(parts["images"])
        count = len(images)
        for first in range(0, count, size):
            rows = slice(first, min(first + size, count))
            whole = slice(start + rows.start, start + rows.stop)
            names = parts.get("names") or [str(start + row) for row in range(count)]
            part = images[rows]
            own = None if inputs is None else inputs[range(rows.start, rows.stop)]
            yield Batch(
                tuple(str(name) for name in names[rows]),
                part,
                _sliced("targets", parts.get("targets"), rows, targets, whole),
                _classes(_sliced("labels", parts.get("labels"), rows, labels, whole), part),
                checked_masks(_sliced("masks", parts.get("masks"), rows, masks, whole), part),
                tuple(_content(image) for image in part) if own is None else (own.digest(),),
                own,
            )
        start += count
    if start == 0:
        raise ImageError("there are no images to evaluate")
    for name, value in (("targets", targets), ("labels", labels), ("masks", masks)):
        counted = isinstance(value, (list, tuple)) or (hasattr(value, "__len__") and np.ndim(value) != 0)
        if counted and len(value) != start:
            raise OptionError(f"{len(value)} {name} for {start} images")


def _parts(given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        unknown = set(given) - {"images", "labels", "masks", "targets", "names"}
        if unknown or "images" not in given:
            raise OptionError(
                f"a batch with {', '.join(map(repr, given))}; expected 'images' and labels, masks, targets, names"
            )
        return dict(given)
    if isinstance(given, (tuple, list)):
        if not 1 <= len(given) <= 3:
            raise OptionError(f"a batch of {len(given)} parts; expected (images, labels) or (images, labels, masks)")
        return dict(zip(("images", "labels", "masks"), given, strict=False))
    return {"images": given}


def _sliced(name: str, own: Any, rows: slice, given: Any, whole: slice) -> Any:
    """The values of these rows, the batch's own first."""
    if own is not None:
        return own[rows]
    if holds_targets(given):
        return as_objects(given[whole]) if isinstance(given, (list, tuple)) else given
    if given is None or isinstance(given, int) or callable(given) or np.ndim(given) == 0:
        return given
    if len(given) < whole.stop:
        told = counted(len(given), name.removesuffix("s"))
        raise OptionError(f"{told} for {whole.stop} images or more; pass one for each image")
    part = given[whole]
    return part if isinstance(part, Tensor) else as_tensor(np.asarray(part))


def _classes(labels: Any, images: Tensor) -> Tensor | None:
    if labels is None:
        return None
    labels = as_tensor(labels)
    if labels.ndim != 1 or labels.is_floating_point() or labels.dtype == torch.bool or len(labels) != len(images):
        raise OptionError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)}; expected ({len(images)},) class indices"
        )
    return labels.to(images.device)


def _content(image: Tensor) -> str:
    return hashlib.sha256(image.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


def brings_masks(images: Any) -> bool:
    """Batches that may have masks of their own; what does not is found when it comes."""
    return not isinstance(images, (Tensor, str, PathLike)) and not (
        isinstance(images, (list, tuple)) and images and isinstance(images[0], (Tensor, ImageFile))
    )


def check_labelled(classes: Any, labels: Any) -> None:
    """See that there are true classes where they are to be watched.

    Raises:
        TargetError: there are none.
    """
    if isinstance(classes, str) and classes == "label" and labels is None:
        raise TargetError(
            "targets='label', but the images have no labels: pass labels= (--ground-truth), or batches (images, labels)"
        )


def targeted(batches: Iterable[Batch], classes: Any) -> Iterable[Batch]:
    """Batches with the classes that are watched."""
    for batch in batches:
        check_labelled(classes, batch.labels)
        chosen = batch.labels if isinstance(classes, str) else batch.targets if batch.targets is not None else classes
        yield replace(batch, targets=chosen)
