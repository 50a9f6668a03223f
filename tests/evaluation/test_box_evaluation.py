"""Maps of boxes under metrics: f(x) is the box's likeness, truth is a box, and another box is the control."""

from __future__ import annotations

import pytest
import torch
from detectors import GridDetector, read_grid

import explainers
from explainers import RISE, Saliency
from explainers.evaluation import OtherDetection
from explainers.targets import Box, box_masks, detections, settle


def images() -> torch.Tensor:
    made = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(2)) * 0.2
    made[:, :, 8:16, 16:24] = 1
    made[:, :, 32:40, 40:48] = 0.9
    return made


def boxes(network, pictures) -> list[Box]:
    return [Box.of(found, 0) for found in detections(network, pictures, output=read_grid)]


def test_deletion_watches_the_likeness_of_the_box():
    network, pictures = GridDetector().eval(), images()
    targets = boxes(network, pictures)
    rows = torch.arange(48.0)[:, None].expand(48, 64)
    result = explainers.evaluate(
        network, pictures, {"rows": lambda given, _: rows.expand(len(given), 48, 64)}, ["deletion"], targets=targets,
        output=read_grid,
    )  # fmt: skip
    settled = settle(network, pictures, targets, read_grid)
    for row, image in zip([row for row in result.rows if row["explainer"] == "rows"], range(2), strict=True):
        with torch.no_grad():
            columns = settled.scores(network, pictures, watch=True)(network(pictures))
        place = int(settled.columns()[1][image, 0])
        assert (row["quantity"], row["probability"]) == ("similarity", None)
        assert row["f(x)"] == pytest.approx(float(columns[image, columns.shape[1] // 2 + place]), rel=1e-5)
        assert row["status"] == "ok"


def test_truth_is_a_box_and_the_control_is_another_one():
    network, pictures = GridDetector().eval(), images()
    targets = boxes(network, pictures)
    masks = box_masks([box.box for box in targets], (48, 64))
    own = Saliency(network, output=read_grid)
    result = explainers.evaluate(
        network, pictures, {"saliency": own, "another box": OtherDetection(own, min_score=0.05)},
        ["pointing-game", "insertion"], targets=targets, masks=masks, output=read_grid,
    )  # fmt: skip
    found = {(row["explainer"], row["metric"]): row for row in result.rows if row["status"] == "ok"}
    assert found["saliency", "pointing-game"]["value"] == 1
    assert found["another box", "pointing-game"]["value"] == 0
    with pytest.raises(explainers.errors.OutputError, match="no other detection"):
        OtherDetection(own, min_score=1.0)(pictures, targets)


def test_rise_of_another_box_is_its_map_of_that_box():
    network, pictures = GridDetector().eval(), images()
    listed = detections(network, pictures, output=read_grid)
    rise = RISE(network, masks=16, grid=3, output=read_grid)
    made = OtherDetection(rise, min_score=0.0)(pictures, [Box.of(found, 0) for found in listed])
    for image, found in enumerate(listed):
        first = found.boxes[0]
        for place in range(1, len(found)):
            low, high = (
                torch.maximum(first[:2], found.boxes[place, :2]),
                torch.minimum(first[2:], found.boxes[place, 2:]),
            )
            inside = (high - low).clamp(min=0).prod()
            areas = (first[2:] - first[:2]).prod() + (found.boxes[place, 2:] - found.boxes[place, :2]).prod()
            if inside / (areas - inside) < 0.5:
                break
        torch.testing.assert_close(made[image], rise(pictures[image : image + 1], Box.of(found, place))[0])
