"""The sources of a field, drawn at random: the quiet-sun network, and sunspots in groups."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Pole(NamedTuple):
    """A sunspot's half width and half length in image widths, and its peak field."""

    half_width: float
    half_length: float
    peak: float


class Pair(NamedTuple):
    """How two poles lie side by side.

    gap: least and most between their edges, in image widths; slide: least and most of one along the other, in sums of
    their half lengths (1: only the tips meet); opposite: whether their signs differ.
    """

    gap: tuple[float, float]
    slide: tuple[float, float]
    opposite: bool


PAIRS = {
    "tight": Pair((-0.03, 0.025), (0.0, 0.8), True),
    "apart": Pair((0.07, 0.17), (0.0, 0.6), True),
    "alike": Pair((-0.03, 0.025), (0.0, 0.8), False),
    "tips": Pair((-0.02, 0.05), (0.7, 1.1), True),
}


def network_sources(rng: torch.Generator) -> Tensor:
    """(n, 4) specks of both polarities on the borders of cells, an eighth of the image wide."""
    row = torch.arange(-1, 9) / 8
    cells = torch.cartesian_prod(row, row) + torch.rand(100, 2, generator=rng) / 8
    points = torch.rand(360, 2, generator=rng)
    near = cells[torch.cdist(points, cells).topk(2, largest=False).indices]
    across = F.normalize(near[:, 1] - near[:, 0], dim=1)
    points = points - across * ((points - near.mean(dim=1)) * across).sum(dim=1, keepdim=True)  # onto the bisector
    width = 0.005 + 0.005 * torch.rand(360, generator=rng)
    peak = 0.22 * torch.randn(360, generator=rng)
    return torch.cat([points, width[:, None], peak[:, None]], dim=1)


def pole_groups(rng: torch.Generator) -> list[list[Pole]]:
    """Two or three groups of one or two poles; the first, which makes the class, has two."""
    more, *draws = torch.rand(7, 4, generator=rng).tolist()
    poles = []
    for scale, stretch, peak, _ in draws:
        scale, stretch = 0.036 + 0.056 * scale, math.sqrt(1 + 1.5 * stretch)
        poles.append(Pole(scale / stretch, scale * stretch, 0.6 + 1.1 * peak))
    second = poles[2 : 3 + (more[0] < 0.4)]
    third = poles[4 : 5 + (more[1] < 0.4)]
    return [poles[:2], second, third] if more[2] < 0.5 else [poles[:2], second]


def arranged_sources(groups: list[list[Pole]], flare: bool, rng: torch.Generator) -> Tensor:
    """(n, 4) sources of all groups, each far from the others: the first as a tight line or as none."""
    first_kinds = ("tight",) if flare else ("apart", "alike", "tips")
    first_sign = 1 if torch.rand((), generator=rng) < 0.5 else -1
    centres: list[tuple[float, float]] = []
    rows = []
    for number, group in enumerate(groups):
        kind, sign, gap, slide, turn, *places = torch.rand(21, generator=rng).tolist()
        kinds = ("apart", "alike") if number else first_kinds
        pair = PAIRS[kinds[int(kind * len(kinds))]]
        angle = 2 * math.pi * turn
        dx, dy = _half_way(group, pair, gap, 2 * slide - 1, angle) if len(group) == 2 else (0.0, 0.0)
        rx, ry = 0.1 + abs(dx), 0.1 + abs(dy)  # room to the border
        free = [(rx + (1 - 2 * rx) * p, ry + (1 - 2 * ry) * q) for p, q in zip(places[::2], places[1::2], strict=True)]
        x, y = max(free, key=lambda place: min((math.dist(place, centre) for centre in centres), default=0.0))
        # The second group starts with the other sign, so that both polarities are in every image.
        own = (first_sign, -first_sign, 1 if sign < 0.5 else -1)[number]
        ends = ((x - dx, y - dy, own), (x + dx, y + dy, -own if pair.opposite else own))
        for (px, py, pole_sign), pole in zip(ends, group, strict=False):
            centres.append((px, py))
            rows.append((px, py, angle, pole.half_width, pole.half_length, pole_sign * pole.peak))
    return _fragments(torch.tensor(rows), rng)


def _half_way(group: list[Pole], pair: Pair, gap: float, slide: float, angle: float) -> tuple[float, float]:
    """From the middle of two poles to the second. gap: 0 … 1 and slide: -1 … 1 within the pair's ranges."""
    (near, far), (least, most) = pair.gap, pair.slide
    across = sum(pole.half_width for pole in group) + near + (far - near) * gap
    along = sum(pole.half_length for pole in group) * math.copysign(least + (most - least) * abs(slide), slide)
    dx = across * math.cos(angle) - along * math.sin(angle)
    dy = across * math.sin(angle) + along * math.cos(angle)
    return dx / 2, dy / 2


def _fragments(poles: Tensor, rng: torch.Generator) -> Tensor:
    """(30 n, 4) round sources that make up n elliptic poles (x, y, angle, half width, half length, peak)."""
    n = len(poles)
    x, y, angle, half_width, half_length, peak = poles.T[:, :, None]
    # An even spiral fills the ellipse, jitter roughens it, and faint plage lies around it.
    turn, radius = torch.arange(20) * 2.39996, ((torch.arange(20) + 0.5) / 20).sqrt()
    core = torch.stack([radius * turn.cos(), radius * turn.sin()])[:, None]
    core = core + 0.17 * torch.randn(2, n, 20, generator=rng)
    u, v = torch.cat([core, torch.randn(2, n, 10, generator=rng).clamp(-1.7, 1.7)], dim=2)
    u, v = u * half_width, v * half_length
    scale = (half_width * half_length).sqrt()
    width = torch.cat([0.27 * scale.expand(n, 20), 0.17 * scale.expand(n, 10)], dim=1)
    flux = torch.cat([(peak / (2 * 20 * 0.27**2)).expand(n, 20), (0.15 * peak).expand(n, 10)], dim=1)
    flux = flux * (0.6 + 0.8 * torch.rand(n, 30, generator=rng))
    x, y = x + u * angle.cos() - v * angle.sin(), y + u * angle.sin() + v * angle.cos()
    return torch.stack([x, y, width, flux], dim=2).flatten(0, 1)
