"""What a source of networks is asked and what it gives; and folders that other rooms know how to read as a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from explainers.core.preprocessing import Preprocessing


@dataclass(frozen=True)
class Request:
    """name: the spec without its prefix; labels: class names given by the user; trust: whether code may be run."""

    name: str
    weights: str | None = None
    labels: tuple[str, ...] | None = None
    trust: bool = False

    def file(self) -> Path | None:
        """The weights as a file, where they look like one: an existing path, or a name with a known suffix."""
        if self.weights is None:
            return None
        path = Path(self.weights)
        known = path.suffix.lower() in (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar")
        return path if known or path.exists() else None


@dataclass(frozen=True)
class Parts:
    """A network, and what its source knows about it."""

    network: Callable[[Tensor], Any]
    preprocessing: Preprocessing | None = None
    class_names: tuple[str, ...] | None = None
    notes: list[str] = field(default_factory=list)
    sha256: str | None = None


Loader = Callable[[Request], Parts]


@dataclass(frozen=True)
class FolderSource:
    """Reads one kind of folder as a network. marker: the file that such a folder has."""

    what: str
    marker: str
    load: Loader


FOLDER_SOURCES: dict[str, FolderSource] = {}


def register_folder_source(what: str, marker: str) -> Callable[[Loader], Loader]:
    """Decorator: folders that hold a file called `marker` are `what`, and are loaded by the function.

    Rooms above this one make their folders known so; `explainers.load_model` sees to it that they are imported.
    """

    def keep(load: Loader) -> Loader:
        if marker in FOLDER_SOURCES:
            raise ValueError(f"two sources of networks read folders with {marker}")
        FOLDER_SOURCES[marker] = FolderSource(what, marker, load)
        return load

    return keep
