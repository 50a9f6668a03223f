"""Where the largest values of a map lie: the pointing game, and its forms that count mass or rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OptionError
from explainers.evaluation.measuring.ranking import ranked
from explainers.evaluation.measuring.subject import Measured, Subject
from explainers.evaluation.metric import register_metric
from explainers.evaluation.metrics.localisation.mask_metric import MaskMetric, measured_each

WITHIN = "within_tolerance"  # column: what share of an image the tolerance covers around its middle, where it is WIDE
WIDE = 0.25


def pointing_game(maps: Tensor, masks: Tensor, tolerance: float = 15) -> Tensor:
    """(N,): 1 where the map's largest value lies in the mask or closer to it than `tolerance` pixels, otherwise 0.

    Raises:
        OptionError: a negative tolerance.

    Source: Zhang et al. 2016; the tolerance, as a distance strictly below 15 pixels, as in TorchRay.
    """
    if not tolerance >= 0:
        raise OptionError(f"tolerance={tolerance!r}; expected a distance in pixels, 0 or more")
    sides = maps.shape[1:]
    places = torch.unravel_index(maps.flatten(1).argmax(dim=1), sides)
    squares = torch.zeros(1, dtype=torch.int64, device=maps.device)
    for axis, (side, place) in enumerate(zip(sides, places, strict=True)):
        away = (torch.arange(side, device=maps.device) - place[:, None]) ** 2
        squares = squares + away.view(len(maps), *[-1 if each == axis else 1 for each in range(len(sides))])
    nearest = squares.masked_fill(~masks, sum(side**2 for side in sides)).flatten(1).amin(dim=1)
    return ((nearest == 0) | (nearest.double() < tolerance**2)).double()


def reach(sides: tuple[int, ...], tolerance: float) -> float:
    """What share of the positions of an image lies closer to its middle than `tolerance` pixels, 0 … 1."""
    squares = torch.zeros(1, dtype=torch.float64, device="cpu")
    for axis, side in enumerate(sides):
        away = (torch.arange(side, dtype=torch.float64, device="cpu") - (side - 1) / 2) ** 2
        squares = squares + away.view([-1 if each == axis else 1 for each in range(len(sides))])
    return float((squares < tolerance**2).double().mean())


def energy_pointing_game(maps: Tensor, masks: Tensor) -> Tensor:
    """(N,): share of the map's positive mass that lies in the mask, 0 … 1; NaN where nothing is positive.

    Source: Wang et al. 2020 (Score-CAM), section 4.3; negative values would let the share leave 0 … 1.
    """
    mass = maps.double().clamp(min=0)
    dims = tuple(range(1, maps.ndim))
    return (mass * masks).sum(dim=dims) / mass.sum(dim=dims)


def relevance_rank(maps: Tensor, masks: Tensor) -> Tensor:
    """(N,): share of the K most important pixels that lie in the mask of K pixels, 0 … 1.

    Source: Arras et al. 2022, relevance rank accuracy.
    """
    found = masks.flatten(1).gather(1, ranked(maps.flatten(1))).cumsum(dim=1)
    size = found[:, -1:]
    return (found.gather(1, size - 1) / size.double())[:, 0]


@register_metric
class PointingGame(MaskMetric):
    """Whether the largest value lies in the mask or nearer to it than `tolerance` pixels.

    Source: Zhang et al. 2016; the tolerance as in TorchRay.
    """

    name = "pointing-game"
    reference = "Zhang et al. 2016"
    share = True

    def __init__(self, *, tolerance: float = 15) -> None:
        if not tolerance >= 0:
            raise OptionError(f"tolerance={tolerance!r}; expected a distance in pixels")
        self.tolerance = tolerance

    def settings(self) -> dict[str, Any]:
        """The tolerance."""
        return {"tolerance": self.tolerance}

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """1 or 0."""
        share = reach(tuple(maps.shape[1:]), self.tolerance)
        details = {WITHIN: round(share, 4)} if share > WIDE else {}
        return [Measured(value, details=details) for value in pointing_game(maps, masks, self.tolerance).tolist()]

    def caution_of(self, rows: Sequence[dict[str, Any]]) -> str:
        """Whether the tolerance makes hits of what is not near."""
        wide = {str(row["image"]): float(row[WITHIN]) for row in rows if row.get(WITHIN) not in (None, "")}
        if not wide:
            return ""
        images = len({str(row["image"]) for row in rows})
        return (
            f"{self.tolerance:g} pixels from the middle of an image are up to {max(wide.values()):.0%} of it (more "
            f"than {WIDE:.0%} in {len(wide)} of {images}), so that most maps hit wherever "
            "they point: read it beside random's, or give less (tolerance=1, --metric pointing-game:tolerance=1)"
        )


@register_metric
class EnergyPointingGame(MaskMetric):
    """Share of a map's positive mass inside the mask.

    Source: Wang et al. 2020; relevance mass accuracy of Arras et al. 2022.
    """

    name = "energy-pointing-game"
    reference = "Wang et al. 2020"

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """Not defined for a map without positive values."""
        return measured_each(energy_pointing_game(maps, masks))


@register_metric
class RelevanceRank(MaskMetric):
    """Share of the K most important pixels inside the mask, which has K pixels.

    Source: Arras et al. 2022.
    """

    name = "relevance-rank"
    reference = "Arras et al. 2022"

    def judged(self, maps: Tensor, masks: Tensor, subject: Subject) -> list[Measured]:
        """Ties by position."""
        return measured_each(relevance_rank(maps, masks))
