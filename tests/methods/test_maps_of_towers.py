"""Maps that a network makes by itself are those of the tower that the explained input goes through, or refused."""

from __future__ import annotations

import pytest
import torch
from small import Chain, Tokens, lively
from torch import nn

import explainers
from explainers.baselines import LABN
from explainers.errors import LayerError, UnsupportedError


class Towers(nn.Module):
    """The sum of the scores of two networks, each of an image of its own."""

    def __init__(self, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, left, right):
        return self.left(left) + self.right(right)


def test_rollout_is_of_the_explained_tower_alone():
    left, right = lively(Tokens()).double(), lively(Tokens()).double()
    pair = tuple(torch.randn(2, 2, 3, 16, 24, dtype=torch.float64))
    made = explainers.AttentionRollout(Towers(left, right))(pair, 0, explain="all")
    for index, tower in enumerate((left, right)):
        wanted = explainers.AttentionRollout(tower)(pair[index], 0)
        torch.testing.assert_close(made[index], wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["attention", "lambda-attention"])
def test_the_map_of_a_branch_is_refused_for_the_image_that_it_does_not_see(name):
    branch = lively(LABN(channels=3, classes=5, scope=3)).double()
    network = Towers(branch, lively(Chain()).double())
    pair = tuple(torch.randn(2, 2, 3, 16, 24, dtype=torch.float64))
    explainer = explainers.create(name, network)
    torch.testing.assert_close(
        explainer(pair, 0, explain=0), explainers.create(name, branch)(pair[0], 0), rtol=1e-6, atol=1e-8
    )
    with pytest.raises(LayerError, match="does not run once on the explained input"):
        explainer(pair, 0, explain=1)


def test_cam_reads_no_layer_of_another_input():
    class Blind(nn.Module):
        """Scores of the right image alone, by CAM's head."""

        def __init__(self):
            super().__init__()
            self.trunk = lively(Chain()).double()

        def forward(self, left, right):
            return self.trunk(right) + 0 * left.mean()

    pair = tuple(torch.randn(2, 2, 3, 16, 24, dtype=torch.float64))
    network = Blind()
    torch.testing.assert_close(
        explainers.CAM(network)(pair, 1, explain=1), explainers.CAM(network.trunk)(pair[1], 1), rtol=1e-6, atol=1e-8
    )
    with pytest.raises((UnsupportedError, LayerError)):
        explainers.CAM(network)(pair, 1, explain=0)


def test_captum_reads_no_module_that_runs_twice():
    pytest.importorskip("captum")

    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = lively(Chain()).double()

        def forward(self, left, right):
            return self.trunk(left) * self.trunk(right)

    pair = tuple(torch.randn(2, 1, 3, 16, 24, dtype=torch.float64))
    with pytest.raises(UnsupportedError, match="cannot tell the runs apart"):
        explainers.create("captum:LayerGradCam", Shared())(pair, 0, explain=0)
