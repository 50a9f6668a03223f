"""Evaluations of networks of several inputs: one of them is explained, and each image comes with its others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

from torch import Tensor

from explainers.core.explainer import Explainer
from explainers.errors import ImageError, OptionError
from explainers.evaluation.chunk_maps import Stored
from explainers.evaluation.measuring.subject import Explain
from explainers.network.inputs import Bound, BoundFunction, Inputs, bound, inputs_of
from explainers.network.unwrapping import check_one_input, needs_several
from explainers.run.evaluate.options import EvaluationOptions

Network = Bound | BoundFunction


def of_inputs(network: Any, images: Any, options: EvaluationOptions, files: Any) -> tuple[Network | None, Any]:
    """The network of the input that is explained, None where there is one alone; and the images as batches.

    Args:
        images: as for `evaluate`; files: that they are, or None.

    Raises:
        UnsupportedError: the network takes several inputs, and these are images alone. Otherwise as `inputs_of`.
    """
    asked = options.explain is not None or options.forward_kwargs is not None
    if files is not None:
        check_one_input(network)
        if asked:
            raise OptionError("explain= and forward_kwargs= need inputs as tensors: image files are one input")
        return None, images
    if isinstance(images, Mapping) or (isinstance(images, tuple) and (asked or needs_several(network))):
        images = [{"images": images}]
    elif isinstance(images, Tensor):
        images = [{"images": images}] if asked else images
    else:
        rest = iter(images)
        first = list(_first(rest))
        images = chain(first, rest)
        asked = asked or any(isinstance(_inputs(batch), (Mapping, tuple, list)) for batch in first)
        if not asked:
            check_one_input(network)
            return None, images
        return _bound(network, first[0], options) if first else None, images
    if isinstance(images, Tensor):
        check_one_input(network)
        return None, images
    return _bound(network, images[0], options), images


def reader(network: Network, options: EvaluationOptions) -> Callable[[Any], tuple[Tensor, Inputs]]:
    """From the "images" of a batch to the explained input and all of them."""

    def read(given: Any) -> tuple[Tensor, Inputs]:
        inputs, (key, *_) = inputs_of(network.inner, given, network.key, options.forward_kwargs)
        return inputs.parts[key], inputs

    return read


def bound_explainers(explainers: Mapping[str, Explain | Stored], network: Network) -> dict[str, Explain | Stored]:
    """Explainers for the input that is explained. Functions of a user's get all inputs, as they were passed.

    Raises:
        OptionError: an explainer is of a class of another package, which knows one input alone.
    """
    made: dict[str, Explain | Stored] = {}
    for title, each in explainers.items():
        if isinstance(each, Explainer):
            made[title] = each.for_network(network)
        elif isinstance(each, Stored):
            made[title] = each
        elif getattr(each, "__module__", "") == "explainers.evaluation.other_packages":
            raise OptionError(f"{title}: explainers of other packages take one input; pass a function of all inputs")
        else:
            made[title] = _of_all(each, network)
    return made


def _of_all(explain: Explain, network: Network) -> Explain:
    def with_others(images: Tensor, targets: Tensor) -> Tensor:
        inputs = network.companions.inputs
        assert inputs is not None
        given: Any = inputs.with_part(network.key, images).as_given()
        return explain(given, targets)

    return with_others


def _bound(network: Any, batch: Any, options: EvaluationOptions) -> Network:
    _, keys = inputs_of(network, _inputs(batch), options.explain, options.forward_kwargs)
    if len(keys) > 1:
        raise OptionError(f"an evaluation explains one input; pass explain={keys[0]!r} or another, and evaluate again")
    return bound(network, keys[0])


def _inputs(batch: Any) -> Any:
    """The images of a batch, whatever else it brings."""
    if isinstance(batch, Mapping):
        if "images" not in batch:
            raise ImageError(f"a batch with {', '.join(map(repr, batch))}; expected 'images', and what comes with them")
        return batch["images"]
    return batch[0] if isinstance(batch, (tuple, list)) and batch else batch


def _first(batches: Iterable[Any]) -> Iterable[Any]:
    for batch in batches:
        yield batch
        return
