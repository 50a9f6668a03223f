"""`explain doctor` of a network of several inputs."""

from __future__ import annotations

from explainers.cli.main import main

NETWORK = """
from torch import nn

class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, left, right):
        return self.trunk(left) * self.trunk(right)

def make():
    return Siamese().eval()
"""


def test_it_names_the_inputs_and_how_they_are_bound(tmp_path, capsys):
    (tmp_path / "net.py").write_text(NETWORK)
    assert main(["doctor", "--model", f"{tmp_path}/net.py:make", "--size", "16x16"]) in (0, 2)  # 2: of the installation
    printed = capsys.readouterr().out
    assert "several inputs: forward needs left, right" in printed
    assert "explainers.explain(network, {'left': left, 'right': right}, 'grad-cam', explain='left')" in printed
    assert "return a module whose forward(left) calls this one with right that it holds" in printed
