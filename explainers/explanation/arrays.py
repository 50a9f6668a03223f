"""Heat maps of volumes, signals and clips, with what is needed to show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from explainers.core.maps import CONSTANT, is_constant
from explainers.core.preprocessing import ArrayPreprocessing
from explainers.explanation.result import Explanation
from explainers.storage.atomic import write_bytes

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from explainers.data.recordings import Recording
    from explainers.render import Style
    from explainers.render.arrays import MapRow
    from explainers.render.report import WidgetMap, WidgetVolume


@dataclass(frozen=True, repr=False)
class ArrayExplanation(Explanation):
    """Heat maps of volumes, signals or clips: maps (N, *axes), or (N, K, *axes), over the network's input.

    recordings: what was explained, (C, *axes) values each, with affine or rate where their files have them; names: of
    each; preprocessing: from their values to the network's input, and from its maps back. `pixels` and `boxes` are
    empty.
    """

    recordings: tuple[Recording, ...] = ()
    names: tuple[str, ...] = ()
    preprocessing: ArrayPreprocessing = field(default_factory=ArrayPreprocessing)

    @property
    def axes(self) -> int:
        """How many axes a map has."""
        return self.preprocessing.axes

    def placed(self, index: int = 0, target: int = 0) -> np.ndarray:
        """(*axes) float32: the map on the recording's own grid, enlarged linearly where the network's input is of
        another size ((C, *axes) where the method kept the channels)."""
        return self.preprocessing.back(self.map(index, target), self.recordings[index].axes)

    def overlay(self, index: int = 0, *, target: int = 0, style: Style | None = None) -> np.ndarray:
        """(H, W, 3) uint8: three planes through the map's strongest place, without and with the map; of a signal its
        curves over the map's colours."""
        from explainers.render.arrays import picture_of, pixels_of

        return pixels_of(picture_of(self.recordings[index], [self.row(index, target, style=style)]))

    def save(self, path: str | PathLike[str], index: int = 0, *, target: int = 0, style: Style | None = None) -> Path:
        """Write one map: the picture as .png or .jpg, a walk through the slices or frames as .webp, the values on the
        recording's own grid as .nii or .nii.gz with the volume's affine, or as .npy; or all maps, targets and scores as
        .npz.

        Raises:
            MapError: a NIfTI file is asked for, and it is not known where the recording lies.
        """
        from explainers.data.recordings import write_map
        from explainers.render.arrays import walk

        path, recording = Path(path), self.recordings[index]
        if path.name.lower().endswith((".nii", ".nii.gz", ".npy")):
            write_map(path, self.placed(index, target), recording)
        elif path.suffix.lower() == ".webp" and self.axes == 3:
            write_bytes(path, walk(recording, self.row(index, target, style=style)))
        else:
            return super().save(path, index, target=target, style=style)
        return path

    def plot(self, *, style: Style | None = None, count: int | None = None) -> Figure:
        """A matplotlib figure: each recording with its maps below it, and the values that their colours stand for.

        Args:
            count: of the first recordings alone (None: all).
        """
        from explainers.render.arrays import figure_of, picture_of

        targets, pictures = self.targets.view(len(self), -1), []
        for index in range(len(self) if count is None else min(count, len(self))):
            said = [self.label(index, target) for target in targets[index].tolist()]
            rows = [self.row(index, k, each, style=style) for k, each in enumerate(said)]
            pictures.append(picture_of(self.recordings[index], rows, self.names[index]))
        return figure_of(pictures)

    def on_widget(self, index: int, said: str, maps: list[WidgetMap]) -> WidgetVolume:
        """The slices of a volume or clip."""
        from explainers.render.report import WidgetVolume

        subject, made = self.recordings[index], self.preprocessing
        return WidgetVolume(self.names[index], subject, made.kind, made.window, said, maps)

    def row(self, index: int = 0, target: int = 0, said: str = "", *, style: Style | None = None) -> MapRow:
        """A map as it is drawn, below the method's name and what is said."""
        from explainers.render import Style
        from explainers.render.arrays import MapRow, on_grid

        region = self.region(index, target)
        if region is not None:
            region = on_grid(region, self.recordings[index].axes)
        same = is_constant(self.maps[index, target] if self.targets.ndim == 2 else self.maps[index])
        title = f"{self.method}{f' ({CONSTANT})' if same else ''}" + (f" · {said}" if said else "")
        return MapRow(self.placed(index, target), style or Style(), title, region)


def figure_of_arrays(
    explanations: Sequence[ArrayExplanation], together: Sequence[Sequence[MapRow]], count: int | None = None
) -> Figure:
    """Each recording with a row for each method.

    Args:
        explanations: of the same recordings; together: further rows of each; count: of the first recordings alone.
    """
    from explainers.render.arrays import figure_of, picture_of

    first, pictures = explanations[0], []
    for index in range(len(first) if count is None else min(count, len(first))):
        rows = [*(each.row(index) for each in explanations), *together[index]]
        title = f"{first.names[index]} · {first.label(index, int(first.targets[index].flatten()[0]))}"
        pictures.append(picture_of(first.recordings[index], rows, title))
    return figure_of(pictures)
