"""Saliency guided training: what stays of an image, what replaces the rest, the divergence, and what it must not touch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from small import Chain, lively
from snapshot import same, snapshot

from explainers.baselines import LABN, CrossEntropy, SaliencyGuided
from explainers.baselines.losses.loss import Pass, Step, divergence, forward
from explainers.baselines.losses.saliency_guided import input_gradient, kept, still
from explainers.errors import OptionError, TrainingError


def step_of(network, images, labels=None, **more):
    labels = torch.zeros(len(images), dtype=torch.long) if labels is None else labels
    return Step(network, images, labels, forward(network, images), torch.Generator().manual_seed(0), **more)


def test_the_most_important_pixels_stay_by_hand():
    saliency = torch.tensor([[[5.0, 1.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 7.0]]])
    assert kept(saliency, 0.5).tolist() == [[[True, False], [False, True]], [[True, False], [False, True]]]
    assert kept(saliency, 0.25).sum(dim=(1, 2)).tolist() == [1, 1]


@pytest.mark.parametrize("keep", [0.1, 0.12, 0.5, 0.9])
@pytest.mark.parametrize(("size", "patch"), [((8, 8), 1), ((7, 9), 1), ((8, 8), 2), ((9, 10), 4), ((5, 5), 8)])
def test_masks_keep_the_stated_share_of_patches(keep, size, patch):
    rng = torch.Generator().manual_seed(1)
    saliency = torch.randint(0, 3, (4, *size), generator=rng).float()  # many ties
    mask = kept(saliency, keep, patch)
    rows, columns = math.ceil(size[0] / patch), math.ceil(size[1] / patch)
    for one, values in zip(mask.numpy(), saliency.numpy(), strict=True):
        whole = np.zeros((rows, columns), bool)
        peaks = np.zeros((rows, columns))
        for r in range(rows):
            for c in range(columns):
                part = (slice(r * patch, (r + 1) * patch), slice(c * patch, (c + 1) * patch))
                assert one[part].all() == one[part].any()  # together
                whole[r, c], peaks[r, c] = one[part].all(), values[part].max()
        assert whole.sum() == round(keep * rows * columns)
        if whole.any() and not whole.all():
            assert peaks[whole].min() >= peaks[~whole].max()


def test_the_divergence_runs_from_the_full_to_the_masked_prediction():
    full, masked = torch.tensor([[0.0, 1.0, -2.0], [3.0, 0.0, 0.5]]), torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.1, -1.0]])
    p, q = np.exp(full.numpy()), np.exp(masked.numpy())
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    expected = (p * np.log(p / q)).sum(1).mean()
    reverse = (q * np.log(q / p)).sum(1).mean()
    assert float(divergence(full, masked)) == pytest.approx(expected, rel=1e-6)
    assert expected != pytest.approx(reverse, rel=0.05)
    assert float(divergence(full, full)) == pytest.approx(0, abs=1e-7)


def test_the_divergences_gradients_are_those_of_its_formula():
    """∂/∂masked = (q - p) / N; ∂/∂full = p (log p/q - KL) / N."""
    rng = torch.Generator().manual_seed(0)
    full, masked = (torch.randn(3, 4, generator=rng, dtype=torch.float64).requires_grad_() for _ in range(2))
    of_full, of_masked = torch.autograd.grad(divergence(full, masked), (full, masked))
    p, q = full.detach().softmax(1), masked.detach().softmax(1)
    ratio = (p / q).log()
    torch.testing.assert_close(of_masked, (q - p) / 3)
    torch.testing.assert_close(of_full, p * (ratio - (p * ratio).sum(1, keepdim=True)) / 3)


def test_the_loss_is_the_divergence_of_a_pass_over_masked_images():
    network = lively(LABN(channels=1, scope=3)).eval()  # without batch statistics, so that a pass can be repeated
    images = torch.randn(2, 1, 32, 32)
    bias = torch.full((1, 32, 32), 0.25)
    step = step_of(network, images, fillers={"bias": bias})
    loss = SaliencyGuided(keep=0.25, patch=4)
    wide = torch.nn.functional.interpolate(
        step.made.attention_map.detach(), size=(32, 32), mode="bilinear", align_corners=False
    )[:, 0]
    mask = kept(wide, 0.25, 4)[:, None]
    assert mask.sum() == 2 * 16 * 16
    changed = torch.where(mask, images, bias)
    torch.testing.assert_close(loss.masked(step), changed)
    expected = divergence(network(images), network(changed))
    torch.testing.assert_close(loss(step), expected)
    attention = SaliencyGuided(keep=0.25, patch=4, of="attention_logits")(step)
    both = [network.forward_branches(each).attention_logits for each in (images, changed)]
    torch.testing.assert_close(attention, divergence(*both))
    assert expected > 0


@pytest.mark.parametrize("rank", ["auto", "gradient", "magnitude"])
def test_a_network_without_a_map_is_ranked_by_the_true_classs_gradient(rank):
    network = lively(Chain()).double()
    images, labels = torch.randn(3, 3, 8, 10, dtype=torch.float64), torch.tensor([4, 0, 2])
    expected = torch.empty(3, 8, 10)
    for row in range(3):
        leaf = images[row : row + 1].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(network.eval()(leaf)[0, labels[row]], leaf)
        expected[row] = gradient[0].sum(0).float()
        if rank == "magnitude":  # of the combined channels, as in its source
            expected[row] = expected[row].abs()
    network.train()
    state = snapshot(network)
    found = SaliencyGuided(rank=rank).importance(step_of(network, images, labels))
    torch.testing.assert_close(found, expected)
    assert same(state, snapshot(network))


def test_the_gradient_of_an_image_does_not_depend_on_its_batch():
    network = lively(LABN(channels=1, scope=3)).double().train()
    images = torch.randn(3, 1, 32, 32, dtype=torch.float64)
    labels = torch.tensor([0, 1, 1])
    together = input_gradient(network, images, labels, absolute=False)
    alone = torch.cat([input_gradient(network, images[i : i + 1], labels[i : i + 1], absolute=False) for i in range(3)])
    torch.testing.assert_close(together, alone)
    assert network.training


def test_the_masked_pass_leaves_statistics_and_the_stored_map_alone():
    network = lively(LABN(channels=1, scope=3)).train()
    images = torch.randn(4, 1, 32, 32)
    network(images)
    stored = network.attention_map
    step = step_of(network, images, fillers={"bias": torch.zeros(1, 32, 32)})
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    loss = SaliencyGuided()(step)
    loss.backward()
    assert network.attention_map is stored
    for name, value in network.named_buffers():
        assert torch.equal(value, buffers[name]), name
    assert all(m.track_running_stats for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert network.features.conv.weight.grad.abs().sum() > 0


def test_inside_still_batch_norm_normalises_by_the_batch():
    norm = torch.nn.BatchNorm2d(2).train()
    x = torch.randn(4, 2, 3, 3) * 5 + 3
    expected = norm(x)
    before = norm.running_mean.clone(), int(norm.num_batches_tracked)
    with still(norm):
        torch.testing.assert_close(norm(x), expected)
    assert torch.equal(norm.running_mean, before[0])
    assert int(norm.num_batches_tracked) == before[1]
    norm(x)
    assert int(norm.num_batches_tracked) == before[1] + 1


def test_fillers_are_what_their_names_say():
    images = torch.randn(2, 3, 32, 32)
    fillers = {"bias": torch.ones(3, 32, 32), "black": torch.full((3, 1, 1), -2.0)}
    step = step_of(lively(Chain()), images, fillers=fillers)
    fill = {name: SaliencyGuided(fill=name).filler(step) for name in ("bias", "black", "mean", "blur", "uniform")}
    assert torch.equal(fill["bias"].expand_as(images), torch.ones(2, 3, 32, 32))
    assert torch.equal(fill["black"].expand_as(images), torch.full((2, 3, 32, 32), -2.0))
    torch.testing.assert_close(fill["mean"], images.mean((2, 3), keepdim=True).expand_as(images))
    assert fill["blur"].std() < 0.5 * images.std()
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    assert bool(((fill["uniform"] >= low) & (fill["uniform"] <= high)).all())
    assert fill["uniform"].flatten(2).std(dim=2).min() > 0.2
    with pytest.raises(TrainingError, match="fill='bias': this step brings no fillers"):
        SaliencyGuided().filler(step_of(lively(Chain()), images))


def test_several_shares_are_drawn_from_the_steps_generator():
    images = torch.randn(1, 3, 10, 10)
    network = lively(Chain())
    step = step_of(network, images, fillers={"black": torch.full((3, 1, 1), 9.0)})
    loss = SaliencyGuided(keep=(0.1, 0.5), fill="black")
    shares = {int((loss.masked(step)[0, 0] != 9).sum()) for _ in range(20)}
    assert shares == {10, 50}
    state = step.rng.get_state()
    SaliencyGuided(keep=0.1, fill="black").masked(step)
    assert torch.equal(step.rng.get_state(), state)  # one share needs no drawing


def test_cross_entropy_by_hand():
    logits, attention = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    step = Step(
        Chain(),
        torch.empty(0),
        torch.tensor([0, 0]),
        Pass(logits, attention),
        torch.Generator(),
        torch.tensor([3.0, 1.0]),
    )
    first, second = math.log(1 + math.exp(-1)), math.log(1 + math.exp(2))
    assert float(CrossEntropy()(step)) == pytest.approx((first + second) / 2)
    assert float(CrossEntropy("attention_logits")(step)) == pytest.approx(math.log(2))
    mixed = Step(step.network, step.images, torch.tensor([0, 1]), step.made, step.rng, step.class_weights)
    third = math.log(1 + math.exp(-2))
    assert float(CrossEntropy()(mixed)) == pytest.approx((3 * first + third) / 4)
    assert (CrossEntropy().name, CrossEntropy("attention_logits").name) == ("perception", "attention")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SaliencyGuided(keep=0), OptionError, "keep=0; expected shares between 0 and 1"),
        (lambda: SaliencyGuided(keep=()), OptionError, "keep=(); expected shares between 0 and 1"),
        (lambda: SaliencyGuided(patch=0), OptionError, "patch=0; expected sides of at least one pixel"),
        (
            lambda: SaliencyGuided(fill="white"),
            OptionError,
            "fill='white'; expected one of bias, black, mean, blur, uniform",
        ),
        (
            lambda: SaliencyGuided(rank="x"),
            OptionError,
            "rank='x'; expected one of auto, attention, gradient, magnitude",
        ),
        (lambda: CrossEntropy("maps"), OptionError, "of='maps'; expected 'logits' or 'attention_logits'"),
        (
            lambda: Pass(torch.zeros(1, 2)).scores("attention_logits"),
            TrainingError,
            "this network has no attention branch, so there is no loss on its logits; leave it out",
        ),
        (
            lambda: SaliencyGuided(rank="attention").importance(step_of(lively(Chain()), torch.randn(1, 3, 8, 8))),
            TrainingError,
            "rank='attention': this network makes no attention map; use 'gradient' or 'magnitude'",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
