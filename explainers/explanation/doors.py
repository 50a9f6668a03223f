"""One call from an image to a heat map, or to a figure of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from explainers.core.asked_targets import AskedTargets
from explainers.core.image_by_image import told_of_network
from explainers.core.registry import options as known_options
from explainers.core.targets import of_rows
from explainers.errors import OptionError
from explainers.explanation.arrays import ArrayExplanation, figure_of_arrays
from explainers.explanation.prepared import Prepared, has_several, prepared, prepared_inputs
from explainers.explanation.result import Explanation
from explainers.explanation.widget import with_widget
from explainers.methods import create, method as explainer_class
from explainers.models import as_preprocessing
from explainers.models.given_preprocessing import brought_by
from explainers.models.loaded import named_target
from explainers.models.target_words import target_of
from explainers.network.input import checked_images, first_parameter
from explainers.network.inputs import Key, bound
from explainers.network.unwrapping import as_network
from explainers.passes.one_score import Remarks
from explainers.passes.steady import tell_steadiness

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from explainers.core.preprocessing import AnyPreprocessing
    from explainers.render.arrays import MapRow
    from explainers.render.sheet import AnyCell


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
    """Explain a network's decision on an image, a volume, a signal or a clip.

    Args:
        model: from `load_model`, or any network.
        image: a path, a PIL image, an array (H, W, 3) uint8 or 0 … 1, a list of these, or a tensor (N, C, H, W) or
            (C, H, W) as the network takes it. Of a network over volumes or signals the path of a recording
            (docs/volumes-and-signals.md: NIfTI, DICOM folder, WAV, NPY, folder of frames), an array (D, H, W) or
            (C, D, H, W), of signals (L,) or (C, L), a list of these, or a tensor as the network takes it. Of a network
            of several inputs all of them, as a tuple or mapping: the explained one as above, the others as for every
            explainer.
        method: a name of `available()`, or `captum:NAME`.
        target: None (the predicted class), a class index or name, (N,) or (N, K) indices, or "not": the other class of
            a network with one score. A target object (`explainers.targets`), a list of one for each image, or of lists;
            or text as `--target` takes it, such as "cat - dog" or "like:reference.jpg".
        preprocessing: from photo to network input, where `model` does not bring its own: a `Preprocessing`, a
            Compose or `weights.transforms()` of torchvision, or an image processor of transformers. From volume, signal
            or clip an `ArrayPreprocessing`; without one the values go in as they are, which is said of a file.
        class_names: likewise.
        activation: "auto", "softmax", "sigmoid" or None: from scores to the probabilities that captions name and that
            methods watch.
        explain: of several inputs the one that is explained, as for every explainer.
        forward_kwargs: keyword arguments of forward, as for every explainer.
        options: of the method.

    Returns:
        An `Explanation`; of volumes, signals and clips an `ArrayExplanation`, whose maps are (N, D, H, W) or (N, L).

    Raises:
        ImageError: the image cannot be read, is none that the network takes, or there is no preprocessing to make a
            photo into an input.
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
    """One figure: each image beside its map by every method, the mean of the methods, and their disagreement.

    A volume has a row of three planes for each of them, through the strongest place of the first method's map; a signal
    its curves, and the curve of each map on its colours. The mean and the disagreement are of the maps' ranks
    (`explainers.evaluation.consensus`); constant maps are left out and named. Notebooks show photos as a widget
    (docs/notebooks.md).

    Args:
        options: for single methods, such as {"smooth-grad": {"samples": 25}}; the rest as for `explain`.

    Raises:
        UnsupportedError: a method cannot be right on this network; the others are not shown without it.
    """
    from explainers.render.report import IMAGES
    from explainers.render.sheet import figure, folded

    asked = [(name, (options or {}).get(name, {})) for name in methods]
    unknown = set(options or {}) - set(methods)
    if unknown:
        raise OptionError(f"options for {', '.join(sorted(unknown))}, which is not among methods={list(methods)}")
    activation = next((each["activation"] for _, each in asked if "activation" in each), "auto")  # of the first told
    made = _maker(asked, model, preprocessing, class_names, activation)
    explanations = made(image, target, explain, forward_kwargs)
    count = len(explanations[0])
    shared = [_together(explanations, index) for index in range(count)]
    if isinstance(explanations[0], ArrayExplanation):
        arrays = [each for each in explanations if isinstance(each, ArrayExplanation)]
        rows = [_rows(arrays[0], index, each) for index, each in enumerate(shared)]
        made_of = partial(figure_of_arrays, arrays, rows)
        return with_widget(made_of(), explanations, lambda: made_of(count=IMAGES))
    lines = []
    for index in range(count):
        title = explanations[0].label(index, int(explanations[0].targets[index].flatten()[0]))
        row: list[AnyCell] = [(title, explanations[0].pixels[index])]
        row += [explanation.cell(index) for explanation in explanations]
        lines.append(folded(row + _cells(explanations[0], index, shared[index])))
    first = [row for each in lines[:IMAGES] for row in each]
    return with_widget(figure([row for each in lines for row in each]), explanations, lambda: figure(first))


Together = list[tuple[str, "np.ndarray", tuple[float, float]]]  # caption, map, limits


def _together(explanations: Sequence[Explanation], index: int) -> Together:
    """The mean of all methods and their disagreement, where there are two of them at least."""
    from explainers.evaluation.consensus import MEAN_LIMITS, SPREAD_LIMITS, captions, consensus

    found = consensus({each.method: each.map(index) for each in explanations}, explanations[0].axes)
    if found is None:
        return []
    return list(zip(captions(found), (found.mean, found.spread), (MEAN_LIMITS, SPREAD_LIMITS), strict=True))


def _cells(first: Explanation, index: int, shared: Together) -> list[AnyCell]:
    """On the photo."""
    from explainers.render import Style, overlay, scale_of

    cells: list[AnyCell] = []
    for caption, map_, limits in shared:
        style = Style(limits=limits, signed=False)
        drawn = overlay(first.pixels[index], map_, box=first.boxes[index], style=style)
        cells.append((caption, drawn, scale_of(map_, style)))
    return cells


def _rows(first: ArrayExplanation, index: int, shared: Together) -> list[MapRow]:
    """Of a volume, signal or clip, in its places."""
    from explainers.render import Style
    from explainers.render.arrays import MapRow

    axes = first.recordings[index].axes
    return [
        MapRow(first.preprocessing.back(map_, axes), Style(limits=limits, signed=False), caption)
        for caption, map_, limits in shared
    ]


def _maker(
    methods: Sequence[tuple[str, dict[str, Any]]],
    model: Any,
    preprocessing: Any,
    class_names: Sequence[str] | None,
    activation: str | None,
) -> Callable[..., list[Explanation]]:
    """From images, targets, explain= and forward_kwargs= to an explanation by each method."""
    known = as_preprocessing(preprocessing) or getattr(model, "preprocessing", None)
    known = known or brought_by(as_network(model, several=True))
    names = class_names or getattr(model, "class_names", None)

    def make(image: Any, target: Any, explain: Key | None, keywords: Mapping[str, Any] | None) -> list[Explanation]:
        network = as_network(model, several=True)
        if not has_several(network, image, explain, keywords):
            made = prepared(image, known, as_network(model))
            return _explanations(model, made, methods, target, known, names, activation)
        inputs, key, made = prepared_inputs(network, image, explain, keywords, known)
        rows = []
        for row in range(len(inputs)):
            one, own = bound(network, key), inputs[[row]]
            wanted = target if isinstance(target, str) else of_rows(target, [row], len(inputs))
            with one.given(own):
                part = made.only(row, own.parts[key])
                rows.append(_explanations(one, part, methods, wanted, known, names, activation))
        return [_joined(each) for each in zip(*rows, strict=True)]

    return make


def _joined(parts: Sequence[Explanation]) -> Explanation:
    """Explanations of an image each as one of all of them."""
    errors = [part.standard_error for part in parts if part.standard_error is not None]
    own = bool(parts[0].objects)  # each image has objects, and columns, of its own
    before = [sum(len(part.objects) for part in parts[:number]) for number in range(len(parts))]
    values = [part.values for part in parts if part.values is not None]
    shown: dict[str, Any] = {
        name: tuple(each for part in parts for each in getattr(part, name))
        for name in ("details", "pixels", "boxes", "recordings", "names")
        if hasattr(parts[0], name)
    }
    return replace(
        parts[0],
        maps=torch.cat([part.maps for part in parts]),
        targets=torch.cat([part.targets + start for part, start in zip(parts, before, strict=True)]),
        scores=_blocks([part.scores for part in parts]) if own else torch.cat([part.scores for part in parts]),
        objects=tuple(each for part in parts for each in part.objects),
        values=_blocks(values) if own else None,
        standard_error=torch.cat(errors) if errors else None,
        **shown,
    )


def _blocks(parts: Sequence[Tensor]) -> Tensor:
    """(N, T) of parts (n, t) that share neither rows nor columns: NaN where there is none."""
    inside = torch.block_diag(*map(torch.ones_like, parts)) > 0
    return torch.where(inside, torch.block_diag(*parts), torch.nan)


def _explanations(
    model: Any,
    made: Prepared,
    methods: Sequence[tuple[str, dict[str, Any]]],
    target: Any,
    preprocessing: AnyPreprocessing | None,
    names: Sequence[str] | None,
    activation: str | None,
) -> list[Explanation]:
    explainers = [create(name, model, **options) for name, options in methods]
    parameter = first_parameter(as_network(model))
    images = checked_images(made.inputs if parameter is None else made.inputs.to(parameter.device), as_network(model))
    tell_steadiness(as_network(model), images, len(images), stacklevel=4)
    output = methods[0][1].get("output")
    if isinstance(target, str):
        target = target_of(target, names, lambda path: prepared(path, preprocessing, as_network(model)).inputs[0])
    with told_of_network(as_network(model), images):
        asked = AskedTargets.of(model, images, target, output, activation, partial(named_target, class_names=names))
    if asked.reading is not None and not asked.objects:
        Remarks()(asked.reading, asked.scores, stacklevel=3)
    shown: Callable[..., Explanation] = partial(Explanation, pixels=made.pixels, boxes=made.boxes, names=made.names)
    if made.arrays is not None:
        own: dict[str, Any] = {"recordings": made.recordings, "names": made.names, "preprocessing": made.arrays}
        shown = partial(ArrayExplanation, pixels=(), boxes=(), **own)
    explanations = []
    for explainer, (name, _) in zip(explainers, methods, strict=True):
        explainer = explainer.negative() if asked.negative else explainer
        found = explainer.explain(images, asked.wanted)
        explanations.append(
            shown(
                maps=found.maps,
                targets=asked.targets,
                scores=asked.scores,
                method=name,
                layers=explainer.layers,
                class_names=tuple(names) if names else None,
                standard_error=found.standard_error,
                details=found.details,
                reading=asked.reading,
                objects=asked.objects,
                values=asked.values,
            )
        )
    return explanations
