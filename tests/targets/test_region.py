"""Regions of segmentation networks: means over positions by hand, coarse outputs, layers, every method."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision
from target_case import images, strided, unet
from torch import nn

import explainers
from explainers.core.registry import options as known_options
from explainers.errors import OutputError, TargetError, UnsupportedError
from explainers.methods import create
from explainers.targets import Region, answers_for, settle
from explainers.targets.where import box_weights, mask_weights

QUICK = {"masks": 32, "samples": 10, "window": 16, "stride": 16, "groups": 2}
MANY = ("ablation-cam", "score-cam", "kernel-shap")  # a pass for each of 960 channels; others have shown them
OWN = ("attention", "attention-rollout", "lambda-attention")


def value(network, x, target, activation="auto"):
    settled = settle(network, x, target)
    return settled.values(network, x, answers_for(network, x), activation)


def gradient(network, x, number):
    leaf = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(number(network(leaf)), leaf)
    return found.abs().amax(1)


def test_all_positions_are_the_mean_of_the_scores_and_f_the_mean_of_the_probabilities():
    network, x = unet(), images(2)
    found = create("saliency", network)(x, Region(1))
    torch.testing.assert_close(found, gradient(network, x, lambda y: y[:, 1].mean((1, 2)).sum()))
    wanted = network(x).softmax(1)[:, 1].mean((1, 2)).tolist()
    assert [row[0] for row in value(network, x, Region(1))] == pytest.approx(wanted, abs=1e-6)
    by_output = create("saliency", network, output=lambda y: y.mean((2, 3)))(x, 1)
    torch.testing.assert_close(found, by_output)


def test_mask_box_pixel_and_predicted_region_are_means_over_their_positions():
    network, x = unet(), images(2)
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[3:7, 5:9] = True
    predicted = network(x).argmax(1)
    common = int(torch.bincount(predicted[0].flatten()).argmax())
    cases = [
        (Region(2, mask), lambda y: y[:, 2, 3:7, 5:9].mean((1, 2)).sum()),
        (Region(2, (5, 3, 9, 7)), lambda y: y[:, 2, 3:7, 5:9].mean((1, 2)).sum()),
        (Region(2, (5, 3)), lambda y: y[:, 2, 3, 5].sum()),
        (
            Region(common, "predicted"),
            lambda y: sum(
                (y[n, common] * (predicted[n] == common)).sum() / (predicted[n] == common).sum() for n in range(2)
            ),
        ),
    ]
    for target, number in cases:
        torch.testing.assert_close(create("saliency", network)(x, target), gradient(network, x, number))
    assert settle(network, x[:1], Region(None, "predicted")).rows[0][0].index == common
    inside = int(torch.bincount(predicted[1, 3:7, 5:9].flatten()).argmax())
    assert settle(network, x[1:], Region(None, mask)).rows[0][0].index == inside
    everything = int(torch.bincount(predicted[1].flatten()).argmax())
    assert settle(network, x[1:], Region()).rows[0][0].index == everything


def test_the_region_stays_where_it_was_while_the_image_is_perturbed():
    network, x = unet(), images(1)
    common = int(torch.bincount(network(x).argmax(1).flatten()).argmax())
    inside = network(x).argmax(1)[0] == common
    clean = float(network(x).softmax(1)[0, common][inside].mean())
    found = create("occlusion", network, window=8, stride=8)(x, Region(common, "predicted"))[0]
    for top in (0, 8):
        for left in (0, 8):
            covered = x.clone()
            covered[:, :, top : top + 8, left : left + 8] = 0
            drop = clean - float(network(covered).softmax(1)[0, common][inside].mean())
            assert float(found[top, left]) == pytest.approx(drop, abs=1e-6)


def test_weights_on_a_coarser_grid_are_the_shares_of_its_cells():
    mask = torch.zeros(8, 12, dtype=torch.bool)
    mask[1:6, 2:7] = True
    shares = mask_weights(mask, (2, 3))  # cells of 4 × 4 pixels
    wanted = F.avg_pool2d(mask[None, None].double(), 4)[0, 0]
    torch.testing.assert_close(shares, wanted)
    torch.testing.assert_close(box_weights(((1, 6), (2, 7)), (8, 12), (2, 3)), wanted)
    torch.testing.assert_close(mask_weights(mask, (8, 12)), mask.double())
    fine = mask_weights(mask, (16, 24))  # an output finer than the image
    torch.testing.assert_close(fine, F.interpolate(mask[None, None].double(), scale_factor=2)[0, 0])
    odd = mask_weights(mask, (3, 5))  # cells that cut pixels: the area is kept
    assert float(odd.sum()) * (8 * 12) / (3 * 5) == pytest.approx(25)
    small = box_weights(((5.5, 5.75), (5.25, 5.5)), (8, 12), (2, 3))  # smaller than a pixel, never lost
    assert float(small[1, 1]) == pytest.approx(0.25 * 0.25 / 16)
    assert int((small > 0).sum()) == 1


def test_regions_of_an_output_coarser_than_the_image():
    network, x = strided(), images(2)
    grid = network(x)["out"].shape[2:]
    assert grid == (4, 4)
    found = create("saliency", network)(x, Region(2, (5, 9)))  # pixel x=5, y=9 lies in the cell of row 2, column 1
    torch.testing.assert_close(found, gradient(network, x, lambda y: y["out"][:, 2, 2, 1].sum()))
    found = create("saliency", network)(x, Region(2, (2, 0, 8, 4)))  # half a cell and a whole one
    number = lambda y: (y["out"][:, 2, 0, 0] * 0.5 + y["out"][:, 2, 0, 1]).sum() / 1.5  # noqa: E731
    torch.testing.assert_close(found, gradient(network, x, number))
    aux = create("saliency", network, output=lambda y: y["aux"])(x, Region(1))
    torch.testing.assert_close(aux, gradient(network, x, lambda y: y["aux"][:, 1].mean((1, 2)).sum()))


def test_several_regions_of_each_image_are_maps_of_their_own():
    network, x = unet(), images(2)
    rows = [[Region(0), Region(1, (2, 3))], [Region(2, (0, 0, 4, 4)), Region(None, "predicted")]]
    for name in ("saliency", "grad-cam", "occlusion"):
        options = {"window": 8, "stride": 8} if name == "occlusion" else {}
        found = create(name, network, **options)(x, rows)
        for row in range(2):
            for k in range(2):
                alone = create(name, network, **options)(x[row : row + 1], rows[row][k])[0]
                torch.testing.assert_close(found[row, k], alone, atol=1e-6, rtol=1e-4)


class OneClass(nn.Module):
    """A lesion or not: one channel, a logit or a probability."""

    def __init__(self, ends: bool):
        super().__init__()
        self.body, self.ends = unet(1), ends

    def forward(self, x):
        return self.body(x).sigmoid() if self.ends else self.body(x)


@pytest.mark.parametrize("ends", [False, True])
def test_one_channel_is_a_class_by_its_sigmoid_also_where_the_network_has_applied_it(ends):
    network, x = OneClass(ends).eval(), images(1)
    probability = network.body(x).sigmoid()[0, 0]
    inside = probability >= 0.5
    assert 0 < int(inside.sum()) < 256
    (row,) = value(network, x, Region(0, "predicted"))
    assert row[0] == pytest.approx(float(probability[inside].mean()), abs=1e-6)
    (target,) = settle(network, x, Region(None, "predicted")).rows[0]
    assert torch.equal(target.weights > 0, inside)


def test_a_class_that_is_predicted_nowhere_is_said_of_its_image():
    network = unet()
    with torch.no_grad():
        network.head.bias[3] = -1e4
    with pytest.raises(OutputError, match="class 3 is predicted nowhere"):
        create("saliency", network)(images(), Region(3, "predicted"))


def test_regions_that_are_none_are_refused():
    empty = torch.zeros(4, 4, dtype=torch.bool)
    for where, said in (
        (empty, "the mask is empty"),
        (empty.float(), "expected bool"),
        ((3, 3, 3, 9), "is empty"),
        ((1.5, 2), "whole numbers"),
        ((1, 2, 3, 4, 5), "expected"),
        ("everywhere", "expected"),
        ((float("nan"), 1, 2, 3), "expected"),
    ):
        with pytest.raises(TargetError, match=said):
            Region(0, where)
    network, x = unet(), images()
    for where, said in (
        (torch.ones(8, 8, dtype=torch.bool), r"the mask is \(8, 8\) and the image \(16, 16\)"),
        ((10, 10, 17, 12), "does not lie in the image, which is 16 wide, 16 high"),
        ((16, 0), "does not lie"),
    ):
        with pytest.raises(TargetError, match=said):
            create("saliency", network)(x, Region(0, where))
    with pytest.raises(TargetError, match="target 4 is out of range"):
        create("saliency", network)(x, Region(4))


def test_plain_classes_of_a_segmentation_network_point_to_regions():
    with pytest.raises(OutputError, match=r"Region\(class, \"predicted\"\)"):
        create("saliency", unet())(images(), 1)


def test_the_layer_of_segmenters_is_the_end_of_the_encoder_and_never_their_own_output():
    network, x = unet(), images()
    explainer = create("grad-cam", network)
    target = Region(1)
    found = explainer(x, target)
    assert explainer.layers == ("bottle",)
    # At the output the gradient is the class alone, the same everywhere: the map is the class's scores over again.
    scores = network(x)[:, 1].clamp(min=0) / 256
    output = create("grad-cam", network, layer="head")(x, target)
    torch.testing.assert_close(output, scores.detach(), atol=1e-6, rtol=1e-4)
    likeness = torch.corrcoef(torch.stack([found[0].flatten(), output[0].flatten()]))[0, 1]
    assert float(likeness) < 0.95
    other = create("grad-cam", strided())
    other(x, Region(1))
    assert other.layers == ("backbone",)


SEGMENTERS = {
    "unet": lambda: unet(),
    "strided": lambda: strided(),
    "one class": lambda: OneClass(False).eval(),
    "lraspp": lambda: _torchvision("lraspp_mobilenet_v3_large"),
    "deeplab": lambda: _torchvision("deeplabv3_mobilenet_v3_large"),
    "segformer": lambda: _segformer(),
}


def _torchvision(name):
    torch.manual_seed(0)
    build = getattr(torchvision.models.segmentation, name)
    network = build(weights=None, weights_backbone=None, num_classes=4)
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():  # statistics of its own, or everything fades to nothing
        for _ in range(3):
            network(torch.randn(4, 3, 32, 32))
    return network.eval()


def _segformer():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_labels=4,
        hidden_sizes=[8, 16, 16, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 2, 4],
        decoder_hidden_size=16,
    )
    return transformers.SegformerForSemanticSegmentation(config).eval()


@pytest.mark.parametrize("kind", SEGMENTERS)
def test_every_method_explains_a_region_or_refuses_it(kind):
    network, x = SEGMENTERS[kind](), images(1, 32)
    target, refused, same = Region(None, "predicted"), [], []
    for name in explainers.available():
        if name in OWN or ":" in name or (kind in ("lraspp", "deeplab") and name in MANY):
            continue
        known = known_options(explainers.method(name))
        explainer = create(name, network, **{key: given for key, given in QUICK.items() if key in known})
        try:
            found = explainer(x, target)
        except UnsupportedError as error:
            refused.append(name)
            assert str(error).startswith(name)
            continue
        assert found.shape == (1, 32, 32)
        assert bool(torch.isfinite(found).all())
        if float(found.std()) == 0:
            same.append(name)
        for layer in explainer.layers:
            assert not layer.startswith(("head", "classifier", "decode_head", "aux")), (name, layer)
    assert "cam" in refused
    assert len(refused) <= 6, refused
    assert len(same) <= 2, same


def test_a_transformers_network_whose_first_pass_is_ours_works_afterwards():
    network, x = _segformer(), images(1, 32)
    first = create("saliency", network)(x, Region(1))
    assert network(x).logits.shape == (1, 4, 8, 8)
    assert torch.equal(create("saliency", network)(x, Region(1)), first)
