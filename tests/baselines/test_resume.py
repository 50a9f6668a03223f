"""A training that starts from another one: what stays, what is told before and after, and what is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from explainers.baselines import Constant, CrossEntropy, HumanKnowledge, Loss, Settings, Throughout, read_run, train
from explainers.baselines.training.resume import resumed
from explainers.errors import ModelFileError, OptionError

DATA = "magnetogram:size=32,train=24,val=16,test=16"
OPTIONS = {"backbone": "small-resnet", "bypass": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = Settings(epochs=1, batch_size=8)
    return train("abn", DATA, tmp_path_factory.mktemp("first") / "RUN", settings, options=OPTIONS, device="cpu").folder


def test_data_preprocessing_and_options_stay_unless_typed(run, tmp_path):
    copy = tmp_path / "RUN"
    shutil.copytree(run, copy)
    config = json.loads((copy / "run.json").read_text())
    config["preprocessing"]["resize"] = [24, 24]
    (copy / "run.json").write_text(json.dumps(config))
    kept = resumed(copy, "abn")
    assert (kept.data.spec, kept.data.preprocessing.resize, kept.options) == (DATA, (24, 24), OPTIONS)
    other = resumed(copy, "abn", data="magnetogram:size=48,train=8,val=8,test=0", options={"bypass": True})
    assert (other.data.spec, other.data.preprocessing.resize) == ("magnetogram:size=48,train=8,val=8,test=0", (24, 24))
    assert other.options == {**OPTIONS, "bypass": True}
    assert kept.notes == other.notes == ()
    plain = resumed(copy, "plain")
    assert plain.options == {"backbone": "small-resnet"}
    assert plain.notes == (f"plain has no option bypass, which abn of {copy} had",)


def test_weights_of_another_number_of_classes_do_not_fit(run):
    with pytest.raises(OptionError, match=r"was trained on 2 classes and magnetogram:.*grades=4 has 4; its weights do"):
        resumed(run, "abn", data="magnetogram:size=32,train=24,val=16,test=0,grades=4")


def test_a_backbone_that_is_code_needs_trust(run, tmp_path):
    copy = tmp_path / "RUN"
    shutil.copytree(run, copy)
    config = json.loads((copy / "run.json").read_text())
    config["network"]["options"]["backbone"] = "/somewhere/net.py:make"
    (copy / "run.json").write_text(json.dumps(config))
    with pytest.raises(ModelFileError, match="names the backbone '/somewhere/net.py:make', and making it runs code"):
        resumed(copy, "abn")
    assert resumed(copy, "abn", trust_model_file=True).options["backbone"] == "/somewhere/net.py:make"
    assert resumed(copy, "abn", options={"backbone": "small-resnet"}).options["backbone"] == "small-resnet"


def test_the_scores_of_the_start_stand_beside_those_of_the_end(run, tmp_path):
    found = resumed(run, "abn")
    settings = Settings(epochs=1, batch_size=8, plan=Throughout(frozen=("features",)), schedule=Constant())
    after = train("abn", found.data, tmp_path / "RUN", settings, options=found.options, start=run, device="cpu")
    before = read_run(run).result
    for split in ("val", "test"):
        assert after.result["start"][split] == pytest.approx(before[split], abs=1e-6)
        assert after.result["start"][split]["loss"] != after.result[split]["loss"]
    assert "start" not in before


def test_the_training_to_start_from_stays_as_it_is(run):
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    for start in (run, run / "best.safetensors"):
        with pytest.raises(
            OptionError, match="is the training to start from, which stays as it is; choose another folder"
        ):
            train("abn", DATA, run, Settings(), options=OPTIONS, start=start, overwrite=True, device="cpu")
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before


class Near(Loss):
    """To the maps that are brought."""

    name, given = "near", "edited"

    def __call__(self, step):
        brought = step.given["edited"]
        means = brought.maps.mean(dim=(2, 3)) - step.made.attention_map.mean(dim=(2, 3))
        return (means**2 * brought.known[:, None]).mean()


class Half:
    """Maps that say which they are."""

    def __init__(self, identity):
        self.identity = identity

    def __call__(self, index):
        return np.full((32, 32), 0.5, np.float32)


def test_a_training_goes_on_with_the_maps_that_it_began_with(tmp_path):
    settings = Settings((CrossEntropy(), Near()), epochs=1, batch_size=8)
    out = tmp_path / "RUN"
    run = train("abn", DATA, out, settings, given={"edited": Half("one")}, device="cpu")
    assert run.config["given"] == {"edited": "one"}
    assert train("abn", DATA, out, settings, given={"edited": Half("one")}, device="cpu").result == run.result
    with pytest.raises(OptionError, match=r"differs in given.edited \('one' there, 'two' now\)"):
        train("abn", DATA, out, settings, given={"edited": Half("two")}, device="cpu")


def test_maps_that_no_loss_learns_from_are_refused(tmp_path):
    with pytest.raises(
        OptionError, match=r"given=\['edited'\]: none of the losses perception, attention learns from such"
    ):
        train("abn", DATA, tmp_path / "RUN", Settings(), given={"edited": Half("one")}, device="cpu")
    assert not (tmp_path / "RUN").exists()


def test_a_loss_that_was_asked_for_and_counts_in_no_stage_is_refused(tmp_path):
    settings = Settings(more_losses=(Near(),), plan=Throughout(losses=("perception", "attention")))
    with pytest.raises(OptionError, match="the losses near count in no stage of the plan Throughout; name them there"):
        train("abn", DATA, tmp_path / "RUN", settings, given={"edited": Half("one")}, device="cpu")


def test_an_interrupted_fine_tuning_ends_as_an_undisturbed_one(run, tmp_path):
    settings = Settings(
        more_losses=(HumanKnowledge(),),
        plan=Throughout(frozen=("features",)),
        epochs=2,
        batch_size=8,
        augment=("flip",),
    )

    def tuned(out, **more):
        given = {"edited": Half("one")}
        return train("abn", DATA, out, settings, options=OPTIONS, start=run, given=given, device="cpu", **more)

    def killed(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path / "killed", watch=killed)
    assert len(read_run(tmp_path / "killed").history) == 1
    again, whole = tuned(tmp_path / "killed"), tuned(tmp_path / "whole")
    assert again.result["start"] == whole.result["start"]
    for name in ("last.safetensors", "best.safetensors"):
        one, two = load_file(again.folder / name), load_file(whole.folder / name)
        assert one.keys() == two.keys()
        assert all(torch.equal(value, two[key]) for key, value in one.items())
