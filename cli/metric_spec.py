"""Metrics as they are typed, `NAME:KEY=VALUE,…`, and their options as they would be."""

from __future__ import annotations

from typing import Any

import explainers
from explainers.errors import OptionError

from .values import value_of

SCORED = ("insertion", "deletion")  # where no --metric is given


def typed_metric(spec: str) -> Any:
    """A metric from `NAME` or `NAME:KEY=VALUE,…`; lists are joined with +."""
    family = "quantus:" if spec.startswith("quantus:") else ""
    name, colon, rest = spec[len(family) :].partition(":")
    options = {}
    for entry in rest.split(",") if colon else []:
        key, equals, value = entry.partition("=")
        if not equals:
            raise OptionError(
                f"--metric {spec!r}; expected NAME:KEY=VALUE,KEY=VALUE, such as pid:patch=16+32,baseline=zero"
            )
        parts = value.split("+")
        options[key.replace("-", "_")] = value_of(value) if len(parts) == 1 else tuple(map(value_of, parts))
    return explainers.create_metric(family + name, **options)


def typed_option(value: Any) -> str:
    """A value as --metric takes it."""
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()
