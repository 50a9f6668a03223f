"""Where the images of an evaluation come from: tensors, data loaders, folders; always in batches of one size."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.data.images.companions import Beside, read_map, read_mask
from explainers.data.images.files import ImageFile, read_image
from explainers.errors import ImageError, MapError, OptionError
from explainers.evaluation.engine import Batch
from explainers.evaluation.measuring.validation import checked_masks
from explainers.models import Preprocessing
from explainers.network.input import checked_images
from explainers.storage.atomic import shown

READERS = 4


def of_loader(
    batches: Iterable[Any], network: Any, size: int, *, targets: Any = None, labels: Any = None, masks: Any = None
) -> Iterator[Batch]:
    """Batches of at most `size` images out of a tensor (N, C, H, W) or an iterable of batches.

    Args:
        batches: each a tensor, a tuple (images, labels) or (images, labels, masks), or a dict with "images" and any of
            "labels", "masks", "targets", "names".
        targets, labels, masks: of all images in order, where the batches do not bring their own.

    Raises:
        ImageError: there are no images, or they are none. OptionError: targets, labels or masks for another number.
    """
    start = 0
    for given in [batches] if isinstance(batches, Tensor) else batches:
        parts = _parts(given)
        images = checked_images(parts["images"], network)
        count = len(images)
        for first in range(0, count, size):
            rows = slice(first, min(first + size, count))
            whole = slice(start + rows.start, start + rows.stop)
            names = parts.get("names") or [str(start + row) for row in range(count)]
            part = images[rows]
            yield Batch(
                tuple(str(name) for name in names[rows]),
                part,
                _sliced("targets", parts.get("targets"), rows, targets, whole),
                _classes(_sliced("labels", parts.get("labels"), rows, labels, whole), part),
                checked_masks(_sliced("masks", parts.get("masks"), rows, masks, whole), part),
                tuple(_content(image) for image in part),
            )
        start += count
    if start == 0:
        raise ImageError("there are no images to evaluate")
    for name, value in (("targets", targets), ("labels", labels), ("masks", masks)):
        if hasattr(value, "__len__") and np.ndim(value) != 0 and len(value) != start:
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
    if given is None or isinstance(given, int) or callable(given) or np.ndim(given) == 0:
        return given
    if len(given) < whole.stop:
        raise OptionError(f"{len(given)} {name} for {whole.stop} images or more")
    part = given[whole]
    return part if isinstance(part, Tensor) else torch.as_tensor(np.asarray(part))


def _classes(labels: Any, images: Tensor) -> Tensor | None:
    if labels is None:
        return None
    labels = torch.as_tensor(labels)
    if labels.ndim != 1 or labels.is_floating_point() or labels.dtype == torch.bool or len(labels) != len(images):
        raise OptionError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)}; expected ({len(images)},) class indices"
        )
    return labels.to(images.device)


def _content(image: Tensor) -> str:
    return hashlib.sha256(image.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


@dataclass
class Folder:
    """Image files as batches of at most `size`, read ahead; what cannot be read is noted in `failed`.

    masks: files beside the images, or None; labels: image name → class index, or None.
    """

    files: Sequence[ImageFile]
    preprocessing: Preprocessing
    device: torch.device
    size: int
    max_pixels: int
    masks: Beside | None = None
    labels: Mapping[str, int] | None = None
    failed: list[tuple[str, str]] = field(default_factory=list)

    def __iter__(self) -> Iterator[Batch]:
        """Batches of one shape each, in the order of the files, the same in every run.

        Raises:
            MapError: images without a mask, or a mask that does not fit its image.
        """
        if self.masks is not None:
            missing = self.masks.missing([file.name for file in self.files])
            if missing:
                self.masks.path(missing[0])  # says what was looked for
        waiting: dict[tuple[int, ...], list[_Item]] = {}
        with ThreadPoolExecutor(READERS) as pool:
            for item in _prefetched(pool, iter(self.files), self._read, 2 * self.size):
                if item.reason:
                    self.failed.append((item.name, item.reason))
                    continue
                shape = tuple(item.image.shape)
                waiting.setdefault(shape, []).append(item)
                if len(waiting[shape]) == self.size:
                    yield self._batch(waiting.pop(shape))
        for items in waiting.values():
            yield self._batch(items)

    def _read(self, file: ImageFile) -> _Item:
        try:
            photo = read_image(file.path, max_pixels=self.max_pixels)
            key = hashlib.sha256(photo.pixels.tobytes()).hexdigest()
        except ImageError as error:
            return _Item(file.name, reason=str(error))
        image = self.preprocessing(photo.pixels)
        mask = None if self.masks is None else self._mask(file.name, photo.pixels.shape[:2], tuple(image.shape[1:]))
        return _Item(file.name, image, mask, key)

    def _mask(self, name: str, photo: tuple[int, ...], size: tuple[int, ...]) -> Tensor:
        assert self.masks is not None
        path = self.masks.path(name)
        field_ = placed(read_mask(path, max_pixels=self.max_pixels), photo, size, self.preprocessing, str(path), True)
        if not bool(field_.any()):
            raise MapError(f"the mask {shown(path)} has nothing inside the part of the photo that the network sees")
        return field_ > 0

    def _batch(self, items: Sequence[_Item]) -> Batch:
        names = tuple(item.name for item in items)
        labels = None if self.labels is None else torch.tensor([self.labels[name] for name in names])
        masks = [item.mask for item in items if item.mask is not None]
        return Batch(
            names,
            torch.stack([item.image for item in items]).to(self.device),
            None,
            None if labels is None else labels.to(self.device),
            torch.stack(masks).to(self.device) if masks else None,
            tuple(item.key for item in items),
        )


@dataclass(frozen=True)
class _Item:
    name: str
    image: Tensor = field(default_factory=lambda: torch.empty(0))
    mask: Tensor | None = None
    key: str = ""
    reason: str = ""


def _prefetched(pool: ThreadPoolExecutor, files: Iterator[ImageFile], read: Any, ahead: int) -> Iterator[_Item]:
    waiting: deque[Future[_Item]] = deque(pool.submit(read, file) for file in islice(files, ahead))
    while waiting:
        item = waiting.popleft().result()
        waiting.extend(pool.submit(read, file) for file in islice(files, 1))
        yield item


def placed(
    values: np.ndarray,
    photo: Sequence[int],
    size: Sequence[int],
    preprocessing: Preprocessing,
    what: str,
    nearest: bool,
) -> Tensor:
    """A mask or map over the network's input (h, w): as it is where it has that size, cut like the photo where it has
    the photo's.

    Raises:
        MapError: it has another size.
    """
    if values.shape == tuple(photo):
        return preprocessing.fitted(values, nearest=nearest)
    if values.shape == tuple(size):
        return torch.from_numpy(values.astype(np.float32))
    raise MapError(
        f"{shown(what)} has {values.shape[0]} × {values.shape[1]} pixels; its photo has {photo[0]} × {photo[1]}, "
        f"what the network sees of it {size[0]} × {size[1]}"
    )


@dataclass(frozen=True)
class StoredMaps:
    """Heat maps in files beside the images, as the engine takes them.

    ending: what stands between an image's name and the suffix, such as ".grad-cam".
    """

    folder: Beside
    files: Mapping[str, ImageFile]
    preprocessing: Preprocessing
    max_pixels: int
    ending: str = ""

    def __call__(self, names: Sequence[str], size: tuple[int, int]) -> Tensor:
        """(N, H, W) maps of images.

        Raises:
            MapError: a map is missing, or of another size.
        """
        return torch.stack([self._map(name, size) for name in names])

    def digest(self, names: Sequence[str]) -> str:
        """Of the files' contents.

        Raises:
            MapError: a map is missing.
        """
        found = hashlib.sha256()
        for name in names:
            found.update(hashlib.sha256(self.folder.path(name, self.ending).read_bytes()).digest())
        return found.hexdigest()

    def _map(self, name: str, size: tuple[int, int]) -> Tensor:
        path = self.folder.path(name, self.ending)
        values = read_map(path, max_pixels=self.max_pixels)
        if values.shape == size:
            return torch.from_numpy(values)
        photo = read_image(self.files[name].path, max_pixels=self.max_pixels).pixels.shape[:2]
        return placed(values, photo, size, self.preprocessing, str(path), False)
