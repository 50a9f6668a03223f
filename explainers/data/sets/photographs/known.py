"""What is known of the photographs of a set, and how classifiers take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from explainers.core.preprocessing import Preprocessing
from explainers.data.images import ImageFile
from explainers.data.sets.splits import IMAGENET_MEAN, IMAGENET_STD, Box, FileSplit, MaskReader, gray_mask

Rows = Sequence[tuple[ImageFile, int]]


@dataclass(frozen=True)
class Known:
    """By an image's name the files of its mask and its boxes; read: what reads such a file."""

    masks: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    boxes: Callable[[str], Sequence[Box]] | None = None
    read: MaskReader = gray_mask

    def split(self, rows: Rows) -> FileSplit:
        """Images and their classes as a split."""
        return FileSplit(
            [file for file, _ in rows], [label for _, label in rows], self.masks, boxes=self.boxes, read=self.read
        )


def photographs(source: str) -> Preprocessing:
    """As classifiers of photographs are trained: the shorter side 256, of which the middle 224 × 224."""
    return Preprocessing(256, (224, 224), IMAGENET_MEAN, IMAGENET_STD, source=source)
