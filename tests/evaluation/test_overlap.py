"""Values of a data set that are no means: against loops over thresholds, pooled and by halves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

import explainers
from explainers import create_metric
from explainers.evaluation.measuring.fillings import image_seed
from explainers.evaluation.metrics.localisation import best_box_iou, iou_curve, precision_recall_counts


def network(x):
    return torch.stack([x.mean((1, 2, 3)), -x.mean((1, 2, 3))], 1)


def case(count=9):
    images, masks = torch.randn(count, 3, 14, 11), torch.zeros(count, 14, 11, dtype=torch.bool)
    for row in range(count):
        masks[row, row % 5 : row % 5 + 6, 2:8] = True
    maps = masks + 1.5 * torch.rand(count, 14, 11)
    return images, masks, maps


def evaluated(metric, images, masks, maps):
    place = {tuple(image.flatten()[:3].tolist()): map_ for image, map_ in zip(images, maps, strict=True)}

    def explainer(batch, targets):
        return torch.stack([place[tuple(image.flatten()[:3].tolist())] for image in batch])

    return explainers.evaluate(network, images, {"given": explainer}, [metric], masks=masks, batch_size=4)


def test_maxboxacc_has_one_threshold_for_all_images():
    images, masks, maps = case()
    levels = torch.linspace(0, 1, 21)
    for iou, multiple in ((0.5, False), ((0.3, 0.5, 0.7), True)):
        metric = create_metric("maxboxacc", iou=iou, multiple=multiple, thresholds=20)
        result = evaluated(metric, images, masks, maps)
        overlaps = best_box_iou(maps, masks, levels, multiple).numpy()
        wanted = []
        for bound in np.atleast_1d(iou):
            wanted.append(max(np.mean([row[t] >= bound for row in overlaps]) for t in range(21)))
        assert result.summary().cells["given", "maxboxacc"].value == pytest.approx(np.mean(wanted))
        best = [np.mean([row.max() >= bound for bound in np.atleast_1d(iou)]) for row in overlaps]
        assert list(result.values("maxboxacc")["given"].values()) == pytest.approx(best)


def test_pxap_is_pooled_over_images():
    images, masks, maps = case()
    result = evaluated(create_metric("pxap", bins=100), images, masks, maps)
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    levels = torch.floor((maps - low) / (high - low) * 100)
    wanted = average_precision_score(masks.flatten().numpy(), levels.flatten().numpy())
    cell = result.summary().cells["given", "pxap"]
    assert cell.value == pytest.approx(wanted, abs=1e-9)
    assert cell.interval[0] < wanted < cell.interval[1]
    assert np.mean(list(result.values("pxap")["given"].values())) != pytest.approx(wanted, abs=1e-4)


def test_coarser_counts_have_about_the_same_precision():
    _, masks, maps = case()
    metric = create_metric("pxap", bins=1003)
    parts = precision_recall_counts(maps, masks, 1003).numpy()
    fine, coarse = parts.sum(axis=0), sum(metric.coarser(each) for each in parts)
    assert coarse.shape == (2, 104)
    assert coarse.sum() == fine.sum()
    one, two = (metric.combined(each[None], np.array([9]))[0] for each in (fine, coarse))
    assert one == pytest.approx(two, abs=0.01)


def test_a_threshold_from_validation_never_sees_the_half_that_it_is_judged_on():
    images, masks, maps = case(12)
    result = evaluated(create_metric("miou", threshold="validation"), images, masks, maps)
    curves = iou_curve(maps, masks, torch.linspace(0, 1, 101)).numpy()
    half = np.array([image_seed(image, 0) % 2 for image in images])
    assert 0 < half.sum() < 12
    chosen = [curves[half == side].sum(axis=0).argmax() for side in (0, 1)]
    wanted = np.mean([curve[chosen[1 - side]] for curve, side in zip(curves, half, strict=True)])
    assert result.summary().cells["given", "miou"].value == pytest.approx(wanted)


def test_rows_say_how_a_region_misses_its_mask():
    images, masks, _ = case(3)
    wide, narrow = torch.rand(14, 11) * 0.1, torch.zeros(14, 11)
    wide[:12, :11] += 1
    narrow[1:3, 3:5] = 1
    maps = torch.stack([wide, masks[1].float(), narrow])
    maps[2] = torch.where(masks[2], 0, 0)
    maps[2, 3, 3] = 1
    result = evaluated(create_metric("miou", threshold=0.5), images, masks, maps)
    rows = {row["image"]: row for row in result.rows if row["explainer"] == "given"}
    assert [rows[name]["attention"] for name in "012"] == ["over-attended", "", "insufficiently attended"]
    assert rows["1"]["value"] == 1.0
    assert [row["image"] for row in result.worst("given", "miou", 2)] == ["2", "0"]
    assert result.best("given", "miou", 1)[0]["image"] == "1"
