"""Borders, warps and transforms that move positions: refused, or followed until they are undone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import explainers
from explainers.errors import LayerError


def spot(height: int, width: int, row: int, column: int) -> Tensor:
    """A bright square of 4 × 4 on black."""
    made = torch.zeros(1, 3, height, width)
    made[:, :, row : row + 4, column : column + 4] = 1
    return made


def quarter(x: Tensor) -> Tensor:
    """The upper left quarter, as a spatial transformer looks at it."""
    theta = torch.tensor([[[0.5, 0, -0.5], [0, 0.5, -0.5]]]).expand(len(x), -1, -1)
    return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)


def on_canvas(x: Tensor) -> Tensor:
    canvas = x.new_zeros(*x.shape[:2], 36, 36)
    canvas[:, :, 12:, 12:] = x
    return canvas


def again_and_again(x: Tensor) -> Tensor:
    for _ in range(3):  # three each time, of 24
        x = x[:, :, :, 3:]
    return x


MOVING = {
    "padded at one side": lambda x: F.pad(x, (8, 0, 0, 0)),
    "reflected": lambda x: F.pad(x, (0, 0, 8, 0), mode="reflect"),
    "repeated": lambda x: F.pad(x, (8, 0, 0, 0), mode="replicate"),
    "circular": lambda x: F.pad(x, (8, 0, 0, 0), mode="circular"),
    "padded on all sides": lambda x: F.pad(x, (8, 8, 8, 8)),
    "written on a larger canvas": on_canvas,
    "beside zeros": lambda x: torch.cat([torch.zeros_like(x), x], 3),
    "cropped little by little": again_and_again,
    "shifted": lambda x: F.pad(x, (8, 0))[..., :-8],
    "warped": quarter,
    "frequencies": lambda x: torch.fft.fft2(x).abs(),
    "real parts of half of the frequencies": lambda x: torch.fft.rfft2(x).real,
    "largest first": lambda x: x.topk(24, 3).values,
    "far padding of a convolution": nn.Conv2d(3, 3, 3, padding=20),
}


class Network(nn.Module):
    """Positive weights, so that the map is bright where the image is."""

    def __init__(self, first=None, between=None) -> None:
        super().__init__()
        self.first, self.between = first or nn.Identity(), between or nn.Identity()
        self.body, self.behind, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Linear(4, 2)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.abs_()

    def forward(self, x: Tensor) -> Tensor:
        x = self.between(F.relu(self.body(self.first(x))))
        return self.head(F.relu(self.behind(x)).mean((2, 3)))


class Doing(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize("name", MOVING)
def test_what_moves_positions_far_is_refused_and_the_layer_before_it_is_taken(name):
    images = spot(24, 24, 2, 18)
    with pytest.raises(LayerError, match="cannot be tied to the image"):
        explainers.GradCAM(Network(first=Doing(MOVING[name])))(images)
    if name != "far padding of a convolution":  # made for three channels
        explainer = explainers.GradCAM(Network(between=Doing(MOVING[name])))
        found = explainer(images, 0)[0]
        assert explainer.layers == ("body",)
        row, column = divmod(int(found.argmax()), 24)
        assert 1 <= row <= 6
        assert 17 <= column <= 22


THERE_AND_BACK = {
    "padded, then cropped": lambda x: F.pad(x, (8, 8, 8, 8))[:, :, 8:-8, 8:-8],
    "windows over a padded image": lambda x: F.avg_pool2d(F.pad(x, (2, 2, 2, 2)), 5, 1),
    "dilated, padded to stay as large": lambda x: F.conv2d(F.pad(x, (8, 8, 8, 8)), x.new_ones(4, 4, 3, 3), dilation=8),
    "causal": lambda x: F.conv2d(F.pad(x, (8, 0)), x.new_ones(4, 4, 1, 3), dilation=4),
    "frequencies and back": lambda x: torch.fft.irfft2(torch.fft.rfft2(x) * 1.0, s=x.shape[2:]),
    "frequencies as channels and back": lambda x: (
        torch.fft.ifft2(torch.complex(torch.fft.fft2(x).real, torch.fft.fft2(x).imag)).real
    ),
    "a border of two": lambda x: F.pad(x, (2, 2, 2, 2)),
}


@pytest.mark.parametrize("name", THERE_AND_BACK)
def test_what_is_undone_again_or_small_leaves_the_last_layer(name):
    explainer = explainers.GradCAM(Network(between=Doing(THERE_AND_BACK[name])))
    explainer(spot(24, 24, 2, 18), 0)
    assert explainer.layers == ("behind",)


def test_causal_convolutions_of_a_signal_are_followed():
    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Conv1d(3, 3, 3, dilation=2**step) for step in range(5))
            self.head = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            for step, layer in enumerate(self.layers):
                x = F.relu(layer(F.pad(x, (2 * 2**step, 0))))
            return self.head(x.mean(2))

    explainer = explainers.GradCAM(Causal())
    explainer(torch.rand(1, 3, 64), 0)
    assert explainer.layers == ("layers.4",)
