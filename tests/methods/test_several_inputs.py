"""Networks of several inputs: every method equals the network bound by hand, image by image; by-hand gradients; errors."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from several import ByHand, LateFusion, SharedTrunk, batch, cases
from small import lively
from snapshot import same, snapshot
from torch import nn

import explainers
from explainers.errors import ExplainersError, ImageError, LayerError, OptionError, UnsupportedError
from explainers.methods.perturbation.rise_masks import MaskShape, draw_block
from explainers.network.inputs import places
from explainers.targets import Difference, Function, Similarity

FAST = {
    "smooth-grad": {"samples": 3},
    "rise": {"masks": 20, "grid": 3},
    "lime": {"samples": 12, "segments": 2},
    "kernel-shap": {"samples": 12, "segments": 2},
}
OF_OTHERS = {"full-grad"}  # refused for what other inputs add, which a wrapper hides


def explained(images, which):
    """The explained input of what a user passes."""
    keys = list(images) if isinstance(images, dict) else list(range(len(images)))
    key = which if which in keys else {None: keys[0], "left": 0}[which]
    return images[key]


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("name", [each for each in explainers.available() if not each.startswith("captum")])
def test_every_method_equals_the_network_bound_by_hand_or_both_refuse(name, case):
    network, images, which, keywords, call = cases()[case]
    before = snapshot(network)
    explainer = explainers.create(name, network, **FAST.get(name, {}))
    photos = explained(images, which)
    try:
        found = explainer(images, 1, explain=which, forward_kwargs=keywords)
    except UnsupportedError as error:
        assert "Use " in str(error)
        if name not in OF_OTHERS:
            hand = explainers.create(name, ByHand(network, call(0)), **FAST.get(name, {}))
            with pytest.raises(UnsupportedError):
                hand(photos[:1], 1)
        return
    assert found.shape == (len(photos), *photos.shape[2:])
    for row in range(len(photos)):
        hand = ByHand(network, call(row))
        wanted = explainers.create(name, hand, **FAST.get(name, {}))(photos[row : row + 1], 1)[0]
        torch.testing.assert_close(found[row], wanted, rtol=1e-5, atol=1e-6 * float(wanted.abs().max()))
    assert same(before, snapshot(network))


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("layer", [None, "trunk.last", "trunk.second"])
def test_grad_cam_of_a_shared_trunk_is_that_of_the_explained_side(side, layer):
    torch.manual_seed(1)
    network = lively(SharedTrunk()).double()
    x = batch()
    pair = [x["photo"], x["other"]]
    with torch.no_grad():
        kept = network.trunk(pair[1 - side])
    trunk = network.trunk
    conv = trunk.second(trunk.pool(trunk.act(trunk.first(pair[side])))).detach().requires_grad_()
    features = trunk.last(conv)
    made = trunk.head(features.mean((2, 3)))
    left, right = (made, kept) if side == 0 else (kept, made)
    score = network.head(left * right.sigmoid())[:, 2].sum()
    place = conv if layer == "trunk.second" else features
    (gradient,) = torch.autograd.grad(score, place)
    coarse = (gradient.mean((2, 3), keepdim=True) * place).sum(1, keepdim=True).relu()
    wanted = F.interpolate(coarse, size=(16, 12), mode="bilinear", align_corners=False)[:, 0]

    explainer = explainers.GradCAM(network, layer=layer)
    torch.testing.assert_close(explainer(tuple(pair), 2, explain=side).double(), wanted.detach(), rtol=1e-5, atol=1e-7)
    assert explainer.layers == (f"{layer or 'trunk.last'}#{side}",)
    if layer is not None:
        again = explainers.GradCAM(network, layer=f"{layer}#{side}")(tuple(pair), 2, explain=side)
        torch.testing.assert_close(again.double(), wanted.detach(), rtol=1e-5, atol=1e-7)
        with pytest.raises(LayerError, match="does not feed it"):
            explainers.GradCAM(network, layer=f"{layer}#{1 - side}")(tuple(pair), 2, explain=side)
        spatial = explainers.GradCAM(network, layer=layer, spatial=lambda value: value)
        torch.testing.assert_close(
            spatial(tuple(pair), 2, explain=side).double(), wanted.detach(), rtol=1e-5, atol=1e-7
        )


@pytest.mark.parametrize("case", cases())
def test_gradients_equal_autograd_over_the_whole_batch(case):
    network, images, which, keywords, _ = cases()[case]
    photos = explained(images, which)
    leaf = photos.clone().requires_grad_()
    keywords_of_call = {key: value for key, value in keywords.items() if key != "return_dict"}
    if case == "mapping":
        scores = network({"photo": leaf * 1, "table": images["table"].clone()})["logits"]
    elif isinstance(images, dict):
        scores = network(**{key: leaf if value is photos else value for key, value in images.items()})
    else:
        scores = network(*[leaf if value is photos else value for value in images], **keywords_of_call)
    classes = torch.tensor([2, 0, 3])
    (gradient,) = torch.autograd.grad(scores.gather(1, classes[:, None]).sum(), leaf)
    found = explainers.Saliency(network, channels=None)(images, classes, explain=which, forward_kwargs=keywords)
    torch.testing.assert_close(found.double(), gradient, rtol=1e-5, atol=1e-8)
    product = explainers.InputXGradient(network, channels="sum")(
        images, classes, explain=which, forward_kwargs=keywords
    )
    torch.testing.assert_close(product.double(), (gradient * photos).sum(1), rtol=1e-5, atol=1e-7)


def test_rise_equals_a_slow_loop_in_which_each_image_keeps_its_table():
    torch.manual_seed(2)
    network, x = lively(LateFusion()).double(), batch()
    x["table"] *= 5
    shape = MaskShape((3, 3), (16, 12))
    blocks = [draw_block("paper", shape, 0.5, 0, index) for index in range(2)]
    masks = torch.cat([shape.enlarged(block, torch.zeros(1, dtype=torch.float64)) for block in blocks])
    wanted = torch.zeros(3, 16, 12, dtype=torch.float64)
    with torch.no_grad():
        for row in range(3):
            for mask in masks:
                scores = network(x["photo"][row : row + 1] * mask, x["table"][row : row + 1])
                wanted[row] += scores.softmax(1)[0, 1] * mask / len(masks) / 0.5
    rise = explainers.RISE(network, masks=len(masks), grid=3, design="paper", share_masks=True)
    torch.testing.assert_close(rise((x["photo"], x["table"]), 1).double(), wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["grad-cam", "smooth-grad", "rise", "score-cam", "ablation-cam", "occlusion", "lime"])
@pytest.mark.parametrize("case", ["shared, right", "late", "film", "captioned"])
def test_a_batch_in_another_order_gives_the_maps_in_that_order(name, case):
    network, images, which, keywords, _ = cases()[case]
    order = [2, 0, 1]

    def moved(value):
        return value[order] if isinstance(value, torch.Tensor) else value

    turned = (
        {key: moved(value) for key, value in images.items()} if isinstance(images, dict) else tuple(map(moved, images))
    )
    explainer = explainers.create(name, network, **FAST.get(name, {}))
    found = explainer(images, [0, 1, 2], explain=which, forward_kwargs=keywords)
    again = explainer(
        turned, [2, 0, 1], explain=which, forward_kwargs={key: moved(value) for key, value in keywords.items()}
    )
    torch.testing.assert_close(again, found[order], rtol=1e-5, atol=1e-7)
    alone = explainer(
        {key: value[:1] for key, value in images.items()} if isinstance(images, dict) else tuple(v[:1] for v in images),
        0,
        explain=which,
        forward_kwargs={
            key: value[:1] if isinstance(value, torch.Tensor) else value for key, value in keywords.items()
        },
    )
    torch.testing.assert_close(alone[0], found[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["grad-cam", "saliency", "rise", "score-cam"])
def test_sides_that_are_swapped_swap_their_maps(name):
    torch.manual_seed(3)
    trunk = lively(SharedTrunk()).double().trunk

    class Distance(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = trunk

        def forward(self, left, right):
            return ((self.trunk(left) - self.trunk(right)) ** 2).sum(1, keepdim=True)

    network, x = Distance(), batch()
    options = {**FAST.get(name, {}), **({"activation": None} if name in ("rise", "score-cam") else {})}
    explainer = explainers.create(name, network, **options)
    both = explainer((x["photo"], x["other"]), 0, explain="all")
    turned = explainer((x["other"], x["photo"]), 0, explain="all")
    assert list(both) == [0, 1]
    torch.testing.assert_close(both[0], turned[1], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(both[1], turned[0], rtol=1e-5, atol=1e-7)
    assert float((both[0] - both[1]).abs().max()) > 1e-3 * float(both[0].abs().max())


def test_one_row_is_shared_by_all_images_and_plain_values_are_passed_as_they_are():
    network, images, _, keywords, _ = cases()["captioned"]
    photo, words = images
    mask = keywords["attention_mask"][:1]
    found = explainers.GradCAM(network)((photo, words[:1], mask), 1, explain=0)
    wanted = explainers.GradCAM(network)((photo, words[:1].expand(3, -1), mask.expand(3, -1)), 1, explain=0)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    without = explainers.GradCAM(network)((photo, words, None), 1, explain=0)
    torch.testing.assert_close(without, explainers.GradCAM(network)((photo, words), 1), rtol=0, atol=0)
    assert float((without - found).abs().max()) > 0


def test_keyword_arguments_alone_make_an_input_of_one_image():
    network, images, _, keywords, _ = cases()["captioned"]
    found = explainers.Saliency(network)(images[0], 1, forward_kwargs={"words": images[1], **keywords})
    torch.testing.assert_close(found, explainers.Saliency(network)(images, 1, forward_kwargs=keywords), rtol=0, atol=0)


def test_target_objects_read_what_two_towers_returned():
    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(4)
            self.trunk = lively(SharedTrunk()).double().trunk

        def forward(self, left, right):
            return self.trunk(left), self.trunk(right)

    network, x = Towers(), batch()
    pair = (x["photo"], x["other"])
    alike = Function(lambda returned: F.cosine_similarity(returned[0], returned[1], dim=0), name="alike")
    leaf = x["other"].clone().requires_grad_()
    score = F.cosine_similarity(*network(x["photo"], leaf), dim=1).sum()
    (gradient,) = torch.autograd.grad(score, leaf)
    found = explainers.Saliency(network, channels=None)(pair, alike, explain=1)
    torch.testing.assert_close(found.double(), gradient, rtol=1e-5, atol=1e-8)
    maps = explainers.RISE(network, masks=20, grid=3)(pair, alike, explain=1)
    for row in range(3):
        hand = ByHand(network, lambda net, images, row=row: net(x["photo"][row].expand_as(images), images))
        wanted = explainers.RISE(hand, masks=20, grid=3)(x["other"][row : row + 1], alike)
        torch.testing.assert_close(maps[row], wanted[0], rtol=1e-5, atol=1e-7)

    with torch.no_grad():
        reference = network.trunk(x["photo"][:1])[0]
    right = explainers.GradCAM(network, output=lambda returned: returned[1])
    found = right(pair, Similarity(reference), explain=1)
    (gradient,) = torch.autograd.grad(F.cosine_similarity(network.trunk(leaf), reference[None], dim=1).sum(), leaf)
    by_gradient = explainers.Saliency(network, output=lambda returned: returned[1], channels=None)
    torch.testing.assert_close(by_gradient(pair, Similarity(reference), explain=1).double(), gradient)
    assert float(found.abs().max()) > 0


def test_targets_of_all_forms_stay_with_their_image():
    network, images, which, _, _ = cases()["late"]
    explainer = explainers.GradCAM(network)
    rows = [[Difference(0, 1), 2], [Difference(1, 2), 0], [3, 1]]
    maps = explainer(images, rows, explain=which)
    assert maps.shape == (3, 2, 16, 12)
    for row in range(3):
        own = tuple(value[row : row + 1] for value in images)
        torch.testing.assert_close(explainer(own, [rows[row]])[0], maps[row])
    predicted = network(*images).argmax(1)
    torch.testing.assert_close(explainer(images), explainer(images, predicted))


def test_predictor_gives_each_row_its_own_inputs():
    for case in ("shared, left", "late", "film", "captioned"):
        network, images, _, keywords, _ = cases(21)[case]
        wanted = network(**images) if isinstance(images, dict) else network(*images, **keywords)
        wanted = (wanted["logits"] if isinstance(wanted, dict) else wanted).detach()
        for size in (None, 4):
            found = explainers.Predictor(network, batch_size=size)([images], forward_kwargs=keywords)
            torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9)


def test_a_black_box_of_two_inputs():
    network, images, *_ = cases()["late"]

    def box(photo, table):
        with torch.no_grad():
            return network(photo, table)

    found = explainers.RISE(box, masks=20, grid=3)(images, 1)
    wanted = explainers.RISE(network, masks=20, grid=3)(images, 1)
    torch.testing.assert_close(found, wanted)
    with pytest.raises(UnsupportedError, match="black box"):
        explainers.GradCAM(box)(images, 1)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda x: (x["photo"],), ImageError, r"1 by position, without 'table'; LateFusion.forward takes \(photo"),
        (
            lambda x: {"photo": x["photo"]},
            ImageError,
            r"'photo', without 'table'; LateFusion.forward takes \(photo.*table",
        ),
        (
            lambda x: {"photo": x["photo"], "tabel": x["table"]},
            ImageError,
            "'tabel', without 'table'; LateFusion.forward takes",
        ),
        (
            lambda x: (x["photo"], x["table"][:2]),
            ImageError,
            r"input 1 has 2 rows \(shape \(2, 6\)\) and input 0 has 3",
        ),
        (lambda x: (x["photo"].long(), x["table"]), OptionError, "none of them is a float tensor"),
        (lambda x: (x["photo"], x["table"].numpy()), ImageError, "input 1 is a ndarray"),
        (lambda x: (x["photo"] * torch.nan, x["table"]), ImageError, "input 0: NaN"),
        (lambda x: x["photo"], UnsupportedError, "LateFusion takes .photo, table., but explained"),
    ],
)
def test_what_does_not_fit_is_told_in_one_error(change, error, text):
    network = lively(LateFusion()).double()
    with pytest.raises(error, match=text) as caught:
        explainers.GradCAM(network)(change(batch()))
    assert "\n" not in str(caught.value)


def test_which_input_is_explained_is_told_or_asked():
    network, images, *_ = cases()["shared, left"]
    with pytest.raises(OptionError, match="0, 1 are images; say which to explain"):
        explainers.GradCAM(network)(images)
    with pytest.raises(
        OptionError, match=r"explain='middle' is none of the inputs; they are 0, 1; SharedTrunk.forward"
    ):
        explainers.GradCAM(network)(images, explain="middle")
    late, images, *_ = cases()["late"]
    with pytest.raises(ImageError, match=r"input 1 has shape \(3, 6\) and no positions"):
        explainers.Saliency(late)(images, explain="table")
    assert places({"photo": images[0], "table": images[1], "words": torch.zeros(3, 5, 8)}) == ("photo",)


def test_a_network_that_takes_one_mapping_says_what_it_misses():
    network, images, *_ = cases()["mapping"]
    with pytest.raises(
        ExplainersError, match="takes one argument, and fails on a dict of the inputs: KeyError: 'table'"
    ):
        explainers.GradCAM(network)({"photo": images["photo"]})


def test_compiled_passes_are_refused():
    network, images, *_ = cases()["late"]
    with pytest.raises(OptionError, match="leave compile out"):
        explainers.RISE(network, masks=20, compile=True)(images)


def test_a_used_explainer_can_be_pickled_and_threads_do_not_mix_their_inputs():
    network, images, *_ = cases()["late"]
    explainer = explainers.GradCAM(network)
    wanted = explainer(images, 1)
    copied = pickle.loads(pickle.dumps(explainer))
    torch.testing.assert_close(copied(images, 1), wanted, rtol=0, atol=0)
    turned = tuple(value.flip(0) for value in images)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda given: explainer(given, 1), [images, turned] * 4))
    for index, maps in enumerate(found):
        torch.testing.assert_close(maps, wanted.flip(0) if index % 2 else wanted, rtol=0, atol=0)


def test_scripted_networks_of_two_inputs_have_gradients_and_passes():
    network, images, *_ = cases()["late"]
    scripted = torch.jit.script(network)
    for name in ("saliency", "rise"):
        options = FAST.get(name, {})
        found = explainers.create(name, scripted, **options)(images, 1)
        torch.testing.assert_close(found, explainers.create(name, network, **options)(images, 1), rtol=1e-5, atol=1e-7)
