"""One call from an image to a heat map, or to a figure of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from explainers.core.asked_targets import AskedTargets
from explainers.core.preprocessing import photographic
from explainers.core.registry import options as known_options
from explainers.core.targets import of_rows
from explainers.errors import OptionError
from explainers.explanation.result import Explanation
from explainers.explanation.widget import with_widget
from explainers.methods import create, method as explainer_class
from explainers.models import as_preprocessing
from explainers.models.loaded import named_target
from explainers.models.target_words import target_of
from explainers.network.input import first_parameter
from explainers.network.inputs import Key, bound
from explainers.network.unwrapping import as_network
from explainers.passes.one_score import Remarks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from explainers.models import Preprocessing
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
    """Explain a network's decision on an image.

    Args:
        model: from `load_model`, or any network.
        image: a path, a PIL image, an array (H, W, 3) uint8 or 0 … 1, a list of these, or a tensor (N, C, H, W) or
            (C, H, W) as the network takes it. Of a network of several inputs all of them, as a tuple or mapping: the
            explained one as above, the others as for every explainer.
        method: a name of `available()`, or `captum:NAME`.
        target: None (the predicted class), a class index or name, (N,) or (N, K) indices, or "not": the other class of
            a network with one score. A target object (`explainers.targets`), a list of one for each image, or of lists;
            or text as `--target` takes it, such as "cat - dog" or "like:reference.jpg".
        preprocessing: from photo to network input, where `model` does not bring its own: a `Preprocessing`, a
            Compose or `weights.transforms()` of torchvision, or an image processor of transformers.
        class_names: likewise.
        activation: "auto", "softmax", "sigmoid" or None: from scores to the probabilities that captions name and that
            methods watch.
        explain: of several inputs the one that is explained, as for every explainer.
        forward_kwargs: keyword arguments of forward, as for every explainer.
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
    """One figure: each image beside its map by every method, the mean of the methods, and their disagreement.

    The last two are of the maps' ranks (`explainers.evaluation.consensus`); constant maps are left out and named.
    Notebooks show it as a widget (docs/notebooks.md).

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
    lines: list[list[list[AnyCell]]] = []
    for index in range(len(explanations[0])):
        title = explanations[0].label(index, int(explanations[0].targets[index].flatten()[0]))
        row: list[AnyCell] = [(title, explanations[0].pixels[index])]
        row += [explanation.cell(index) for explanation in explanations]
        lines.append(folded(row + _together(explanations, index)))
    first = [row for each in lines[:IMAGES] for row in each]
    return with_widget(figure([row for each in lines for row in each]), explanations, lambda: figure(first))


def _together(explanations: Sequence[Explanation], index: int) -> list[AnyCell]:
    """The cells of the mean of all methods and of their disagreement, where there are two of them at least."""
    from explainers.evaluation.consensus import MEAN_LIMITS, SPREAD_LIMITS, captions, consensus
    from explainers.render import Style, overlay, scale_of

    found = consensus({each.method: each.map(index) for each in explanations})
    if found is None:
        return []
    cells: list[AnyCell] = []
    parts = zip(captions(found), (found.mean, found.spread), (MEAN_LIMITS, SPREAD_LIMITS), strict=True)
    for caption, map_, limits in parts:
        style, first = Style(limits=limits, signed=False), explanations[0]
        drawn = overlay(first.pixels[index], map_, box=first.boxes[index], style=style)
        cells.append((caption, drawn, scale_of(map_, style)))
    return cells


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
    own = bool(parts[0].objects)  # each image has objects, and columns, of its own
    before = [sum(len(part.objects) for part in parts[:number]) for number in range(len(parts))]
    values = [part.values for part in parts if part.values is not None]
    return replace(
        parts[0],
        maps=torch.cat([part.maps for part in parts]),
        targets=torch.cat([part.targets + start for part, start in zip(parts, before, strict=True)]),
        scores=_blocks([part.scores for part in parts]) if own else torch.cat([part.scores for part in parts]),
        objects=tuple(each for part in parts for each in part.objects),
        values=_blocks(values) if own else None,
        standard_error=torch.cat(errors) if errors else None,
        details=tuple(each for part in parts for each in part.details),
    )


def _blocks(parts: Sequence[Tensor]) -> Tensor:
    """(N, T) of parts (n, t) that share neither rows nor columns: NaN where there is none."""
    inside = torch.block_diag(*map(torch.ones_like, parts)) > 0
    return torch.where(inside, torch.block_diag(*parts), torch.nan)


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
    known = (pixels, boxes, tuple(names) if names else None)
    if isinstance(target, str):
        target = target_of(target, names, lambda path: prepared(path, preprocessing, as_network(model))[0][0])
    asked = AskedTargets.of(model, images, target, output, activation, partial(named_target, class_names=names))
    if asked.reading is not None and not asked.objects:
        Remarks()(asked.reading, asked.scores, stacklevel=3)
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
