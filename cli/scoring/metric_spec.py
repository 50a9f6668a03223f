"""Metrics as they are typed, `NAME:KEY=VALUE,…`, and their options as they would be."""

from __future__ import annotations

from typing import Any

import explainers
from explainers.core.option_types import takes
from explainers.evaluation.metric import metric_class

from ..values import options_in

SCORED = ("insertion", "deletion")  # where no --metric is given


def typed_metric(spec: str) -> Any:
    """A metric from `NAME` or `NAME:KEY=VALUE,…`; lists are joined with +."""
    family = "quantus:" if spec.startswith("quantus:") else ""
    name, colon, rest = spec[len(family) :].partition(":")
    options = options_in(rest, spec, "--metric", "pid:patch=16+32,baseline=zero") if colon else {}
    if options and not family:
        init = metric_class(name).__init__
        for key, value in options.items():
            if takes(init, key, (value,)) and not takes(init, key, value):
                options[key] = (value,)  # a list of one
    return explainers.create_metric(family + name, **options)


def typed_option(value: Any) -> str:
    """A value as --metric takes it."""
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()
