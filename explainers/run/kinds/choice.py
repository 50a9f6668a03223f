"""The kind of input that a network takes."""

from __future__ import annotations

from explainers.core.preprocessing import AnyPreprocessing, ArrayPreprocessing
from explainers.run.kinds.kind import Kind
from explainers.run.kinds.photographs import Photographs
from explainers.run.kinds.recordings import Recordings


def kind_of(preprocessing: AnyPreprocessing) -> Kind:
    """By its preprocessing."""
    return Recordings(preprocessing) if isinstance(preprocessing, ArrayPreprocessing) else Photographs(preprocessing)
