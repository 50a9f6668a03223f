"""Layouts told from shapes."""

from __future__ import annotations

import pytest
import torch

from explainers.network.layout import layout_of


@pytest.mark.parametrize(
    ("shape", "image", "expected"),
    [
        ((1, 512, 7, 7), (224, 224), ("nchw", (7, 7), 512, 0)),
        ((1, 7, 7, 768), (224, 224), ("nhwc", (7, 7), 768, 0)),
        ((1, 64, 112, 196), (224, 392), ("nchw", (112, 196), 64, 0)),
        ((1, 12, 21, 96), (100, 170), ("nhwc", (12, 21), 96, 0)),
        ((1, 8, 2, 2), (32, 32), ("nchw", (2, 2), 8, 0)),
        ((1, 2, 3, 8), (20, 30), ("nhwc", (2, 3), 8, 0)),
        ((1, 16, 3, 40), (30, 400), ("nchw", (3, 40), 16, 0)),
        ((1, 197, 768), (224, 224), ("tokens", (14, 14), 768, 1)),
        ((1, 196, 768), (224, 224), ("tokens", (14, 14), 768, 0)),
        ((1, 261, 384), (224, 224), ("tokens", (16, 16), 384, 5)),
        ((1, 25, 8), (16, 24), ("tokens", (4, 6), 8, 1)),
        ((1, 512, 1, 1), (224, 224), None),
        ((1, 1000), (224, 224), None),
        ((1, 768), (224, 224), None),
        ((1, 3, 500, 500), (224, 224), None),
    ],
)
def test_layout_of_shapes(shape, image, expected):
    layout = layout_of(shape, image)
    found = layout and (layout.kind, layout.grid, layout.channels, layout.prefix)
    assert found == expected
    if layout:
        value = torch.arange(float(torch.tensor(shape).prod())).view(shape)
        spatial = layout.spatial(value)
        assert spatial.shape == (1, layout.channels, *layout.grid)
        # The second position of the first row, whatever the layout.
        second = {
            "nchw": lambda: value[0, :, 0, 1],
            "nhwc": lambda: value[0, 0, 1],
            "tokens": lambda: value[0, layout.prefix + 1],
        }[layout.kind]()
        assert torch.equal(spatial[0, :, 0, 1], second)


def test_tokens_take_the_grid_of_the_layer_before_them():
    # 50 tokens of a 50 × 100 image could be 5 × 10, or 7 × 7 and a class token: the patch embedding decides.
    assert layout_of((1, 50, 8), (50, 100), [(7, 7)]).grid == (7, 7)
    assert layout_of((1, 50, 8), (50, 100), [(5, 10)]).grid == (5, 10)


@pytest.mark.parametrize(
    ("shape", "image", "tied"),
    [
        ((1, 64, 112, 196), (224, 392), True),  # 64 × 112 has the proportions of 112 × 196
        ((1, 14, 14, 14), (224, 224), True),
        ((1, 512, 7, 7), (224, 224), False),
        ((1, 7, 7, 768), (224, 224), False),
    ],
)
def test_a_shape_that_reads_both_ways_is_tied(shape, image, tied):
    assert layout_of(shape, image).tied == tied


def test_tokens_that_fit_no_layer_before_them_are_not_folded():
    assert layout_of((1, 16, 8), (16, 64), [(4, 16)]) is None
    assert layout_of((1, 16, 8), (64, 64)).grid == (4, 4)
