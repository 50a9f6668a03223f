"""`explain` and `explain evaluate` on what a training leaves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from explainers.cli.main import main
from training_case import DATA, class_folders, command, image_folders, images_of, table, taken

from explainers.data.images import read_image
from explainers.data.sets import data_set
from explainers.data.sets.export import write_split


def test_a_network_that_explains_itself_is_scored_beside_grad_cam_by_default(run, tmp_path, capsys):
    argv = ["evaluate", str(run), "--metric", "insertion:steps=2", "--images", "2", "--no-figures", "--json"]
    assert main([*argv, "--out", str(tmp_path)]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert {row["explainer"] for row in scores} == {"attention", "grad-cam", "random", "center", "edges"}


def test_a_network_without_an_attention_branch_is_scored_with_grad_cam_alone(tmp_path, capsys):
    out, data = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=8"
    assert main(command(out, "--epochs", "1", "-q", network="plain", data=data)) == 0
    capsys.readouterr()
    argv = ["evaluate", str(out), "--metric", "insertion:steps=2", "--images", "2", "--no-figures", "--json"]
    assert main([*argv, "--out", str(tmp_path / "scores")]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert {row["explainer"] for row in scores} == {"grad-cam", "random", "center", "edges"}


def refused_then_corrected(run, out, capsys, mistake, told):
    """A command that is refused, and the same without the mistake into the same folder."""
    argv = ["evaluate", str(run), "--metric", "insertion:steps=2", "--images", "2", "--no-figures", "--device", "cpu"]
    argv += ["-q", "--out", str(out)]
    assert main([*argv, *mistake]) == 2
    assert capsys.readouterr().err.startswith(f"explain: error: {told}")
    assert (out / "journal.jsonl").is_file()
    assert main([*argv, "-m", "attention"]) == 0, capsys.readouterr().err
    assert {row["explainer"] for row in table(out / "scores.csv")} == {"attention", "random", "center", "edges"}


def test_an_evaluation_that_did_nothing_does_not_block_its_folder(run, tmp_path, capsys):
    refused_then_corrected(run, tmp_path, capsys, ["-m", "attention", "--target", "7"], "target 7 is out of range")


def test_a_refused_method_does_not_block_the_folder_of_an_evaluation(run, tmp_path, capsys):
    told = "attention-rollout cannot be right on this network: "
    refused_then_corrected(run, tmp_path, capsys, ["-m", "attention-rollout"], told)


def test_evaluate_scores_a_training_on_its_test_images(run, tmp_path, capsys):
    out = tmp_path / "scores"
    argv = ["evaluate", str(run), "-m", "attention", "--metric", "insertion:steps=4", "--images", "3", "--no-figures"]
    assert main([*argv, "--device", "cpu", "-o", str(out)]) == 0
    printed = capsys.readouterr()
    assert f"explain: note: 3 of 16 test images of {DATA} are scored (no-flare 2, flare 1)\n" in printed.err
    assert "attention" in printed.out
    assert {"scores.csv", "summary.csv", "summary.md", "manifest.json"} <= {path.name for path in out.iterdir()}
    test = data_set(DATA).test
    names = taken(test, 3)
    assert {row["image"] for row in table(out / "scores.csv")} == set(names)
    for name in names:
        written = read_image(images_of(out) / "images" / name).pixels
        assert np.array_equal(written, test.pixels(test.names.index(name)))


def test_only_takes_images_of_one_class_and_masks_are_made_where_a_metric_needs_them(run, tmp_path, capsys):
    out = tmp_path / "scores"
    argv = ["evaluate", str(run), "-m", "attention", "--metric", "miou", "--images", "2", "--no-figures"]
    assert main([*argv, "--device", "cpu", "-o", str(out), "--only", "Flare"]) == 0
    printed = capsys.readouterr()
    assert f"explain: note: 2 of 16 test images of {DATA} are scored (flare 2)\n" in printed.err
    flares = taken(data_set(DATA).test, 2, label=1)
    assert {row["image"] for row in table(out / "scores.csv")} == set(flares)
    assert {path.name for path in (images_of(out) / "images").iterdir()} == set(flares)
    assert {path.name for path in (images_of(out) / "masks").iterdir()} == set(flares)


def test_images_without_a_mask_are_left_out_and_told(run, tmp_path, capsys):
    out = tmp_path / "scores"
    argv = ["evaluate", str(run), "-m", "attention", "--metric", "miou", "--images", "3", "--no-figures"]
    assert main([*argv, "--device", "cpu", "-o", str(out)]) == 0
    names = taken(data_set(DATA).test, 16)
    flares = [place for place, name in enumerate(names) if name.endswith("-flare.png") and "no-" not in name][:3]
    blank = flares[-1] + 1 - len(flares)
    assert blank > 0
    assert {row["image"] for row in table(out / "scores.csv")} == {names[place] for place in flares}
    note = f"3 of 16 test images of {DATA} are scored (flare 3); masks are needed, and {blank} images before them have none"
    assert f"explain: note: {note}\n" in capsys.readouterr().err


def test_an_evaluation_of_fewer_images_or_of_another_training_is_not_mixed_with_the_one_before(run, tmp_path, capsys):
    out, other = tmp_path / "scores", tmp_path / "OTHER"
    more = ["--metric", "insertion:steps=4", "--no-figures", "--device", "cpu", "-o", str(out), "-q", "--overwrite"]
    assert main(["evaluate", str(run), "-m", "attention", "--images", "3", *more]) == 0
    assert main(["evaluate", str(run), "-m", "attention", "--images", "2", *more]) == 0, capsys.readouterr().err
    assert len({row["image"] for row in table(out / "scores.csv")}) == 2
    assert sorted(len(list(folder.glob("images/*"))) for folder in image_folders(out)) == [2, 3]
    before = set(image_folders(out))
    data = "magnetogram:size=40,train=16,val=8,test=8"  # names as above, images of another size
    assert main(command(other, "--epochs", "1", "-q", data=data)) == 0
    assert main(["evaluate", str(other), "-m", "attention", "--images", "2", *more]) == 0
    (folder,) = set(image_folders(out)) - before
    (name,) = taken(data_set(data).test, 1)
    assert read_image(folder / "images" / name).pixels.shape == (40, 40, 3)


def test_images_that_the_data_has_no_longer_are_not_scored(tmp_path, capsys):
    photos, out, scores = class_folders(tmp_path / "photos"), tmp_path / "RUN", tmp_path / "scores"
    assert main(command(out, "--epochs", "1", "-q", "--size", "32x32", data=f"folder:{photos}")) == 0
    argv = ["evaluate", str(out), "-m", "attention", "--metric", "insertion:steps=2", "--no-figures", "--device", "cpu"]
    assert main([*argv, "-q", "-o", str(scores)]) == 0
    old = next((photos / "test" / "0").iterdir())
    old.rename(old.with_name("renamed.png"))
    assert main([*argv, "-q", "-o", str(scores), "--overwrite"]) == 0, capsys.readouterr().err
    assert {row["image"] for row in table(scores / "scores.csv")} == set(data_set(f"folder:{photos}").test.names)


def test_a_training_whose_data_has_moved_is_scored_where_it_went_on(tmp_path, capsys):
    photos, out = class_folders(tmp_path / "photos"), tmp_path / "RUN"
    argv = ["--epochs", "1", "-q", "--size", "32x32"]
    assert main(command(out, *argv, data=f"folder:{photos}")) == 0
    moved = photos.rename(tmp_path / "moved")
    assert main(command(out, *argv, data=f"folder:{moved}")) == 0
    argv = ["-m", "attention", "--metric", "insertion:steps=2", "--no-figures", "--device", "cpu", "--images", "2"]
    assert main(["evaluate", str(out), *argv, "-q", "-o", str(tmp_path / "o")]) == 0, capsys.readouterr().err


def test_validation_images_stand_in_for_missing_test_images_with_a_note(tmp_path, capsys):
    out, data = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=0"
    assert main(command(out, "--epochs", "1", "-q", data=data)) == 0
    argv = ["--metric", "insertion:steps=4", "--images", "2", "--no-figures", "--device", "cpu"]
    assert main(["evaluate", str(out), "-m", "attention", *argv, "-o", str(tmp_path / "scores")]) == 0
    told = capsys.readouterr().err
    assert told == (
        f"explain: note: {data} has no test images; its validation images, which chose the weights, are taken instead\n"
        f"explain: note: 2 of 8 validation images of {data} are scored (no-flare 1, flare 1)\n"
        "explain: note: with 2 images no difference between 4 maps (controls among them) can be found, however large; "
        "that needs at least 8\n"
    )
    val = data_set(data).val
    for name in taken(val, 2):
        written = read_image(images_of(tmp_path / "scores") / "images" / name).pixels
        assert np.array_equal(written, val.pixels(val.names.index(name)))


@pytest.mark.parametrize("flags", [["--images", "3"], ["--only", "flare"]])
def test_choosing_test_images_without_a_training_is_refused(tmp_path, capsys, flags):
    assert main(["evaluate", "digits:3", *flags, "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        "explain: error: --images, --only and --masks-of choose among the test images of a training; give its folder\n"
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--images", "0"], "--images 0; expected at least 1"),
        (["--only", "flair"], "no class 'flair'; close are 'flare' (1)"),
    ],
)
def test_test_images_that_are_not_there_are_refused(run, tmp_path, capsys, flags, message):
    assert main(["evaluate", str(run), "-m", "attention", *flags, "-q", "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"explain: error: {message}")


def test_a_training_explains_a_folder_of_photos(run, tmp_path, capsys):
    photos, out = write_split(data_set(DATA).test, tmp_path / "in", count=2).images, tmp_path / "out"
    argv = [
        str(photos),
        "--model",
        str(run),
        "-m",
        "attention",
        "-m",
        "grad-cam",
        "--device",
        "cpu",
        "--target",
        "flare",
    ]
    assert main([*argv, "-o", str(out)]) == 0
    assert "2 of 2 images explained" in capsys.readouterr().out
    rows = table(out / "results.csv")
    assert {(row["file"], row["method"]) for row in rows} == {
        (path.name, method) for path in photos.iterdir() for method in ("attention", "grad-cam")
    }
    assert {row["target"] for row in rows} == {"1"}
    assert len(list((out / "overlays").iterdir())) == 4
    assert json.loads((out / "manifest.json").read_text())["preprocessing"]["channels"] == 1


def test_a_training_without_an_attention_branch_refuses_the_attention_map(tmp_path, capsys):
    out, data = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=8"
    assert main(command(out, "--epochs", "1", "-q", network="plain", data=data)) == 0
    photos = write_split(data_set(data).test, tmp_path / "in", count=1).images
    capsys.readouterr()
    assert (
        main([str(photos), "--model", str(out), "-m", "attention", "--device", "cpu", "-o", str(tmp_path / "o")]) == 2
    )
    assert "attention" in capsys.readouterr().err


def test_an_unfinished_or_foreign_folder_is_no_model(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    write_split(data_set(DATA).test, tmp_path / "in", count=1)
    assert main([str(tmp_path / "in"), "--model", str(tmp_path / "in"), "-o", str(tmp_path / "o")]) == 2
    assert "a training in it (no run.json)" in capsys.readouterr().err
