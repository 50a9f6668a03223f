"""Losses as records: values and gradients on given passes by hand, what they keep, what they refuse."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from loss_case import Decoding, step_of, step_on
from small import lively
from torch import nn

from explainers.baselines import (
    AMB,
    AttentionMining,
    ColourAffinity,
    ComplementObjective,
    Given,
    GuidedAttention,
    HumanKnowledge,
    Pass,
    PrototypeConformity,
    SeededCrossEntropy,
    SizeBarrier,
    colour_affinity,
    complement_entropy,
    draw_seeds,
    partial_cross_entropy,
    prototype_conformity,
    resnet,
    size_barrier,
)
from explainers.baselines.losses.loss import Beginning
from explainers.baselines.losses.prototype_conformity import Centres
from explainers.core.preprocessing import Preprocessing
from explainers.errors import OptionError, TrainingError

LABELS = torch.tensor([2, 0, 1])


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(logits=None, attention_map=None, **parts):
    logits = drawn(3, 4) if logits is None else logits
    mine = (lambda: parts["mining_logits"]) if "mining_logits" in parts else None
    return Pass(logits, None, attention_map, SimpleNamespace(mine=mine, **parts))


def beginning(**parts):
    return Beginning(nn.Identity(), made(**parts), 4)


def test_attention_mining_is_the_mean_probability_of_the_true_class():
    logits = torch.tensor([[0.0, 0.0, math.log(2)], [math.log(3), 0.0, 0.0]])
    step = step_on(made(mining_logits=logits), torch.tensor([2, 0]))
    assert float(AttentionMining()(step)) == pytest.approx((2 / 4 + 3 / 5) / 2)
    weight = AttentionMining().weight
    assert weight * (2 / 4 + 3 / 5) / 2 == pytest.approx(1e-4 * 16 / 2 * (2 / 4 + 3 / 5))  # the paper's sum at batch 16


def test_what_is_mined_teaches_map_and_perception_branch():
    network = lively(AMB(resnet("small-resnet", channels=1, classes=4), threshold=0.5)).train()
    images = drawn(3, 1, 32, 32)
    before = {name: value.clone() for name, value in network.named_buffers()}
    step = step_of(network, images, LABELS)
    AttentionMining()(step).backward()
    assert network.attention.to_map[0].weight.grad.abs().sum() > 0
    assert network.head[-1].weight.grad.abs().sum() > 0
    assert network.features.stem.conv.weight.grad.abs().sum() > 0
    passes = [int(value) for name, value in network.named_buffers() if name.endswith("num_batches_tracked")]
    earlier = [int(value) for name, value in before.items() if name.endswith("num_batches_tracked")]
    assert [now - then for now, then in zip(passes, earlier, strict=True)] == [1] * len(passes)


@pytest.mark.parametrize("weight", [1.0, 0.1])
@pytest.mark.parametrize("form", ["norm", "squared"])
@pytest.mark.parametrize("separate", [True, False])
def test_weights_of_prototypes_act_on_the_features_and_not_on_the_centres(weight, form, separate):
    features = drawn(3, 5).requires_grad_()
    loss = PrototypeConformity(weight=weight, repulsion=0.01, form=form, separate=separate)
    kept = loss.companion(beginning(perception_pooled=features.detach()))
    centres = kept.module
    assert len(list(centres.parameters())) == 1 + separate
    value = loss(step_on(made(perception_pooled=features), LABELS, companions={loss.name: centres}))
    (weight * value).backward()

    attracting, repelling = (each.detach().requires_grad_() for each in (centres.attracting, centres.repelling))
    if not separate:
        repelling = attracting
    leaf = features.detach().requires_grad_()
    attraction = prototype_conformity(leaf, LABELS, attracting, form=form)[0]
    repulsion = prototype_conformity(leaf, LABELS, repelling, form=form)[1]
    assert float(value.detach()) == pytest.approx(float((attraction - 0.01 * repulsion).detach()))
    (of_features,) = torch.autograd.grad(weight * (attraction - 0.01 * repulsion), leaf, retain_graph=True)
    torch.testing.assert_close(features.grad, of_features)
    unweighted = torch.autograd.grad(attraction - repulsion, (attracting, repelling) if separate else attracting)
    for parameter, gradient in zip(centres.parameters(), unweighted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)

    before = [parameter.detach().clone() for parameter in centres.parameters()]
    kept.optimizer.step()
    for rate, then, parameter, gradient in zip((0.5, 1e-4), before, centres.parameters(), unweighted, strict=False):
        torch.testing.assert_close(parameter.detach(), then - rate * gradient)


def test_a_weight_of_nothing_leaves_features_and_centres_alone():
    features = drawn(3, 5).requires_grad_()
    loss = PrototypeConformity(repulsion=0.0)
    centres = loss.companion(beginning(perception_pooled=features.detach())).module
    loss(step_on(made(perception_pooled=features), LABELS, companions={loss.name: centres})).backward()
    assert centres.repelling.grad is None
    assert features.grad.isfinite().all()


def test_centres_fit_the_features_and_are_normal():
    loss = PrototypeConformity(of="attention_pooled")
    torch.manual_seed(3)
    centres = loss.companion(Beginning(nn.Identity(), made(attention_pooled=drawn(2, 900)), 50)).module
    assert isinstance(centres, Centres)
    assert centres.attracting.shape == centres.repelling.shape == (50, 900)
    assert not torch.equal(centres.attracting, centres.repelling)
    assert tuple(float(each.detach()) for each in torch.std_mean(centres.repelling)[::-1]) == pytest.approx(
        (0, 1), abs=0.02
    )
    assert loss.name != PrototypeConformity().name


@pytest.mark.parametrize("variant", ["renormalised", "zeroed"])
def test_the_complement_is_taken_of_the_mining_branch_where_there_is_one(variant):
    logits, mined = drawn(3, 4), drawn(3, 4, seed=1)
    both, alone = step_on(made(logits, mining_logits=mined), LABELS), step_on(made(logits), LABELS)
    for step, of, expected in (
        (both, "auto", mined),
        (both, "logits", logits),
        (both, "mining_logits", mined),
        (alone, "auto", logits),
    ):
        found = ComplementObjective(of=of, variant=variant)(step)
        torch.testing.assert_close(found, complement_entropy(expected, LABELS, variant))


def test_the_complement_of_the_perception_branch_does_not_run_the_mining_branch():
    def mine():
        raise AssertionError

    step = step_on(Pass(drawn(3, 4), branches=SimpleNamespace(mine=mine)), LABELS)
    assert ComplementObjective(of="logits")(step) < 0


def edited_step(own, edited, known, logits=None, kept=None, kind="edited"):
    given = {kind: Given(edited, torch.tensor(known))}
    companions = {} if kept is None else {"human-knowledge": kept.module}
    return step_on(made(logits, own), LABELS, given=given, companions=companions)


def test_human_knowledge_by_hand():
    """Areas of 2 × 2 averaged: image 0 is 0.3 and 0.4 off, image 1 has no map, image 2 is 1 off in one cell."""
    own = torch.tensor([[[[0.5, 0.5]]], [[[0.9, 0.9]]], [[[0.0, 1.0]]]], requires_grad=True)
    edited = torch.zeros(3, 1, 2, 4)
    edited[0, 0, :, :2] = torch.tensor([[0.8, 0.8], [0.8, 0.8]])
    edited[0, 0, :, 2:] = torch.tensor([[0.0, 0.2], [0.1, 0.1]])
    edited[2, 0, :, 2:] = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    step = edited_step(own, edited, [True, False, True])
    value = HumanKnowledge(gamma=3.0)(step)
    assert float(value.detach()) == pytest.approx(3 * (0.5 + 1) / 2)
    (gradient,) = torch.autograd.grad(value, own)
    assert not gradient[1].any()
    torch.testing.assert_close(gradient[0, 0, 0], 3 / 2 * torch.tensor([-0.3, 0.4]) / 0.5)


def test_gamma_makes_the_term_a_share_of_the_cross_entropy_at_the_start_and_stays():
    loss = HumanKnowledge(share=0.3, batches=3)
    kept = loss.companion(beginning(attention_map=torch.rand(3, 1, 2, 2)))
    assert kept.optimizer is None
    entropies, distances = [], []
    for number in range(6):
        own, edited, logits = torch.rand(3, 1, 2, 2), torch.rand(3, 1, 2, 2), drawn(3, 4, seed=number)
        known = [True, False, number != 1]
        value = float(loss(edited_step(own, edited, known, logits, kept)))
        distance = float((own - edited)[torch.tensor(known)].flatten(1).norm(dim=1).mean())
        if number < 3:
            entropies.append(float(nn.functional.cross_entropy(logits, LABELS)))
            distances.append(distance)
        assert value == pytest.approx(0.3 * sum(entropies) / sum(distances) * distance, rel=1e-5)
        if number == 0:
            assert value == pytest.approx(0.3 * entropies[0], rel=1e-5)
    assert set(kept.module.state_dict()) == {"steps", "distance", "cross_entropy"}


def test_batches_without_edited_maps_are_nothing_and_do_not_count():
    loss = HumanKnowledge(batches=1)
    own = torch.rand(3, 1, 2, 2).requires_grad_()
    kept = loss.companion(beginning(attention_map=own))
    value = loss(edited_step(own, torch.rand(3, 1, 2, 2), [False] * 3, kept=kept))
    assert float(value.detach()) == 0
    assert not torch.autograd.grad(value, own)[0].any()
    same = own.detach().clone()
    value = loss(edited_step(own, same, [True] * 3, kept=kept))  # not edited at all
    assert float(value.detach()) == 0
    assert int(kept.module.steps) == 0
    assert float(loss(edited_step(own, 1 - same, [True] * 3, kept=kept)).detach()) > 0
    assert int(kept.module.steps) == 1


def test_guided_attention_by_hand():
    logits = torch.tensor([[0.0, math.log(3)], [math.log(4), 0.0]]).requires_grad_()
    own = torch.tensor([[[[0.5, 0.25]]], [[[0.0, 1.0]]]]).requires_grad_()
    masks = Given(torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]]), torch.tensor([True, False]))
    step = step_on(made(drawn(2, 2), own, mining_logits=logits), torch.tensor([1, 0]), given={"mask": masks})
    mined = (3 / 4 + 4 / 5) / 2
    assert float(GuidedAttention()(step).detach()) == pytest.approx(mined)
    assert float(GuidedAttention(score="logit")(step).detach()) == pytest.approx((math.log(3) + math.log(4)) / 2)
    both = GuidedAttention(given="mask")(step)
    assert float(both.detach()) == pytest.approx(mined + 10 * (0.25 + 0.0625) / 2)
    assert not torch.autograd.grad(both, own)[0][1].any()
    none = step_on(step.made, step.labels, given={"mask": Given(masks.maps, torch.tensor([False, False]))})
    assert float(GuidedAttention(given="mask")(none).detach()) == pytest.approx(mined)


def test_seeds_come_from_the_enlarged_map_of_the_true_class_and_teach_the_map_alone():
    cams, logits = drawn(3, 4, 6, 5).requires_grad_(), drawn(3, 2, 12, 10, seed=1).requires_grad_()
    step = step_on(made(cams=cams, map_logits=logits), LABELS)
    value = SeededCrossEntropy(erosion=3)(step)
    wide = torch.stack(
        [
            nn.functional.interpolate(cams[row : row + 1, label : label + 1], size=(12, 10), mode="bilinear")[0, 0]
            for row, label in enumerate(LABELS.tolist())
        ]
    )
    seeds = draw_seeds(wide, torch.Generator().manual_seed(0), erosion=3)
    torch.testing.assert_close(value, partial_cross_entropy(logits, seeds))
    again = SeededCrossEntropy(erosion=3)(step)  # drawn anew
    assert float(again.detach()) != float(value.detach())
    value.backward()
    assert cams.grad is None
    assert logits.grad.abs().sum() > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_affinity_sees_the_colours_of_the_photo(channels):
    preprocessing = Preprocessing(
        mean=(0.485, 0.456, 0.4)[:channels], std=(0.2, 0.225, 0.3)[:channels], channels=channels
    )
    photos = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3)).astype(np.uint8)
    images = torch.stack([preprocessing(photo) for photo in photos])
    raw = torch.from_numpy(photos).permute(0, 3, 1, 2).float()
    if channels == 1:
        raw = (raw * torch.tensor([0.2989, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True).round()
    attention = torch.rand(3, 1, 6, 5, generator=torch.Generator().manual_seed(2))
    step = step_on(made(attention_map=attention), LABELS, preprocessing=preprocessing)
    step = type(step)(**{**vars(step), "images": images})
    maps = torch.cat([1 - attention, attention], 1)
    expected = colour_affinity(raw, maps, 40.0, 3.0) * (224 * 224 / 30) ** 2
    torch.testing.assert_close(ColourAffinity(sigma_rgb=40.0, sigma_xy=3.0)(step), expected)
    sampled = colour_affinity(raw, maps, 40.0, 3.0, exact=9, rng=torch.Generator().manual_seed(0))
    found = ColourAffinity(sigma_rgb=40.0, sigma_xy=3.0, exact=9)(step)
    torch.testing.assert_close(found, sampled * (224 * 224 / 30) ** 2)


def test_a_small_map_is_enlarged_to_the_colours():
    preprocessing = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3)
    attention = torch.rand(3, 1, 2, 2).requires_grad_()
    step = step_on(made(attention_map=attention), LABELS, preprocessing=preprocessing, size=(8, 6))
    wide = nn.functional.interpolate(torch.cat([1 - attention, attention], 1), size=(8, 6), mode="bilinear")
    expected = colour_affinity(torch.zeros(3, 3, 8, 6), wide) * (224 * 224 / 48) ** 2
    found = ColourAffinity()(step)
    torch.testing.assert_close(found, expected)
    assert torch.autograd.grad(found, attention)[0].abs().sum() > 0
    with pytest.raises(TrainingError, match="how its images were normalised"):
        ColourAffinity()(step_on(step.made, LABELS))


def test_the_barrier_grows_from_epoch_to_epoch_up_to_its_most():
    loss = SizeBarrier()
    attention = torch.rand(3, 1, 4, 5)
    maps = torch.cat([1 - attention, attention], 1)
    for epoch in (0, 1, 57, 231, 232, 10**6):
        t = min(1.01**epoch, 10) if epoch < 1000 else 10
        assert loss.at(epoch) == pytest.approx(t)
        step = step_on(made(attention_map=attention), LABELS, epoch=epoch)
        torch.testing.assert_close(loss(step), size_barrier(maps, t))
    assert loss.at(231) < 10 == loss.at(232)
    assert SizeBarrier(t=3.0, growth=1.0, most=3.0).at(99) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AttentionMining(weight=-1.0), "weight=-1.0; expected a number of at least 0"),
        (lambda: SizeBarrier(weight=math.nan), "weight=nan; expected a number of at least 0"),
        (
            lambda: PrototypeConformity(of="features"),
            "of='features'; expected 'perception_pooled' or 'attention_pooled'",
        ),
        (
            lambda: PrototypeConformity(repulsion=2.0),
            "repulsion=2.0; expected 0 … 1, or features would leave all centres",
        ),
        (lambda: PrototypeConformity(form="cosine"), "form='cosine'; expected 'norm' or 'squared'"),
        (lambda: PrototypeConformity(margin=-1.0), "margin=-1.0; expected a positive distance, or None for none"),
        (
            lambda: ComplementObjective(of="attention_logits"),
            "of='attention_logits'; expected 'auto' or 'logits' or 'mining_logits'",
        ),
        (lambda: ComplementObjective(variant="none"), "variant='none'; expected 'renormalised' or 'zeroed'"),
        (lambda: HumanKnowledge(given="drawn"), "given='drawn'; expected 'edited' or 'mask'"),
        (
            lambda: HumanKnowledge(share=2.0),
            "share=2.0, batches=8; expected 0.1 … 1 times the cross entropy, set from at least one batch",
        ),
        (lambda: GuidedAttention(score="max"), "score='max'; expected 'probability' or 'logit'"),
        (
            lambda: SeededCrossEntropy(erosion=2),
            "erosion=2, background_share=0.1; expected an odd side, and between 0 and 1",
        ),
        (
            lambda: SizeBarrier(t=20.0),
            "t=20.0, growth=1.01, most=10.0; expected a positive t that grows by a factor of at least 1 up to most",
        ),
    ],
)
def test_senseless_settings_are_refused(make, message):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == message


def test_maps_of_a_kind_that_a_step_does_not_bring_are_refused():
    step = step_on(made(attention_map=torch.rand(3, 1, 2, 2)), LABELS)
    with pytest.raises(TrainingError) as caught:
        HumanKnowledge(gamma=1.0)(step)
    assert str(caught.value) == "this step brings no maps of the kind 'edited', but none"


def test_a_decoders_map_is_its_softmax():
    """What the losses of maps take as the two sides is the softmax of the logits that the seeds teach."""
    network = Decoding(3, 4)
    step = step_of(network, drawn(3, 3, 16, 16), LABELS)
    both = step.made.part("map_logits").softmax(1)
    torch.testing.assert_close(torch.cat([1 - step.made.attention_map, step.made.attention_map], 1), both)
