"""Updates: several of a batch, what losses keep between them, maps from outside, and epochs that are not judged."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from explainers.baselines import (
    ABN,
    SGD,
    AlternativeEpochs,
    Companion,
    Constant,
    CrossEntropy,
    Flip,
    Loss,
    Settings,
    Shift,
    Stage,
    Together,
    resnet,
    train,
)
from explainers.data.sets import data_set
from explainers.errors import DataError, OptionError, TrainingError

DATA = "magnetogram:size=32,train=24,val=8,test=8"
SMALL = Settings(epochs=2, batch_size=8, optimizer=SGD(lr=0.05), schedule=Constant())
BRANCHES = (CrossEntropy(), CrossEntropy("attention_logits"))


def fitted(out, settings, **more):
    return train("abn", DATA, out, settings, device="cpu", **more)


def weights(run, name="last"):
    return {key: value for key, value in load_file(run.folder / f"{name}.safetensors").items()}


@dataclass(frozen=True)
class Centre(Loss):
    """Distance of the pooled features from a learnt point, which counts its own steps."""

    weight: float = 0.1
    name = "centre"

    def companion(self, beginning):
        module = nn.Module()
        module.point = nn.Parameter(torch.randn(beginning.made.part("perception_pooled").shape[1]))
        module.register_buffer("steps", torch.zeros(()))
        return Companion(module, torch.optim.SGD(module.parameters(), lr=0.5, momentum=0.9))

    def __call__(self, step):
        kept = step.companions[self.name]
        kept.steps += 1
        return (step.made.part("perception_pooled") - kept.point).square().sum(1).mean()


def test_what_a_loss_keeps_learns_by_its_own_optimizer_and_is_saved(tmp_path):
    run = fitted(tmp_path / "a", replace(SMALL, losses=(*BRANCHES, Centre())))
    kept = weights(run)
    assert kept["loss:centre.steps"] == 6  # three batches in each of two epochs
    assert "optimizer-of-loss:centre.0.momentum_buffer" in kept
    assert not any("centre" in name for name in weights(run, "best"))


def test_a_training_whose_losses_keep_something_goes_on_to_the_same_weights(tmp_path):
    plan = Together((Stage(("perception", "attention")), Stage(("centre",), optimizer="second")))
    whole = replace(SMALL, losses=(*BRANCHES, Centre()), plan=plan, epochs=3)
    undisturbed = fitted(tmp_path / "a", whole)

    class Killed(Exception):
        pass

    def kill(row):
        if row["epoch"] == 2:
            raise Killed

    with pytest.raises(Killed):
        fitted(tmp_path / "b", whole, watch=kill)
    again = fitted(tmp_path / "b", whole)
    first, second = weights(undisturbed), weights(again)
    assert first.keys() == second.keys()
    assert any(name.startswith("optimizer:second.") for name in first)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_two_updates_of_a_batch_are_two_steps_by_hand(tmp_path):
    """Both optimisers take a step on the same batch, each with momentum of its own and a fresh forward pass."""
    plan = Together((Stage(("perception",)), Stage(("attention",), optimizer="second")))
    settings = replace(SMALL, losses=BRANCHES, plan=plan, epochs=1, batch_size=24)
    run = fitted(tmp_path, replace(settings, optimizers={"second": SGD(lr=0.01, momentum=0.5)}))
    from explainers.baselines.networks.registry import create_network
    from explainers.baselines.training.batches import Examples, batches
    from explainers.baselines.training.loop import seeded

    with seeded(0, -1):
        network = create_network("abn", channels=1, classes=2).train()
    source = data_set(DATA)
    examples = Examples(source.train, source.preprocessing)
    with seeded(0, 0) as rng:
        (order,) = batches(examples.labels, 24, "natural", rng)
    first = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, weight_decay=1e-4)
    second = torch.optim.SGD(network.parameters(), 0.01, momentum=0.5, weight_decay=1e-4)
    for optimizer, part in ((first, "logits"), (second, "attention_logits")):
        optimizer.zero_grad()
        scores = getattr(network.forward_branches(examples.images(order)), part)
        nn.functional.cross_entropy(scores, examples.labels[order]).backward()
        optimizer.step()
    found = weights(run)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(found[f"network.{name}"], value, rtol=1e-5, atol=1e-6)


def test_alternative_epochs_leave_what_rests_bit_by_bit(tmp_path):
    """Momentum and decay are on, so anything that was touched would move."""
    rests = ("attention",)
    settings = replace(SMALL, losses=BRANCHES, plan=AlternativeEpochs(rests), epochs=4, keep_every=1)
    run = fitted(tmp_path, settings)
    epochs = [load_file(tmp_path / f"epochs/{number:04d}.safetensors") for number in range(1, 5)]
    for before, after, resting in ((1, 2, True), (0, 1, False), (2, 3, False)):
        for name, value in epochs[before].items():
            same = torch.equal(value, epochs[after][name])
            if name.startswith("attention."):
                assert same == resting or not value.dtype.is_floating_point, name
            elif name.endswith("weight") and value.ndim == 4:
                assert not same, name
    assert ["val_loss" in row for row in run.history] == [False, True, False, True]
    assert all("train_attention" in row for row in run.history[1::2])
    assert not any("train_attention" in row for row in run.history[::2])
    assert run.result["best_epoch"] in (2, 4)


def test_an_alternative_epoch_perceives_a_map_of_ones(tmp_path, monkeypatch):
    seen = []
    whole = ABN.forward_branches

    def watched(self, images, attention_map=None):
        branches = whole(self, images, attention_map)
        if self.training:
            seen.append(bool((branches.attention_map == 1).all()))
            if attention_map is not None:
                assert branches.attention_logits is None
        return branches

    monkeypatch.setattr(ABN, "forward_branches", watched)
    fitted(tmp_path, replace(SMALL, losses=BRANCHES, plan=AlternativeEpochs()))
    assert seen == [True] * 3 + [False] * 3


def test_the_moments_of_what_rests_stay(tmp_path):
    settings = replace(SMALL, losses=BRANCHES, plan=AlternativeEpochs(), schedule=Constant())
    from explainers.baselines.training.loop import Training

    kept = []
    original = Training._keep

    def keep(self, losses):
        states = self.updates.optimizers["optimizer"].state
        names = {id(value): name for name, value in self.network.named_parameters()}
        kept.append(
            {names[id(p)]: s["momentum_buffer"].clone() for p, s in states.items() if names[id(p)] in attention}
        )
        original(self, losses)

    attention = {
        name
        for name, _ in ABN(resnet("small-resnet", channels=1, classes=2)).named_parameters()
        if "attention." in name
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "_keep", keep)
        fitted(tmp_path, replace(settings, epochs=4))
    assert kept[0] == {}
    assert kept[1].keys() == attention
    assert all(torch.equal(kept[1][name], kept[2][name]) for name in attention)
    assert not any(torch.equal(kept[2][name], kept[3][name]) for name in attention)


@dataclass(frozen=True)
class Seen(Loss):
    """Notes what maps came with which images."""

    kind: str = "edited"
    name = "seen"

    @property
    def given(self):
        return self.kind

    def __call__(self, step):
        LOG.append((step.images.clone(), step.given[self.kind]))
        return step.made.logits.sum() * 0


LOG: list = []


def test_maps_from_outside_move_with_their_images(tmp_path):
    """The map is the image's own first channel, so it has to be found over it wherever augmentation put the image."""
    LOG.clear()
    source = data_set(DATA)
    from explainers.baselines.training.batches import Examples

    images = Examples(source.train, source.preprocessing).images(range(24))[:, 0]
    low, high = images.min(), images.max()
    fields = (images - low) / (high - low)
    settings = replace(SMALL, losses=(CrossEntropy(), Seen()), augment=(Flip(), Shift(3, repeat_border=True)), epochs=1)
    fitted(tmp_path, settings, given={"edited": lambda index: fields[index] if index % 3 else None})
    known = torch.cat([given.known for _, given in LOG])
    assert int(known.sum()) == 16
    for seen, given in LOG:
        expected = (seen[:, :1] - low) / (high - low)
        torch.testing.assert_close(given.maps[given.known], expected[given.known], rtol=0, atol=0.5 / 255 + 1e-6)
        assert not given.maps[~given.known].any()


def test_masks_of_the_data_set_come_as_they_lie_over_the_input(tmp_path):
    LOG.clear()
    fitted(tmp_path, replace(SMALL, losses=(CrossEntropy(), Seen("mask")), epochs=1, batch_size=24))
    source = data_set(DATA)
    ((_, given),) = LOG
    sums = [float(np.sum(source.train.mask(index))) for index in range(24) if source.train.mask(index) is not None]
    assert sorted(given.maps[given.known].sum(dim=(1, 2, 3)).tolist()) == sorted(sums)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (None, TrainingError, "the loss 'seen' needs edited maps of training images, and there are none"),
        (
            lambda _: None,
            DataError,
            "no training image has a map of the kind 'edited'; leave the losses out that need them",
        ),
        (
            lambda _: torch.zeros(3, 4),
            DataError,
            r"the edited map of .* is \(3, 4\); expected \(32, 32\), as the input",
        ),
        (lambda _: torch.full((32, 32), 2.0), DataError, "the edited map of .* has values outside 0 … 1"),
        (lambda _: torch.full((32, 32), torch.nan), DataError, "the edited map of .* has values outside 0 … 1"),
    ],
)
def test_maps_that_cannot_be_used_are_refused_before_the_first_epoch(tmp_path, given, error, message):
    providers = {} if given is None else {"edited": given}
    with pytest.raises(error, match=message):
        fitted(tmp_path, replace(SMALL, losses=(CrossEntropy(), Seen())), given=providers)
    assert not (tmp_path / "log.csv").exists()


def test_a_training_starts_from_the_weights_of_another(tmp_path):
    first = fitted(tmp_path / "a", replace(SMALL, losses=BRANCHES))
    settings = replace(SMALL, losses=BRANCHES, epochs=1, optimizer=SGD(lr=1e-12, weight_decay=0.0, momentum=0.0))
    second = fitted(tmp_path / "b", settings, start=first.folder)
    before, after = weights(first, "best"), weights(second, "best")
    for name, value in before.items():
        if name.endswith("weight"):
            torch.testing.assert_close(after[name], value, rtol=0, atol=1e-9)
    with pytest.raises(OptionError, match="differs in network.start"):
        fitted(tmp_path / "b", settings)


def test_a_plan_that_has_no_epoch_judged_is_refused(tmp_path):
    with pytest.raises(
        OptionError, match="epochs=1: the plan AlternativeEpochs has none of them validated; train longer"
    ):
        fitted(tmp_path, replace(SMALL, losses=BRANCHES, plan=AlternativeEpochs(), epochs=1))


def test_an_optimizer_that_no_stage_calls_is_refused(tmp_path):
    with pytest.raises(
        OptionError, match=r"optimizers=\['other'\]: no stage of the plan is trained by one of that name"
    ):
        fitted(tmp_path, replace(SMALL, optimizers={"other": SGD()}))
