"""True classes in the table, on contact sheets and in figures, and as the classes that are explained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from explainers.cli.main import main
from run_case import embedded, folder, rows

import explainers
from explainers.errors import OptionError, TargetError
from explainers.render import contact_sheet
from explainers.run import RunOptions, figure_files, run

NAMES = ("a.png", "b.png", "c.png")
LABELS = {"a.png": 3, "b.png": 0, "c.png": 9}


@pytest.fixture
def captions(monkeypatch):
    """The captions of every sheet that is drawn."""
    found: list[str] = []

    def noted(sheet, **more):
        found.extend(caption for row in sheet for caption, *_ in row)
        return contact_sheet(sheet, **more)

    monkeypatch.setattr(figure_files, "contact_sheet", noted)
    return found


def test_a_run_tells_the_true_classes_in_its_table_and_on_its_sheets(tmp_path, captions):
    images, loaded = folder(tmp_path / "in", NAMES), embedded()
    options = RunOptions(contact_sheet=12)
    run(images, loaded, ["cam"], tmp_path / "out", labels=LABELS, options=options)
    for row in rows(tmp_path / "out"):
        assert (row["true"], row["true_name"]) == (str(LABELS[row["file"]]), loaded.class_names[LABELS[row["file"]]])
    photos = [caption.split("\n") for caption in captions[::2]]
    assert [(lines[0], lines[2]) for lines in photos] == [("a.png", "true three"), ("b.png", "true zero"),
                                                          ("c.png", "true nine")]  # fmt: skip
    captions.clear()
    run(images, loaded, ["cam"], tmp_path / "plain", options=options)
    assert not any("true" in caption for caption in captions)
    assert {(row["true"], row["true_name"]) for row in rows(tmp_path / "plain")} == {("", "")}


def test_a_run_explains_the_true_classes(tmp_path):
    images, loaded = folder(tmp_path / "in", NAMES), embedded()
    run(images, loaded, ["cam", "grad-cam"], tmp_path / "out", labels=LABELS, options=RunOptions(target="label"))
    found = rows(tmp_path / "out")
    assert [int(row["target"]) for row in found] == [LABELS[row["file"]] for row in found]
    # All three in one batch, as the run has them: a batch of one is added up in another order.
    pixels = [explainers.read_image(images / name).pixels for name in NAMES]
    batch = torch.stack([loaded.preprocessing(each) for each in pixels]).to(loaded.device)
    labels = torch.tensor([LABELS[name] for name in NAMES])
    wanted = {method: explainers.create(method, loaded)(batch, labels) for method in ("cam", "grad-cam")}
    for row in found:
        with np.load(tmp_path / "out" / row["map"]) as saved:
            own = wanted[row["method"]][NAMES.index(row["file"])].numpy()
            np.testing.assert_allclose(saved["map"], own, rtol=1e-4, atol=1e-6)


def test_labels_that_do_not_fit_are_refused(tmp_path):
    images, loaded = folder(tmp_path / "in", NAMES), embedded()
    with pytest.raises(TargetError, match=r"targets?='label', but the images have no labels: pass labels="):
        run(images, loaded, ["cam"], tmp_path / "out", options=RunOptions(target="label"))
    with pytest.raises(OptionError, match="labels map the name of every image to its class index"):
        run(images, loaded, ["cam"], tmp_path / "out", labels={"a.png": 1})
    assert not (tmp_path / "out").exists()


def test_an_image_whose_true_class_was_corrected_is_explained_again_and_new_images_come_to_the_others(tmp_path):
    images, loaded, out = folder(tmp_path / "in", NAMES), embedded(), tmp_path / "out"
    run(images, loaded, ["cam"], out, labels=LABELS)
    folder(images, (*NAMES, "d.png"))
    again = run(images, loaded, ["cam"], out, labels=LABELS | {"a.png": 4, "d.png": 1})
    assert (again.explained, again.resumed) == (2, 2)
    assert {row["file"]: row["true"] for row in rows(out)} == {"a.png": "4", "b.png": "0", "c.png": "9", "d.png": "1"}


def test_figures_of_an_evaluation_tell_them(tmp_path, captions):
    images = folder(tmp_path / "in", NAMES)
    explainers.evaluate(embedded(), images, ["cam"], ["sparseness"], 5, labels=LABELS, out=tmp_path / "out")
    photos = {caption.split("\n")[0]: caption.split("\n")[1:] for caption in captions if caption.startswith(NAMES)}
    assert photos == {"a.png": ["true three"], "b.png": ["true zero"], "c.png": ["true nine"]}
    assert all(caption.endswith("\nfive") for caption in captions if caption.startswith(("best", "worst")))
    captions.clear()
    explainers.evaluate(embedded(), images, ["cam"], ["sparseness"], out=tmp_path / "plain")
    assert not any("true" in caption for caption in captions)


def test_the_command_takes_a_table_or_folders(tmp_path, captions, capsys):
    images = folder(tmp_path / "in", ("three/a.png", "nine/b.png"))
    table = tmp_path / "t.csv"
    table.write_text("file,class\nthree/a.png,three\nnine/b.png,9\n")
    for number, given in enumerate((str(table), "folders")):
        out = tmp_path / str(number)
        argv = ["run", str(images), "--model", "embedded", "-m", "cam", "--ground-truth", given, "--target", "label"]
        assert main([*argv, "--contact-sheet", "-q", "-o", str(out)]) == 0
        assert {row["file"]: row["true_name"] for row in rows(out)} == {"three/a.png": "three", "nine/b.png": "nine"}
        assert all(row["target_name"] == row["true_name"] for row in rows(out))
        assert sum("\ntrue " in caption for caption in captions) == 2
        captions.clear()
    assert (
        main(["run", str(images), "--model", "embedded", "-m", "cam", "--target", "label", "-o", str(out), "-q"]) == 2
    )
    assert "the images have no labels: pass --ground-truth" in capsys.readouterr().err
