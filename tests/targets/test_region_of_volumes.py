"""Regions of volumes and signals: means over positions by hand, the slice's and the row's own maps, what is refused."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import explainers
from explainers.errors import OutputError, TargetError
from explainers.methods import create
from explainers.targets import Region, settle
from explainers.targets.where import box_weights, mask_weights

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
POOLINGS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


class Segmenter(nn.Module):
    """One level down and up. kernel, pool: of each axis, 1 where places stay apart."""

    def __init__(self, axes, kernel, pool):
        super().__init__()
        conv, padding = CONVOLUTIONS[axes], tuple(side // 2 for side in kernel)
        self.pool_by = pool
        self.down, self.relu = conv(1, 3, kernel, padding=padding), nn.ReLU()
        self.pool, self.bottle = POOLINGS[axes](pool), conv(3, 4, kernel, padding=padding)
        self.head = conv(7, 3, 1)

    def forward(self, x):
        first = self.relu(self.down(x))
        deep = self.relu(self.bottle(self.pool(first)))
        return self.head(torch.cat([first, F.interpolate(deep, size=first.shape[2:], mode="nearest")], 1))


def segmenter(axes, kernel=None, pool=None, weights=None):
    torch.manual_seed(5)
    network = Segmenter(axes, kernel or (3,) * axes, pool or (2,) * axes).double().eval()
    if weights is not None:
        own = {name: value.reshape(network.state_dict()[name].shape) for name, value in weights.state_dict().items()}
        network.load_state_dict(own)
    return network


def drawn(*size):
    return torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def gradient(network, x, number):
    leaf = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(number(network(leaf)), leaf)
    return found.abs().amax(1)


@pytest.mark.parametrize("size", [(6,), (4, 6, 5)])
def test_all_places_a_mask_a_box_a_place_and_the_predicted_region_are_means_by_hand(size):
    network, x = segmenter(len(size)), drawn(*size)
    mask = torch.zeros(size, dtype=torch.bool)
    part = tuple(slice(1, 3 + axis) for axis in range(len(size)))
    mask[part] = True
    clean = network(x).detach()
    index = int(clean.argmax(1).flatten().bincount().argmax())
    there = clean.argmax(1)[0] == index
    spans, place = tuple((each.start, each.stop) for each in part), tuple(side // 2 for side in size)
    cases = [
        (Region(1), lambda y: y[0, 1].mean()),
        (Region(2, mask), lambda y: y[0, 2][part].mean()),
        (Region(2, spans), lambda y: y[0, 2][part].mean()),
        (Region(2, place), lambda y: y[0, 2][place]),
        (Region(None, "predicted"), lambda y: y[0, index][there].mean()),
    ]
    saliency = create("saliency", network)
    for target, number in cases:
        torch.testing.assert_close(saliency(x, target), gradient(network, x, number).float(), atol=1e-6, rtol=1e-5)
    several = saliency(x, [[target for target, _ in cases]])
    torch.testing.assert_close(several[0, 3], saliency(x, cases[3][0])[0])
    (settled,) = settle(network, x, Region(index, spans)).rows[0]
    assert torch.equal(settled.outline(size), mask)


def test_a_volume_that_is_constant_along_an_axis_has_the_map_of_its_slice():
    flat, image = segmenter(2), drawn(6, 8)
    deep = segmenter(3, (1, 3, 3), (1, 2, 2), flat)
    volume = image[:, :, None].repeat(1, 1, 4, 1, 1)
    wide = Region(1, ((0, 4), (2, 5), (1, 6)))
    for name in ("saliency", "hires-cam", "layer-cam"):
        found = create(name, deep)(volume, wide)[0]
        wanted = create(name, flat)(image, Region(1, (1, 2, 6, 5)))[0]
        assert float(wanted.abs().max()) > 0
        for each in found * (4 if name == "saliency" else wanted.abs().max() / found.abs().max()):
            torch.testing.assert_close(each, wanted, atol=1e-6, rtol=1e-4)


def test_rise_makes_all_targets_of_one_set_of_passes():
    network, x, passes = segmenter(3), drawn(4, 6, 5), []
    network.register_forward_hook(lambda module, given, made: passes.append(len(given[0])))
    two = [Region(0), Region(1, ((0, 2), (1, 5), (2, 4)))]
    create("rise", network, masks=4)(x, two[0])  # whether the network is steady is looked at once
    passes.clear()
    several = create("rise", network, masks=32)(x, [two])
    together = sum(passes)
    passes.clear()
    torch.testing.assert_close(create("rise", network, masks=32)(x, two[1])[0], several[0, 1])
    assert together <= sum(passes) + 1


def test_a_signal_has_the_map_of_the_image_of_one_row():
    row, line = segmenter(2, (1, 3), (1, 2)), drawn(12)
    signal = segmenter(1, weights=row)
    for name in ("grad-cam", "saliency"):
        found = create(name, signal)(line, Region(2, ((3, 9),)))
        wanted = create(name, row)(line[:, :, None], Region(2, (3, 0, 9, 1)))
        torch.testing.assert_close(found, wanted[:, 0], atol=1e-6, rtol=1e-5)


def test_the_layer_is_the_end_of_the_encoder():
    for axes in (1, 3):
        explainer = create("grad-cam", segmenter(axes))
        explainer(drawn(*(8,) * axes), Region(1))
        assert explainer.layers == ("bottle",)


def test_weights_on_coarser_cells_of_a_volume_are_their_shares():
    mask = torch.zeros(4, 6, 8, dtype=torch.bool)
    mask[1:4, 1:5, 2:7] = True
    wanted = F.avg_pool3d(mask[None, None].double(), 2)[0, 0]
    torch.testing.assert_close(mask_weights(mask, (2, 3, 4)), wanted)
    torch.testing.assert_close(box_weights(((1, 4), (1, 5), (2, 7)), (4, 6, 8), (2, 3, 4)), wanted)


def test_metrics_watch_the_mean_probability_in_the_region():
    network, x = segmenter(3), drawn(4, 4, 4).float()
    network = network.float()
    mask = torch.zeros(1, 4, 4, 4, dtype=torch.bool)
    mask[0, :2, :2] = True
    target = Region(1, mask[0])
    found = explainers.evaluate(
        network, x, ["saliency"], ["deletion", "energy-pointing-game"], targets=target, masks=mask, figures=False
    )
    row = next(row for row in found.rows if row["explainer"] == "saliency" and row["metric"] == "deletion")
    inside = float(network(x).softmax(1)[0, 1][mask[0]].mean())
    assert row["probability"] == pytest.approx(inside, abs=1e-5)
    map_ = create("saliency", network)(x, target)[0]
    share = next(row for row in found.rows if row["explainer"] == "saliency" and "energy" in row["metric"])
    assert share["value"] == pytest.approx(float(map_[mask[0]].sum() / map_.sum()), abs=1e-5)


class ClassesLast(nn.Module):
    def forward(self, x):
        return x.movedim(1, -1).expand(*x.shape[:1], *x.shape[2:], 3)


def test_what_does_not_fit_is_said():
    network, x = segmenter(3), drawn(4, 6, 5)
    for where, said in (
        (torch.ones(4, 6, 4, dtype=torch.bool), r"the mask is \(4, 6, 4\) and the volume \(4, 6, 5\)"),
        (((0, 2), (0, 7), (0, 5)), "box 0:2, 0:7, 0:5 does not lie in the volume, which is 4 × 6 × 5"),
        ((1, 2), r"pixel \(1, 2\) is of 2 axes, and the volume has 3, of 4 × 6 × 5; expected \(start, stop\)"),
        ((4, 0, 0), "voxel"),
    ):
        with pytest.raises(TargetError, match=said):
            create("saliency", network)(x, Region(0, where))
    with pytest.raises(TargetError, match="empty"):
        Region(0, ((2, 2), (0, 1)))
    for size in ((8,), (4, 6, 5)):
        with pytest.raises(OutputError, match=r"with its classes last; move them: output=lambda y: y.movedim\(-1, 1\)"):
            create("saliency", ClassesLast())(drawn(*size), Region(0))
    with pytest.raises(OutputError, match="without an axis of classes"):
        create("saliency", lambda x: x[:, 0])(x, Region(0))


def test_doctor_sees_what_they_do_and_tries_methods_on_it(monkeypatch):
    monkeypatch.setattr("explainers.methods.available", lambda: ["grad-cam", "occlusion", "saliency"])
    for axes, place in ((1, "box:FROM:TO"), (3, "box:A0:A1,B0:B1,C0:C1")):
        told = explainers.diagnose(segmenter(axes).float(), drawn(*(6,) * axes).float())
        assert told.task.startswith(f"segmentation: 3 classes at {' × '.join('6' * axes)} positions")
        assert set(told.methods.values()) == {""}
        assert (told.layer, told.classes) == ("bottle", 3)
        assert any(place in options for _, options in told.targets)
