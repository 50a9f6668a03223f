"""One logit, one value, probabilities, labels that do not exclude each other, tuples: through a run, an evaluation, the
diagnosis and the notebook."""

from __future__ import annotations

import csv
import json
import warnings

import numpy as np
import pytest
import torch
from explainers.cli.main import main
from PIL import Image
from run_case import folder, rows

import explainers
from explainers.models import Preprocessing

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, behind):
        super().__init__()
        self.behind = behind
        self.conv = nn.Conv2d(3, 2, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([[1.0, 1, 1], [0, 0, 1]])[..., None, None] / 3)

    def forward(self, x):
        seen = self.conv(x)[:, :, :8, :8].mean((2, 3))
        return self.behind(20 * seen[:, :1] - 9, seen)


def logit(): return Net(lambda s, v: s)
def value(): return Net(lambda s, v: 40 + s)
def probability(): return Net(lambda s, v: s.sigmoid())
def softmax(): return Net(lambda s, v: torch.cat([s, -s, 0 * s], 1).softmax(1))
def labels(): return Net(lambda s, v: torch.cat([s, 0.5 * s, 0 * s], 1))
def pair(): return Net(lambda s, v: (v, torch.cat([s, 0.5 * s, 0 * s], 1)))
def named(): return Net(lambda s, v: {"seen": v, "head": torch.cat([s, 0.5 * s, 0 * s], 1)})
def dead(): return Net(lambda s, v: 0 * s - 1)
def second(returned): return returned[1]
"""
SIZE = ["--size", "24x24", "--mean", "0,0,0", "--std", "1,1,1", "-q", "--device", "cpu"]
TAKEN = Preprocessing(resize=(24, 24), mean=(0, 0, 0), std=(1, 1, 1))


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    return tmp_path / "net.py"


@pytest.fixture
def images(tmp_path):
    return folder(tmp_path / "in", ("a.png", "b.png"))


def scores_of(images, name):
    pixels = np.asarray(Image.open(images / name).convert("RGB"))
    return float(20 * TAKEN(pixels)[:, :8, :8].mean() - 9)


def explained(images, net, kind, out, *more):
    assert main([str(images), "--model", f"{net}:{kind}", "-o", str(out), *SIZE, *more]) == 0
    return rows(out)


def sigmoid(score):
    return 1 / (1 + np.exp(-score))


def test_the_table_has_the_probability_of_each_kind_of_output(images, net, tmp_path):
    watched = {
        "logit": lambda s: (sigmoid(s), "sigmoid (one score"),
        "probability": lambda s: (sigmoid(s), "none (probabilities already: the network ends in a sigmoid"),
        "softmax": lambda s: (np.exp([s, -s, 0])[0] / np.exp([s, -s, 0]).sum(), "none (probabilities already"),
        "labels": lambda s: (np.exp([s, 0.5 * s, 0])[0] / np.exp([s, 0.5 * s, 0]).sum(), "softmax (several scores"),
    }
    for kind, probability in watched.items():
        options = ["-m", "grad-cam@conv", "-m", "occlusion", "--target", "0"]
        for row in explained(images, net, kind, tmp_path / kind, *options):
            wanted, told = probability(scores_of(images, row["file"]))
            assert float(row["target_probability"]) == pytest.approx(wanted, abs=1e-5), kind
            assert row["activation"].startswith(told)
    manifest = json.loads((tmp_path / "logit/manifest.json").read_text())
    assert manifest["f(x)"] == "sigmoid (one score, taken as a logit)"


def test_labels_that_do_not_exclude_each_other_are_asked_for(images, net, tmp_path):
    found = explained(
        images, net, "labels", tmp_path / "out", "-m", "occlusion", "--target", "1", "--activation", "sigmoid"
    )
    for row in found:
        assert float(row["target_probability"]) == pytest.approx(
            sigmoid(0.5 * scores_of(images, row["file"])), abs=1e-5
        )
        assert row["activation"] == "sigmoid (as asked)"


@pytest.mark.parametrize("asked", [["--target", "not"], ["--target", "cat", "--labels"]])
def test_the_other_class_of_one_logit_is_asked_for_by_name(images, net, tmp_path, asked):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    asked = [*asked, str(tmp_path / "labels.txt")] if asked[-1] == "--labels" else asked
    methods = ["-m", "saliency", "-m", "occlusion"]
    it = explained(images, net, "logit", tmp_path / "it", *methods)
    other = explained(images, net, "logit", tmp_path / "not", *methods, *asked)
    for first, second in zip(it, other, strict=True):
        assert float(second["target_probability"]) == pytest.approx(1 - float(first["target_probability"]), abs=2e-6)
        assert (first["target"], second["target"]) == ("0", "not")
        assert second["target_name"] == ("cat" if "--labels" in asked else "not")
        with np.load(tmp_path / "it" / first["map"]) as a, np.load(tmp_path / "not" / second["map"]) as b:
            sign = 1 if first["method"] == "saliency" else -1  # saliency is a magnitude
            np.testing.assert_allclose(b["map"], sign * a["map"], atol=1e-6)


def test_two_labels_name_the_other_class_and_then_the_score(images, net, tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    labels = ["--labels", str(tmp_path / "labels.txt"), "-m", "saliency"]
    for row in explained(images, net, "logit", tmp_path / "dog", "--target", "dog", *labels):
        score = scores_of(images, row["file"])
        assert (row["target"], row["target_name"]) == ("0", "dog")
        assert float(row["target_probability"]) == pytest.approx(sigmoid(score), abs=1e-5)
        assert row["predicted_name"] == ("dog" if score > 0 else "cat")
        assert float(row["probability"]) == pytest.approx(sigmoid(abs(score)), abs=1e-5)


def test_a_value_has_no_probability_and_methods_that_watch_one_say_how_to_ask(images, net, tmp_path, capsys):
    for row in explained(images, net, "value", tmp_path / "cam", "-m", "saliency"):
        assert row["status"] == "ok"
        assert row["probability"] == ""
        assert "--activation none" in row["reason"]
    argv = [str(images), "--model", f"{net}:value", "-m", "occlusion", *SIZE, "-o", str(tmp_path / "refused")]
    assert main(argv) == 2  # nothing came of it
    assert all(row["status"] == "failed" and "--activation none" in row["reason"] for row in rows(tmp_path / "refused"))
    for row in explained(images, net, "value", tmp_path / "none", "-m", "occlusion", "--activation", "none"):
        assert float(row["probability"]) == pytest.approx(40 + scores_of(images, row["file"]), abs=1e-3)
    assert main(["evaluate", *argv[:-1], str(tmp_path / "evaluated"), "--no-figures"]) == 2
    assert "--activation none" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "spelled"), [("pair", "1"), ("pair", "net.py:second"), ("named", "head")])
def test_output_picks_the_scores_in_a_run_and_in_an_evaluation(images, net, tmp_path, capsys, kind, spelled):
    spelled = spelled.replace("net.py", str(net))
    argv = [str(images), "--model", f"{net}:{kind}", "-m", "occlusion", *SIZE]
    assert main([*argv, "-o", str(tmp_path / "no")]) == 2  # nothing came of it
    text = capsys.readouterr().err + str(rows(tmp_path / "no"))
    assert "--output 0" in text if kind == "pair" else "'head'" in text
    for row in explained(images, net, kind, tmp_path / "out", "-m", "occlusion", "--output", spelled, "--target", "1"):
        score = scores_of(images, row["file"])
        wanted = np.exp(0.5 * score) / (np.exp(score) + np.exp(0.5 * score) + 1)
        assert float(row["target_probability"]) == pytest.approx(wanted, abs=1e-5)
    more = ["-o", str(tmp_path / "scored"), "--no-figures", "--output", spelled, "--metric", "insertion"]
    assert main(["evaluate", *argv, *more]) == 0
    with (tmp_path / "scored/scores.csv").open(newline="") as file:
        assert {row["status"] for row in csv.DictReader(file)} == {"ok"}


def test_a_constant_map_is_never_ok_and_stays_done(images, net, tmp_path, capsys):
    argv = [str(images), "--model", f"{net}:dead", "-m", "occlusion", "-m", "rise", "-m", "grad-cam@conv"]
    argv += ["--masks", "64", *SIZE[:-3], "--device", "cpu", "-o", str(tmp_path / "out"), "--contact-sheet"]
    assert main(argv) == 0
    found = {row["method"]: row for row in rows(tmp_path / "out")}
    assert {found[name]["status"] for name in ("occlusion", "grad-cam@conv")} == {"constant"}
    assert "the same everywhere" in found["occlusion"]["reason"]
    assert "status constant" in capsys.readouterr().err
    assert main(argv) == 0
    assert "2 were done already" in capsys.readouterr().out
    loaded = explainers.load_model(f"{net}:dead", device="cpu")
    batch = torch.rand(3, 3, 24, 24)
    for name in ("occlusion", "grad-cam", "saliency"):
        options = {"layer": "conv"} if name == "grad-cam" else {}
        made = explainers.explain(loaded, batch, name, **options)
        assert made.status == ("constant",) * 3
        assert "3 of 3 the same everywhere" in repr(made)
    result = explainers.evaluate(loaded, batch, ["occlusion", "saliency"], ["insertion"])
    told = {row["explainer"]: (row["status"], row.get("value")) for row in result.rows}
    assert told["occlusion"] == told["saliency"] == ("constant", None)
    assert told["random"][0] == "ok"
    assert "occlusion: 3 images with a map that is the same everywhere" in str(result)


@pytest.mark.parametrize("kind", ["logit", "probability", "softmax"])
def test_an_evaluation_watches_the_same_probability_as_the_methods(net, kind):
    loaded = explainers.load_model(f"{net}:{kind}", device="cpu")
    batch = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    score = 20 * batch[:, :, :8, :8].mean((1, 2, 3)) - 9
    wanted = score.sigmoid() if kind != "softmax" else torch.stack([score, -score, 0 * score], 1).softmax(1)[:, 0]
    metric = explainers.create_metric("insertion", baseline="zero", steps=4)
    result = explainers.evaluate(loaded, batch, ["occlusion"], [metric], 0)
    for row in result.rows:
        assert row["probability"] == pytest.approx(float(wanted[int(row["image"])]), abs=1e-5)
        assert row["curve"].values[-1] == pytest.approx(row["probability"], abs=1e-6)
    assert "f(x): " in str(result)
    means = {name: result.summary().cells[name, "insertion"].value for name in ("occlusion", "random")}
    assert means["occlusion"] > means["random"]
    if kind != "softmax":
        other = explainers.evaluate(loaded, batch, ["occlusion"], [metric], "not")
        for first, second in zip(result.rows, other.rows, strict=True):
            assert second["probability"] == pytest.approx(1 - first["probability"], abs=1e-6)


def test_the_diagnosis_says_which_reading_is_in_force(net):
    batch = torch.rand(1, 3, 24, 24)
    told = {
        kind: explainers.diagnose(explainers.load_model(f"{net}:{kind}", device="cpu"), batch)
        for kind in ("logit", "value", "softmax", "labels", "pair")
    }
    assert told["logit"].activation == "sigmoid (one score, taken as a logit)"
    assert "ends in a softmax" in told["softmax"].activation
    assert "--activation sigmoid" in " ".join(told["labels"].notes)
    assert "--target not" in " ".join(told["logit"].notes)
    assert "too large for a logit" in told["value"].methods["occlusion"]
    assert "too large for a logit" in told["value"].methods["score-cam"]
    assert "f(x)         sigmoid" in str(told["logit"])
    assert "--output 1" in " ".join(told["pair"].notes)


def test_captions_of_the_notebook_name_the_class_and_its_probability(net):
    batch = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    score = float(20 * batch[:, :, :8, :8].mean() - 9)
    loaded = explainers.load_model(f"{net}:logit", device="cpu")
    assert explainers.explain(loaded, batch, "saliency").label(0, 0) == f"class 0 {sigmoid(score):.2f}"
    names = ("cat", "dog")
    for target, name, value in (
        ("cat", "cat", 1 - sigmoid(score)),
        ("dog", "dog", sigmoid(score)),
        ("not", "cat", None),
    ):
        made = explainers.explain(loaded, batch, "saliency", target, class_names=names)
        assert made.label(0, int(made.targets[0])) == f"{name} {(1 - sigmoid(score)) if value is None else value:.2f}"
    made = explainers.explain(explainers.load_model(f"{net}:value", device="cpu"), batch, "saliency")
    assert made.label(0, 0) == f"class 0 {40 + score:.3g}"


def notes(text):
    return [line for line in text.splitlines() if line.startswith("explain: note: the network gives one score")]


@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_one_note_says_that_one_score_is_taken_for_a_logit(images, net, tmp_path, capsys, command):
    folder(images, [f"{number}.png" for number in range(11)])  # of several batches
    argv = [command, str(images), "-m", "saliency", *SIZE, "-o", str(tmp_path / "out"), "--batch-size", "2"]
    argv.remove("-q")
    argv += ["--no-figures", "--metric", "sparseness"] if command == "evaluate" else []
    assert main([*argv, "--model", f"{net}:logit"]) == 0
    (told,) = notes(capsys.readouterr().err)
    assert "taken as a logit" in told
    assert "Use --activation none if it is a value, or --activation sigmoid" in told
    for asked in ("sigmoid", "none"):  # nothing is assumed
        assert main([*argv, "--model", f"{net}:logit", "--activation", asked, "--overwrite"]) == 0
        assert notes(capsys.readouterr().err) == []
    assert main([*argv, "--model", f"{net}:softmax", "--overwrite"]) == 0
    assert notes(capsys.readouterr().err) == []


def test_one_note_and_the_column_say_that_one_score_is_too_large_for_a_logit(images, net, tmp_path, capsys):
    argv = [str(images), "--model", f"{net}:value", *SIZE, "-o", str(tmp_path / "out"), "--batch-size", "1"]
    argv.remove("-q")
    assert main([*argv, "-m", "saliency"]) == 0
    (told,) = notes(capsys.readouterr().err)
    assert "too large for a logit" in told
    assert "--activation none" in told
    assert "--activation sigmoid" in told
    assert {row["activation"] for row in rows(tmp_path / "out")} == {"none (one score, too large for a logit)"}


def test_images_whose_score_is_too_large_fail_in_one_line(images, net, tmp_path, capsys):
    (tmp_path / "some.py").write_text(
        NET.replace("Net(lambda s, v: 40 + s)", "Net(lambda s, v: torch.where(v[:, :1] > 0.4, 40 + s, s))")
    )
    for name, level in (("light1", 200), ("light2", 220), ("dark", 20)):
        Image.fromarray(np.full((24, 24, 3), level, np.uint8)).save(images / f"{name}.png")
    for name in ("a", "b"):
        (images / f"{name}.png").unlink()
    argv = [str(images), "--model", f"{tmp_path / 'some.py'}:value", *SIZE, "-m", "occlusion"]
    assert main([*argv, "-o", str(tmp_path / "out")]) == 1
    failed = [line for line in capsys.readouterr().err.splitlines() if "too large for a logit" in line]
    assert len(failed) == 1
    assert "light1.png, light2.png: " in failed[0]


def test_the_doctor_says_what_one_score_is_taken_for(net, capsys):
    argv = ["doctor", *SIZE]
    argv.remove("-q")
    main([*argv, "--model", f"{net}:logit"])
    told = capsys.readouterr().out
    assert "f(x)         sigmoid (one score, taken as a logit)" in told
    assert told.count("Use --activation none if it is a value, or --activation sigmoid") == 1
    main([*argv, "--model", f"{net}:value"])
    told = capsys.readouterr().out
    assert "f(x)         none (one score, too large for a logit)" in told
    assert "Use --activation none to watch the score itself, or --activation sigmoid if it is one" in told


def test_the_notebook_warns_of_one_score(net):
    batch = torch.rand(1, 3, 24, 24)
    for kind, told, activation in (
        ("logit", "taken as a logit", "sigmoid (one score, taken as a logit)"),
        ("value", "too large for a logit.*activation=None.*activation='sigmoid'", "none (one score, too large for"),
    ):
        loaded = explainers.load_model(f"{net}:{kind}", device="cpu")
        with pytest.warns(UserWarning, match=told):
            made = explainers.explain(loaded, batch, "saliency")
        assert made.activation.startswith(activation)
    loaded = explainers.load_model(f"{net}:value", device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = explainers.explain(loaded, batch, "saliency", activation=None)
    assert made.activation == "none (as asked)"
    made = explainers.explain(loaded, batch, "occlusion", activation=None)
    assert made.details[0]["activation"] == "none (as asked)"
