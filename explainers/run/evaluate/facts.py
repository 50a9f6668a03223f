"""Everything that decides the values of an evaluation, as far as it can be told."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from explainers import __version__
from explainers.core.explainer import Explainer
from explainers.evaluation.chunk_maps import Stored
from explainers.evaluation.engine import Engine
from explainers.models.loaded import state_hash
from explainers.network.inputs import Binding
from explainers.network.unwrapping import class_name
from explainers.passes.own_code import function_name, own_code
from explainers.run.evaluate.boxes.truth import DETECTED
from explainers.run.evaluate.options import EvaluationOptions
from explainers.run.targets import Detected
from explainers.run.targets.objects import ImageTargets
from explainers.storage.files import content_hash
from explainers.targets import Target
from explainers.targets.target import text_of

NOT_OF_VALUES = ("batch_size",)  # facts that change how long an evaluation takes, and none of its values


def facts_of(model: Any, engine: Engine, targets: Any, options: EvaluationOptions) -> dict[str, Any]:
    """Plain values: they tell evaluations apart, and go into the manifest."""
    bound = isinstance(engine.network, Binding)
    network = engine.network.inner if bound else engine.network
    weights = getattr(model, "sha256", None) or (state_hash(network) if isinstance(network, nn.Module) else None)
    preprocessing = options.preprocessing
    return {
        "explainers": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "model": {"network": class_name(network), "spec": getattr(model, "spec", None), "sha256": weights},
        "preprocessing": preprocessing.describe() if preprocessing else None,
        "methods": {title: _described(each) for title, each in engine.explainers.items()},
        "metrics": {title: {"name": each.name, **each.settings()} for title, each in engine.metrics.items()},
        **own_code({**engine.explainers, **engine.metrics}),
        "activation": engine.activation,
        "output": None if options.output is None else function_name(options.output),
        "seed": engine.seed,
        "targets": _targets(targets),
        **_boxes(options.boxes),
        "batch_size": options.batch_size,
        "precision": str(options.precision).removeprefix("torch."),
        "compile": options.compile,
        **({"explain": engine.network.key, "forward_kwargs": sorted(options.forward_kwargs or {})} if bound else {}),
    }


def as_typed(model: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a map again and tells no evaluations apart: the name of the weights, the words that were typed."""
    words, weights = getattr(model, "typed", ()), getattr(model, "weights", None)
    return {
        **({"typed": list(words)} if words else {}),
        **({"model": {**facts["model"], "weights": str(weights)}} if weights else {}),
    }


def _targets(targets: Any) -> Any:
    if targets is None or isinstance(targets, (int, str)):
        return targets
    if isinstance(targets, (Target, ImageTargets, Detected)):
        return targets.key
    return text_of(targets) if callable(targets) else "given for each image"


def _boxes(given: Any) -> dict[str, Any]:
    """The content of the table of true boxes, wherever it lies."""
    if given is None:
        return {}
    return {"boxes": DETECTED if str(given) == DETECTED else content_hash(given).hex()}


def _described(explainer: Any) -> Any:
    """What tells an explainer from another of its name, as far as plain values do."""
    if isinstance(explainer, Stored):
        return "maps from files"
    if isinstance(explainer, Explainer):
        plain = (str, int, float, bool, type(None), tuple)
        options = {key: value for key, value in vars(explainer).items() if isinstance(value, plain)}
        return {"name": explainer.name, **{k: v for k, v in options.items() if k[0] != "_" and k != "layers"}}
    return f"{getattr(explainer, '__module__', '')}.{getattr(explainer, '__qualname__', type(explainer).__qualname__)}"
