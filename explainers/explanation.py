"""The notebook door: one call from an image to a heat map that shows itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from explainers.core.maps import CONSTANT, as_tensor, is_constant
from explainers.core.preprocessing import photographic
from explainers.core.registry import options as known_options
from explainers.core.targets import NOT, of_rows, resolve_targets
from explainers.errors import OptionError
from explainers.methods import create, method as explainer_class
from explainers.models import as_preprocessing
from explainers.models.loaded import named_target, target_name
from explainers.network.input import first_parameter
from explainers.network.inputs import Key, bound
from explainers.network.output import Negative, class_scores
from explainers.network.unwrapping import as_network
from explainers.passes.activation import Reading, reading_of
from explainers.passes.one_score import Remarks, in_force

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from explainers.data.images.prepared import Box
    from explainers.models import Preprocessing
    from explainers.render import Style


@dataclass(frozen=True)
class Explanation:
    """Heat maps of one or several images by one method, with what is needed to show them.

    maps: (N, H, W), or (N, K, H, W) for K targets, float32, raw; targets: (N,) or (N, K); scores: (N, classes), raw;
    pixels: the photos, (H, W, 3) uint8 each; boxes: where in its photo each map lies (top, left, bottom, right);
    standard_error: of the maps, in their shape, or None; details: what the method tells of each image; reading: what
    turns scores into probabilities. Where "not" is explained, scores are −s and targets 0.
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
        from explainers.render import Style, gradient_picture, overlay

        values = self.map(index, target)
        if values.ndim == 3:
            return gradient_picture(values)
        return overlay(self.pixels[index], values, box=self.boxes[index], style=style or Style())

    def map(self, index: int = 0, target: int = 0) -> np.ndarray:
        """(H, W) raw values of one image and target ((C, H, W) where the method kept the channels)."""
        values = self.maps[index, target] if self.targets.ndim == 2 else self.maps[index]
        if values.ndim > 3 or (values.ndim == 3 and self.layers and values.shape[0] == len(self.layers) > 1):
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
        """The class and its probability, or its score where it is none, as captions name it."""
        negative = self.reading is not None and self.reading.negative
        name = target_name(NOT if negative else target, self.class_names, self.scores.shape[1])
        name = f"class {name}" if name.isdigit() else name
        scores = self.scores[index : index + 1]
        reading = None if self.reading is None else in_force(self.reading, scores)
        if reading is not None and reading.probability:
            return f"{name} {float(reading(scores)[0, target]):.2f}"
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
    activation: str | None = "auto",
    explain: Key | None = None,
    forward_kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> Explanation:
    """Explain a network's decision on an image.

    Args:
        model: from `load_model`, or any network.
        image: a path, a PIL image, an array (H, W, 3) uint8 or 0 … 1, a list of these, or a tensor (N, C, H, W) or
            (C, H, W) as the network takes it. Of a network of several inputs all of them, as a tuple or mapping: the
            explained one as above, the others as for every explainer.
        method: a name of `available()`, or `captum:NAME`.
        target: None (the predicted class), a class index or name, (N,) or (N, K) indices, or "not": the other class of
            a network with one score.
        preprocessing: from photo to network input, where `model` does not bring its own: a `Preprocessing`, a
            Compose or `weights.transforms()` of torchvision, or an image processor of transformers.
        class_names: likewise.
        activation: "auto", "softmax", "sigmoid" or None: from scores to the probabilities that captions name and that
            methods watch.
        explain, forward_kwargs: of several inputs the one that is explained, and keyword arguments of forward, as for
            every explainer.
        options: of the method.

    Raises:
        ImageError: the image cannot be read, or there is no preprocessing to make a photo into an input.
        TargetError, OptionError, UnsupportedError: as for every explainer.
    """
    if "activation" in known_options(explainer_class(method)):
        options["activation"] = activation
    made = _maker([(method, options)], model, preprocessing, class_names, activation)
    return made(image, target, explain, forward_kwargs)[0]


def compare(
    model: Any,
    image: Any,
    methods: Sequence[str] = ("grad-cam", "guided-grad-cam", "saliency"),
    target: Any = None,
    *,
    preprocessing: Any = None,
    class_names: Sequence[str] | None = None,
    explain: Key | None = None,
    forward_kwargs: Mapping[str, Any] | None = None,
    options: dict[str, dict[str, Any]] | None = None,
) -> Figure:
    """One figure: each image beside its map by every method.

    Args:
        options: for single methods, such as {"smooth-grad": {"samples": 25}}; the rest as for `explain`.

    Raises:
        UnsupportedError: a method cannot be right on this network; the others are not shown without it.
    """
    from explainers.render import figure

    asked = [(name, (options or {}).get(name, {})) for name in methods]
    unknown = set(options or {}) - set(methods)
    if unknown:
        raise OptionError(f"options for {', '.join(sorted(unknown))}, which is not among methods={list(methods)}")
    activation = next((each["activation"] for _, each in asked if "activation" in each), "auto")  # of the first told
    made = _maker(asked, model, preprocessing, class_names, activation)
    explanations = made(image, target, explain, forward_kwargs)
    rows = []
    for index in range(len(explanations[0])):
        title = explanations[0].label(index, int(explanations[0].targets[index].flatten()[0]))
        row = [(title, explanations[0].pixels[index])]
        row += [(explanation.method, explanation.overlay(index)) for explanation in explanations]
        rows.append(row)
    return figure(rows)


def _maker(
    methods: Sequence[tuple[str, dict[str, Any]]],
    model: Any,
    preprocessing: Any,
    class_names: Sequence[str] | None,
    activation: str | None,
) -> Callable[..., list[Explanation]]:
    """From images, targets, explain= and forward_kwargs= to an explanation by each method."""
    from explainers.data.images.prepared import has_several, prepared_inputs

    known = as_preprocessing(preprocessing) or getattr(model, "preprocessing", None)
    preparing = None if known is None else photographic(known)
    names = class_names or getattr(model, "class_names", None)

    def make(image: Any, target: Any, explain: Key | None, keywords: Mapping[str, Any] | None) -> list[Explanation]:
        network = as_network(model, several=True)
        if not has_several(network, image, explain, keywords):
            return _explanations(model, image, methods, target, preparing, names, activation)
        inputs, key, pixels, boxes = prepared_inputs(network, image, explain, keywords, preparing)
        rows = []
        for row in range(len(inputs)):
            one, own = bound(network, key), inputs[[row]]
            wanted = target if isinstance(target, str) else of_rows(target, [row], len(inputs))
            with one.given(own):
                rows.append(_explanations(one, own.parts[key], methods, wanted, preparing, names, activation))
        return [replace(_joined(each), pixels=pixels, boxes=boxes) for each in zip(*rows, strict=True)]

    return make


def _joined(parts: Sequence[Explanation]) -> Explanation:
    """Explanations of an image each as one of all of them."""
    errors = [part.standard_error for part in parts if part.standard_error is not None]
    return replace(
        parts[0],
        maps=torch.cat([part.maps for part in parts]),
        targets=torch.cat([part.targets for part in parts]),
        scores=torch.cat([part.scores for part in parts]),
        standard_error=torch.cat(errors) if errors else None,
        details=tuple(each for part in parts for each in part.details),
    )


def _explanations(
    model: Any,
    image: Any,
    methods: Sequence[tuple[str, dict[str, Any]]],
    target: Any,
    preprocessing: Preprocessing | None,
    names: Sequence[str] | None,
    activation: str | None,
) -> list[Explanation]:
    from explainers.data.images.prepared import prepared

    explainers = [create(name, model, **options) for name, options in methods]
    images, pixels, boxes = prepared(image, preprocessing, as_network(model))
    parameter = first_parameter(as_network(model))
    if parameter is not None:
        images = images.to(parameter.device)
    output = methods[0][1].get("output")
    scores = class_scores(model, images, output)
    wanted = named_target(target, names, scores.shape[1]) if isinstance(target, str) else target
    if isinstance(wanted, str):  # "not": the score turned around, whose class is 0
        explainers, wanted = [explainer.negative() for explainer in explainers], 0
        output = Negative(output)
        scores = class_scores(model, images, output)
    reading = reading_of(model, images, scores, activation, output, check=False)
    Remarks()(reading, scores, stacklevel=3)
    classes = resolve_targets(wanted, scores)
    several = isinstance(wanted, (Tensor, list, tuple)) and as_tensor(wanted).ndim == 2
    targets = classes if several else classes[:, 0]
    explanations = []
    for explainer, (name, _) in zip(explainers, methods, strict=True):
        made = explainer.explain(images, targets)
        known = (pixels, boxes, tuple(names) if names else None)
        explanations.append(
            Explanation(
                made.maps, targets, scores, name, explainer.layers, *known, made.standard_error, made.details, reading
            )
        )
    return explanations
