"""A training that was stopped, killed or ended goes on to the weights of an undisturbed one, or is refused."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import bars_case
import pytest
import torch
from bars_case import ALL, SMALL, Stopped, alike, bars
from child import Child, ran

import explainers
from explainers.baselines import (
    Constant,
    Cosine,
    Settings,
    read_run,
    train,
)
from explainers.baselines.training.run_folder import BEST, RESULT
from explainers.errors import ModelFileError, OptionError


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    torch.manual_seed(0)
    train("abn", bars(), out, ALL, options=SMALL)
    return out


@pytest.mark.parametrize(("epoch", "step"), [(1, 3), (2, 1), (3, 4)])
def test_a_stopped_training_goes_on_to_the_same_weights(epoch, step, undisturbed, tmp_path):

    def stop(at: int, done: int, steps: int, losses: dict) -> None:
        if (at, done) == (epoch, step):
            raise Stopped

    with pytest.raises(Stopped):
        train("abn", bars(), tmp_path / "broken", ALL, options=SMALL, progress=stop)
    torch.manual_seed(99)  # the process that goes on has another history
    run = train("abn", bars(), tmp_path / "broken", ALL, options=SMALL)
    assert alike(undisturbed, tmp_path / "broken")
    whole = read_run(undisturbed)
    times = {"seconds", "files"}  # hashes of files that hold times
    assert {k: v for k, v in run.result.items() if k not in times} == {
        k: v for k, v in whole.result.items() if k not in times
    }
    for one, two in zip(run.history, whole.history, strict=True):
        assert {**one, "seconds": 0} == {**two, "seconds": 0}


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from bars_case import ALL, SMALL, bars
from explainers.baselines import train
train("abn", bars(), sys.argv[2], ALL, options=SMALL)
"""


def test_a_killed_training_goes_on_to_the_same_weights(undisturbed, tmp_path):
    here, folder = Path(bars_case.__file__).parent, tmp_path / "broken"
    with Child(KILLED, here, folder) as process:
        while not (folder / "run.json").exists():  # it has begun
            time.sleep(0.02)
        time.sleep(0.4)
        process.send(signal.SIGKILL)
        process.finished()
    assert ran(KILLED, here, folder).returncode == 0
    assert alike(undisturbed, folder)
    assert not list(folder.rglob("*.tmp"))


def test_a_finished_training_is_not_repeated(tmp_path):
    data = bars()
    first = train("plain", data, tmp_path / "run", Settings(epochs=1), options=SMALL)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    data.train.reads = 0
    second = train("plain", data, tmp_path / "run", Settings(epochs=1), options=SMALL)
    assert second == first
    assert data.train.reads == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()} == stamps


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    from run_case import held_elsewhere  # not at the top: this file is also imported by processes without tests/

    with held_elsewhere(tmp_path / "run"), pytest.raises(OptionError, match="another process is writing to .*run"):
        train("plain", bars(), tmp_path / "run", Settings(epochs=1), options=SMALL, overwrite=True)
    assert not (tmp_path / "run").exists()


def test_another_configuration_is_refused_and_overwrite_starts_anew(tmp_path):
    train("plain", bars(), tmp_path / "run", Settings(epochs=1), options=SMALL)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(OptionError) as error:
        train("plain", bars(), tmp_path / "run", Settings(epochs=2, seed=1), options=SMALL)
    assert str(error.value) == (
        f"{tmp_path / 'run'} holds a training that differs in settings.epochs (1 there, 2 now); settings.seed (0 there, 1 "
        "now). Go on with its settings, choose another folder, or remove it with overwrite (--overwrite)"
    )
    run = train("plain", bars(), tmp_path / "run", Settings(epochs=2), options=SMALL, overwrite=True)
    assert len(run.history) == 2
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_more_epochs_go_on_where_no_schedule_counts_them(tmp_path):
    settings = Settings(epochs=1, schedule=Constant(), seed=2)
    train("plain", bars(), tmp_path / "run", settings, options=SMALL)
    train("plain", bars(), tmp_path / "run", replace(settings, epochs=2), options=SMALL)
    train("plain", bars(), tmp_path / "whole", replace(settings, epochs=2), options=SMALL)
    assert alike(tmp_path / "run", tmp_path / "whole")
    train("plain", bars(), tmp_path / "cosine", replace(settings, schedule=Cosine()), options=SMALL)
    with pytest.raises(OptionError, match=r"settings.epochs \(1 there, 2 now\)"):
        train("plain", bars(), tmp_path / "cosine", replace(settings, epochs=2, schedule=Cosine()), options=SMALL)


def test_other_images_are_another_training(tmp_path):
    train("plain", bars(48), tmp_path / "run", Settings(epochs=1), options=SMALL)
    with pytest.raises(OptionError, match=r"data.sha256 .* data.train \(48 there, 50 now\)"):
        train("plain", bars(50), tmp_path / "run", Settings(epochs=1), options=SMALL)


def test_a_folder_is_a_model_only_with_a_training_in_it(tmp_path):
    with pytest.raises(ModelFileError, match="a training in it \\(no run.json\\).*; expected photographs, "):
        explainers.load_model(tmp_path)
    train("plain", bars(), tmp_path / "run", Settings(epochs=1), options=SMALL)
    with pytest.raises(ModelFileError, match="brings its weights; drop weights"):
        explainers.load_model(tmp_path / "run", weights="DEFAULT")
    (tmp_path / "run" / RESULT).unlink()
    loaded = explainers.load_model(tmp_path / "run")
    assert loaded.notes == ("the training is not over: best of 1 epochs so far",)
    (tmp_path / "run" / BEST).write_bytes(b"torn")
    with pytest.raises(ModelFileError, match="best.safetensors is no weight file"):
        explainers.load_model(tmp_path / "run")


def test_a_training_that_wrote_down_only_what_was_asked_for_goes_on(tmp_path):
    """As before all options were written down; an option that was not asked for was the default."""
    out, settings = tmp_path / "run", replace(ALL, epochs=2)
    train("abn", bars(), out, replace(settings, epochs=1, schedule=Constant()), options=SMALL)
    config = json.loads((out / "run.json").read_text())
    del config["network"]["options"]["bypass"]
    (out / "run.json").write_text(json.dumps(config))
    with pytest.raises(OptionError, match=r"network.options.bypass \(True there, False now\)"):
        train("abn", bars(), out, replace(settings, epochs=1, schedule=Constant()), options={**SMALL, "bypass": False})
    run = train("abn", bars(), out, replace(settings, schedule=Constant()), options=SMALL)
    assert len(run.history) == 2


def test_which_weights_are_kept_may_change_when_a_training_goes_on(tmp_path):
    out, constant = tmp_path / "run", replace(ALL, schedule=Constant())
    train("abn", bars(), out, replace(constant, epochs=1), options=SMALL)
    train("abn", bars(), out, replace(constant, epochs=3, keep_every=2), options=SMALL)
    assert [path.name for path in (out / "epochs").iterdir()] == ["0002.safetensors"]
    train("abn", bars(), tmp_path / "undisturbed", replace(constant, epochs=3), options=SMALL)
    assert alike(out, tmp_path / "undisturbed")
    assert json.loads((out / "run.json").read_text())["settings"]["keep_every"] == 2
    train("abn", bars(), out, replace(constant, epochs=3), options=SMALL)
    assert json.loads((out / "run.json").read_text())["settings"]["keep_every"] is None
