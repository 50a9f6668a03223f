"""Methods for Quantus: the other way round than `quantus:NAME`, which brings its metrics here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from explainers.evaluation.metrics.quantus_adapter import explain_func
from explainers.methods import create


def quantus_explain_func(method: str, **options: Any) -> Callable[..., Any]:
    """A method as an `explain_func` for Quantus, bound anew to whatever network Quantus hands over.

    >>> quantus.MPRT()(model, x, y, explain_func=quantus_explain_func("grad-cam"))  # doctest: +SKIP
    """
    return explain_func(lambda network: create(method, network, **options))
