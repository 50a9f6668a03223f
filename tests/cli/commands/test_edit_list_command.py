"""From a training to painted maps to a training that has learnt them, by the command line alone."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from explainers.cli.main import main
from explainers.cli.parser import parser
from explainers.cli.training.settings import training_settings
from PIL import Image, ImageDraw
from safetensors.torch import load_file
from training_case import command

import explainers
from explainers.baselines import HumanKnowledge, Settings, SizeBarrier, Throughout
from explainers.data.sets import data_set

DATA = "magnetogram:size=32,train=48,val=24,test=24"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("first") / "RUN"
    assert main(command(out, "--epochs", "6", "--batch-size", "8", "-q", data=DATA)) == 0
    return out


@pytest.fixture(scope="module")
def listed(run):
    out = run.parent / "EDIT"
    assert main(["edit-list", str(run), "--out", str(out), "--device", "cpu", "-q", "--limit", "6"]) == 0
    return out


@pytest.fixture
def edit(listed, tmp_path, capsys):
    """Maps of which none is edited."""
    capsys.readouterr()
    return Path(shutil.copytree(listed, tmp_path / "EDIT"))


def rows_of(edit):
    with (edit / "edit-list.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def painted(edit, row):
    """Black, with a white square at the lower left."""
    with Image.open(edit / row["map"]) as image:
        canvas = Image.new("L", image.size, 0)
    ImageDraw.Draw(canvas).rectangle((0, 224, 223, 447), fill=255)
    canvas.save(edit / row["map"])


def map_of(run, name):
    """The network's own map of a training image, and its answer."""
    loaded, split = explainers.load_model(run, device="cpu"), data_set(DATA).train
    image = loaded.preprocessing(split.pixels(split.names.index(name)))
    with torch.no_grad():
        made = loaded.network.forward_branches(image[None])
    return made.attention_map[0, 0].numpy(), made.logits.softmax(1)[0]


def tune(run, edit, out, *more):
    argv = ["train", "abn", "--resume-from", str(run), "--edited", str(edit), "--out", str(out), "--device", "cpu"]
    return main([*argv, "--epochs", "2", "--batch-size", "8", "--lr", "0.003", *more])


def test_a_painted_map_is_checked_and_learnt(run, edit, tmp_path, capsys):
    rows = rows_of(edit)
    for row in rows[:2]:
        painted(edit, row)
    assert main(["edit-list", str(run), "--out", str(edit), "--check", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    number = r"\d\.\d{3}"
    for row, line in zip(rows[:2], lines[:2], strict=True):
        present = rf"present {row['predicted_class']} {number} \(true {number}\)"
        told = rf"{row['image']} +{row['true_class']}: {present}, edited (no-)?flare {number} \(true {number}\)"
        assert re.fullmatch(told, line)
    assert re.fullmatch(r"2 edited maps: 0 images right with the present ones, \d with the edited ones", lines[2])

    out = tmp_path / "TUNED"
    strong = ["--loss", "human-knowledge:share=1,weight=5"]  # so that few steps suffice
    assert tune(run, edit, out, *strong, "--preview") == 0
    printed = capsys.readouterr()
    assert f"explain: note: 2 edited maps in {edit}\n" in printed.err
    lines = printed.out.splitlines()
    before, after = (json.loads((folder / "result.json").read_text()) for folder in (run, out))
    for place, split in ((1, "val"), (3, "test")):
        assert f"accuracy {before[split]['accuracy']:.4g}," in lines[place]
        assert lines[place].endswith("(before)")
        assert f"accuracy {after[split]['accuracy']:.4g}," in lines[place + 1]
        assert lines[place + 1].endswith("(after)")
    square = np.zeros((4, 4), np.float32)
    square[2:, :2] = 1
    found = []
    for row in rows[:2]:
        own = [map_of(folder, row["image"])[0] for folder in (run, out)]
        wanted = np.kron(square, np.ones((own[0].shape[0] // 4, own[0].shape[1] // 4), np.float32))
        distances = [float(np.linalg.norm(wanted - each)) for each in own]
        assert distances[1] < 0.9 * distances[0]
        found.append(distances)
    means = np.mean(found, axis=0)
    assert re.fullmatch(
        rf"edited images: 0 of 2 right before, \d after; distance of their maps to the edited ones {means[0]:.3f} "
        rf"before, {means[1]:.3f} after",
        lines[5],
    )
    assert lines[6] == f"drawn {out / 'preview-001.png'}"
    with Image.open(out / "preview-001.png") as image:
        assert image.width == 4 * (224 + 8) + 8

    config = json.loads((out / "run.json").read_text())
    first = json.loads((run / "run.json").read_text())
    for part in ("data", "preprocessing", "class_names"):
        assert config[part] == first[part]
    assert config["network"]["options"] == first["network"]["options"]
    assert config["settings"]["plan"]["frozen"] == ["features"]
    assert [loss["kind"] for loss in config["settings"]["losses"]] == ["CrossEntropy", "CrossEntropy", "HumanKnowledge"]
    one, two = (explainers.load_model(folder, device="cpu").network.features.state_dict() for folder in (run, out))
    assert all(torch.equal(value, two[name]) for name, value in one.items())

    # The same command tells the same; another painting is another training.
    assert tune(run, edit, out, *strong) == 0
    assert capsys.readouterr().out.splitlines()[:6] == lines[:6]
    painted(edit, rows[2])
    assert tune(run, edit, out, *strong) == 2
    assert "holds a training that differs in given.edited (" in capsys.readouterr().err


def test_masks_can_stand_for_edited_maps(run, tmp_path, capsys):
    out = tmp_path / "TUNED"
    assert tune(run, "masks", out, "--freeze", "none", "--loss", "human-knowledge:gamma=0.5", "--json") == 0
    printed = capsys.readouterr()
    split = data_set(DATA).train
    count = sum(split.mask(index) is not None for index in range(len(split)))
    assert f"explain: note: masks of {count} of 48 training images stand for edited maps\n" in printed.err
    told = json.loads(printed.out)
    assert told["edited"]["images"] == count
    with (out / "log.csv").open(newline="") as file:
        distances = [float(row["train_human-knowledge"]) for row in csv.DictReader(file)]
    assert distances[1] < distances[0]
    assert told["start"]["val"] == pytest.approx(json.loads((run / "result.json").read_text())["val"], abs=1e-6)
    config = json.loads((out / "run.json").read_text())
    assert config["settings"]["plan"]["frozen"] == []
    assert config["settings"]["losses"][2]["gamma"] == 0.5


def test_another_training_is_a_start_without_edited_maps(run, tmp_path, capsys):
    out = tmp_path / "MORE"
    argv = ["train", "abn", "--resume-from", str(run), "--out", str(out), "--device", "cpu", "--epochs", "1", "-q"]
    assert main([*argv, "--data", "magnetogram:size=48,train=16,val=8,test=0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["best", "val", "val", "run", "next", "report"]
    config = json.loads((out / "run.json").read_text())
    assert config["network"]["start"]
    assert config["settings"]["plan"]["frozen"] == []
    assert len(config["settings"]["losses"]) == 2


def test_attention_mining_starts_from_an_attention_branch_network_and_learns_painted_maps(run, edit, tmp_path, capsys):
    out = tmp_path / "MINING"
    painted(edit, rows_of(edit)[0])
    argv = ["train", "amb", "--resume-from", str(run), "--edited", str(edit), "--option", "threshold=0.4"]
    assert main([*argv, "--out", str(out), "--device", "cpu", "--epochs", "1", "--batch-size", "16", "-q"]) == 0
    assert "edited images: " in capsys.readouterr().out
    config = json.loads((out / "run.json").read_text())
    first = json.loads((run / "run.json").read_text())["network"]["options"]
    assert config["network"]["name"] == "amb"
    assert config["network"]["options"]["threshold"] == 0.4
    assert config["network"]["options"]["backbone"] == first["backbone"]
    losses = {loss["name"] for loss in config["settings"]["losses"]}
    assert {"perception", "attention", "human-knowledge"} < losses
    counted = {name for part in config["settings"]["plan"]["parts"] for name in part["losses"]}
    assert counted == losses
    assert all(part["frozen"] == ["features"] for part in config["settings"]["plan"]["parts"])
    one, two = (explainers.load_model(folder, device="cpu").network.features.state_dict() for folder in (run, out))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_the_list_tells_what_it_wrote_and_keeps_what_was_edited(run, tmp_path, capsys):
    out = tmp_path / "EDIT"
    argv = ["edit-list", str(run), "--out", str(out), "--device", "cpu"]
    assert main([*argv, "--all", "--limit", "3"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        printed.out.splitlines()[0],
        f"maps  {out / 'maps'}: paint on them, black for 0, white for 1",
        f"table {out / 'edit-list.csv'}",
        f"next  explain edit-list {run} --out {out} --check",
    ]
    assert re.fullmatch(r"\d+ of \d+ training images misread; 3 in the list", printed.out.splitlines()[0])
    painted(out, rows_of(out)[0])
    before = (out / rows_of(out)[0]["map"]).read_bytes()
    assert main([*argv, "--all", "--limit", "3", "--preview"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "explain: note: 1 map was edited before and kept as it is\n"
    assert printed.out.splitlines()[-1] == f"drawn {out / 'preview-001.png'}"
    assert (out / rows_of(out)[0]["map"]).read_bytes() == before
    assert main([*argv, "--overwrite"]) == 2
    assert "has 1 edited map" in capsys.readouterr().err
    assert main([*argv, "--all", "--limit", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["map"] for row in told["rows"]] == [row["map"] for row in rows_of(out)]
    assert main(["verify", str(out)]) == 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["edit-list", "RUN"], "explain edit-list needs --out, the folder of the maps to edit"),
        (
            ["edit-list", "RUN", "--out", "EDIT", "--check", "--all"],
            "--check writes nothing, so there is nothing for --all",
        ),
        (["edit-list", "RUN", "--out", "EDIT", "--check"], "none of the "),
        (["edit-list", "RUN", "--out", "RUN"], "is the training itself; choose another folder for the maps to edit"),
        (["train", "abn", "--out", "NEW", "--data", DATA, "--edited", "EDIT"], "name that with --resume-from RUN"),
        (
            ["train", "abn", "--out", "NEW", "--resume-from", "RUN", "--preview"],
            "--preview draws edited maps; name them",
        ),
        (["train", "abn", "--out", "NEW", "--resume-from", "RUN", "--edited", "EDIT"], "none of the "),
        (
            ["train", "abn", "--out", "NEW", "--resume-from", "RUN", "--edited", "RUN"],
            "was written by explain train; for edited maps give the folder that explain edit-list wrote",
        ),
        (["train", "abn", "--out", "NEW", "--resume-from", "EDIT"], "was written by explain edit-list; give the "),
        (
            ["train", "abn", "--out", "NEW", "--resume-from", "RUN", "--weights", "DEFAULT"],
            "and --resume-from brings all weights; leave one out",
        ),
        (
            ["train", "plain", "--out", "NEW", "--resume-from", "RUN", "--edited", "masks"],
            "plain makes no attention map",
        ),
        (
            ["train", "abn", "--out", "RUN", "--resume-from", "RUN"],
            "is the training to start from, which stays as it is",
        ),
        (
            ["train", "abn", "--out", "NEW", "--resume-from", "RUN", "--freeze", "none", "--freeze", "head"],
            "--freeze none --freeze head; none stands alone",
        ),
    ],
)
def test_wrong_input_is_one_error_before_the_first_epoch(run, edit, tmp_path, capsys, argv, message):
    places = {"RUN": str(run), "EDIT": str(edit), "NEW": str(tmp_path / "NEW")}
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    assert main([*(places.get(each, each) for each in argv), "--device", "cpu"]) == 2
    printed = capsys.readouterr()
    errors = [line for line in printed.err.splitlines() if line.startswith("explain: error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "explain: epoch" not in printed.err
    assert not (tmp_path / "NEW").exists()
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_painted_pictures_that_are_no_maps_stop_before_the_first_epoch(run, edit, tmp_path, capsys):
    rows = rows_of(edit)
    painted(edit, rows[0])
    shutil.copy(edit / rows[0]["map"], edit / "maps" / "not-an-image.png")
    assert tune(run, edit, tmp_path / "NEW") == 2
    assert "not-an-image.png is the map of no image in edit-list.csv" in capsys.readouterr().err
    (edit / "maps" / "not-an-image.png").unlink()
    with Image.open(edit / rows[1]["map"]) as image:
        coloured = image.convert("RGB")
    coloured.putpixel((7, 9), (0, 200, 0))
    coloured.save(edit / rows[1]["map"])
    assert tune(run, edit, tmp_path / "NEW") == 2
    assert f"the map {edit / rows[1]['map']} has colours, such as 0, 200, 0 in row 9" in capsys.readouterr().err
    (edit / rows[1]["map"]).write_bytes((edit / rows[0]["map"]).read_bytes()[:300])
    assert tune(run, edit, tmp_path / "NEW") == 2
    assert f"{edit / rows[1]['map']} is damaged" in capsys.readouterr().err
    assert not (tmp_path / "NEW").exists()


@pytest.mark.parametrize(
    ("typed", "plan", "losses"),
    [
        ([], Throughout(frozen=("features",)), (HumanKnowledge(),)),
        (["--freeze", "none"], None, (HumanKnowledge(),)),
        (["--freeze", "features", "--freeze", "head"], Throughout(frozen=("features", "head")), (HumanKnowledge(),)),
        (
            ["--loss", "human-knowledge:share=1", "--loss", "size-barrier"],
            Throughout(frozen=("features",)),
            (HumanKnowledge(share=1), SizeBarrier()),
        ),
        (["--loss", "size-barrier"], Throughout(frozen=("features",)), (SizeBarrier(), HumanKnowledge())),
    ],
)
def test_features_rest_and_the_maps_are_learnt_unless_flags_say_otherwise(run, typed, plan, losses):
    argv = ["train", "abn", "--out", "NEW", "--resume-from", str(run), "--edited", "masks", *typed]
    assert training_settings(parser().parse_args(argv)) == Settings(plan=plan, more_losses=losses)


@pytest.mark.parametrize("network", ["f-cam", "gain"])
def test_edits_of_a_network_whose_scores_ignore_its_map_are_told_of_and_learnt(network, run, tmp_path, capsys):
    first, edit, out = tmp_path / "FIRST", tmp_path / "EDIT", tmp_path / "TUNED"
    small = ["--epochs", "1", "--batch-size", "8", "--device", "cpu"]
    start = ["--data", "magnetogram:size=32,train=16,val=8,test=8"]
    if network == "f-cam":
        assert main(["train", "plain", *start, "--out", str(tmp_path / "PLAIN"), *small, "-q"]) == 0
        start, small = ["--resume-from", str(tmp_path / "PLAIN")], [*small, "--option", "width=8"]
    assert main(["train", network, *start, "--out", str(first), *small, "-q"]) == 0
    capsys.readouterr()
    why = f"the scores of {network} do not depend on its map"
    assert main(["edit-list", str(first), "--out", str(edit), "--all", "--limit", "2", "--device", "cpu"]) == 0
    told = capsys.readouterr()
    assert why in told.err
    assert (
        told.out.splitlines()[-1] == f"next  explain train {network} --resume-from {first} --edited {edit} --out TUNED"
    )
    painted(edit, rows_of(edit)[0])
    assert main(["edit-list", str(first), "--out", str(edit), "--check", "--device", "cpu"]) == 0
    assert why in capsys.readouterr().err
    tuning = ["train", network, "--resume-from", str(first), "--edited", str(edit), "--out", str(out), *small[:6]]
    assert main([*tuning, "--epochs", "4" if network == "gain" else "1", "--lr", "0.01", "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)["edited"]
    if network == "gain":
        assert outcome["distance_after"] < outcome["distance_before"]
        return
    with (out / "log.csv").open(newline="") as file:
        assert all(float(row["train_human-knowledge"]) > 0 for row in csv.DictReader(file))
    before, after = (load_file(each / "best.safetensors") for each in (first, out))
    assert {name.partition(".")[0] for name in after if not torch.equal(before[name], after[name])} == {
        "decoder",
        "to_map",
    }
