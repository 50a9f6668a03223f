"""What a source of networks is asked, and what it gives."""

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
