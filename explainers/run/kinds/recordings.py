"""Volumes, signals and clips, seen through an `ArrayPreprocessing`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from explainers.core.preprocessing import ArrayPreprocessing
from explainers.data.images import ImageFile
from explainers.data.recordings import (
    MOST_VALUES,
    Recording,
    content_of,
    find_recordings,
    lies_elsewhere,
    map_file,
    read_kind,
    read_recording,
)
from explainers.errors import ImageError, MapError
from explainers.render import Scale, Style
from explainers.render.arrays import MapRow, bare, on_grid, picture_of, pixels_of, walk
from explainers.run.kinds.kind import Content, content_digest
from explainers.storage.paths import shown


@dataclass(frozen=True)
class Recordings:
    """Volumes, signals or clips, as the preprocessing says."""

    preprocessing: ArrayPreprocessing

    @property
    def name(self) -> str:
        """ "volume", "signal" or "clip"."""
        return self.preprocessing.kind

    def find(self, where: Any) -> list[ImageFile]:
        """By suffix; folders of DICOM slices are volumes, folders of numbered images clips."""
        return find_recordings(where, self.name)

    def content(self, path: Path) -> bytes:
        """Of the file, or of all slices or frames."""
        return content_of(path)

    def digest(self, subject: Recording) -> str:
        """Of the values."""
        return content_digest(subject.values)

    def read(self, path: Path, most: int | None) -> Recording:
        """With values that are finite, and as many axes as the kind has."""
        return read_kind(path, self.name, MOST_VALUES if most is None else most)

    def input(self, subject: Recording) -> Tensor:
        """(C, *axes)."""
        return self.preprocessing(subject.values)

    def size(self, subject: Recording) -> tuple[int, ...]:
        """Of the file, in its order."""
        return subject.axes

    def places(self, subject: Recording) -> dict[str, np.ndarray]:
        """image_size: how long the file's axes are; affine: from their indices to millimetres, where it is known; rate:
        samples per second of a signal."""
        known = {"affine": subject.affine, "rate": subject.rate}
        return {
            "image_size": np.array(subject.axes),
            **{name: np.array(value) for name, value in known.items() if value is not None},
        }

    def shown(self, subject: Recording) -> np.ndarray:
        """The middle slice or frame, or the curve of a signal."""
        return bare(subject)

    def drawn(self, subject: Recording, values: np.ndarray, style: Style, outline: Any = None) -> Mapping[str, Content]:
        """Of volumes and clips three planes through the map's maximum, and a walk through slices or time; of signals
        their curves. Of a map with channels what is largest in magnitude at each place."""
        region = None if outline is None else on_grid(np.asarray(outline), subject.axes)
        row = MapRow(self.preprocessing.back(values, subject.axes), style, region=region)
        made: dict[str, Content] = {".png": pixels_of(picture_of(subject, [row]))}
        return made if self.name == "signal" else made | {".webp": walk(subject, row)}

    def scale(self, values: np.ndarray, style: Style) -> Scale | None:
        """None: pictures have their own bar."""
        return None

    def maps(self, subject: Recording, values: np.ndarray) -> Mapping[str, bytes]:
        """The map enlarged to the file's axes: `.nii.gz` with its affine where it has one, else `.npy`."""
        suffix, data = map_file(self.preprocessing.back(values, subject.axes), subject)
        return {suffix: data}

    def map_in(self, path: Path, most: int | None) -> np.ndarray:
        """The first channel of a NIfTI file or an array."""
        return self._beside(path, most, "map").values[0]

    def mask_in(self, path: Path, most: int | None, of: Recording | None = None) -> np.ndarray:
        """What is not 0 is inside."""
        found = self._beside(path, most, "mask")
        if of is not None and found.axes == of.axes and lies_elsewhere(found, of):
            raise MapError(
                f"the mask {shown(path)} lies elsewhere than the {self.name} that it is of: its affine is another one; "
                f"write it on the grid of the {self.name}, with the affine of its file"
            )
        mask: np.ndarray = found.values[0] != 0
        if not mask.any():
            raise MapError(f"the mask {shown(path)} has nothing inside (all its values are 0)")
        return mask

    def _beside(self, path: Path, most: int | None, key: str) -> Recording:
        try:
            found = read_recording(path, most=MOST_VALUES if most is None else most, key=key)
        except ImageError as error:
            raise MapError(str(error)) from error
        if len(found.axes) != self.preprocessing.axes or len(found.values) != 1:
            raise MapError(
                f"the {key} {shown(path)} has axes {' × '.join(map(str, found.values.shape))}; expected the "
                f"{self.preprocessing.axes} of a {self.name}"
            )
        return found
