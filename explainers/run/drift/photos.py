"""The images that maps are compared on: files with their classes, prepared as each network takes them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import READERS
from explainers.data.generated.digits import CLASSES
from explainers.data.images import MAX_PIXELS, ImageFile, find_images
from explainers.data.sets import data_set
from explainers.data.sets.export import in_turn, write_split
from explainers.data.sets.splits import FileSplit, fraction_of
from explainers.errors import DataError, ImageError, OptionError, counted
from explainers.evaluation.drifting.network_by_network import Source
from explainers.evaluation.measuring.batch import Batch
from explainers.models import class_index
from explainers.network.input import first_parameter
from explainers.network.unwrapping import as_network
from explainers.run.evaluate.folder import Folder
from explainers.run.made_digits import digits_asked, made_digits
from explainers.run.true_classes import labels_of
from explainers.storage.atomic import write_bytes
from explainers.storage.owner import MADE

TEST_IMAGES = 200  # of a data set, unless it is said how many
# What decides where a map lies on a photo.
GEOMETRY = ("resize", "crop", "window", "longest", "multiple", "interpolation", "channels")


@dataclass(frozen=True)
class Photos:
    """Images and their classes.

    files: in order; labels: class index by name, or None; told: what they are, for people; columns: name of a file →
    group of the user's, or None; unread: grows by what cannot be read.
    """

    files: Sequence[ImageFile]
    labels: Mapping[str, int] | None
    told: str
    groups: Mapping[str, str] | None = None
    max_pixels: int = MAX_PIXELS
    unread: dict[str, str] = field(default_factory=dict)

    def source(self, reference: Preprocessing, size: int) -> Source:
        """Batches for each network: with its own colours, and the reference's part of the photo.

        Args:
            reference: its preprocessing; size: images in a batch.
        """

        def batches(model: Any) -> Iterator[Batch]:
            own = getattr(model, "preprocessing", None) or reference
            differing = [name for name in GEOMETRY if getattr(own, name) != getattr(reference, name)]
            if differing:
                told = ", ".join(
                    f"{name} {getattr(own, name)} (there {getattr(reference, name)})" for name in differing
                )
                raise OptionError(
                    f"it takes another part or size of a photo than the reference: {told}; set one for all (--size, "
                    "--crop)"
                )
            parameter = first_parameter(as_network(model))
            device = torch.device("cpu") if parameter is None else parameter.device
            folder = Folder(self.files, own, device, size, self.max_pixels, None, self.labels)
            yield from folder
            self.unread.update(folder.failed)

        return batches


def is_data_set(spec: str) -> bool:
    """Whether something names a data set, such as folder:PATH, and no folder of images and not digits:N."""
    kind, colon, _ = spec.partition(":")
    return kind in READERS and (bool(colon) or not Path(spec).exists())


def photos(
    spec: str,
    out: Path,
    *,
    count: int | None = None,
    class_names: Sequence[str] | None = None,
    truth: str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Photos:
    """The images that a specification names.

    Args:
        spec: a data set such as "folder:PATH" (its test images, or its validation images where there are none), a
            folder of images, or digits:N; out: where images that are no files are written; count: how many, of a data
            set the classes in turn (None: all); class_names: of the network; truth: the classes of a folder, see
            `labels_of`.

    Raises:
        DataError, ImageError: there are none, or classes that the network does not have.
    """
    digits = digits_asked(spec)
    if is_data_set(spec) or digits is not None:
        if truth is not None:
            raise OptionError(f"--ground-truth {truth}: the classes of {spec} are known; leave it out")
        if digits is not None:
            return _of_digits(digits, out, count, class_names, max_pixels)
        return _of_data_set(spec, out, count, class_names, max_pixels)
    files = _some(find_images(spec), count)
    labels = None if truth is None else labels_of(truth, files, class_names)
    return Photos(files, labels, f"{counted(len(files), 'image')} of {spec}", max_pixels=max_pixels)


def _some(files: list[ImageFile], count: int | None) -> list[ImageFile]:
    """So many files, picked by a hash of their names."""
    if count is None:
        return files
    return sorted(sorted(files, key=lambda file: fraction_of(file.name))[:count], key=lambda file: file.name)


def _of_digits(made: int, out: Path, count: int | None, network: Sequence[str] | None, max_pixels: int) -> Photos:
    """Digits, which are written; their classes where the network has the same."""
    folder = out / "test" / f"digits-{made}"
    written = made_digits(folder, made)
    write_bytes(out / "test" / MADE, b"")
    files = _some(find_images(folder / "images"), count)
    labels = {file.name: written[file.name] for file in files} if tuple(network or ()) == CLASSES else None
    return Photos(files, labels, f"{counted(len(files), 'image')} of digits:{made}", max_pixels=max_pixels)


def _of_data_set(spec: str, out: Path, count: int | None, class_names: Sequence[str] | None, max_pixels: int) -> Photos:
    data = data_set(spec)
    split, kind = (data.val, "validation") if data.test is None else (data.test, "test")
    index = _classes(spec, data.class_names, class_names)
    if isinstance(split, FileSplit):
        rows = in_turn(split, None)[:count]
        files = [split.files[row] for row in sorted(rows)]
        labels = {split.files[row].name: index[int(split.labels[row])] for row in rows}
    else:
        folder = out / "test" / hashlib.sha256(f"{spec} {kind} {count}".encode()).hexdigest()[:8]
        shutil.rmtree(folder, ignore_errors=True)  # the data may have changed since
        write_bytes(out / "test" / MADE, b"")
        written = write_split(split, folder, count=len(split) if count is None else count)
        files = find_images(written.images)
        labels = {name: index[label] for name, label in written.labels.items()}
    if not files:
        raise ImageError(f"{spec} has no {kind} images")
    told = f"{len(files)} of {counted(len(split), f'{kind} image')} of {spec}"
    return Photos(files, labels, told, max_pixels=max_pixels)


def _classes(spec: str, data: Sequence[str], network: Sequence[str] | None) -> list[int]:
    """The network's index of each class of the data, by name where the network has names.

    Raises:
        DataError: the network does not have one of them.
    """
    if network is None or tuple(network) == tuple(data):
        return list(range(len(data)))
    strange = [name for name in data if name.casefold() not in {each.casefold() for each in network}]
    if strange:
        raise DataError(f"{spec} has the class {strange[0]!r}, which the reference does not know")
    return [class_index(name, network) for name in data]


def with_groups(found: Photos, groups: Mapping[str, str]) -> Photos:
    """The same with a grouping of the user's.

    Raises:
        DataError: no image has a group.
    """
    if not any(groups.get(file.name) for file in found.files):
        raise DataError(f"none of the images is in the table of groups, such as {found.files[0].name!r}")
    return replace(found, groups=groups)
