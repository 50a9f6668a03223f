"""Labelled images as batches of network inputs: kept in memory where they fit, read ahead where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import Split
from explainers.errors import DataError, ImageError, MapError

MEMORY = 2**31  # bytes of images that are kept
READERS = 4


class Examples:
    """A split's images as the network takes them, and their labels.

    Args:
        split: what is read; preprocessing: from photo to network input; memory: bytes up to which inputs are kept.

    Raises:
        DataError: the split is empty.
    """

    def __init__(self, split: Split, preprocessing: Preprocessing, *, memory: int = MEMORY) -> None:
        if len(split) == 0:
            raise DataError("the training, validation or test split is empty; each needs at least one image")
        self.split, self.preprocessing = split, preprocessing
        self.labels = torch.tensor(list(split.labels), dtype=torch.long)
        first = self._read(0)
        self.shape = first.shape
        fits = first.numel() * first.element_size() * len(split) <= memory
        self._kept = torch.empty(len(split), *self.shape) if fits else None
        self._known = torch.zeros(len(split), dtype=torch.bool)
        if self._kept is not None:
            self._kept[0], self._known[0] = first, True

    def __len__(self) -> int:
        """How many images."""
        return len(self.split)

    def images(self, indices: Sequence[int]) -> Tensor:
        """(N, C, H, W) float32 of these images.

        Raises:
            ImageError: a file cannot be read. DataError: an image of another size than the first.
        """
        rows = torch.tensor(indices, dtype=torch.long)
        missing = rows if self._kept is None else rows[~self._known[rows]].unique()
        if len(missing):
            with ThreadPoolExecutor(READERS) as pool:
                read = list(pool.map(self._read_checked, missing.tolist()))
            if self._kept is None:
                return torch.stack(read)
            self._kept[missing] = torch.stack(read)
            self._known[missing] = True
        assert self._kept is not None
        return self._kept[rows]

    def damaged(self) -> list[str]:
        """What is wrong with each image that cannot be read, or whose mask does not fit it."""
        with ThreadPoolExecutor(READERS) as pool:
            return [message for message in pool.map(self._tried, range(len(self))) if message]

    def mean_image(self, batch: int = 64) -> Tensor:
        """(C, H, W) pixel-wise mean of all images."""
        total = torch.zeros(self.shape, dtype=torch.float64)
        for start in range(0, len(self), batch):
            total += self.images(range(start, min(start + batch, len(self)))).double().sum(dim=0)
        return (total / len(self)).float()

    def _tried(self, index: int) -> str:
        try:
            pixels = self.split.pixels(index)
            image = self._checked(index, self.preprocessing(pixels))
            self.split.check_mask(index, pixels.shape[:2])
        except (ImageError, MapError) as error:
            return str(error)
        if self._kept is not None:
            self._kept[index], self._known[index] = image, True
        return ""

    def _read(self, index: int) -> Tensor:
        return self.preprocessing(self.split.pixels(index))

    def _read_checked(self, index: int) -> Tensor:
        return self._checked(index, self._read(index))

    def _checked(self, index: int, image: Tensor) -> Tensor:
        if image.shape != self.shape:
            raise DataError(
                f"{self.split.names[index]} gives an input of {tuple(image.shape)}, {self.split.names[0]} one of "
                f"{tuple(self.shape)}; training needs one size: give a crop, or a resize to height and width"
            )
        return image


def batches(labels: Tensor, size: int, sampling: str, rng: torch.Generator) -> list[list[int]]:
    """One epoch's order: indices in batches.

    Args:
        labels: (N,) classes; size: of a batch; sampling: "natural", every index once, or "balanced", N indices in
            all, the classes in turn, each class's own in random order again and again.

    Returns:
        Batches of `size`; the last may be smaller, and is left out where it would be a single image, which batch norm
        cannot normalise.
    """
    count = len(labels)
    if sampling == "natural":
        order = torch.randperm(count, generator=rng).tolist()
    else:
        classes = labels.unique().tolist()
        own = [_endless((labels == each).nonzero().flatten(), rng) for each in classes]
        order = [next(own[position % len(own)]) for position in range(count)]
    found = [order[start : start + size] for start in range(0, count, size)]
    return found[:-1] if len(found) > 1 and len(found[-1]) == 1 else found


def _endless(indices: Tensor, rng: torch.Generator) -> Iterator[int]:
    while True:
        yield from indices[torch.randperm(len(indices), generator=rng)].tolist()


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """(classes,) inverse frequencies with a mean of 1 over the images' classes.

    Raises:
        DataError: a class without an image.
    """
    counts = torch.bincount(labels, minlength=classes).float()
    if (counts == 0).any():
        missing = (counts == 0).nonzero().flatten().tolist()
        raise DataError(f"no training image has class {', '.join(map(str, missing))}; it cannot be weighted")
    weights = 1 / counts
    return weights / weights.mean()


def on_device(images: Tensor, device: torch.device) -> Tensor:
    """A batch on the device; photos lie there as convolutions read them fastest (on a CPU 1.2 to 1.3 times as fast)."""
    if images.ndim == 4 and device.type == "cpu":
        return images.contiguous(memory_format=torch.channels_last)
    return images.to(device)
