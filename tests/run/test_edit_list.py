"""The folder of maps to paint on: what is listed, as what, and that nothing that a person did is lost."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from edit_case import HEIGHT, WIDTH, data_of, photos, training
from PIL import Image

import explainers
from explainers.baselines import Settings, train
from explainers.errors import DataError, OptionError
from explainers.run.edit import edit_list, edited_maps, open_training
from explainers.run.edit.pictures import as_cells, gray_picture, over_input, picture_size
from explainers.storage.run_folder import RunFolder
from explainers.storage.verify import verify


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edited")
    training(folder)
    return folder


@pytest.fixture(scope="module")
def run(root):
    return root / "RUN"


def paint(path, value=255):
    with Image.open(path) as image:
        painted = image.copy()
    painted.paste(value, (0, 0, 90, 90))
    painted.save(path)


def stamps(folder):
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*.png")}


def test_the_misread_images_are_listed_with_their_maps(root, run, tmp_path):
    found = edit_list(run, tmp_path / "EDIT")
    loaded, split = explainers.load_model(run, device="cpu"), data_of(root / "photos").train
    expected = []
    for index, (name, label) in enumerate(zip(split.names, split.labels, strict=True)):
        with torch.no_grad():
            made = loaded.network.forward_branches(loaded.preprocessing(split.pixels(index))[None])
        probability, predicted = made.logits.softmax(1)[0].max(0)
        if predicted != label:
            expected.append((name, ("above", "below")[label], ("above", "below")[predicted], probability, made))
    assert 0 < len(expected) < 12
    assert (found.misread, found.looked_at) == (len(expected), 12)
    with (tmp_path / "EDIT" / "edit-list.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [tuple(row) for row in table] == [
        ("image", "true_class", "predicted_class", "probability", "map", "photo")
    ] * len(table)
    assert len({row["map"] for row in table}) == len(table)
    for row, (name, true, predicted, probability, made) in zip(table, expected, strict=True):
        assert (row["image"], row["true_class"], row["predicted_class"]) == (name, true, predicted)
        assert float(row["probability"]) == pytest.approx(float(probability), abs=1e-4)
        with Image.open(tmp_path / "EDIT" / row["map"]) as image:
            assert image.mode == "L"
            cells = np.asarray(image).reshape(5, 90, 7, 90)
        # Every cell is flat, and has the map's own value: neither stretched nor smoothed.
        assert (cells == cells[:, :1, :, :1]).all()
        np.testing.assert_allclose(cells[:, 0, :, 0] / 255, made.attention_map[0, 0].numpy(), atol=0.5 / 255 + 1e-5)
        with Image.open(tmp_path / "EDIT" / row["photo"]) as image:
            assert image.size == (630, 450)
            small = np.asarray(image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BOX)).astype(float)
        seen = split.pixels(split.names.index(name)).astype(float)
        assert np.corrcoef(small.ravel(), seen.ravel())[0, 1] > 0.98


def test_a_larger_limit_and_all_images_add_to_what_is_there(run, tmp_path):
    out = tmp_path / "EDIT"
    first = edit_list(run, out, every=True, limit=3)
    before = stamps(out)
    assert len(first.rows) == 3
    assert len(before) == 6
    whole = edit_list(run, out, every=True)
    assert len(whole.rows) == 12
    assert {path: stamp for path, stamp in stamps(out).items() if path in before} == before
    assert edit_list(run, out, every=True, limit=1).rows == whole.rows  # what is listed stays listed
    assert verify(out).problems == []


def test_what_was_edited_is_never_written_over(run, tmp_path):
    out = tmp_path / "EDIT"
    found = edit_list(run, out, every=True)
    painted, removed = out / found.rows[0]["map"], out / found.rows[1]["map"]
    paint(painted)
    edited = painted.read_bytes()
    was = removed.read_bytes()
    removed.unlink()
    (out / found.rows[0]["photo"]).unlink()
    again = edit_list(run, out, every=True)
    assert again.edited == (found.rows[0]["image"],)
    assert painted.read_bytes() == edited
    assert removed.read_bytes() == was
    assert (out / found.rows[0]["photo"]).is_file()
    assert list(edited_maps(out, open_training(run).data).names.values()) == [found.rows[0]["image"]]
    with pytest.raises(
        OptionError, match=r"has 1 edited map \(train/above/0.png\), which would be lost; choose another"
    ):
        edit_list(run, out, overwrite=True)
    assert painted.read_bytes() == edited
    painted.unlink()
    assert edit_list(run, out, overwrite=True, every=True, limit=2).edited == ()


def test_a_map_that_was_painted_on_before_its_line_was_noted_is_kept(run, tmp_path, monkeypatch):
    out = tmp_path / "EDIT"

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "note", killed)
        with pytest.raises(KeyboardInterrupt):
            edit_list(run, out, every=True)
    (map_,) = (out / "maps").rglob("*.png")
    paint(map_)
    painted = map_.read_bytes()
    found = edit_list(run, out, every=True)
    assert (map_.read_bytes(), len(found.rows), len(found.edited)) == (painted, 12, 1)
    assert len(edited_maps(out, open_training(run).data)) == 1


def test_masks_stand_for_maps_and_count_as_edited(run, tmp_path):
    out = tmp_path / "EDIT"
    found = edit_list(run, out, every=True, from_masks=True)
    assert len(found.without_mask) == 6
    assert found.edited == ()
    edited = edited_maps(out, open_training(run).data)
    assert sorted(edited.names.values()) == [
        f"train/{name}/{index}.png" for name in ("above", "below") for index in (1, 3, 5)
    ]
    expected = np.zeros((HEIGHT, WIDTH), np.float32)
    expected[: HEIGHT // 2, 10:30] = 1
    for index in (1, 3, 5):
        np.testing.assert_allclose(edited(index), expected, atol=0.51)  # 450 × 630 pixels on 40 × 56: the edges mix
        np.testing.assert_array_equal(edited(index)[:, 12:28], expected[:, 12:28])
    edit_list(run, out, every=True, from_masks=True, overwrite=True)  # nobody painted, so nothing is lost
    paint(out / found.rows[0]["map"])
    with pytest.raises(OptionError, match="has 1 edited map"):
        edit_list(run, out, every=True, from_masks=True, overwrite=True)


def test_lists_that_cannot_be_are_refused(root, run, tmp_path):
    with pytest.raises(OptionError, match="limit=0; expected at least one image"):
        edit_list(run, tmp_path / "EDIT", limit=0)
    with pytest.raises(OptionError, match="is the training itself; choose another folder"):
        edit_list(run, run)
    edit_list(run, tmp_path / "EDIT", every=True, limit=1)
    with pytest.raises(OptionError, match="holds a run that differs in from_masks"):
        edit_list(run, tmp_path / "EDIT", from_masks=True)
    plain = train("plain", data_of(root / "photos"), tmp_path / "PLAIN", Settings(epochs=1, batch_size=6), device="cpu")
    with pytest.raises(OptionError, match="is a training of plain, which makes no attention map that could be edited"):
        edit_list(plain.folder, tmp_path / "OTHER")
    assert not (tmp_path / "OTHER").exists()


def test_no_image_misread_and_no_mask_are_said(root, run, tmp_path, monkeypatch):
    trained = open_training(run)
    with torch.no_grad():
        trained.network.head[-1].bias.copy_(torch.tensor([1e4, 0.0]))
    trained.data.train.labels = [0] * 12
    with pytest.raises(DataError, match=r"misreads none of its 12 training images; list all of them with every"):
        edit_list(trained, tmp_path / "EDIT")
    monkeypatch.setattr(trained.data.train, "masks", {})
    with pytest.raises(DataError, match="has a mask; leave from_masks out"):
        edit_list(trained, tmp_path / "EDIT", from_masks=True)


def test_names_that_a_spreadsheet_would_compute_are_text(run, tmp_path):
    trained = open_training(run)
    names = list(trained.data.train.names)
    names[0] = "=cmd().png"
    trained.data.train.names = tuple(names)
    edit_list(trained, tmp_path / "EDIT", every=True, limit=1)
    assert "\n'=cmd().png," in (tmp_path / "EDIT" / "edit-list.csv").read_text()
    assert (tmp_path / "EDIT" / "maps" / "=cmd().png").is_file()
    names[1] = "../../elsewhere.png"
    trained.data.train.names = tuple(names)
    with pytest.raises(DataError, match="is called like a file elsewhere"):
        edit_list(trained, tmp_path / "deep/down/OTHER", every=True)
    assert not list(tmp_path.rglob("elsewhere*"))


def test_other_images_than_were_trained_on_are_said(root, tmp_path):
    changed = photos(tmp_path / "photos")
    folder = train("abn", data_of(changed), tmp_path / "RUN", Settings(epochs=1, batch_size=6), device="cpu").folder
    (changed / "train" / "above" / "0.png").unlink()
    (note,) = open_training(folder).notes
    assert note.endswith(f"holds other images, or other classes of them, than when {folder} was trained")
    assert json.loads((folder / "run.json").read_text())["data"]["train"] == 12


@pytest.mark.parametrize(
    ("cells", "image", "expected"),
    [((14, 14), (224, 224), (448, 448)), ((5, 7), (40, 56), (450, 630)), ((64, 32), (512, 300), (896, 448))],
)
def test_pictures_have_whole_pixels_a_cell(cells, image, expected):
    assert picture_size(cells, image) == expected


def test_a_map_comes_back_from_its_picture():
    map_ = torch.rand(5, 7)
    gray = gray_picture(map_, picture_size((5, 7), (40, 56)))
    back = as_cells(over_input(gray, (40, 56)), (5, 7))
    torch.testing.assert_close(back[0, 0], map_, atol=0.5 / 255 + 1e-6, rtol=0)


def test_cells_are_means_over_their_areas():
    values = torch.rand(12, 30, dtype=torch.float64)
    slow = torch.stack(
        [torch.stack([values[4 * i : 4 * i + 4, 6 * j : 6 * j + 6].mean() for j in range(5)]) for i in range(3)]
    )
    torch.testing.assert_close(as_cells(values.numpy(), (3, 5))[0, 0].double(), slow, atol=1e-6, rtol=0)
