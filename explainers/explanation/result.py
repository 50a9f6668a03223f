"""Heat maps with what is needed to show them."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from explainers.core.maps import CONSTANT, is_constant
from explainers.core.targets import NOT
from explainers.errors import OptionError
from explainers.explanation.widget import bundle, html_of, png
from explainers.models.loaded import target_name
from explainers.passes.activation import Reading
from explainers.passes.one_score import in_force
from explainers.targets import Target

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from explainers.explanation.prepared import Box
    from explainers.render import Style
    from explainers.render.report import WidgetImage, WidgetMap, WidgetVolume
    from explainers.render.sheet import AnyCell


@dataclass(frozen=True)
class Explanation:
    """Heat maps of one or several images by one method, with what is needed to show them.

    maps: (N, H, W), or (N, K, H, W) for K targets, float32, raw; targets: (N,) or (N, K); scores: (N, classes), raw;
    pixels: the photos, (H, W, 3) uint8 each; boxes: where in its photo each map lies (top, left, bottom, right);
    standard_error: of the maps, in their shape, or None; details: what the method tells of each image; reading: what
    turns scores into probabilities. Where "not" is explained, scores are −s and targets 0. Where target objects are
    explained, `objects` are all the different ones, settled; scores are theirs (N, T), values their f(x) (N, T), and
    targets say which of them are whose. names: of the photos' files, empty where tensors were given.
    """

    maps: Tensor
    targets: Tensor
    scores: Tensor
    method: str
    layers: tuple[str, ...]
    pixels: tuple[np.ndarray, ...]
    boxes: tuple[Box | None, ...]
    class_names: tuple[str, ...] | None = None
    standard_error: Tensor | None = None
    details: tuple[dict[str, Any], ...] = ()
    reading: Reading | None = None
    objects: tuple[Target, ...] = ()
    values: Tensor | None = None
    names: tuple[str, ...] = ()

    @property
    def axes(self) -> int:
        """How many axes a map has."""
        return 2

    @property
    def status(self) -> tuple[str, ...]:
        """Of each image: "ok", or "constant" where one of its maps is the same everywhere and so shows nothing."""
        several = self.targets.ndim == 2
        return tuple(CONSTANT if any(map(is_constant, maps if several else maps[None])) else "ok" for maps in self.maps)

    @property
    def activation(self) -> str:
        """What turned the scores into the probabilities that captions name."""
        return str(in_force(self.reading, self.scores) if self.reading else "none")

    def __len__(self) -> int:
        return len(self.maps)

    def overlay(self, index: int = 0, *, target: int = 0, style: Style | None = None) -> np.ndarray:
        """(H, W, 3) uint8: photo `index` with its map, for the target at that position of (N, K) targets."""
        from explainers.render import Style, gradient_picture, outlined, overlay

        values = self.map(index, target)
        if values.ndim == 3:
            return gradient_picture(values)
        drawn = overlay(self.pixels[index], values, box=self.boxes[index], style=style or Style())
        region = self.region(index, target)
        return drawn if region is None else outlined(drawn, region, box=self.boxes[index])

    def region(self, index: int = 0, target: int = 0) -> np.ndarray | None:
        """(*axes) bool: what of the input a target object is about, None where it is all of it."""
        if not self.objects:
            return None
        column = int(self.targets.view(len(self), -1)[index, target])
        outline = self.objects[column].outline(tuple(self.maps.shape[-self.axes :]))
        return None if outline is None else outline.cpu().numpy() > 0

    def map(self, index: int = 0, target: int = 0) -> np.ndarray:
        """(H, W) raw values of one image and target ((C, H, W) where the method kept the channels)."""
        values = self.maps[index, target] if self.targets.ndim == 2 else self.maps[index]
        more = values.ndim - self.axes
        if more > 1 or (more == 1 and self.layers and values.shape[0] == len(self.layers) > 1):
            raise OptionError("maps of several layers cannot be shown as one picture; take explanation.maps")
        return values.cpu().numpy()

    def save(self, path: str | PathLike[str], index: int = 0, *, target: int = 0, style: Style | None = None) -> Path:
        """Write the overlay as PNG, JPEG or WebP, or the raw maps, targets and scores as .npz."""
        from explainers.data.images.write import write_image, write_tensors

        path = Path(path)
        if path.suffix == ".npz":
            return write_tensors(path, maps=self.maps, targets=self.targets, scores=self.scores)
        write_image(path, self.overlay(index, target=target, style=style))
        return path

    def plot(self, *, style: Style | None = None, count: int | None = None) -> Figure:
        """A matplotlib figure: each photo beside its overlays, with the values that their colours stand for.

        Args:
            count: of the first images alone (None: all).
        """
        from explainers.render import figure

        targets = self.targets.view(len(self), -1)
        rows: list[list[AnyCell]] = []
        for index in range(len(self) if count is None else min(count, len(self))):
            row: list[AnyCell] = [("image", self.pixels[index])]
            for k, target in enumerate(targets[index].tolist()):
                row.append(self.cell(index, k, self.label(index, target), style=style))
            rows.append(row)
        return figure(rows)

    def cell(self, index: int = 0, target: int = 0, said: str = "", *, style: Style | None = None) -> AnyCell:
        """A picture of a sheet: the overlay below the method's name and what is said, with the scale of its colours."""
        from explainers.render import scale_of

        same = is_constant(self.maps[index, target] if self.targets.ndim == 2 else self.maps[index])
        caption = f"{self.method}{f' ({CONSTANT})' if same else ''}" + (f"\n{said}" if said else "")
        drawn = self.overlay(index, target=target, style=style)
        return caption, drawn, scale_of(self.map(index, target), style)

    def label(self, index: int, target: int) -> str:
        """The class and its probability, or its score where it is none, as captions name it; of a target object what it
        is called and its f(x)."""
        if self.objects and self.values is not None:
            object_, value = self.objects[target], float(self.values[index, target])
            digits = ".3g" if object_.quantity == "value" else ".2f"
            return f"{object_.label(self.class_names)} {value:{digits}}"
        negative = self.reading is not None and self.reading.negative
        name = target_name(NOT if negative else target, self.class_names, self.scores.shape[1])
        name = f"class {name}" if name.isdigit() else name
        scores = self.scores[index : index + 1]
        reading = None if self.reading is None else in_force(self.reading, scores)
        if reading is not None and reading.probability:
            return f"{name} {float(reading(scores)[0, target]):.2f}"
        return f"{name} {float(scores[0, target]):.3g}"

    def on_widget(self, index: int, said: str, maps: list[WidgetMap]) -> WidgetImage | WidgetVolume:
        """What lies below maps in the widget of a notebook."""
        from explainers.render.report import WidgetImage

        name = self.names[index] if self.names else f"image {index + 1}"
        return WidgetImage(name, self.pixels[index], self.boxes[index], said, maps)

    def _repr_png_(self) -> bytes:
        from explainers.render.report import IMAGES

        return png(self.plot(count=IMAGES))

    def _repr_html_(self) -> str:
        return html_of([self], self._repr_png_())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return bundle([self], self._repr_png_, repr(self))

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.maps.shape))
        same = self.status.count(CONSTANT)
        told = f", {same} of {len(self)} the same everywhere" if same else ""
        return f"Explanation({self.method}, {shape}, targets {self.targets.tolist()}{told})"
