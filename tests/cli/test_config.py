"""`--config FILE`: what it gives, and what is refused."""

from __future__ import annotations

import os

import pytest
from explainers.cli.main import main
from run_case import rows
from training_case import DATA, HEADS

from explainers.baselines import SGD, AdamW, CrossEntropy, SaliencyGuided, Settings, Throughout


def test_a_config_file_gives_what_was_not_typed(images, tmp_path, capsys):
    (tmp_path / "c.toml").write_text('method = ["cam"]\ntop-k = 2\nout = "%s"\nquiet = true\n' % (tmp_path / "out"))
    assert main([str(images), "--model", "embedded", "--config", str(tmp_path / "c.toml"), "--top-k", "3"]) == 0
    assert len(rows(tmp_path / "out")) == 9
    (tmp_path / "c.toml").write_text("metod = 3\n")
    assert main([str(images), "--config", str(tmp_path / "c.toml")]) == 2
    assert "no option 'metod'" in capsys.readouterr().err


def toml(tmp_path, text):
    (tmp_path / "c.toml").write_text(text)
    return ["--config", str(tmp_path / "c.toml")]


def test_a_config_file_gives_a_training_what_was_not_typed(asked, tmp_path):
    text = 'epochs = 4\nlr = 0.5\noptimizer = "sgd"\naugment = ["flip", "shift"]\nfreeze = "features"\nsgt = true\n'
    text += (
        'keep = "0.2"\nclass-weights = [1, 2]\nbackbone = "cifar-resnet20"\noption = ["bypass=false"]\nquiet = true\n'
    )
    argv = ["train", "abn", "--data", DATA, "--out", "RUN", *toml(tmp_path, text), "--epochs", "9"]
    assert main(argv) == 0
    assert asked.settings == Settings(
        losses=(*HEADS, SaliencyGuided(keep=0.2)),
        optimizer=SGD(lr=0.5),
        plan=Throughout(frozen=("features",)),
        epochs=9,
        class_weights=(1.0, 2.0),
        augment=("flip", "shift"),
    )
    assert asked.options == {"bypass": False, "backbone": "cifar-resnet20"}


def test_a_zero_that_is_typed_wins_over_the_config_file(asked, tmp_path):
    text = "seed = 5\nbias-samples = 3\nattention-weight = 0.5\nlabel-smoothing = 0.2\nquiet = true\n"
    argv = ["train", "abn", "--data", DATA, "--out", "RUN", *toml(tmp_path, text)]
    zeros = ["--seed", "0", "--bias-samples", "0", "--attention-weight", "0", "--label-smoothing", "0"]
    assert main([*argv, *zeros]) == 0
    assert asked.settings == Settings(losses=HEADS[:1])


def test_a_number_of_a_config_file_stands_for_a_list_of_one(asked, tmp_path):
    text = "sgt = true\nkeep = 0.2\npatch = 4\nquiet = true\n"
    assert main(["train", "plain", "--data", DATA, "--out", "RUN", *toml(tmp_path, text)]) == 0
    assert asked.settings.losses == (CrossEntropy(), SaliencyGuided(keep=0.2, patch=4))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("epoch = 3", "no option 'epoch'; options are attention_weight, augment, backbone, "),
        ('network = "abn"', "no option 'network'; options are attention_weight, augment, backbone, "),
        ('optimizer = "SGD"', "optimizer = 'SGD'; expected one of adamw, sgd\n"),
        ("optimizer = 3", "optimizer = 3; expected one of adamw, sgd\n"),
        ('sampling = ["balanced"]', "sampling = ['balanced']; expected one of natural, balanced\n"),
        ('schedule = "cos"', "schedule = 'cos'; expected one of plateau, cosine, milestones, polynomial, constant\n"),
        ('epochs = "three"', "epochs = 'three'; expected int\n"),
        ("epochs = 2.5", "epochs = 2.5; expected int\n"),
        ("epochs = true", "epochs = True; expected int\n"),
        ('lr = "fast"', "lr = 'fast'; expected float\n"),
        ("lr = [0.1]", "lr = [0.1]; expected float\n"),
        ("sgt = 1", "sgt = 1; expected true or false\n"),
        ('quiet = "yes"', "quiet = 'yes'; expected true or false\n"),
        ("augment = 3", "augment = 3; expected "),
        ("augment = [3]", "augment = [3]; expected "),
        ("freeze = 3", "freeze = 3; expected "),
        ("option = [3]", "option = [3]; expected "),
        ("freeze = [true]", "freeze = [True]; expected "),
        ("backbone = true", "backbone = True; expected "),
    ],
)
def test_a_config_file_is_held_to_what_could_be_typed(asked, tmp_path, capsys, text, named):
    argv = toml(tmp_path, f"{text}\n")
    assert main(["train", "plain", "--data", DATA, "--out", "RUN", *argv]) == 2
    assert f"explain: error: --config {argv[1]}: {named}" in capsys.readouterr().err
    assert vars(asked) == {}


def test_numbers_as_text_are_read_from_a_config_file_as_they_would_be_typed(asked, tmp_path):
    text = 'epochs = "3"\nlr = "0.5"\npatience = 2\nclip = 1\nbackbone = 3\nquiet = true\n'
    assert main(["train", "plain", "--data", DATA, "--out", "RUN", *toml(tmp_path, text)]) == 0
    assert asked.settings == Settings(epochs=3, optimizer=AdamW(lr=0.5), patience=2, clip=1.0)
    assert isinstance(asked.settings.clip, float)
    assert asked.options == {"backbone": "3"}


def test_lists_of_a_config_file_stand_for_numbers_between_commas(asked, tmp_path):
    text = "sgt = true\nkeep = [0.1, 0.3]\npatch = [2, 8]\nmean = [0.5]\nstd = [0.2]\nsize = 40\nquiet = true\n"
    assert main(["train", "plain", "--data", DATA, "--out", "RUN", *toml(tmp_path, text)]) == 0
    assert asked.settings.losses == (CrossEntropy(), SaliencyGuided(keep=(0.1, 0.3), patch=(2, 8)))
    made = asked.data.preprocessing
    assert (made.resize, made.mean, made.std) == (40, (0.5,), (0.2,))


def test_a_config_file_may_hold_data_and_folder_of_a_training(asked, tmp_path, capsys):
    argv = ["train", "plain", *toml(tmp_path, f'data = "{DATA}"\nout = "RUN"\nquiet = true\n')]
    assert main(argv) == 0
    assert (asked.data.spec, asked.out) == (DATA, "RUN")
    assert main(["train", "plain", *toml(tmp_path, 'out = "RUN"\n')]) == 2
    assert "explain train needs --data, typed or as data = in --config" in capsys.readouterr().err
    assert main(["train", "plain", "--data", DATA]) == 2
    assert "explain train needs --out" in capsys.readouterr().err


@pytest.mark.parametrize("text", [b"size = " + b"1" * 5000, b"a = " + b"[" * 5000, None])
def test_a_configuration_that_cannot_be_read_is_an_error_of_use(tmp_path, capsys, text):
    path = tmp_path / "explain.toml"
    os.mkfifo(path) if text is None else path.write_bytes(text)
    assert main(["run", "photos", "--config", str(path)]) == 2
    assert f"--config {path}: " in capsys.readouterr().err
