"""A map with values that are no numbers costs its row, not the run."""

from __future__ import annotations

import numpy as np
import torch
from run_case import rows
from torch import nn

from explainers.core.preprocessing import Preprocessing
from explainers.data.images import write_image
from explainers.models import LoadedModel
from explainers.run import MethodCall, RunOptions, run
from explainers.run.report.explained import explained
from explainers.run.report.folder import ReadFolder


class Rooted(nn.Module):
    """The scores are numbers; the gradient is none where a pixel is black, a root's at 0."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images):
        return self.conv(images).relu().mean(dim=(2, 3)) + images.abs().sqrt().mean(dim=(1, 2, 3))[:, None]


def test_a_map_of_nan_costs_its_row_and_the_rest_is_made(tmp_path):
    bright = np.random.default_rng(0).integers(20, 256, (16, 16, 3), np.uint8)
    black = bright.copy()
    black[:4] = 0
    write_image(tmp_path / "in" / "a.png", bright)
    write_image(tmp_path / "in" / "b.png", black)
    torch.manual_seed(0)
    network = LoadedModel(Rooted().eval(), Preprocessing(), None, "x", None, torch.device("cpu"), "x")
    calls = [MethodCall("saliency"), MethodCall("rise", {"masks": 4, "grid": 2})]
    out = tmp_path / "out"
    summary = run(tmp_path / "in", network, calls, out, options=RunOptions(compare=True, contact_sheet=2, top_k=2))
    ((name, reason),) = summary.failed
    assert (summary.explained, name) == (2, "b.png")
    assert reason.startswith("saliency: the map has NaN or infinite values")
    made = {(row["file"], row["method"]): row["status"] for row in rows(out)}
    failed = ("b.png", "saliency")
    assert made.pop(failed) == "failed"
    assert set(made.values()) == {"ok"}
    assert (out / "compare" / "b.png").is_file()
    notes = {entry.name: [each.status for each in entry.maps] for entry in explained(ReadFolder(out)).entries}
    assert notes["b.png"].count("failed") == 2
