"""The default colours: even in lightness, in order for the colour-blind, and transparent at 0 where maps have signs."""

from __future__ import annotations

import base64
import json
from importlib.resources import files

import numpy as np
import pytest

from explainers.data.images import read_image
from explainers.data.samples import sample_photographs
from explainers.render import Style, colours, overlay
from explainers.render.charts import COLOURS
from explainers.render.report.page import palette
from explainers.render.style import DIVERGING, SEQUENTIAL

# Linear sRGB to CIE XYZ (IEC 61966-2-1), and what is left of linear sRGB without one kind of cone (Machado et al. 2009,
# severity 1).
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
SIGHTS = {
    "all cones": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}


def cielab(rgb: np.ndarray, sight: str = "all cones") -> np.ndarray:
    """(…, 3) L*, a*, b* of colours 0 … 255 under D65, as somebody sees them."""
    share = np.asarray(rgb, float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ SIGHTS[sight].T, 0, 1)
    x, y, z = np.moveaxis(seen @ TO_XYZ.T / TO_XYZ.sum(axis=1), -1, 0)
    fx, fy, fz = (
        np.where(each > (6 / 29) ** 3, np.cbrt(each), each / (3 * (6 / 29) ** 2) + 4 / 29) for each in (x, y, z)
    )
    return np.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=-1)


def even(name: str, sight: str) -> bool:
    """Whether lightness rises from step to step, up to the rounding of colours, and everywhere about as fast."""
    lightness = cielab(colours(name), sight)[:, 0]
    thirty = np.diff(lightness[::15])
    return bool(
        np.diff(lightness).min() > -0.35 and thirty.min() > 0.4 * thirty.mean() and thirty.max() < 1.6 * thirty.mean()
    )


def test_lightness_of_known_colours():
    known = {(255, 255, 255): 100.0, (0, 0, 0): 0.0, (119, 119, 119): 50.03, (255, 0, 0): 53.24, (0, 0, 255): 32.30}
    for colour, lightness in known.items():
        assert cielab(np.array(colour))[0] == pytest.approx(lightness, abs=0.02)
    assert cielab(np.array([255, 0, 0]))[1:] == pytest.approx([80.09, 67.20], abs=0.05)


@pytest.mark.parametrize("sight", SIGHTS)
def test_the_default_map_rises_evenly_in_lightness_for_everybody(sight):
    assert even(SEQUENTIAL, sight)
    assert not even("turbo", sight)
    lightness = cielab(colours(SEQUENTIAL), sight)[:, 0]
    assert lightness[-1] - lightness[0] > 90


@pytest.mark.parametrize("sight", SIGHTS)
def test_signed_maps_darken_alike_to_both_sides_which_nobody_confuses(sight):
    seen = cielab(colours(DIVERGING), sight)
    for side in (seen[128:], seen[127::-1]):
        assert np.diff(side[:, 0]).max() < 0.5
        assert side[0, 0] > 95
        assert side[-1, 0] < 45
    # From a fifth of the scale on, the same magnitude with another sign is another colour.
    assert np.linalg.norm(seen[154:] - seen[101::-1], axis=1).min() > 15


@pytest.mark.parametrize("sight", ["all cones", "deuteranopia"])
def test_over_gray_a_stronger_value_is_further_from_the_bare_photo(sight):
    strength = np.linspace(0, 1, 41, dtype=np.float32)[None]

    def in_order(cmap: str, shade: int) -> float:
        photo = np.full((1, 41, 3), shade, np.uint8)
        drawn = overlay(photo, strength, style=Style(cmap, limits=(0, 1)))
        distance = np.linalg.norm(cielab(drawn, sight) - cielab(photo, sight), axis=-1)[0]
        first, second = np.triu_indices(41, 1)
        return float((distance[second] > distance[first]).mean())

    ours = [in_order(SEQUENTIAL, shade) for shade in (10, 60, 128, 190, 235)]
    rainbow = [in_order("turbo", shade) for shade in (10, 60, 128, 190, 235)]
    assert np.mean(ours) > np.mean(rainbow) + 0.05
    assert min(ours) > 0.75


def test_zero_of_a_signed_map_leaves_the_photo():
    photo = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    map_ = np.zeros((6, 8), np.float32)
    map_[1, 1], map_[4, 6] = -3.0, 3.0
    drawn = overlay(photo, map_, style=Style(limits=(-3, 3)))
    changed = (drawn != photo).any(axis=-1)
    assert changed.sum() == 2
    for place, end in (((1, 1), 0), ((4, 6), 255)):
        expected = np.round(0.3 * photo[place].astype(float) + 0.7 * colours(DIVERGING)[end])
        assert np.abs(drawn[place].astype(float) - expected).max() <= 1


def test_the_page_of_a_report_has_the_same_colours():
    told = palette(None)
    for kind, name in (("sequential", SEQUENTIAL), ("diverging", DIVERGING)):
        assert base64.b64decode(told[kind]) == colours(name).tobytes()
    assert base64.b64decode(palette("turbo")["sequential"]) == colours("turbo").tobytes()


@pytest.mark.parametrize("sight", SIGHTS)
def test_nobody_confuses_the_lines_of_a_chart(sight):
    def nearest(names: tuple[str, ...]) -> float:
        seen = cielab(np.array([[int(name[place : place + 2], 16) for place in (1, 3, 5)] for name in names]), sight)
        distances = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
        return float(distances[np.triu_indices(len(names), 1)].min())

    assert nearest(COLOURS) > 17
    matplotlibs = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")
    assert (nearest(matplotlibs) > 17) == (sight == "all cones")
    script = files("explainers.render.report").joinpath("scripts/chart.js").read_text(encoding="utf-8")
    assert f"const COLOURS = {json.dumps(COLOURS)};" in script


@pytest.mark.parametrize("shade", [10, 128, 245])
def test_next_to_nothing_does_not_veil_a_photo_whatever_its_sign(shade):
    photo = np.full((1, 41, 3), shade, np.uint8)
    strength = np.linspace(-1, 1, 41, dtype=np.float32)[None]
    drawn = overlay(photo, strength, style=Style(limits=(-1, 1)))
    distance = np.linalg.norm(cielab(drawn) - cielab(photo), axis=-1)[0]
    assert distance[20] == 0
    assert distance[18:23].max() < 15  # a tenth of the scale: with its square root as its opacity, 22 on a dark photo
    assert min(distance[10], distance[30]) > 15  # half of it


def kept_order(cmap: str, sight: str) -> float:
    """How often the stronger of two values is further from the bare photo: 600 pixels of the package's photographs, all
    pairs of 21 strengths."""
    bare = np.concatenate([read_image(each.path).pixels.reshape(-1, 3)[7::499][:150] for each in sample_photographs()])
    strength = np.broadcast_to(np.linspace(0, 1, 21, dtype=np.float32), (len(bare), 21))
    photo = np.ascontiguousarray(np.broadcast_to(bare[:, None], (len(bare), 21, 3)))
    drawn = overlay(photo, np.ascontiguousarray(strength), style=Style(cmap, limits=(0, 1)))
    distance = np.linalg.norm(cielab(drawn, sight) - cielab(photo, sight), axis=-1)
    first, second = np.triu_indices(21, 1)
    assert len(bare) == 600
    return float((distance[:, second] > distance[:, first]).mean())


def test_on_photographs_the_order_is_kept_as_the_page_of_pictures_says():
    found = {cmap: 100 * kept_order(cmap, "all cones") for cmap in ("inferno", "turbo", "plasma", "magma", "viridis")}
    assert found == pytest.approx({"inferno": 86, "turbo": 71, "plasma": 74, "magma": 72, "viridis": 96}, abs=1)
    blind = {cmap: 100 * kept_order(cmap, "deuteranopia") for cmap in ("inferno", "viridis")}
    assert blind == pytest.approx({"inferno": 78, "viridis": 77}, abs=1)
