"""The contract of a kind of input."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from explainers.data.images import ImageFile
from explainers.render import Scale, Style

Content = np.ndarray | bytes  # (H, W, 3) uint8 pixels of a picture, or a file as it is
Subject = Any  # what a file holds, as it is read: it has `notes`, which say what a user may want to know


def content_digest(values: np.ndarray) -> str:
    """SHA-256 of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


class Kind(Protocol):
    """Photos, volumes, signals or clips: everything that a run over files has to know of them."""

    @property
    def name(self) -> str:
        """How messages call one of them."""

    def find(self, where: Any) -> list[ImageFile]:
        """The files, or folders that are one, below a folder.

        Raises:
            ImageError: there is no such folder, or none of them below it.
        """

    def content(self, path: Path) -> bytes:
        """A hash of what is in a file. Raises: OSError: it cannot be read."""

    def digest(self, subject: Subject) -> str:
        """What tells the values of a subject from any other's."""

    def read(self, path: Path, most: int | None) -> Subject:
        """What is in a file of at most so many pixels or values; None: as many as are usual of this kind.

        Raises:
            ImageError: it cannot be read, or is larger.
        """

    def input(self, subject: Subject) -> Tensor:
        """(C, *axes) as the network takes it.

        Raises:
            ImageError: it cannot take it.
        """

    def size(self, subject: Subject) -> tuple[int, ...]:
        """How long the axes are that a map goes over."""

    def places(self, subject: Subject) -> dict[str, np.ndarray]:
        """Where the network's input lies in the subject, as raw maps note it."""

    def shown(self, subject: Subject) -> np.ndarray:
        """(H, W, 3) uint8: a picture of it without a map, for sheets."""

    def drawn(self, subject: Subject, values: np.ndarray, style: Style, outline: Any = None) -> Mapping[str, Content]:
        """Pictures of a map by their suffix, `.png` first.

        Args:
            values: (*axes), or (C, *axes), over the network's input; outline: of a region that is explained, or None.
        """

    def scale(self, values: np.ndarray, style: Style) -> Scale | None:
        """What the colours of such a picture stand for; None where the picture says so itself, or has no scale."""

    def maps(self, subject: Subject, values: np.ndarray) -> Mapping[str, bytes]:
        """Files of the map, by suffix, beside the raw one: in the subject's own places, for other programs."""

    def map_in(self, path: Path, most: int | None) -> np.ndarray:
        """(*axes) float32 of a map in a file beside the subject.

        Raises:
            MapError, ImageError: it cannot be read, or is no map.
        """

    def mask_in(self, path: Path, most: int | None, of: Subject | None = None) -> np.ndarray:
        """(*axes) bool of a mask in a file beside the subject.

        Args:
            of: the subject, where it is to be seen that the mask lies in the same place.

        Raises:
            MapError, ImageError: it cannot be read, nothing is inside, or it says that it lies elsewhere.
        """
