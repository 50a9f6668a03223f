"""The kind of input that a network takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from explainers.core.preprocessing import AnyPreprocessing, ArrayPreprocessing
from explainers.run.kinds.kind import Kind
from explainers.run.kinds.photographs import Photographs
from explainers.run.kinds.recordings import Recordings


def kind_of(preprocessing: AnyPreprocessing) -> Kind:
    """By its preprocessing."""
    return Recordings(preprocessing) if isinstance(preprocessing, ArrayPreprocessing) else Photographs(preprocessing)


def told_kind(told: Mapping[str, Any] | None) -> Recordings | None:
    """The kind that the preprocessing of a manifest says, None of photos."""
    return Recordings(ArrayPreprocessing(**told)) if told and "kind" in told else None
