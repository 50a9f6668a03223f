"""Labelled images for training: what a data set is, and which one a specification such as `folder:PATH` names."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from explainers.core.names import Names
from explainers.core.preprocessing import Preprocessing
from explainers.errors import DataError

if TYPE_CHECKING:
    import numpy as np

MODULES = ("folders", "defn", "idrid", "cifar10", "magnetogram")  # of explainers.data; importing one registers its kind
Reader = Callable[[str], "DataSet"]  # from what follows the colon to the data set
READERS: Names[tuple[str, Reader]] = Names("data set", DataError)


class Split(ABC):
    """Labelled images that are read one by one.

    names: one for each image, different from each other; labels: its class index.
    """

    names: Sequence[str]
    labels: Sequence[int]

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
        READERS.add(kind, (spelling, reader))
        return reader

    return keep


def data_set_spellings() -> tuple[str, ...]:
    """How each known data set is named, sorted."""
    known = _known()
    return tuple(known.find(kind)[0] for kind in known)


def data_set(spec: str) -> DataSet:
    """The data set that a specification names.

    Args:
        spec: such as "folder:photos" or "magnetogram:size=64,train=2000".

    Raises:
        DataError: an unknown kind, or files that are not in the layout that it has.
    """
    kind, _, rest = str(spec).partition(":")
    known = _known()
    return known.find(kind, lambda each: known.find(each)[0])[1](rest)


def _known() -> Names[tuple[str, Reader]]:
    """Kinds with their spelling and reader. The modules are imported here, not above: they import this one."""
    for module in MODULES:
        importlib.import_module(f"explainers.data.{module}")
    return READERS


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
