"""Maps of volumes and signals: against images that are the same, gradients by hand, MONAI and captum; refusals."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from volume_case import NAMES, made, rows_and_signals, slices_and_volumes

import explainers
from explainers.errors import UnsupportedError
from explainers.methods.perturbation.rise_masks import MaskShape, draw_block

DEPTH = 3
# A volume of equal slices whose score is the mean over them has its gradient spread over the slices; a map that is linear
# in the gradient shares it out, one that is scaled, or whose weights are sums over positions, is the slice's.
SHARED_OUT = {"saliency", "input-x-gradient", "guided-backprop", "guided-backprop-minus", "deconvolution", "grad-cam",
              "xgrad-cam", "hires-cam", "layer-cam"}  # fmt: skip
THE_SAME = {
    "cam",
    "grad-cam++",
    "eigen-cam",
    "score-cam",
    "ablation-cam",
    "group-cam",
    "full-grad",
    "occlusion",
    "rise",
}
DEEP = {"rise": {"grid": (1, 4, 4)}, "occlusion": {"window": (DEPTH, 4, 4), "stride": (DEPTH, 3, 3)}}
FLAT = {"rise": {"grid": (4, 4)}, "occlusion": {"window": 4, "stride": 3}}
FEW = {"rise": {"masks": 128}, "lime": {"samples": 24}, "kernel-shap": {"samples": 24}, "smooth-grad": {"samples": 4}}
# One of each kind; the others are many passes, or differ by a formula alone.
ON_LARGE = ("grad-cam", "cam", "eigen-cam", "full-grad", "guided-grad-cam", "saliency")
ON_IMAGES = ("attention", "attention-rollout", "lambda-attention", "visual-backprop")


def maps_of(method, network, inputs, options=None, targets=((1, 2),)):
    explainer = explainers.create(method, network, **FEW.get(method, {}), **(options or {}).get(method, {}))
    return explainer(inputs, list(targets) * len(inputs))


@pytest.mark.parametrize("method", sorted(SHARED_OUT | THE_SAME))
def test_the_map_of_a_volume_of_equal_slices_is_that_of_its_slice(method):
    flat, images, deep, volumes = slices_and_volumes(DEPTH)
    wanted, found = maps_of(method, flat, images, FLAT), maps_of(method, deep, volumes, DEEP)
    assert found.shape == (2, 2, DEPTH, 14, 14)
    assert float(wanted.flatten(2).std(dim=2).min()) > 0
    scale = DEPTH if method in SHARED_OUT else 1
    for each in found.unbind(2):
        torch.testing.assert_close(each * scale, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("method", sorted(set(explainers.available()) - set(ON_IMAGES)))
def test_the_map_of_a_signal_is_that_of_an_image_of_one_row(method):
    row, images, line, signals = rows_and_signals()
    one = {"rise": {"grid": (1, 5)}, "group-cam": {"substrate": "zero"}}
    other = {"rise": {"grid": 5}, "group-cam": {"substrate": "zero"}}
    wanted, found = maps_of(method, row, images, one)[:, :, 0], maps_of(method, line, signals, other)
    if method == "occlusion":  # an eighth of one row is one
        wanted = maps_of(method, row, images, {"occlusion": {"window": (1, 4), "stride": (1, 2)}})[:, :, 0]
    assert float(wanted.flatten(2).std(dim=2).max()) > 0
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


EVERY = [
    (method, name)
    for method, name in itertools.product(sorted(explainers.available()), NAMES)
    if name != "r3d_18" or method in (*ON_IMAGES, *ON_LARGE)
]


@pytest.mark.parametrize(("method", "name"), EVERY)
def test_every_method_makes_maps_of_the_inputs_shape_or_refuses(method, name):
    network, inputs = made(name)
    small = {"occlusion": {"window": 4, "stride": 3}, "rise": {"grid": 3}, "lime": {"segments": 2}}
    small["kernel-shap"], small["group-cam"] = {"segments": 2}, {"groups": 4}
    if method in ON_IMAGES:
        with pytest.raises(
            UnsupportedError, match=f"{method} cannot be right on this network: it takes (volumes|sign)"
        ):
            maps_of(method, network, inputs)
        return
    maps = maps_of(method, network, inputs, small)
    assert maps.shape == (len(inputs), 2, *inputs.shape[2:])
    assert torch.isfinite(maps).all()
    assert float(maps.flatten(1).std(dim=1).max()) > 0
    alone = maps_of(method, network, inputs[-1:], small)
    torch.testing.assert_close(maps[-1:], alone, rtol=1e-4, atol=1e-5 * float(maps.abs().max()))


@pytest.mark.parametrize(("name", "layer"), [("volume", "last"), ("residual", "relu"), ("signal", "last")])
def test_the_last_spatial_layer_is_found(name, layer):
    network, inputs = made(name)
    explainer = explainers.GradCAM(network)
    explainer(inputs)
    assert explainer.layers[0].partition("#")[0] == layer


def test_the_last_stage_of_r3d_18_is_its_last_block():
    network, inputs = made("r3d_18")
    explainer = explainers.GradCAM(network)
    explainer(inputs, 1)
    assert explainer.layers == ("layer4",)


@pytest.mark.parametrize("name", ["volume", "signal", "residual"])
def test_grad_cam_and_saliency_are_their_formulas(name):
    network, inputs = made(name)
    layer = "relu#1" if name == "residual" else "last"
    kept = []
    module = network.get_submodule(layer.partition("#")[0])
    handle = module.register_forward_hook(lambda *given: kept.append(given[2]))
    leaf = inputs.clone().requires_grad_()
    scores = network(leaf)
    handle.remove()
    gradient, slope = torch.autograd.grad(scores[:, 1].sum(), [kept[-1], leaf])
    dims = tuple(range(2, inputs.ndim))
    coarse = (gradient.mean(dims, keepdim=True) * kept[-1]).sum(1, keepdim=True).relu().detach()
    mode = {3: "linear", 4: "bilinear", 5: "trilinear"}[inputs.ndim]
    wanted = F.interpolate(coarse, size=inputs.shape[2:], mode=mode, align_corners=False)[:, 0]
    chosen = module if name != "residual" else "relu"
    torch.testing.assert_close(explainers.GradCAM(network, layer=chosen)(inputs, 1), wanted, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(explainers.Saliency(network)(inputs, 1), slope.abs().amax(1), rtol=1e-4, atol=1e-7)
    signed = explainers.InputXGradient(network)(inputs, 1)
    torch.testing.assert_close(signed, (inputs * slope).sum(1), rtol=1e-4, atol=1e-7)


def test_occlusion_of_a_volume_is_the_mean_fall_over_its_blocks():
    network, inputs = made("volume")
    window, stride = (2, 4, 3), (2, 3, 2)
    found = explainers.Occlusion(network, window=window, stride=stride, activation=None)(inputs, 2)
    for image, map_ in zip(inputs, found, strict=True):
        total, count = torch.zeros(inputs.shape[2:]), torch.zeros(inputs.shape[2:])
        with torch.no_grad():
            clean = network(image[None])[0, 2]
            for z in (0, 2, 4):  # the last one begins where the one before does not reach the end
                for y in (0, 3, 6, 9):
                    for x in (0, 2, 4):
                        place = (slice(z, z + 2), slice(y, y + 4), slice(x, x + 3))
                        hidden = image.clone()
                        hidden[(slice(None), *place)] = 0
                        total[place] += clean - network(hidden[None])[0, 2]
                        count[place] += 1
        torch.testing.assert_close(map_, total / count, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("design", ["balanced", "paper"])
@pytest.mark.parametrize("name", ["volume", "signal"])
def test_rise_is_its_formula_over_masks_enlarged_by_torch(name, design):
    network, inputs = made(name)
    grid, count = {3: 4, 5: (2, 3, 2)}[inputs.ndim], 64
    size = tuple(inputs.shape[2:])
    rise = explainers.RISE(network, masks=count, grid=grid, design=design)
    cells = grid if isinstance(grid, tuple) else (grid,)
    shape = MaskShape(cells, size)
    blocks, masks = [draw_block(design, shape, 0.5, 0, index) for index in range(count)], []
    mode = {1: "linear", 3: "trilinear"}[len(cells)]
    for block in blocks:
        larger = [(n + 1) * cell for n, cell in zip(cells, shape.cell, strict=True)]
        wide = F.interpolate(block.grids[:, None].float(), size=larger, mode=mode, align_corners=False)[:, 0]
        for mask, shift in zip(wide, block.shifts.tolist(), strict=True):
            masks.append(mask[tuple(slice(s, s + side) for s, side in zip(shift, size, strict=True))])
    masks = torch.stack(masks[:count])
    with torch.no_grad():
        scores = network(inputs[0] * masks[:, None]).softmax(1)[:, 1]
    wanted = torch.einsum("n,n...->...", scores, masks) / (count * 0.5)
    torch.testing.assert_close(rise(inputs[:1], 1)[0], wanted, rtol=1e-4, atol=1e-5)


def test_a_number_of_cells_is_at_most_one_for_each_position():
    network, inputs = made("one slice")
    one, other = (explainers.RISE(network, masks=64, grid=grid)(inputs[:1]) for grid in (4, (1, 4, 4)))
    assert torch.equal(one, other)


def test_shifts_of_successive_blocks_fill_the_cells_of_a_volume():
    shape = MaskShape((2, 2, 2), (8, 8, 8))  # 4 × 4 × 4 shifts
    shifts = torch.stack([draw_block("balanced", shape, 0.5, 0, index).shifts[0] for index in range(256)])
    counts = torch.bincount(shifts @ torch.tensor([16, 4, 1]), minlength=64)
    assert counts.min() >= 2
    assert counts.max() <= 7


def test_masks_of_a_volume_are_made_a_batch_at_a_time(monkeypatch):
    network, inputs = made("volume")
    largest = []
    plain = MaskShape.enlarged

    def enlarged(self, block, like):
        made_ = plain(self, block, like)
        largest.append(len(made_))
        return made_

    monkeypatch.setattr(MaskShape, "enlarged", enlarged)
    explainers.RISE(network, masks=256, grid=3, batch_size=8)(inputs[:1])
    assert max(largest) <= 8
    assert sum(largest) >= 256
