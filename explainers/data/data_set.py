"""Labelled images for training: what a data set is, and the table of kinds that can be named."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from explainers.core.name_table import Names
from explainers.core.preprocessing import Preprocessing
from explainers.errors import DataError

if TYPE_CHECKING:
    import numpy as np

Reader = Callable[[str], "DataSet"]  # from what follows the colon to the data set
READERS: Names[tuple[str, Reader]] = Names("data set", DataError)


class Split(ABC):
    """Labelled images that are read one by one.

    names: one for each image, different from each other; labels: its class index; mask_names: of the masks that there
    are for an image, the first of which is `mask`.
    """

    names: Sequence[str]
    labels: Sequence[int]
    mask_names: tuple[str, ...] = ("mask",)

    def __len__(self) -> int:
        """How many images."""
        return len(self.names)

    @abstractmethod
    def pixels(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB of an image; of a gray one with three equal channels.

        Raises:
            ImageError: the file cannot be read.
        """

    def mask(self, index: int) -> np.ndarray | None:
        """(H, W) bool, what decides the class of an image, in the same size; None where that is not known."""
        return None

    def named_mask(self, index: int, name: str) -> np.ndarray | None:
        """(H, W) bool, the mask of an image that is called so, such as "parts" of generated birds.

        Raises:
            DataError: there is no mask of this name.
        """
        if name != self.mask_names[0]:
            raise DataError(f"there is no mask {name!r}; there is {' and '.join(self.mask_names)}")
        return self.mask(index)

    def check_mask(self, index: int, size: tuple[int, int]) -> None:
        """See that the mask of an image of (height, width) pixels is as it must be; one that is made here is.

        Raises:
            MapError, ImageError: it is of another size or cannot be read.
        """
        return None


@dataclass(frozen=True)
class DataSet:
    """Training, validation and test images with what belongs to them.

    spec: what names it; preprocessing: from a photo to the network's input; test: None where there is none; masks:
    whether images of the test split have masks; notes: what a user should know about the split.
    """

    spec: str
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    train: Split
    val: Split
    test: Split | None
    masks: bool = False
    notes: tuple[str, ...] = ()


def register_data_set(kind: str, spelling: str) -> Callable[[Reader], Reader]:
    """Decorator: makes `kind:…` known. spelling: how a user writes it, for errors and help."""

    def keep(reader: Reader) -> Reader:
        READERS.add(kind, (spelling, reader), reader)
        return reader

    return keep


def settings_of(rest: str, defaults: dict[str, int | float], kind: str) -> dict[str, int | float]:
    """Numbers written as KEY=VALUE,KEY=VALUE behind a kind, over their defaults.

    Raises:
        DataError: an unknown key, or no number of the default's type.
    """
    found = dict(defaults)
    for entry in filter(None, rest.split(",")):
        key, equals, value = entry.partition("=")
        if not equals or key not in defaults:
            raise DataError(f"{kind}:{rest}: {entry!r} is no setting; they are {', '.join(defaults)}, as KEY=VALUE")
        try:
            found[key] = type(defaults[key])(value)
        except ValueError as error:
            raise DataError(f"{kind}:{rest}: {key}={value!r} is no {type(defaults[key]).__name__}") from error
    return found
