"""The outlines of a bird, part by part, in body lengths: x to where it looks, y down, its body's middle at 0, 0."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from explainers.data.generated.birds.brush import Array, Draws, closed_curve, disc, open_curve, stroke
from explainers.data.generated.birds.kinds import Kind
from explainers.data.generated.birds.shapes import BEAK_SHAPES, TAIL_SHAPES

BEAK_SIZE, TAIL_SIZE = 1.3, 1.15  # of what `shapes.py` has, so that they can be told apart at 64 pixels


@dataclass
class Pose:
    """How a bird holds itself; lengths in body lengths, angles in radians, upwards positive.

    pitch: of the body; plump: half height of the body; neck, neck_angle: its length and direction; head: radius; gaze:
    direction of the beak; tail_angle: against the body; leg: length; wing_angle: of a raised wing; flying: wings up.
    """

    pitch: float
    plump: float
    neck: float
    neck_angle: float
    head: float
    gaze: float
    tail_angle: float
    leg: float
    wing_angle: float
    flying: bool
    crest: bool


def drawn_pose(manner: str, draws: Draws) -> Pose:
    """A pose that suits what the bird does: "perching", "standing", "wading", "swimming" or "flying"."""
    low, high = {
        "perching": (0.05, 0.75),
        "standing": (-0.1, 0.45),
        "wading": (-0.1, 0.35),
        "swimming": (-0.08, 0.1),
        "flying": (-0.25, 0.4),
    }[manner]
    long_neck = draws.chance({"wading": 0.6, "swimming": 0.6, "flying": 0.25}.get(manner, 0.15))
    flying = manner == "flying"
    legs = {"perching": (0.1, 0.16), "standing": (0.2, 0.42), "wading": (0.4, 0.7)}.get(manner, (0.0, 0.0))
    return Pose(
        pitch=draws.number(low, high),
        plump=draws.number(0.24, 0.34),
        neck=draws.number(0.3, 0.5) if long_neck else draws.number(0.04, 0.18),
        neck_angle=draws.number(0.2, 0.7) if flying else draws.number(0.7, 1.4),
        head=draws.number(0.17, 0.22),
        gaze=draws.number(-0.35, 0.3),
        tail_angle=draws.number(-0.45, 0.0) if manner == "swimming" else draws.number(-0.3, 0.3),
        leg=draws.number(*legs),
        wing_angle=draws.number(1.2, 2.3),
        flying=flying,
        crest=draws.chance(0.3),
    )


@dataclass
class Figure:
    """Outlines of the parts by name, each the union of polygons, in the order in which they hide each other; details:
    lines on them that are painted darker; feet: where the legs end; eye: place and radius.
    """

    parts: dict[str, list[Array]] = field(default_factory=dict)
    details: dict[str, list[Array]] = field(default_factory=dict)
    feet: tuple[float, float] = (0.0, 0.0)
    eye: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def moved(self, scale: float, mirrored: bool, x: float, y: float) -> Figure:
        """The figure at another place, larger and perhaps looking the other way."""
        by = np.array([-scale if mirrored else scale, scale])

        def of(outlines: dict[str, list[Array]]) -> dict[str, list[Array]]:
            return {name: [each * by + (x, y) for each in polygons] for name, polygons in outlines.items()}

        (foot_x, foot_y), (eye_x, eye_y, radius) = self.feet, self.eye
        return Figure(
            of(self.parts),
            of(self.details),
            (foot_x * by[0] + x, foot_y * scale + y),
            (eye_x * by[0] + x, eye_y * scale + y, radius * scale),
        )

    def box(self) -> tuple[Array, Array]:
        """(2,) least and (2,) largest x and y of all parts."""
        points = np.vstack([each for polygons in self.parts.values() for each in polygons])
        return points.min(axis=0), points.max(axis=0)


def turned(points: Array, angle: float, x: float = 0.0, y: float = 0.0) -> Array:
    """Points turned upwards about 0, 0 by an angle, then moved."""
    cos, sin = math.cos(angle), math.sin(angle)
    moved: Array = points @ np.array([[cos, -sin], [sin, cos]]) + (x, y)
    return moved


def figure(kind: Kind, pose: Pose) -> Figure:
    """The bird of a class in a pose."""
    made = Figure()
    p, pitch = pose.plump, pose.pitch
    body = closed_curve(
        [
            (-0.56, -0.03), (-0.36, -0.6 * p), (-0.05, -0.9 * p), (0.24, -0.92 * p), (0.45, -0.55 * p), (0.51, 0.0),
            (0.41, 0.62 * p), (0.14, 0.97 * p), (-0.18, 0.86 * p), (-0.42, 0.35 * p),
        ]
    )  # fmt: skip
    tail_x, tail_y = turned(np.array([-0.47, -0.01]), pitch)
    behind = pitch + math.pi + pose.tail_angle
    tail, quills = TAIL_SHAPES[kind.tail.shape]()
    made.parts["tail"] = [turned(each * TAIL_SIZE, behind, tail_x, tail_y) for each in tail]
    made.details["tail"] = [turned(each * TAIL_SIZE, behind, tail_x, tail_y) for each in quills]
    made.parts["far leg"], _ = _leg(pose, 0.1)
    if pose.flying:
        made.parts["far wing"], _ = _raised_wing(pose, pose.wing_angle - 0.35, 0.82)
    made.parts["near leg"], made.feet = _leg(pose, -0.05)
    made.parts["body"] = [turned(body, pitch)]
    x, y, neck = _head_place(pose)
    made.parts["head"] = [*neck, disc(x, y, pose.head * 1.08, pose.head, -pose.gaze)]
    if pose.crest:
        made.parts["crest"] = [_at_head(_CREST, pose, x, y)]
    if pose.flying:
        made.parts["wing"], made.details["wing"] = _raised_wing(pose, pose.wing_angle, 1.0)
    else:
        made.parts["wing"], made.details["wing"] = _folded_wing(pose)
    beak, slit = BEAK_SHAPES[kind.beak.shape]()
    front = x + 0.82 * pose.head * math.cos(pose.gaze), y - 0.82 * pose.head * math.sin(pose.gaze) + 0.02
    made.parts["beak"] = [turned(each * BEAK_SIZE, pose.gaze, *front) for each in beak]
    made.details["beak"] = [turned(each * BEAK_SIZE, pose.gaze, *front) for each in slit]
    eye_x, eye_y = turned(np.array([0.36, -0.22]) * pose.head, pose.gaze, x, y)
    made.eye = (float(eye_x), float(eye_y), 0.19 * pose.head)
    made.parts = {name: polygons for name, polygons in made.parts.items() if polygons}
    return made


_CREST = closed_curve([(0.3, -0.75), (-0.1, -1.0), (-0.75, -1.55), (-1.55, -1.75), (-1.15, -1.0), (-0.8, -0.4)])


def _at_head(points: Array, pose: Pose, x: float, y: float) -> Array:
    return turned(points * pose.head, pose.gaze, x, y)


def _head_place(pose: Pose) -> tuple[float, float, list[Array]]:
    """Where the head is, and the neck up to it."""
    chest = turned(np.array([[0.14, -0.05], [0.36, -0.3 * pose.plump]]), pose.pitch)
    reach = 0.16 + pose.neck
    x = float(chest[1, 0] + reach * math.cos(pose.neck_angle))
    y = float(chest[1, 1] - reach * math.sin(pose.neck_angle))
    middle = (
        float(chest[1, 0] + 0.3 * (x - chest[1, 0]) + 0.3 * pose.neck),
        float(chest[1, 1] + 0.35 * (y - chest[1, 1])),
    )
    points = [tuple(chest[0]), tuple(chest[1]), middle, (x, y)]
    base = 0.8 * pose.plump
    neck = stroke(points, base, (0.62 if pose.neck > 0.25 else 0.85) * pose.head)
    return x, y, [*neck, disc(float(chest[0, 0]), float(chest[0, 1]), base)]


def _leg(pose: Pose, x: float) -> tuple[list[Array], tuple[float, float]]:
    """A leg straight down from the belly with a joint and three toes, and where it ends; none while it swims."""
    if pose.leg == 0:
        return [], (0.0, 0.86 * pose.plump)
    from_x, from_y = turned(np.array([x, 0.75 * pose.plump]), pose.pitch)
    foot = from_y + 0.25 * pose.plump + pose.leg
    knee = (from_x - 0.05 * (pose.leg > 0.17), from_y + 0.25 * pose.plump + 0.45 * pose.leg)
    parts = stroke([(from_x, from_y), knee, (from_x + 0.01, foot)], 0.028, 0.016)
    for toe in (-0.08, 0.07, 0.13):
        parts += stroke([(from_x + 0.01, foot - 0.01), (from_x + 0.01 + toe, foot + 0.02)], 0.018, 0.01)
    return parts, (float(from_x), float(foot))


def _folded_wing(pose: Pose) -> tuple[list[Array], list[Array]]:
    p = pose.plump
    wing = closed_curve(
        [(0.3, -0.3 * p), (0.12, -0.72 * p), (-0.2, -0.62 * p), (-0.48, -0.25 * p), (-0.72, 0.02), (-0.44, 0.24 * p),
         (-0.1, 0.45 * p), (0.18, 0.3 * p)]
    )  # fmt: skip
    quills = []
    for share in (0.15, 0.4, 0.65):
        start = (-0.08 + 0.06 * share, (-0.35 + 0.7 * share) * p)
        end = (-0.6 + 0.12 * share, (-0.05 + 0.28 * share) * p)
        quills += stroke([start, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.02), end], 0.01, 0.006)
    return [turned(wing, pose.pitch)], [turned(each, pose.pitch) for each in quills]


def _raised_wing(pose: Pose, angle: float, scale: float) -> tuple[list[Array], list[Array]]:
    """A spread wing: an arm from the shoulder to the tip, and fingers of feathers behind it."""
    length = scale * 1.0
    front = open_curve([(-0.05, 0.12), (0.25 * length, 0.2), (0.6 * length, 0.13), (length, -0.06)])
    shares, quills = np.linspace(0.96, 0.0, 7), []
    tips = [(length, -0.06)]
    for before, after in pairwise(shares):
        depth = -0.04 - 0.34 * (1 - before**2.2)
        tips += [
            ((before - 0.01) * length, depth),
            ((0.6 * before + 0.4 * after) * length, depth - 0.015),
            (after * length, depth + 0.03),
        ]
        quills += stroke([((before - 0.02) * length, 0.06), (after * length, depth + 0.05)], 0.009, 0.006)
    outline = np.concatenate([front, np.array(tips)])
    root = turned(np.array([0.14, -0.2 * pose.plump]), pose.pitch)
    place = angle + pose.pitch, *root
    base = disc(0.0, -0.115, 0.13, 0.235)
    return [turned(each, *place) for each in (outline, base)], [turned(each, *place) for each in quills]
