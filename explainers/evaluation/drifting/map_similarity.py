"""How alike the maps of two networks are, by every similarity of the project."""

from __future__ import annotations

import torch
from torch import Tensor

from explainers.core.maps import CONSTANT, CONSTANT_REASON, is_constant
from explainers.evaluation.drifting.finished_units import Row
from explainers.evaluation.metrics.similarity import SIMILARITIES

OK, FAILED, FADED = "ok", "failed", "faded"
FADED_REASON = "the map has become the same everywhere, which counts as a likeness of 0"
OF_THE_REFERENCE = "of the reference, "


def likeness(reference: Tensor, maps: Tensor) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """Similarities of pairs of maps (N, H, W), the status of each pair and the reason for it.

    A map that the reference has and that has become the same everywhere has likeness 0 by every similarity; where the
    reference's map is the same everywhere, or either is not finite, there is nothing to compare: NaN.

    Returns:
        similarity → (N,) float64; statuses "ok", "faded", "constant" or "failed"; reasons.
    """
    statuses, reasons = [], []
    for first, second in zip(reference, maps, strict=True):
        status, reason = _status(first, second)
        statuses.append(status)
        reasons.append(reason)
    # maps of which nothing is said still have to be numbers
    pairs = reference.nan_to_num(), maps.nan_to_num().to(reference.device)
    faded = torch.tensor([status == FADED for status in statuses], device="cpu")
    unknown = torch.tensor([status in (CONSTANT, FAILED) for status in statuses], device="cpu")
    found = {}
    for name, measure in SIMILARITIES.items():
        values = measure(*pairs).cpu()
        values = torch.where(faded, 0.0, values)
        found[name] = torch.where(unknown, torch.nan, values)
    return found, statuses, reasons


def _status(reference: Tensor, made: Tensor) -> tuple[str, str]:
    if not bool(torch.isfinite(reference).all()):
        return FAILED, f"{OF_THE_REFERENCE}there is no map to compare with"
    if not bool(torch.isfinite(made).all()):
        return FAILED, "the map has NaN or infinite values"
    if is_constant(reference):
        return CONSTANT, f"{OF_THE_REFERENCE}{CONSTANT_REASON}"
    return (FADED, FADED_REASON) if is_constant(made) else (OK, "")


def packed(name: str, method: str, found: tuple[dict[str, Tensor], list[str], list[str]]) -> Row:
    """A unit's row of plain values."""
    values, statuses, reasons = found
    plain = {key: [None if each != each else each for each in value.tolist()] for key, value in values.items()}
    return {"checkpoint": name, "method": method, **plain, "status": statuses, "reason": reasons}


def failed(name: str, method: str, count: int, reason: str) -> Row:
    """The row of a unit that came to nothing."""
    nothing: dict[str, list[None]] = {key: [None] * count for key in SIMILARITIES}
    return {"checkpoint": name, "method": method, **nothing, "status": [FAILED] * count, "reason": [reason] * count}
