"""The shapes of beaks and tails in body lengths: each from its base at 0, 0 along x, as outlines and lines on them."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import numpy as np

from explainers.data.generated.birds.brush import Array, closed_curve, disc, open_curve, stroke


@cache
def _hooked() -> tuple[list[Array], list[Array]]:
    upper = closed_curve(
        [
            (-0.06, -0.12),
            (0.1, -0.13),
            (0.22, -0.06),
            (0.27, 0.06),
            (0.25, 0.2),
            (0.2, 0.09),
            (0.1, 0.06),
            (-0.06, 0.05),
        ]
    )
    lower = closed_curve([(-0.06, 0.02), (0.08, 0.03), (0.17, 0.08), (0.1, 0.13), (-0.06, 0.12)])
    return [upper, lower], stroke([(-0.02, 0.05), (0.1, 0.05), (0.18, 0.08)], 0.008, 0.006)


@cache
def _dagger() -> tuple[list[Array], list[Array]]:
    outline = np.vstack(
        [
            open_curve([(-0.06, -0.08), (0.14, -0.06), (0.5, 0.01)]),
            open_curve([(0.5, 0.02), (0.14, 0.06), (-0.06, 0.08)]),
        ]
    )
    return [outline], stroke([(-0.04, 0.0), (0.44, 0.012)], 0.008, 0.004)


@cache
def _curved() -> tuple[list[Array], list[Array]]:
    line = [(-0.05, -0.01), (0.18, -0.02), (0.38, 0.08), (0.48, 0.27)]
    return stroke(line, 0.068, 0.015), stroke(line[:3], 0.007, 0.004)


@cache
def _conical() -> tuple[list[Array], list[Array]]:
    outline = np.vstack(
        [
            open_curve([(-0.08, -0.16), (0.1, -0.1), (0.25, 0.02)]),
            open_curve([(0.25, 0.03), (0.1, 0.12), (-0.08, 0.15)]),
        ]
    )
    return [outline], stroke([(-0.06, 0.02), (0.22, 0.02)], 0.009, 0.005)


@cache
def _spoon() -> tuple[list[Array], list[Array]]:
    shaft = np.array([(-0.06, -0.055), (0.36, -0.03), (0.36, 0.045), (-0.06, 0.065)])
    return [shaft, disc(0.4, 0.01, 0.12, 0.09)], stroke([(-0.04, 0.0), (0.46, 0.01)], 0.007, 0.005)


@cache
def _forked() -> tuple[list[Array], list[Array]]:
    up = [(0.0, -0.07), (0.28, -0.13), (0.66, -0.28), (0.42, -0.06), (0.3, 0.0)]
    prong = np.vstack([open_curve(up[:3]), open_curve(up[2:]), [(0.0, 0.07)]])
    return [prong, prong * (1, -1)], [
        *stroke([(0.06, -0.03), (0.5, -0.17)], 0.008, 0.006),
        *stroke([(0.06, 0.03), (0.5, 0.17)], 0.008, 0.006),
    ]


@cache
def _fan() -> tuple[list[Array], list[Array]]:
    turns = np.linspace(-0.75, 0.75, 7)
    tips, quills = [], []
    for before, after in pairwise(turns):
        for share in (0.1, 0.5, 0.9):
            turn = before + (after - before) * share
            reach = 0.56 if share == 0.5 else 0.53
            tips.append((reach * math.cos(turn), reach * math.sin(turn)))
    for turn in turns[1:-1]:
        quills += stroke(
            [(0.14 * math.cos(turn), 0.14 * math.sin(turn)), (0.5 * math.cos(turn), 0.5 * math.sin(turn))], 0.008, 0.007
        )
    return [np.array([(0.0, -0.08), *tips, (0.0, 0.08)])], quills


@cache
def _pointed() -> tuple[list[Array], list[Array]]:
    half = open_curve([(0.0, -0.09), (0.3, -0.1), (0.62, -0.06), (0.9, 0.0)])
    return [np.vstack([half, (half * (1, -1))[::-1]])], stroke([(0.08, 0.0), (0.8, 0.0)], 0.008, 0.005)


@cache
def _square() -> tuple[list[Array], list[Array]]:
    outline = np.array([(0.0, -0.09), (0.46, -0.17), (0.44, -0.06), (0.46, 0.06), (0.45, 0.17), (0.0, 0.09)])
    return [outline], [
        *stroke([(0.08, -0.03), (0.42, -0.06)], 0.008, 0.007),
        *stroke([(0.08, 0.03), (0.42, 0.06)], 0.008, 0.007),
    ]


@cache
def _racket() -> tuple[list[Array], list[Array]]:
    both, lines = [], []
    for side in (-1, 1):
        both += [
            *stroke([(0.0, side * 0.04), (0.3, side * 0.09), (0.62, side * 0.16)], 0.05, 0.024),
            disc(0.72, side * 0.185, 0.13, 0.085, side * 0.2),
        ]
        lines += stroke([(0.08, side * 0.05), (0.6, side * 0.155)], 0.007, 0.006)
    return both, lines


BEAK_SHAPES = {"hooked": _hooked, "dagger": _dagger, "curved": _curved, "conical": _conical, "spoon": _spoon}
TAIL_SHAPES = {"forked": _forked, "fan": _fan, "pointed": _pointed, "square": _square, "racket": _racket}
