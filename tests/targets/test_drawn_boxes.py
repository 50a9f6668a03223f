"""Boxes as targets: f(x) against a slow loop, gradients against plain autograd, and every method on six detectors."""

from __future__ import annotations

import pytest
import torch
from detectors import GridDetector, detector, read_grid, torchvision_detector
from torch import nn

import explainers
from explainers import RISE, GradCAM, HiResCAM, LayerCAM, Saliency
from explainers.errors import OptionError, OutputError, TargetError, UnsupportedError
from explainers.targets import Box, Detections, QueryBoxes, box_masks, detections, settle

NAMES = ("grid", "fasterrcnn", "retinanet", "fcos", "ssd", "detr")
FAST = {
    "smooth-grad": {"samples": 2},
    "rise": {"masks": 8, "grid": 3},
    "lime": {"samples": 12, "segments": 2},
    "kernel-shap": {"samples": 12, "segments": 2},
    "occlusion": {"window": 32, "stride": 32},
}


def pictures(count: int = 2, height: int = 64, width: int = 80) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def plain_rows(name, network, images, output) -> list[list[tuple]]:
    """(box, score, label, class probabilities, objectness) of each detection, read by hand."""
    with torch.no_grad():
        returned = network(images)
    if name == "grid":
        return [list(zip(d.boxes, d.scores, d.labels, d.probabilities, d.objectness)) for d in read_grid(returned)]
    if name == "detr":
        found = []
        for logits, boxes in zip(returned.logits, returned.pred_boxes):
            rows = []
            for scores, (x, y, w, h) in zip(logits, boxes):
                shares = scores.softmax(0)
                box = torch.stack([(x - w / 2) * 80, (y - h / 2) * 64, (x + w / 2) * 80, (y + h / 2) * 64])
                real = shares[:-1] / shares[:-1].sum()
                rows.append((box, shares[:-1].max(), shares[:-1].argmax(), real, 1 - shares[-1]))
            found.append(rows)
        return found
    return [[(b, s, k, torch.eye(4)[k], s) for b, s, k in zip(d["boxes"], d["scores"], d["labels"])] for d in returned]


def slow_likeness(own, row) -> float:
    """IoU · cosine · objectness of two detections, number by number."""
    (a0, b0, a1, b1), (c0, d0, c1, d1) = own[0].tolist(), row[0].tolist()
    inside = max(min(a1, c1) - max(a0, c0), 0) * max(min(b1, d1) - max(b0, d0), 0)
    union = (a1 - a0) * (b1 - b0) + max(c1 - c0, 0) * max(d1 - d0, 0) - inside
    p, q = own[3].tolist(), row[3].tolist()
    product = sum(x * y for x, y in zip(p, q))
    cosine = product / (sum(x * x for x in p) ** 0.5 * sum(x * x for x in q) ** 0.5)
    return inside / union * cosine * float(row[4])


@pytest.mark.parametrize("name", NAMES)
def test_f_is_the_largest_similarity_of_a_detection_also_of_changed_images(name):
    network, output = detector(name)
    images = pictures()
    rows = plain_rows(name, network.eval(), images, output)
    rows = [[row for row in found if bool((row[0][2:] > row[0][:2]).all())] for found in rows]  # fcos finds lines too
    best = [max(range(len(found)), key=lambda k, found=found: float(found[k][1])) for found in rows]
    settled = settle(network, images, [Box(), Box()], output)
    scores = settled.scores(network, images, watch=True)
    for changed in (images, images * 0.6 + 0.1, images.flip(3)):
        with torch.no_grad():
            columns = scores(network(changed))
        assert columns.shape == (2, 4)
        now = plain_rows(name, network, changed, output)
        for target, own in enumerate(zip(rows, best)):
            for image in range(2):
                wanted = max((slow_likeness(own[0][own[1]], row) for row in now[image]), default=0.0)
                assert float(columns[image, 2 + target]) == pytest.approx(wanted, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_the_detections_own_score(name):
    network, output = detector(name)
    images = pictures()
    found = detections(network, images, output=output)
    maps = Saliency(network, output=output)(images, [[Box.of(each, 0), Box.of(each, 1)] for each in found])
    for image in range(2):
        for place in range(2):
            leaf = images[image : image + 1].clone().requires_grad_()
            returned = network.eval()(leaf)
            if name == "grid":
                scores = read_grid(returned)[0].scores
            elif name == "detr":
                scores = returned.logits.softmax(-1)[0, :, :-1].max(dim=1).values
            else:
                scores = returned[0]["scores"]
            which = (scores - found[image].scores[place]).abs().argmin()
            (wanted,) = torch.autograd.grad(scores[which], leaf)
            wanted = wanted[0].abs().amax(dim=0)
            torch.testing.assert_close(maps[image, place], wanted, rtol=1e-3, atol=1e-5 * float(wanted.max()))


def test_a_grid_detectors_box_lights_its_own_cell_alone():
    network, images = GridDetector(), pictures(1)
    found = detections(network, images, output=read_grid)[0]
    rows = read_grid(network(images))[0]
    cell = int((rows.scores - found.scores[3]).abs().argmin())
    where = torch.zeros(8, 10)
    where[cell // 10, cell % 10] = 1
    pixels = where.repeat_interleave(8, 0).repeat_interleave(8, 1) > 0
    target = [Box.of(found, 3)]
    saliency = Saliency(network, output=read_grid)(images, target)[0]
    assert bool((saliency[~pixels] == 0).all())
    assert bool((saliency[pixels] > 0).any())
    explainer = HiResCAM(network, output=read_grid)
    assert int(explainer(images, target)[0].argmax()) in pixels.flatten().nonzero().flatten().tolist()
    assert explainer.layers == ("features",)  # not the head, whose positions are the answers themselves


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (method, name)
        for method in explainers.available()
        for name in (NAMES[:2] if method in FAST else NAMES)  # those of many passes look at scores alone
    ],
)
def test_every_method_makes_a_map_of_each_box_or_says_why_not(method, name):
    network, output = detector(name)
    network.train()
    images = pictures(1)
    found = detections(network, images, output=output)[0]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    explainer = explainers.create(method, network, output=output, **FAST.get(method, {}))
    try:
        maps = explainer(images, [[Box.of(found, 0), Box.of(found, 1)]])
    except UnsupportedError as error:
        assert f"{method} cannot be right on this network" in str(error)
        assert method not in ("grad-cam", "hires-cam", "layer-cam", "eigen-cam", "saliency", "rise", "score-cam")
        return
    assert method != "cam"
    assert maps.shape == (1, 2, 64, 80)
    assert bool(torch.isfinite(maps).all())
    assert all(module.training for module in network.modules())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


class Counting(GridDetector):
    """Counts the images of all its copies."""

    passes = 0

    def forward(self, images):
        Counting.passes += len(images)
        return super().forward(images)


def test_boxes_of_one_image_share_their_passes():
    network, images = Counting(), pictures(1)
    found = detections(network, images, output=read_grid)[0]
    rise = RISE(network, masks=256, grid=3, output=read_grid)

    def passes(targets) -> tuple[int, torch.Tensor]:
        before = Counting.passes
        maps = rise(images, targets)
        return Counting.passes - before, maps

    alone = [passes(Box.of(found, place)) for place in range(3)]
    count, maps = passes([[Box.of(found, place) for place in range(3)]])
    assert alone[1][0] >= 256
    assert count == alone[1][0]
    torch.testing.assert_close(maps[0], torch.cat([each for _, each in alone]))


def test_nothing_found_in_a_changed_copy_is_0():
    network, images = torchvision_detector("ssd"), pictures(1)
    network.score_thresh = float(detections(network, images)[0].scores[0]) - 1e-3
    settled = settle(network, images, Box())
    scores = settled.scores(network, images, watch=True)
    leaf = torch.zeros_like(images).requires_grad_()
    returned = network.eval()(leaf)
    assert len(returned[0]["scores"]) == 0
    columns = scores(returned)
    assert columns.tolist() == [[0.0, 0.0]]
    (gradient,) = torch.autograd.grad(columns[0, 0], leaf)
    assert not bool(gradient.any())


@pytest.mark.parametrize(
    ("name", "layer"),
    [("fasterrcnn", "backbone.fpn.inner_blocks.2"), ("retinanet", "backbone.fpn.inner_blocks.2"),
     ("fcos", "backbone.fpn.inner_blocks.2"), ("ssd", "backbone.fine"), ("detr", "model.encoder.layers.0")],
)  # fmt: skip
def test_the_layer_is_the_last_that_all_boxes_come_of(name, layer):
    network, output = detector(name)
    images = pictures(1)
    for box in (Box(), Box(rank=2)):
        explainer = GradCAM(network, output=output)
        explainer(images, box)
        assert explainer.layers == (layer,)


def test_layers_of_the_pyramid_work_by_name_and_cut_outs_of_boxes_are_none():
    network, images = torchvision_detector("fasterrcnn"), pictures(1)
    assert LayerCAM(network, layer="backbone.fpn.inner_blocks.0")(images, Box()).shape == (1, 64, 80)
    network.rpn._post_nms_top_n = {"training": 1, "testing": 1}  # as many boxes as images
    with pytest.raises(explainers.errors.LayerError, match="no positions"):
        GradCAM(network, layer="roi_heads.box_roi_pool")(images, Box())


def test_a_branch_that_did_not_find_the_box_has_an_empty_map():
    network, images = torchvision_detector("ssd"), pictures(1)
    network.detections_per_img = network.topk_candidates = 200
    found = detections(network, images)[0]
    places = range(0, len(found), 6)
    maps = HiResCAM(network, layer="backbone.coarse")(images, [[Box.of(found, place) for place in places]])[0]
    found_there = []
    for place in places:
        kept = []
        handle = network.backbone.coarse.register_forward_hook(lambda *given, kept=kept: kept.append(given[2]))
        scores = network.eval()(images.clone())[0]["scores"]
        handle.remove()
        which = (scores - found.scores[place]).abs().argmin()
        found_there.append(bool(torch.autograd.grad(scores[which], kept[0])[0].any()))
    assert set(found_there) == {True, False}
    for each, there in zip(maps, found_there, strict=True):
        assert there or not bool(each.any())
    assert any(bool(each.any()) for each in maps)


def test_the_border_that_a_detector_adds_is_cut_off_the_map():
    network, images = torchvision_detector("fasterrcnn"), pictures(1, 64, 72)  # inside 64x96
    explainer, layer = HiResCAM(network), network.backbone.fpn.inner_blocks[2]
    box = Box.of(detections(network, images)[0], 0)
    maps = explainer(images, box)
    kept = []

    def keep(module, given, made):
        kept.append(made.detach().requires_grad_())
        return kept[0]

    handle = layer.register_forward_hook(keep)
    try:
        score = network.eval()(images.clone())[0]["scores"][0]
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    native = (gradient * kept[0]).sum(dim=1, keepdim=True).relu().detach()
    assert native.shape[-2:] == (4, 6)
    wide = torch.nn.functional.interpolate(native, (64, 96), mode="bilinear", align_corners=False)
    torch.testing.assert_close(maps, wide[:, 0, :, :72], rtol=1e-4, atol=1e-6 * float(wide.max()))


class Returns(nn.Module):
    """A network that returns what it is made with, whatever the image."""

    def __init__(self, value) -> None:
        super().__init__()
        self.value = value

    def forward(self, images):
        return self.value


def test_relative_boxes_of_a_plain_mapping_need_to_be_told_how_scores_are_read():
    logits = torch.tensor([[[2.0, 0.0, 1.0], [0.0, 1.0, 3.0]]])
    network = Returns({"logits": logits, "pred_boxes": torch.tensor([[[0.5, 0.5, 0.5, 1.0], [0.25, 0.5, 0.1, 0.2]]])})
    images = torch.rand(1, 3, 20, 40)
    with pytest.raises(OutputError, match="QueryBoxes"):
        detections(network, images)
    (softmax,) = detections(network, images, output=QueryBoxes(no_object=True))
    shares = logits.softmax(-1)[0]
    torch.testing.assert_close(softmax.boxes, torch.tensor([[10.0, 0, 30, 20], [8, 8, 12, 12]]))
    torch.testing.assert_close(softmax.scores, torch.stack([shares[0, 0], shares[1, 1]]))
    torch.testing.assert_close(softmax.objectness, 1 - shares[:, 2])
    torch.testing.assert_close(softmax.probabilities, shares[:, :2] / shares[:, :2].sum(1, keepdim=True))
    (sigmoid,) = detections(network, images, output=QueryBoxes(no_object=False))
    assert sigmoid.labels.tolist() == [2, 0]
    torch.testing.assert_close(sigmoid.scores, torch.tensor([3.0, 2.0]).sigmoid())


def made(boxes, scores, labels, **more) -> Detections:
    return Detections(torch.tensor(boxes).view(-1, 4), torch.tensor(scores), torch.tensor(labels), **more)


FOUND = ([[2.0, 2, 12, 12], [20, 4, 30, 14], [5, 5, 5, 9]], [0.9, 0.4, 0.3], [1, 2, 1])


@pytest.mark.parametrize(
    ("box", "said"),
    [
        (lambda: Box((50, 0, 60, 10), 1), "outside the image, which is 40x20"),
        (lambda: Box((4, 4, 4, 9)), "has no area"),
        (lambda: Box((4, 4, 9, float("nan"))), "not finite"),
        (lambda: Box((4, 4, 9)), "expected x0, y0, x1, y1"),
        (lambda: Box((2, 2, 12, 12), 7), "no detection of it overlaps"),
        (lambda: Box((2, 2, 12, 12), -1), "expected an index from 0"),
        (lambda: Box((9, 9, 19, 19), 1), "min_iou"),
        (lambda: Box(rank=2), "finds 2"),
        (lambda: Box(min_score=0.95), "the best score is 0.9"),
        (lambda: Box(None, 3), "no detection of class 3 of rank 0"),
    ],
)
def test_a_box_that_cannot_be_explained_is_one_clear_error(box, said):
    network = Returns([made(*FOUND)])
    with pytest.raises(TargetError, match=said):
        settle(network, torch.rand(1, 3, 20, 40), box(), lambda returned: returned)


def test_the_best_detections_by_rank_and_class_and_what_is_listed():
    network, images = Returns([made(*FOUND)]), torch.rand(1, 3, 20, 40)
    (listed,) = detections(network, images, output=lambda returned: returned)
    assert listed.scores.tolist() == pytest.approx([0.9, 0.4])  # the third has no area
    (above,) = detections(network, images, min_score=0.5, output=lambda returned: returned)
    assert len(above) == 1
    settled = settle(network, images, [[Box(), Box(rank=1), Box(None, 2)]], lambda returned: returned)
    assert settled.rows[0] == (Box((2, 2, 12, 12), 1), Box((20, 4, 30, 14), 2), Box((20, 4, 30, 14), 2))
    assert settled.rows[0][0].label(["none", "bird"]) == "bird [2 2 12 12]"
    with pytest.raises(OptionError, match="min_score"):
        detections(network, images, min_score=2)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([made([[0.0, 0, 4, 4]], [float("nan")], [1])], "NaN or infinite"),
        ([made([[0.0, 0, 4, 4]], [0.5, 0.5], [1])], "scores are"),
        ([made([[0.0, 0, 4, 4]], [0.5], [1.0])], "labels are"),
        ([made([[0.0, 0, 4, 4]], [0.5], [3], probabilities=torch.ones(1, 3))], "do not fit"),
        ([made(*FOUND)] * 2, "2 images for 1"),
        (torch.zeros(1, 5), "output="),
    ],
)
def test_malformed_detections_are_refused(value, said):
    with pytest.raises(OutputError, match=said):
        detections(Returns(value), torch.rand(1, 3, 20, 40), output=lambda returned: returned)


def test_candidates_from_before_suppression_are_what_is_watched():
    every = made([[2.0, 2, 12, 12], [3, 2, 13, 12]], [0.8, 0.9], [1, 1])
    kept = made([[3.0, 2, 13, 12]], [0.9], [1], candidates=every)
    network, images = Returns([kept]), torch.rand(1, 3, 20, 40)
    settled = settle(network, images, Box((2, 2, 12, 12), 1), lambda returned: returned)
    (columns,) = settled.scores(network, images, watch=True)([kept])
    torch.testing.assert_close(columns, torch.tensor([0.8, 0.8]))  # its own IoU of 1 · 0.8, not 0.82 · 0.9


def test_masks_of_boxes_hold_the_pixels_whose_centre_is_inside():
    masks = box_masks([[1, 0, 3, 2], [0.6, 1.4, 1.6, 2.6]], (3, 4))
    assert masks[0].tolist() == [[False, True, True, False]] * 2 + [[False] * 4]
    assert masks[1].nonzero().tolist() == [[1, 1], [2, 1]]

    with pytest.raises(TargetError, match="holds no pixel"):
        box_masks([[0.6, 0.6, 1.4, 1.4]], (3, 4))
