"""The notebook door: one call from an image to a heat map that shows itself."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from explainers.core.asked_targets import AskedTargets
from explainers.core.maps import CONSTANT, is_constant
from explainers.core.targets import NOT
from explainers.errors import OptionError, OutputError
from explainers.methods import create
from explainers.models import as_preprocessing
from explainers.models.loaded import named_target, target_name
from explainers.models.target_words import target_of
from explainers.network.input import first_parameter
from explainers.network.unwrapping import as_network
from explainers.passes.activation import Reading
from explainers.targets import Target

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from explainers.render import Style

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Explanation:
    """Heat maps of one or several images by one method, with what is needed to show them.

    maps: (N, H, W), or (N, K, H, W) for K targets, float32, raw; targets: (N,) or (N, K); scores: (N, classes), raw;
    pixels: the photos, (H, W, 3) uint8 each; boxes: where in its photo each map lies (top, left, bottom, right);
    standard_error: of the maps, in their shape, or None; details: what the method tells of each image; reading: what
    turns scores into probabilities. Where "not" is explained, scores are −s and targets 0. Where target objects are
    explained, `objects` are all the different ones, settled; scores are theirs (N, T), values their f(x) (N, T), and
    targets say which of them are whose.
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

    @property
    def status(self) -> tuple[str, ...]:
        """Of each image: "ok", or "constant" where one of its maps is the same everywhere and so shows nothing."""
        several = self.targets.ndim == 2
        return tuple(CONSTANT if any(map(is_constant, maps if several else maps[None])) else "ok" for maps in self.maps)

    @property
    def activation(self) -> str:
        """What turned the scores into the probabilities that captions name."""
        return str(self.reading or "none")

    def __len__(self) -> int:
        return len(self.maps)

    def overlay(self, index: int = 0, *, target: int = 0, style: Style | None = None) -> np.ndarray:
        """(H, W, 3) uint8: photo `index` with its map, for the target at that position of (N, K) targets."""
        from explainers.render import Style, gradient_picture, outlined, overlay

        values = self.map(index, target)
        if values.ndim == 3:
            return gradient_picture(values)
        drawn = overlay(self.pixels[index], values, box=self.boxes[index], style=style or Style())
        outline = None
        if self.objects:
            column = int(self.targets.view(len(self), -1)[index, target])
            outline = self.objects[column].outline(tuple(self.maps.shape[-2:]))
        return drawn if outline is None else outlined(drawn, outline.cpu().numpy(), box=self.boxes[index])

    def map(self, index: int = 0, target: int = 0) -> np.ndarray:
        """(H, W) raw values of one image and target ((C, H, W) where the method kept the channels)."""
        values = self.maps[index, target] if self.targets.ndim == 2 else self.maps[index]
        if values.ndim > 3 or (values.ndim == 3 and self.layers and values.shape[0] == len(self.layers) > 1):
            raise OptionError("maps of several layers cannot be shown as one picture; take explanation.maps")
        return values.cpu().numpy()

    def save(self, path: str | PathLike[str], index: int = 0, *, target: int = 0, style: Style | None = None) -> Path:
        """Write the overlay as PNG, JPEG or WebP, or the raw maps, targets and scores as .npz."""
        path = Path(path)
        if path.suffix == ".npz":
            return _save_arrays(path, maps=self.maps, targets=self.targets, scores=self.scores)
        from explainers.data.images import write_image

        write_image(path, self.overlay(index, target=target, style=style))
        return path

    def plot(self, *, style: Style | None = None) -> Figure:
        """A matplotlib figure: each photo beside its overlays."""
        from explainers.render import figure

        targets = self.targets.view(len(self), -1)
        rows = []
        for index in range(len(self)):
            row = [("image", self.pixels[index])]
            for k, target in enumerate(targets[index].tolist()):
                same = is_constant(self.maps[index, k] if self.targets.ndim == 2 else self.maps[index])
                title = f"{self.method}{' (constant)' if same else ''}\n{self.label(index, target)}"
                row.append((title, self.overlay(index, target=k, style=style)))
            rows.append(row)
        return figure(rows)

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
        try:
            if self.reading is not None and self.reading.probability:
                self.reading.check(scores)
                return f"{name} {float(self.reading(scores)[0, target]):.2f}"
        except OutputError:  # one score that is no logit
            pass
        return f"{name} {float(scores[0, target]):.3g}"

    def _repr_png_(self) -> bytes:
        figure = self.plot()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=72, bbox_inches="tight")
        return buffer.getvalue()

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.maps.shape))
        same = self.status.count(CONSTANT)
        told = f", {same} of {len(self)} the same everywhere" if same else ""
        return f"Explanation({self.method}, {shape}, targets {self.targets.tolist()}{told})"


def explain(
    model: Any,
    image: Any,
    method: str = "grad-cam",
    target: Any = None,
    *,
    preprocessing: Any = None,
    class_names: Sequence[str] | None = None,
    **options: Any,
) -> Explanation:
    """Explain a network's decision on an image.

    Args:
        model: from `load_model`, or any network.
        image: a path, a PIL image, an array (H, W, 3) uint8 or 0 … 1, a list of these, or a tensor (N, C, H, W) or
            (C, H, W) as the network takes it.
        method: a name of `available()`, or `captum:NAME`.
        target: None (the predicted class), a class index or name, (N,) or (N, K) indices, or "not": the other class of
            a network with one score. A target object (`explainers.targets`), a list of one for each image, or of lists;
            or text as `--target` takes it, such as "cat - dog" or "like:reference.jpg".
        preprocessing: from photo to network input, where `model` does not bring its own: a `Preprocessing`, a
            Compose or `weights.transforms()` of torchvision, or an image processor of transformers.
        class_names: likewise.
        options: of the method.

    Raises:
        ImageError: the image cannot be read, or there is no preprocessing to make a photo into an input.
        TargetError, OptionError, UnsupportedError: as for every explainer.
    """
    return _explanations(model, image, [(method, options)], target, preprocessing, class_names)[0]


def compare(
    model: Any,
    image: Any,
    methods: Sequence[str] = ("grad-cam", "guided-grad-cam", "saliency"),
    target: Any = None,
    *,
    preprocessing: Any = None,
    class_names: Sequence[str] | None = None,
    options: dict[str, dict[str, Any]] | None = None,
) -> Figure:
    """One figure: each image beside its map by every method.

    Args:
        options: for single methods, such as {"smooth-grad": {"samples": 25}}; the rest as for `explain`.

    Raises:
        UnsupportedError: a method cannot be right on this network; the others are not shown without it.
    """
    from explainers.render import figure

    chosen = [(name, (options or {}).get(name, {})) for name in methods]
    unknown = set(options or {}) - set(methods)
    if unknown:
        raise OptionError(f"options for {', '.join(sorted(unknown))}, which is not among methods={list(methods)}")
    explanations = _explanations(model, image, chosen, target, preprocessing, class_names)
    rows = []
    for index in range(len(explanations[0])):
        title = explanations[0].label(index, int(explanations[0].targets[index].flatten()[0]))
        row = [(title, explanations[0].pixels[index])]
        row += [(explanation.method, explanation.overlay(index)) for explanation in explanations]
        rows.append(row)
    return figure(rows)


def _explanations(
    model: Any,
    image: Any,
    methods: Sequence[tuple[str, dict[str, Any]]],
    target: Any,
    preprocessing: Any,
    class_names: Sequence[str] | None,
) -> list[Explanation]:
    from explainers.data.images.prepared import prepared

    explainers = [create(name, model, **options) for name, options in methods]
    preprocessing = as_preprocessing(preprocessing) or getattr(model, "preprocessing", None)
    names = class_names or getattr(model, "class_names", None)
    images, pixels, boxes = prepared(image, preprocessing)
    parameter = first_parameter(as_network(model))
    if parameter is not None:
        images = images.to(parameter.device)
    output = methods[0][1].get("output")
    known = (pixels, boxes, tuple(names) if names else None)
    if isinstance(target, str):
        target = target_of(target, names, lambda path: prepared(path, preprocessing)[0][0])
    named = partial(named_target, class_names=names)
    asked = AskedTargets.of(model, images, target, output, _activation(methods), named)
    explanations = []
    for explainer, (name, _) in zip(explainers, methods, strict=True):
        explainer = explainer.negative() if asked.negative else explainer
        made = explainer.explain(images, asked.wanted)
        explanations.append(
            Explanation(
                made.maps,
                asked.targets,
                asked.scores,
                name,
                explainer.layers,
                *known,
                made.standard_error,
                made.details,
                asked.reading,
                asked.objects,
                asked.values,
            )
        )
    return explanations


def _activation(methods: Sequence[tuple[str, dict[str, Any]]]) -> str | None:
    """What turns scores into probabilities, as the first method that was told says."""
    return next((options["activation"] for _, options in methods if "activation" in options), "auto")


def _save_arrays(path: Path, **arrays: Tensor) -> Path:
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, **{name: value.cpu().numpy() for name, value in arrays.items()})  # type: ignore[arg-type]
    return path
