"""Generated line-of-sight solar magnetograms with a known answer: a tight inversion line makes the flare.

Sunspot groups of both polarities lie over a quiet-sun network and noise. The class follows from the strength of the
polarity inversion line alone: groups of the same sizes, fluxes and numbers are in images of every class, side by side
with opposite signs or apart. An image depends on (seed, split, index) and its settings alone, and images of the same
index in two sizes show the same scene.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet, Split, register_data_set, settings_of
from explainers.errors import DataError, OptionError

if TYPE_CHECKING:
    import numpy as np

CLASSES = {2: ("no-flare", "flare"), 4: ("O", "C", "M", "X")}
SPLITS = ("train", "val", "test")
REFERENCE = 96  # pixels a side of the grid on which the strength is measured, whatever the size of the image
STRONG = 0.25  # |B| of the poles between which an inversion line counts; the network stays below
THRESHOLDS = {2: (0.07,), 4: (0.07, 0.13, 0.185)}
MARGIN = 0.08  # no strength lies nearer to a threshold than this share of it
TRIES = 600  # of a scene; one is enough for two classes, about eight for one grade of flares
MEAN, STD = (0.502,), (0.097,)  # of pixels / 255, measured on 1,000 training images at 96 pixels


@dataclass(frozen=True)
class Magnetogram:
    """One generated image.

    pixels: (1, S, S) uint8, 128 where there is no field, 1 and 255 where it is -1 and 1 or beyond; mask: (S, S) bool,
    the inversion lines, empty for class 0; label: index in `CLASSES[grades]`; strength: of the lines, not negative,
    as `inversion_line` measures it on the noise-free field.
    """

    pixels: Tensor
    mask: Tensor
    label: int
    strength: float


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


@dataclass(frozen=True)
class Scene:
    """What an image shows before a grid is laid over it.

    network, regions: (n, 4), round sources of field: x, y and width (standard deviation) in image widths, and peak in
    units of the field; noise: standard deviation of the instrument's, in units of the field.
    """

    network: Tensor
    regions: Tensor
    noise: float

    def field(self, size: int) -> Tensor:
        """(S, S) float32 without noise, positive towards the observer, within -1.4 … 1.4."""
        # Two soft limits: the network never counts as strong, and many spots at one place are no stronger than one.
        return _limited(self.network, size, 0.2) + _limited(self.regions, size, 1.2)


def magnetogram(
    index: int, *, split: str = "test", seed: int = 0, size: int = 96, grades: int = 2, rate: float = 0.5
) -> Magnetogram:
    """Image `index` of a split.

    Args:
        split: "train", "val" or "test".
        size: pixels a side, at least 32.
        grades: 2 classes, or 4: flares are then C, M or X by three thresholds of the strength.
        rate: share of flares, 0 … 1; the grades of flares are equally frequent, so all four are at rate 0.75.

    Raises:
        OptionError: a setting out of its range.

    Cost: about 2 ms at 96 pixels on one thread.
    """
    _check(split, size, grades, rate)
    label = _label(index, split, seed, grades, rate)
    rng = _generator(index, split, seed)
    scene, field, line, strength = _scene(label, grades, rng)
    field = (field if size == REFERENCE else scene.field(size)) + scene.noise * torch.randn(size, size, generator=rng)
    pixels = (128 + 127 * field.clamp(-1, 1)).round().to(torch.uint8)
    mask = _resized(_dilated(line, 1), size) if label else torch.zeros(size, size, dtype=torch.bool)
    return Magnetogram(pixels[None], mask, label, strength)


def magnetograms(
    count: int,
    *,
    split: str = "test",
    seed: int = 0,
    size: int = 96,
    grades: int = 2,
    rate: float = 0.5,
) -> tuple[Tensor, Tensor, Tensor]:
    """Images 0 … count - 1: (N, 1, S, S) uint8, masks (N, S, S) bool, labels (N,)."""
    if count < 1:
        raise OptionError(f"count={count}; expected at least 1")
    made = [magnetogram(i, split=split, seed=seed, size=size, grades=grades, rate=rate) for i in range(count)]
    return (
        torch.stack([item.pixels for item in made]),
        torch.stack([item.mask for item in made]),
        torch.tensor([item.label for item in made]),
    )


def scene_of(index: int, *, split: str = "test", seed: int = 0, grades: int = 2, rate: float = 0.5) -> Scene:
    """What image `index` shows; `.field(size)` is its field without noise, whose class is that of the image."""
    _check(split, REFERENCE, grades, rate)
    return _scene(_label(index, split, seed, grades, rate), grades, _generator(index, split, seed))[0]


def inversion_line(field: Tensor) -> tuple[Tensor, float]:
    """Where strong fields of opposite polarity touch, and how strong that line is.

    A pixel is on the line when a field above 0.25 and one below -0.25 both lie within 1/48 of the image's width of it
    (a square). The strength is the integral of |∇B| over the line: about its length in image widths times the jump of
    B across it.

    Args:
        field: (S, S), noise-free.

    Returns:
        (S, S) bool and the strength, not negative. From 96 pixels on it does not depend on S but for the grid (within
        a tenth or so); smaller grids smear tight lines (0.6 of it at 64), so images are judged by their field at 96.

    Source: Schrijver 2007, with the gradient in place of the flux near the line.
    """
    size = field.shape[-1]
    reach = max(1, round(size / 48))
    line = _dilated(field > STRONG, reach) & _dilated(field < -STRONG, reach)
    down, across = torch.gradient(field)
    return line, float((down.square() + across.square()).sqrt()[line].sum()) / size


class MagnetogramSplit(Split):
    """Images of one split, made when they are asked for."""

    def __init__(self, count: int, *, split: str, seed: int, size: int, grades: int, rate: float) -> None:
        self._settings = {"split": split, "seed": seed, "size": size, "grades": grades, "rate": rate}
        self.labels = [_label(index, split, seed, grades, rate) for index in range(count)]
        self.names = [f"{index:05d}-{CLASSES[grades][label]}.png" for index, label in enumerate(self.labels)]

    def pixels(self, index: int) -> np.ndarray:
        """(S, S, 3) uint8 with three equal channels."""
        return self._made(index).pixels[0, :, :, None].repeat(1, 1, 3).numpy()

    def mask(self, index: int) -> np.ndarray:
        """(S, S) bool, the inversion lines; empty for class 0."""
        return self._made(index).mask.numpy()

    def _made(self, index: int) -> Magnetogram:
        return magnetogram(range(len(self))[index], **self._settings)  # type: ignore[arg-type]


@register_data_set("magnetogram", "magnetogram[:KEY=VALUE,…]")
def magnetogram_set(rest: str) -> DataSet:
    """The data set `magnetogram:size=64,grades=4,train=4000,val=500,test=500,rate=0.5,seed=0`.

    Raises:
        DataError: an unknown setting, or one out of its range.
    """
    defaults = {"size": 96, "grades": 2, "train": 4000, "val": 500, "test": 500, "rate": 0.5, "seed": 0}
    settings = settings_of(rest, defaults, "magnetogram")
    size, grades, seed, rate = (*(int(settings[key]) for key in ("size", "grades", "seed")), float(settings["rate"]))
    counts = {split: int(settings[split]) for split in SPLITS}
    try:
        _check("train", size, grades, rate)
    except OptionError as error:
        raise DataError(f"magnetogram:{rest}: {error}") from error
    for split, count in counts.items():
        if count < (split != "test"):
            raise DataError(f"magnetogram:{rest}: {split}={count}; expected at least {int(split != 'test')}")
    splits = {
        split: MagnetogramSplit(count, split=split, seed=seed, size=size, grades=grades, rate=rate)
        for split, count in counts.items()
    }
    return DataSet(
        spec="magnetogram" + (f":{rest}" if rest else ""),
        class_names=CLASSES[grades],
        # Gray from three equal channels is 0.9999 of them, the sum of the luma weights: within 1e-4 of the value.
        preprocessing=Preprocessing(channels=1, mean=MEAN, std=STD, source="magnetogram"),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"] if counts["test"] else None,
        masks=True,
    )


def _check(split: str, size: int, grades: int, rate: float) -> None:
    if split not in SPLITS:
        raise OptionError(f"split={split!r}; expected one of {', '.join(SPLITS)}")
    if size < 32:
        raise OptionError(f"size={size}; expected at least 32 pixels")
    if grades not in CLASSES:
        raise OptionError(f"grades={grades}; expected 2 (no-flare, flare) or 4 (O, C, M, X)")
    if not 0 <= rate <= 1:
        raise OptionError(f"rate={rate}; expected a share of flares, 0 … 1")


def _digest(*key: object) -> int:
    """53 bits that follow from the key alone, on every machine."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big") >> 11


def _label(index: int, split: str, seed: int, grades: int, rate: float) -> int:
    """The class of an image, from a draw of its own so that it is known without the image."""
    draw = _digest("class", seed, split, index) / 2**53
    return min(1 + int((1 - draw) * (grades - 1) / rate), grades - 1) if draw >= 1 - rate else 0


def _generator(index: int, split: str, seed: int) -> torch.Generator:
    # Torch's CPU generator reads 32 bits of a seed. Two of them are the split's, so that splits share no image.
    return torch.Generator().manual_seed(_digest("scene", seed, split, index) % 2**30 * 4 + SPLITS.index(split))


def _scene(label: int, grades: int, rng: torch.Generator) -> tuple[Scene, Tensor, Tensor, float]:
    """The first scene drawn whose strength is of the class, with field and inversion line on the reference grid."""
    edges = (-math.inf, *THRESHOLDS[grades], math.inf)
    low, high = edges[label] * (1 + MARGIN), edges[label + 1] * (1 - MARGIN)
    network, noise = _network(rng), 0.015 + 0.02 * float(torch.rand((), generator=rng))
    quiet = _limited(network, REFERENCE, 0.2)
    for attempt in range(TRIES):
        if attempt % 8 == 0:  # the same groups are arranged anew first, so that the class does not choose the groups
            groups = _groups(rng)
        regions = _arranged(groups, label > 0, rng)
        field = quiet + _limited(regions, REFERENCE, 1.2)
        line, strength = inversion_line(field)
        if low < strength < high:
            return Scene(network, regions, noise), field, line, strength
    raise RuntimeError(f"no scene of class {CLASSES[grades][label]} in {TRIES} tries")


def _network(rng: torch.Generator) -> Tensor:
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


def _groups(rng: torch.Generator) -> list[list[Pole]]:
    """Two or three groups of one or two poles; the first, which makes the class, has two."""
    more, *draws = torch.rand(7, 4, generator=rng).tolist()
    poles = []
    for scale, stretch, peak, _ in draws:
        scale, stretch = 0.036 + 0.056 * scale, math.sqrt(1 + 1.5 * stretch)
        poles.append(Pole(scale / stretch, scale * stretch, 0.6 + 1.1 * peak))
    second = poles[2 : 3 + (more[0] < 0.4)]
    third = poles[4 : 5 + (more[1] < 0.4)]
    return [poles[:2], second, third] if more[2] < 0.5 else [poles[:2], second]


def _arranged(groups: list[list[Pole]], flare: bool, rng: torch.Generator) -> Tensor:
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


def _rendered(sources: Tensor, size: int) -> Tensor:
    """(S, S), the sum of round Gaussians as pixels see them: wider by the instrument's blur, of the same flux."""
    x, y, width, peak = sources.T[:, :, None]
    seen = width.square() + (0.5 / size) ** 2
    axis = (torch.arange(size) + 0.5) / size
    # Without a floor, far tails are denormal numbers, which make the product three times slower.
    down, across = (((axis - centre).square() / (-2 * seen)).clamp(min=-40).exp() for centre in (y, x))
    return (down * (peak * width.square() / seen)).T @ across


def _limited(sources: Tensor, size: int, limit: float) -> Tensor:
    return limit * torch.tanh(_rendered(sources, size) / limit)


def _dilated(mask: Tensor, reach: int) -> Tensor:
    return F.max_pool2d(mask[None].float(), 2 * reach + 1, stride=1, padding=reach)[0] > 0


def _resized(mask: Tensor, size: int) -> Tensor:
    if mask.shape[-1] == size:
        return mask
    smooth = F.interpolate(mask[None, None].float(), (size, size), mode="bilinear", antialias=True)[0, 0]
    return smooth > 0.4
