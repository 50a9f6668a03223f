"""`explain train`: what it writes and tells, going on, and starting anew."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from explainers.cli.main import main
from training_case import DATA, FILES, class_folders, command, config, ended, identity, outcome, table, three_classes

from explainers.run.report.report import make_report


def test_training_writes_its_files_and_tells_the_scores(tmp_path, capsys):
    out = tmp_path / "RUN"
    assert main(command(out, "--epochs", "2")) == 0
    printed = capsys.readouterr()
    assert {path.name for path in out.iterdir()} == FILES
    result = json.loads((out / "result.json").read_text())
    lines = printed.out.splitlines()
    log = table(out / "log.csv")
    best = min(log, key=lambda row: float(row["val_loss"]))
    assert result["best_epoch"] == int(best["epoch"])
    assert re.fullmatch(rf"best epoch {best['epoch']} of 2, in \d+ s", lines[0])
    for line, split in ((lines[1], "val"), (lines[2], "test")):
        values = result[split]
        assert line == (
            f"{split:<5}loss {values['loss']:.4g}, accuracy {values['accuracy']:.4g}, balanced accuracy "
            f"{values['balanced_accuracy']:.4g}, tss {values['tss']:.4g}"
        )
    assert lines[3:] == [f"run  {out}", f"next explain evaluate {out}, explain photos/ --model {out}"]
    assert [row["epoch"] for row in log] == ["1", "2"]
    assert config(out)["network"]["name"] == "abn"
    assert config(out)["data"] == identity(DATA)
    told = [line for line in printed.err.splitlines() if not line.startswith("explain: note: ")]
    assert told == [
        f"explain: epoch {row['epoch']}: loss {float(row['train_loss']):.4f}, validation loss "
        f"{float(row['val_loss']):.4f}, accuracy {float(row['val_accuracy']):.3f}, {float(row['seconds']):.1f} s"
        for row in log
    ]


@pytest.mark.parametrize("flag", ["-q", "--json"])
def test_quiet_and_json_have_no_line_for_an_epoch(tmp_path, capsys, flag):
    small = "magnetogram:size=32,train=16,val=8,test=0"
    assert main(command(tmp_path / "RUN", "--epochs", "1", flag, network="plain", data=small)) == 0
    assert "epoch 1" not in capsys.readouterr().err


@pytest.mark.parametrize(("early", "end"), [(False, ""), (True, ", stopped early")])
def test_the_best_epoch_is_told_as_it_is_counted_in_the_files(pretended, tmp_path, capsys, early, end):
    pretended(outcome(best_epoch=3, epochs=7, seconds=12.4, stopped_early=early))
    assert main(command(tmp_path / "RUN")) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"best epoch 3 of 7, in 12 s{end}"


@pytest.mark.parametrize(("balanced", "noted"), [(0.4, True), (0.52, True), (0.53, False), (1.0, False)])
def test_a_training_that_learned_nothing_is_noted(pretended, tmp_path, capsys, balanced, noted):
    pretended(outcome(balanced))
    assert main(command(tmp_path / "RUN")) == 0
    told = "explain: note: the validation images are classified no better than by guessing; its maps mean nothing yet\n"
    assert capsys.readouterr().err == (told if noted else "")
    assert main(command(tmp_path / "RUN", "-q")) == 0
    assert capsys.readouterr().err == ""


def test_guessing_among_three_classes_is_right_for_every_third_image(pretended, tmp_path, capsys):
    photos = three_classes(tmp_path / "photos")
    for balanced, noted in ((0.35, True), (0.36, False)):
        pretended(outcome(balanced))
        assert main(command(tmp_path / "RUN", data=f"folder:{photos}")) == 0
        assert ("no better than by guessing" in capsys.readouterr().err) == noted


def test_tss_is_told_and_kept_for_two_classes_alone(run, tmp_path, capsys):
    out, data = tmp_path / "RUN", f"folder:{three_classes(tmp_path / 'photos')}"
    assert main(command(out, "--epochs", "1", "-q", "--size", "16x16", network="plain", data=data)) == 0
    text = (out / "result.json").read_text()
    assert "null" not in text + (run / "result.json").read_text()
    for split in ("val", "test"):
        assert json.loads(text)[split].keys() == {"loss", "accuracy", "balanced_accuracy"}
        assert "tss" in json.loads((run / "result.json").read_text())[split]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["best", "val", "test", "run", "next"]
    assert not any("tss" in line for line in lines[:3])


def test_the_report_of_a_training(run, tmp_path):
    """Its curves are the log's, its table the result's; one that has not ended says so."""
    out = shutil.copytree(run, tmp_path / "RUN")
    text = make_report(out).read_text()
    charts = json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', text, re.S)[1])["charts"]
    lines = {(chart["title"], line["label"]): line["y"] for chart in charts for line in chart["lines"]}
    for column in ("train_loss", "val_loss", "val_accuracy"):
        split, _, name = column.partition("_")
        assert lines[name, split] == [float(row[column]) for row in table(out / "log.csv")]
    result = json.loads((out / "result.json").read_text())
    assert f"<td>{result['val']['accuracy']:.4g}</td>" in text
    assert "has not come to its end" not in text
    (out / "result.json").unlink()
    assert "This training has not come to its end" in make_report(out).read_text()


def test_the_same_command_does_nothing_more_and_tells_the_same(run, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    assert main(command(run, "--epochs", "2")) == 0
    first = capsys.readouterr()
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before
    assert first.out.startswith(f"best epoch {json.loads((run / 'result.json').read_text())['best_epoch']} of 2, in ")
    assert first.err.startswith(ended(run))
    assert "explain: epoch" not in first.err
    assert main(command(run, "--epochs", "2", "-q")) == 0
    quiet = capsys.readouterr()
    assert (quiet.out, quiet.err) == (first.out, "")


def test_a_training_that_was_interrupted_is_told_to_go_on(run, tmp_path, capsys):
    out = tmp_path / "RUN"
    shutil.copytree(run, out)
    (out / "result.json").unlink()
    assert main(command(out, "--epochs", "2")) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(f"explain: note: {out} has 2 whole epochs; going on from there\n")
    assert (out / "result.json").read_text() == (run / "result.json").read_text()
    assert main(command(out, "--epochs", "2", "-q", "--overwrite")) == 0
    assert capsys.readouterr().err == ""


def test_json_is_the_result_and_nothing_else(run, capsys):
    assert main(command(run, "--epochs", "2", "--json")) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"run": str(run), **json.loads((run / "result.json").read_text())}
    assert printed.err == ended(run)


def test_more_epochs_go_on_where_the_schedule_does_not_count_them(tmp_path, capsys):
    small = "magnetogram:size=32,train=16,val=8,test=0"
    for schedule, code in (("plateau", 0), ("constant", 0), ("cosine", 2), ("milestones", 2)):
        out = tmp_path / schedule
        flags = ["--schedule", schedule, "-q"]
        assert main(command(out, "--epochs", "1", *flags, network="plain", data=small)) == 0
        first = table(out / "log.csv")
        capsys.readouterr()
        assert main(command(out, "--epochs", "2", *flags, network="plain", data=small)) == code
        printed = capsys.readouterr()
        assert table(out / "log.csv")[:1] == first  # not trained again
        if code == 0:
            assert re.match(r"best epoch [12] of 2, in ", printed.out)
            assert [row["epoch"] for row in table(out / "log.csv")] == ["1", "2"]
            assert (config(out)["settings"]["epochs"], len(table(out / "log.csv"))) == (2, 2)
        else:
            assert "holds a training that differs in settings.epochs (1 there, 2 now). " in printed.err
            assert (config(out)["settings"]["epochs"], len(table(out / "log.csv"))) == (1, 1)


def test_data_is_the_same_from_another_folder_and_another_when_an_image_is(tmp_path, capsys, monkeypatch):
    photos, out = class_folders(tmp_path / "photos"), tmp_path / "RUN"
    argv = ["--epochs", "1", "-q", "--size", "16x16"]
    assert main(command(out, *argv, network="plain", data=f"folder:{photos}")) == 0
    assert config(out)["data"]["spec"] == f"folder:{photos.resolve()}"
    stamp = (out / "last.safetensors").stat().st_mtime_ns
    monkeypatch.chdir(tmp_path)
    assert main(command(out, *argv, network="plain", data="folder:photos")) == 0
    photos.rename(tmp_path / "moved")
    assert main(command(out, *argv, network="plain", data="folder:moved")) == 0
    assert (out / "last.safetensors").stat().st_mtime_ns == stamp
    (tmp_path / "moved" / "train" / "0" / "0.png").rename(tmp_path / "moved" / "train" / "0" / "00.png")
    capsys.readouterr()
    assert main(command(out, *argv, network="plain", data="folder:moved")) == 2
    told = re.escape(f"explain: error: {out} holds a training that differs in data.sha256 ('")
    assert re.match(told + r"[0-9a-f]{64}' there, '[0-9a-f]{64}' now\)\. Go on", capsys.readouterr().err)


def test_another_setting_is_refused_and_leaves_the_training(run, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    assert main(command(run, "--epochs", "3", "--lr", "0.01")) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"{ended(run)}explain: error: {run} holds a training that differs in settings.epochs (2 there, 3 now); "
        "settings.optimizer.lr (0.001 there, 0.01 now). Go on with its settings, choose another folder, or remove it "
        "with --overwrite\n"
    )
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_overwrite_keeps_the_notes_beside_a_training(tmp_path):
    out, small = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=0"
    assert main(command(out, "--epochs", "1", "-q", network="plain", data=small)) == 0
    (out / "notes.txt").write_text("mine")
    assert main(command(out, "--epochs", "1", "-q", "--seed", "1", "--overwrite", network="plain", data=small)) == 0
    assert config(out)["settings"]["seed"] == 1
    assert {path.name for path in out.iterdir()} == {*FILES, "notes.txt"}


def test_a_mistyped_part_can_be_corrected_by_the_next_command(tmp_path, capsys):
    out, small = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=0"
    assert main(command(out, "--epochs", "1", "--freeze", "featurs", data=small)) == 2
    assert capsys.readouterr().err == (
        "explain: error: --freeze featurs: no part of the network is called so; there are features, attention, gate, "
        "perception, head\n"
    )
    assert main(command(out, "--epochs", "1", "-q", "--freeze", "features", data=small)) == 0
    assert config(out)["settings"]["plan"]["frozen"] == ["features"]


def test_settings_that_are_found_wrong_after_the_start_can_be_corrected(tmp_path, capsys):
    out, small = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=0"
    assert main(command(out, "--epochs", "1", "--class-weights", "1,2,3", network="plain", data=small)) == 2
    assert "--class-weights 1,2,3; expected 2 positive numbers" in capsys.readouterr().err
    assert main(command(out, "--epochs", "1", "-q", "--class-weights", "1,2", network="plain", data=small)) == 0
    assert config(out)["settings"]["class_weights"] == [1.0, 2.0]


def test_data_without_test_images_gives_no_test_scores(tmp_path, capsys):
    out, small = tmp_path / "RUN", "magnetogram:size=32,train=16,val=8,test=0"
    argv = ["--epochs", "1", "--keep-every", "1", "-q"]
    assert main(command(out, *argv, network="plain", data=small)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["best", "val", "run", "next"]
    assert [path.name for path in (out / "epochs").iterdir()] == ["0001.safetensors"]


def test_progress_names_the_losses(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("explainers.cli.terminal.progress.EVERY", -1.0)
    out, small = tmp_path / "RUN", "magnetogram:size=32,train=32,val=8,test=0"
    assert main(command(out, "--epochs", "1", data=small)) == 0
    number = r"\d+\.\d{3}"
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("explain: note: ")]
    assert len(lines) == 3
    assert lines[2].startswith("explain: epoch 1: loss ")
    for step, line in enumerate(lines[:2], 1):
        losses = f"loss {number} perception {number} attention {number}"
        assert re.fullmatch(rf"explain: epoch 1, step {step} of 2, {losses}", line)


def test_a_finished_training_is_verified(run, tmp_path, capsys):
    out = tmp_path / "RUN"
    shutil.copytree(run, out)
    assert main(["verify", str(out)]) == 0
    (out / "best.safetensors").write_bytes((out / "best.safetensors").read_bytes()[:-1])
    assert main(["verify", str(out)]) == 1
    assert "best.safetensors has " in capsys.readouterr().out
    (out / "result.json").unlink()
    assert main(["verify", str(out)]) == 1
    assert "the training is not finished" in capsys.readouterr().out


def test_maps_are_watched_while_a_network_trains(tmp_path, capsys):
    out = tmp_path / "RUN"
    watch = ["--watch", "saliency", "--watch-images", "2"]
    assert main(command(out, "--epochs", "2", *watch, network="plain")) == 0
    assert (out / "watch/film-saliency.png").stat().st_size > 1000
    assert sorted(path.stem for path in (out / "watch/maps").glob("*.npz")) == ["000000", "000001", "000002"]
    assert f"maps of 3 epochs are drawn in {out / 'watch'}, " in capsys.readouterr().err
    assert main(["verify", str(out)]) == 0
    (out / "watch/maps/000001.npz").write_bytes(b"nothing")
    (out / "watch/film-saliency.png").unlink()
    assert main(["verify", str(out)]) == 1
    lines = capsys.readouterr().out
    assert "watch/film-saliency.png is missing\n" in lines
    assert "watch/maps/000001.npz has 7 bytes" in lines
    assert main(command(tmp_path / "other", "--watch-images", "2", network="plain")) == 2
    assert "name a method (--watch grad-cam)" in capsys.readouterr().err
