"""`explain drift`: the epochs of a training, files of weights, whole models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from drift_case import LIGHT, SIZE, of_files, table
from explainers.cli.main import main
from PIL import Image, ImageSequence
from training_case import command

from explainers.baselines.training.run_folder import read_run
from explainers.models.factory import function_from
from explainers.render.sheet import SCALE
from explainers.run.report.report import make_report
from explainers.storage.verify import verify


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A training that kept each of its three epochs."""
    out = tmp_path_factory.mktemp("trained") / "RUN"
    assert main(command(out, "--epochs", "3", "--keep-every", "1", "-q", network="plain")) == 0
    return out


def test_the_epochs_of_a_training_beside_its_best(kept, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["drift", str(kept), "--out", str(out), "-m", "saliency", *LIGHT]) == 0
    best = min(read_run(kept).history, key=lambda row: row["val_loss"])["epoch"]
    names = [f"best, epoch {each}" if each == best else f"epoch {each}" for each in (1, 2, 3)]
    rows = table(out / "networks.csv")
    assert sorted(row["checkpoint"] for row in rows) == sorted(names)
    assert {row["layer"] for row in rows} == {"fc"}
    drift = table(out / "drift.csv")
    assert len({row["image"] for row in drift}) == 16
    own = [row for row in drift if row["checkpoint"] == f"best, epoch {int(best)}"]
    assert all(float(row[key]) == pytest.approx(1, abs=1e-9) for row in own for key in ("ssim", "spearman", "top-k"))
    text = capsys.readouterr().out
    assert "random maps" in text
    assert f"tables and figures  {out}" in text
    found = verify(out)
    assert found.command == "drift"
    assert not found.problems
    shown = make_report(out).read_text()  # both tables of the terminal, as they stand there
    assert shown.count("<table>") == 2
    cells = [cell.strip() for line in (out / "summary.md").read_text().split("\n|") for cell in line.split(" | ")[1:-1]]
    assert all(f">{cell}</t" in shown for cell in cells)


@pytest.mark.parametrize("wanted", ["best", "1", "net-5.pt"])
def test_the_reference_is_the_one_asked_for(kept, weights, tmp_path, wanted):
    if wanted.endswith(".pt"):
        assert main(of_files(weights, tmp_path / "o", "--reference", wanted, "-m", "saliency")) == 0
        name = wanted
    else:
        asked = ["--reference", wanted, "--images", "4"]
        assert main(["drift", str(kept), "--out", str(tmp_path / "o"), "-m", "saliency", *LIGHT, *asked]) == 0
        best = int(min(read_run(kept).history, key=lambda row: row["val_loss"])["epoch"])
        name = f"best, epoch {best}" if wanted == "best" or best == int(wanted) else f"epoch {wanted}"
    assert json.loads((tmp_path / "o/manifest.json").read_text())["reference"]["name"] == name


def test_files_of_weights_stand_in_the_order_of_their_numbers(weights, tmp_path, capsys):
    assert main([*of_files(weights, tmp_path / "out", "-m", "saliency"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["checkpoint"] for row in found["networks"]] == ["net-1.pt", "net-5.pt", "net-20.pt"]
    assert [row["epoch"] for row in found["networks"]] == [1, 5, 20]
    values = {
        row["checkpoint"]: row["value"]
        for row in found["likeness"]
        if (row["group"], row["similarity"], row["kind"]) == ("all", "spearman", "checkpoint")
    }
    assert values["net-1.pt"] == pytest.approx(1)
    assert values["net-5.pt"] > values["net-20.pt"]


def test_whole_models_and_another_seed(weights, kept, tmp_path):
    spec = f"{weights / 'net.py'}:make"
    data = ["--data", str(weights / "images"), *SIZE]
    models = ["--model", spec, "--weights", str(weights / "net-1.pt"), "--other-seed", str(weights / "net-20.pt")]
    assert main(["drift", *models, *data, "--out", str(tmp_path / "a"), "-m", "saliency", *LIGHT]) == 0
    kinds = {row["checkpoint"]: row["kind"] for row in table(tmp_path / "a/networks.csv")}
    assert kinds == {spec: "checkpoint", f"other seed {weights / 'net-20.pt'}": "network seed"}
    copied = shutil.copytree(kept, tmp_path / "copy")
    both = ["--model", str(kept), "--model", str(copied), "--out", str(tmp_path / "b"), "--images", "6"]
    assert main(["drift", *both, "-m", "saliency", *LIGHT]) == 0
    rows = [row for row in table(tmp_path / "b/drift.csv") if row["checkpoint"] == str(copied)]
    assert len(rows) == 6
    assert all(float(row["ssim"]) == pytest.approx(1) for row in rows)


def test_checkpoints_that_do_not_fit_cost_themselves_with_their_names(weights, tmp_path, capsys):
    root = shutil.copytree(weights, tmp_path / "in")
    state = torch.load(root / "net-5.pt")
    torch.save({**state, "4.bias": state["4.bias"] * float("nan")}, root / "net-6.pt")
    torch.save(function_from(f"{root / 'net.py'}:other")().state_dict(), root / "net-7.pt")
    (root / "net-8.pt").write_bytes((root / "net-5.pt").read_bytes()[:200])
    (root / "images/a/broken.png").write_bytes(b"no image")
    assert main(of_files(root, tmp_path / "out", "-m", "saliency")) == 1
    errors = capsys.readouterr().err
    assert "explain: failed: net-6.pt: weights are NaN or infinite: 4.bias" in errors
    assert "explain: failed: net-7.pt: the weights in" in errors
    assert "of another shape (4.weight (5, 4) in the file, (3, 4) in the network" in errors
    assert "explain: failed: net-8.pt:" in errors
    assert "explain: failed: a/broken.png: " in errors
    rows = table(tmp_path / "out/networks.csv")
    good = [row["checkpoint"] for row in rows if row["status"] != "failed"]
    assert good == ["net-1.pt", "net-5.pt", "net-20.pt"]
    whole = tmp_path / "whole"
    assert main(of_files(weights, whole, "-m", "saliency")) == 0
    assert (whole / "drift.csv").read_text() == (tmp_path / "out/drift.csv").read_text()


@pytest.mark.parametrize(("limit", "code"), [("-1", 0), ("0.999999", 1), ("ssim:1", 1), ("top-k:0", 0)])
def test_fail_under_is_an_exit_code(weights, tmp_path, limit, code, capsys):
    line = [each for each in of_files(weights, tmp_path / "out", "-m", "saliency") if each != "-q"]
    assert main([*line, "--fail-under", limit]) == code
    assert ("net-20.pt, saliency: " in capsys.readouterr().err) == bool(code)


def test_only_the_groups_are_explained_and_groups_of_the_users_are_told(weights, tmp_path):
    asked = ["--images", "groups", "--per-class", "1,1,0", "-m", "saliency"]
    assert main(of_files(weights, tmp_path / "a", *asked)) == 0
    rows = table(tmp_path / "a/drift.csv")
    assert {row["group"] for row in rows} <= {"A", "B"}
    assert len({row["image"] for row in rows}) < 9 == len({row["image"] for row in table(tmp_path / "a/scores.csv")})
    (tmp_path / "groups.csv").write_text(
        "age,file\n" + "".join(f"{'young' if n < 4 else ''},{'abc'[n % 3]}/{n}.png\n" for n in range(9))
    )
    by = ["--group-by", f"{tmp_path / 'groups.csv'}:age", "-m", "saliency"]
    assert main(of_files(weights, tmp_path / "b", *by)) == 0
    groups = {row["image"]: row["group"] for row in table(tmp_path / "b/drift.csv")}
    assert sorted(name for name, group in groups.items() if group == "young") == [
        "a/0.png",
        "a/3.png",
        "b/1.png",
        "c/2.png",
    ]
    assert {row["group"] for row in table(tmp_path / "b/summary.csv")} == {"all", "young"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ([], "nothing to compare"),
        (["{root}/images"], "holds nothing of explain train (no run.json); give files of weights, or the folder"),
        (["{root}/missing.pt"], "missing.pt; give files of weights, or the folder that explain train wrote"),
        (["{root}/net-1.pt"], "name the network that they belong to (--model)"),
        (["{kept}", "{root}/net-1.pt"], "not both"),
        (["{root}/net-1.pt", "--model", "{root}/net.py:make", "--data", "{root}/images"], "there is one network"),
        (["{root}/net-*.pt", "--model", "{root}/net.py:make"], "give --data"),
        (["{kept}", "--reference", "77"], "none of the networks; they are"),
        (["{kept}", "--images", "some"], "a number of images, all, or groups"),
        (["{kept}", "--fail-under", "psnr:1"], "such as ssim:0.8"),
        (["{kept}", "--fail-under", "2"], "in -1 … 1"),
        (["{kept}", "--target", "dog"], "no class 'dog'"),
        (["{kept}", "--group-by", "table.csv"], "TABLE.csv:COLUMN"),
        (["{kept}", "--ground-truth", "folders"], "are known; leave it out"),
        (["{root}/net-*.pt", "--model", "{root}/net.py:make", "--data", "{root}/images"], "how net-1.pt takes a photo"),
    ],
)
def test_what_cannot_be_is_refused(weights, kept, tmp_path, capsys, line, words):
    filled = [each.format(root=weights, kept=kept) for each in line]
    assert main(["drift", *filled, "--out", str(tmp_path / "out"), *LIGHT]) == 2
    assert words in capsys.readouterr().err


def test_a_training_that_kept_nothing_says_how_to_keep_more(tmp_path, capsys):
    out = tmp_path / "RUN"
    assert main(command(out, "--epochs", "1", "-q", network="plain")) == 0
    assert main(["drift", str(out), "--out", str(tmp_path / "out"), *LIGHT]) == 2
    assert "train with --keep-every N" in capsys.readouterr().err


def test_pictures_show_every_network(weights, tmp_path):
    out = tmp_path / "out"
    drawn = [each for each in of_files(weights, out, "-m", "saliency", "-m", "grad-cam") if each != "--no-figures"]
    assert main([*drawn, "--film", "2"]) == 0
    charts = [f"figure-{each}.png" for each in ("scores", "training")]
    charts += [f"figure-similarity-{each}.png" for each in ("spearman", "pearson", "ssim", "top-k")]
    changed = ["figure-changed-saliency.png", "figure-changed-grad-cam.png"]
    strips = sorted(path.stem for path in out.glob("figure-film-*.png"))
    assert len(strips) == 2
    made = sorted(path.name for path in out.glob("figure-*"))
    assert made == sorted([*charts, *changed, *(f"{each}{kind}" for each in strips for kind in (".png", ".webp"))])
    for each in strips:
        with Image.open(out / f"{each}.webp") as film:
            assert film.n_frames == 3
            frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]
        assert not np.array_equal(frames[0], frames[2])
        with Image.open(out / f"{each}.png") as strip:
            cell = 112 + 8
            assert strip.size == (4 * cell + 8, 2 * (cell + 2 * 17 + SCALE) + 8)
    before = {path.name for path in out.glob("figure-*.png")}
    assert main([*drawn, "--film", "2", "--figures", "svg"]) == 0
    names = {path.name for path in out.glob("figure-*")}
    assert names == {name.replace(".png", ".svg") for name in before} | {f"{each}.webp" for each in strips}
    assert ">saliency</text>" in (out / "figure-similarity-spearman.svg").read_text()
    assert ">reference</text>" in (out / f"{strips[0]}.svg").read_text()


def test_an_epoch_that_is_not_as_it_was_kept_is_found_and_costs_itself(kept, tmp_path, capsys):
    run = Path(shutil.copytree(kept, tmp_path / "RUN"))
    epochs = {row["epoch"]: run / f"epochs/{int(row['epoch']):04d}.safetensors" for row in read_run(run).history}
    best = min(read_run(run).history, key=lambda row: row["val_loss"])["epoch"]
    broken, other = (path for epoch, path in epochs.items() if epoch != best)
    broken.write_bytes(other.read_bytes())  # a whole file of weights, but of another epoch
    capsys.readouterr()
    assert main(["verify", str(run)]) == 1
    assert f"epochs/{broken.name} has another content than was written\n" in capsys.readouterr().out
    out = tmp_path / "out"
    assert main(["drift", str(run), "--out", str(out), "-m", "saliency", *LIGHT]) == 1
    told = capsys.readouterr()
    assert f"epoch {int(broken.stem)}" in told.err
    assert f"{broken} has another content than was written by the training in {run}, so it is not compared" in told.err
    assert {row["checkpoint"] for row in table(out / "drift.csv")} >= {f"best, epoch {int(best)}"}
    assert f"epoch {int(broken.stem)}" not in {row["checkpoint"] for row in table(out / "drift.csv")}
    broken.unlink()
    (run / "epochs/0009.safetensors").write_bytes(other.read_bytes())
    assert main(["verify", str(run)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"epochs/{broken.name} is missing" in lines
    assert "epochs/0009.safetensors is not listed: an earlier version, or somebody else, wrote it" in lines


def test_where_every_checkpoint_failed_there_is_one_reason_and_code_two(weights, tmp_path, capsys):
    root = shutil.copytree(weights, tmp_path / "in")
    state = torch.load(root / "net-1.pt")
    for number in (5, 20):
        torch.save({**state, "4.bias": state["4.bias"] * float("nan")}, root / f"net-{number}.pt")
    argv = of_files(root, tmp_path / "out", "-m", "saliency")
    assert main(argv) == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors[0] == "explain: failed: net-5.pt, net-20.pt: weights are NaN or infinite: 4.bias"
    assert errors[1].startswith("explain: error: nothing could be compared with net-1.pt")
    assert len(errors) == 2
    assert json.loads((tmp_path / "out/manifest.json").read_text())["status"] == "failed"
    state.pop("4.bias")
    for number in (5, 20):
        torch.save(state, root / f"net-{number}.pt")  # a reason with the file's path
    assert main([*argv, "--overwrite"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith("explain: failed: net-5.pt, net-20.pt: ")


def test_the_footer_says_why_a_trainings_scores_are_logits(kept, tmp_path, capsys):
    assert main(["drift", str(kept), "--out", str(tmp_path / "out"), "-m", "saliency", "--images", "4", *LIGHT]) == 0
    told = capsys.readouterr().out
    assert "scores are read by softmax (logits, by the network's own account)" in told
    assert "as asked" not in told
    shutil.rmtree(tmp_path / "out")
    argv = ["drift", str(kept), "--out", str(tmp_path / "out"), "-m", "saliency", "--images", "4", *LIGHT]
    assert main([*argv, "--activation", "sigmoid"]) == 0
    assert "scores are read by sigmoid (as asked)" in capsys.readouterr().out


def test_film_strips_mark_maps_that_are_the_same_everywhere(weights, tmp_path, monkeypatch):
    from explainers.run import figure_files

    said = []
    sheet = figure_files.contact_sheet
    monkeypatch.setattr(figure_files, "contact_sheet", lambda rows, **more: said.append(rows) or sheet(rows, **more))
    root = shutil.copytree(weights, tmp_path / "in")
    state = torch.load(root / "net-5.pt")
    torch.save({key: 0 * value for key, value in state.items()}, root / "net-5.pt")  # no gradient reaches the image
    argv = [each for each in of_files(root, tmp_path / "out", "-m", "saliency") if each != "--no-figures"]
    assert main(argv) == 0
    captions = {caption for rows in said for row in rows for caption, *_ in row}
    assert "net-5.pt\nconstant" in captions
    assert not any(caption.startswith("net-20.pt\nconst") for caption in captions)
