"""A folder of images as batches for an evaluation, with masks and true classes where there are some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.image_by_image import reason_of_file
from explainers.core.preprocessing import AnyPreprocessing
from explainers.data.images import ImageFile, Photo, find_images
from explainers.data.images.companions import Beside
from explainers.data.images.read_ahead import read_ahead
from explainers.errors import ImageError, MapError, OptionError
from explainers.evaluation.measuring.batch import Batch
from explainers.evaluation.rows import Row, failed_row, nothing_row
from explainers.network.input import first_parameter
from explainers.run.evaluate.boxes.source import BoxRows
from explainers.run.evaluate.options import EvaluationOptions
from explainers.run.kinds import Kind, kind_of
from explainers.run.kinds.kind import content_digest
from explainers.run.targets.objects import ImageTargets
from explainers.run.targets.placed import placed
from explainers.run.true_classes import checked_labels
from explainers.storage.paths import shown

READERS = 4
EMPTY = torch.empty(0, dtype=torch.float32, device="cpu")


def files_of(images: Any, preprocessing: AnyPreprocessing | None = None) -> list[ImageFile] | None:
    """The image files of a folder, a file or a list of files; None where the images are none of these."""
    if isinstance(images, (str, PathLike)):
        return find_images(images) if preprocessing is None else kind_of(preprocessing).find(images)
    if isinstance(images, (list, tuple)) and images and all(isinstance(each, ImageFile) for each in images):
        return list(images)
    return None


def folder_batches(files: list[ImageFile], network: Any, options: EvaluationOptions, masks: Any, labels: Any) -> Folder:
    """The batches of image files.

    Raises:
        ImageError: it is not known how the network takes a photo. OptionError: masks or labels are not given by file.
    """
    preprocessing = options.preprocessing
    if preprocessing is None:
        raise ImageError(
            "how this network takes a photo is not known: load it with explainers.load_model, pass preprocessing=, or "
            "pass batches of tensors (N, C, H, W) as the network takes them"
        )
    parameter = first_parameter(network)
    device = torch.device("cpu") if parameter is None else parameter.device
    if masks is not None and not isinstance(masks, (str, PathLike)):
        raise OptionError("with a folder of images, masks are a folder too: files named like the images")
    labels = checked_labels(labels, files)
    beside = None if masks is None else Beside(masks, "mask")
    return Folder(files, preprocessing, device, min(options.batch_size, len(files)), options.max_pixels, beside, labels)


@dataclass
class Folder:
    """Image files as batches of at most `size`, read ahead; what cannot be read is noted in `failed`.

    masks: files beside the images, or None; labels: image name → class index, or None.
    """

    files: Sequence[ImageFile]
    preprocessing: AnyPreprocessing
    device: torch.device
    size: int
    max_pixels: int | None
    masks: Beside | None = None
    labels: Mapping[str, int] | None = None
    failed: list[tuple[str, str]] = field(default_factory=list)
    unmasked: list[str] = field(default_factory=list)  # reasons, of images that failed because of their masks
    seen: dict[str, tuple[dict[str, np.ndarray], str]] = field(default_factory=dict)
    """Where the network's input lies in each photo or volume, and its content, by its name."""
    own: ImageTargets | None = None  # a target of each image
    boxes: BoxRows | None = None  # what makes detections of images
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)  # of each photo or volume, by its name

    def __iter__(self) -> Iterator[Batch]:
        """Batches as `of_images`, of their detections where these are scored."""
        for batch in self.of_images():
            if self.boxes is None:
                yield batch
            elif (found := self.boxes.of(batch, self.sizes)) is not None:
                self.seen |= {name: self.seen[self.boxes.columns[name]["file"]] for name in found.names}
                yield found

    def of_images(self) -> Iterator[Batch]:
        """Batches of one shape each, in the order of the files, the same in every run.

        An image whose mask is missing, damaged or of another size is one that cannot be read.

        Raises:
            MapError: no image has a mask that can be used.
        """
        if self.own is not None:
            self.own.check(self.files)
        if self.masks is not None:
            names = [file.name for file in self.files]
            self.masks.note_shared(names)
            self.masks.refuse_foreign(names)
        waiting: dict[tuple[int, ...], list[_Item]] = {}
        with ThreadPoolExecutor(READERS) as pool:
            for item in read_ahead(pool, self.files, self._read, 2 * self.size):
                if item.reason:
                    self.failed.append((item.name, item.reason))
                    self.unmasked += [item.reason] * item.unmasked
                    continue
                shape = tuple(item.image.shape)
                waiting.setdefault(shape, []).append(item)
                if len(waiting[shape]) == self.size:
                    yield self._batch(waiting.pop(shape))
        if self.unmasked and len(self.failed) == len(self.files):
            count = len(self.unmasked)
            which = f"none of the {count} masks can be used, the first since" if count > 1 else "no mask can be used:"
            raise MapError(f"{which} {self.unmasked[0]}")
        for items in waiting.values():
            yield self._batch(items)

    def rows_without_maps(self, explainers: Iterable[str]) -> list[Row]:
        """For each explainer a row of each image that never came to it, with why."""
        listed = [(failed_row, self.failed)]
        if self.boxes is not None:
            listed += [(failed_row, self.boxes.broken), (nothing_row, self.boxes.nothing)]
        return [made(name, title, why) for made, images in listed for name, why in images for title in explainers]

    @property
    def kind(self) -> Kind:
        """Of the files."""
        return kind_of(self.preprocessing)

    def subject(self, file: ImageFile) -> Any:
        """What is in a file, as the network's preprocessing needs it read.

        Raises:
            ImageError: it cannot be.
        """
        return self.kind.read(file.path, self.max_pixels)

    def _read(self, file: ImageFile) -> _Item:
        try:
            subject = self.subject(file)
            key = self.kind.digest(subject)
            self.sizes[file.name] = self.kind.size(subject)
            self.seen[file.name] = (self.kind.places(subject), key)
            image = self.kind.input(subject)
            target = None if self.own is None else self.own.of(file, subject, self.preprocessing)
        except Exception as error:
            return _Item(file.name, reason=reason_of_file(error))
        try:
            mask = None if self.masks is None else self._mask(file.name, subject, tuple(image.shape[1:]))
        except Exception as error:
            return _Item(file.name, reason=reason_of_file(error), unmasked=True)
        return _Item(file.name, image, mask, key, target=target)

    def _mask(self, name: str, subject: Any, size: tuple[int, ...]) -> Tensor:
        assert self.masks is not None
        path = self.masks.path(name)
        inside = self.kind.mask_in(path, self.max_pixels, subject)
        field_ = placed(inside, self.kind.size(subject), size, self.preprocessing, str(path), True)
        if not bool(field_.any()):
            raise MapError(f"the mask {shown(path)} has nothing inside what the network sees of the {self.kind.name}")
        return field_ > 0

    def _batch(self, items: Sequence[_Item]) -> Batch:
        names = tuple(item.name for item in items)
        labels = None if self.labels is None else torch.tensor([self.labels[name] for name in names], device="cpu")
        masks = [item.mask for item in items if item.mask is not None]
        return Batch(
            names,
            torch.stack([item.image for item in items]).to(self.device),
            None if self.own is None else [item.target for item in items],
            None if labels is None else labels.to(self.device),
            torch.stack(masks).to(self.device) if masks else None,
            tuple(item.key for item in items),
        )


def content_of(photo: Photo) -> str:
    """What tells a photo's content from any other's."""
    return content_digest(photo.input)


@dataclass(frozen=True)
class _Item:
    name: str
    image: Tensor = EMPTY
    mask: Tensor | None = None
    key: str = ""
    reason: str = ""
    unmasked: bool = False
    target: Any = None
