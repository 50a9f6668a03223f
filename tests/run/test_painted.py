"""Painted maps: which files count, how they are read, and what is refused by its name."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from edit_case import HEIGHT, WIDTH, data_of, training
from PIL import Image

from explainers.data.sets import data_set
from explainers.errors import DataError, ImageError, MapError
from explainers.render.sheet import SCALE
from explainers.run.edit import changes, edit_list, edited_maps, mask_maps, open_training, trial, write_preview

FIRST = "maps/train/above/0.png"


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A training, its images, and a folder of maps of which none is edited."""
    root = tmp_path_factory.mktemp("painted")
    run = training(root)
    edit_list(run, root / "EDIT", every=True, limit=4)
    return run, data_of(root / "photos"), root / "EDIT"


@pytest.fixture
def edit(listed, tmp_path):
    shutil.copytree(listed[2], tmp_path / "EDIT")
    return tmp_path / "EDIT"


@pytest.fixture
def data(listed):
    return listed[1]


def change(path, how):
    """Save what `how` makes of a picture, under its name."""
    with Image.open(path) as image:
        changed = how(image.copy())
    changed.save(path)


def white_corner(image):
    """The two cells at the top left."""
    image.paste(255, (0, 0, 180, 90))
    return image


def test_only_maps_whose_values_changed_count(edit, data):
    with pytest.raises(DataError, match=r"none of the 4 maps in .*maps was edited; paint on some of them"):
        edited_maps(edit, data)
    for path in (edit / "maps").rglob("*.png"):
        change(path, lambda image: image.convert("RGB"))  # other bytes, the same grays
    with pytest.raises(DataError, match="none of the 4 maps"):
        edited_maps(edit, data)
    with Image.open(edit / FIRST) as image:
        present = np.asarray(image.convert("L"))
    change(edit / FIRST, lambda image: white_corner(image.convert("L")))
    found = edited_maps(edit, data)
    assert (found.names, found.notes, len(found)) == ({0: "train/above/0.png"}, (), 1)
    assert found(1) is None
    assert (found(0).shape, found(0).dtype) == ((HEIGHT, WIDTH), np.float32)
    np.testing.assert_array_equal(found(0)[:8, :16], 1.0)
    rest = present.reshape(5, 90, 7, 90)[1:, 0, :, 0] / 255
    np.testing.assert_allclose(found(0).reshape(5, 8, 7, 8)[1:, 3, :, 3], rest, atol=1e-6)


def test_the_identity_goes_by_images_and_values(edit, data):
    change(edit / FIRST, white_corner)
    first = edited_maps(edit, data).identity
    assert edited_maps(edit, data).identity == first
    (edit / FIRST).rename(edit / "kept.png")
    shutil.copy(edit / "kept.png", edit / "maps/train/above/1.png")
    assert edited_maps(edit, data).identity != first


@pytest.mark.parametrize(
    "how",
    [
        lambda image: image.convert("RGB"),
        lambda image: image.convert("RGBA"),
        lambda image: image.convert("P"),
        lambda image: image.convert("LA"),
    ],
    ids=["RGB", "RGBA", "palette", "gray and alpha"],
)
def test_what_is_gray_in_effect_is_gray(edit, data, how):
    change(edit / FIRST, white_corner)
    expected = edited_maps(edit, data)(0)
    change(edit / FIRST, how)
    np.testing.assert_array_equal(edited_maps(edit, data)(0), expected)


def test_another_size_is_fitted_and_said(edit, data):
    change(edit / FIRST, white_corner)
    expected = edited_maps(edit, data)(0)
    for size in ((1260, 900), (56, 40), (7, 5)):
        change(edit / FIRST, lambda image, size=size: image.resize(size, Image.Resampling.BOX))
        found = edited_maps(edit, data)
        assert found.notes == (f"{edit / FIRST} has {size[1]} × {size[0]} pixels instead of 450 × 630 and is fitted",)
        inner = [slice(8 * i + 1, 8 * i + 7) for i in range(5)]
        for rows in inner:
            np.testing.assert_allclose(found(0)[rows, 1:7], expected[rows, 1:7], atol=1.01 / 255)
        assert found(0).shape == (HEIGHT, WIDTH)


def with_colour(image):
    image = image.convert("RGB")
    image.putpixel((5, 3), (250, 10, 20))
    return image


def half_transparent(image):
    image = white_corner(image).convert("RGBA")
    image.putpixel((0, 0), (255, 255, 255, 0))
    return image


def deep(image):
    return Image.fromarray(np.asarray(image).astype(np.uint16) // 2 * 16)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (with_colour, MapError, r"0.png has colours, such as 250, 10, 20 in row 3, column 5; black stands for 0"),
        (
            half_transparent,
            MapError,
            "0.png has transparent parts, of which it is not known what they mean; flatten it",
        ),
        (deep, MapError, r"0.png has 16-bit values up to [\d,]+ were read as .*; flatten it and save it as a gray PNG"),
        (
            lambda image: image.crop((0, 0, 400, 450)),
            MapError,
            "0.png has 450 × 400 pixels and was written with 450 × 630: other proportions, .*; do not crop it",
        ),
        (lambda image: image.resize((450, 450)), MapError, "0.png has 450 × 450 .* other proportions"),
    ],
    ids=["colours", "transparent", "16 bits", "cropped", "squeezed"],
)
def test_pictures_that_are_no_maps_are_refused_by_name(edit, data, how, error, message):
    change(edit / FIRST, how)
    with pytest.raises(error, match=f"the map {edit}/maps/train/above/{message}"):
        edited_maps(edit, data)


def test_a_damaged_picture_is_one_error(edit, data):
    (edit / FIRST).write_bytes((edit / FIRST).read_bytes()[:200])
    with pytest.raises(ImageError, match="0.png is damaged"):
        edited_maps(edit, data)


def test_pictures_of_no_image_are_errors_and_other_files_are_said(edit, data):
    change(edit / FIRST, white_corner)
    (edit / "maps" / ".hidden.png").write_bytes(b"")
    (edit / "maps" / "0.xcf").write_bytes(b"layers")
    (edit / "maps/train/above/1.png").unlink()
    assert edited_maps(edit, data).notes == (
        f"1 files in {edit / 'maps'} are no pictures and are passed over",
        "1 maps of the list are gone and count as not edited (maps/train/above/1.png …)",
    )
    shutil.copy(edit / FIRST, edit / "maps" / "copy of 0.png")
    with pytest.raises(
        MapError, match=r"copy of 0.png is the map of no image in edit-list.csv; save an edited map under"
    ):
        edited_maps(edit, data)


def test_maps_of_other_images_and_of_another_cut_are_refused(edit, data):
    change(edit / FIRST, white_corner)
    other = data_set("magnetogram:size=32,train=8,val=8,test=0")
    other = replace(other, preprocessing=data.preprocessing)
    with pytest.raises(
        DataError, match=r"0.png was edited, and magnetogram:.* has no training image train/above/0.png"
    ):
        edited_maps(edit, other)
    cut = replace(data, preprocessing=replace(data.preprocessing, crop=(32, 32)))
    with pytest.raises(DataError, match=r"lie on another cut of the photos .*\(crop None there, \(32, 32\) now\)"):
        edited_maps(edit, cut)


def test_folders_that_are_no_list_are_refused(listed, tmp_path):
    for folder in (tmp_path, tmp_path / "none", listed[0]):
        with pytest.raises(DataError, match="; for edited maps give the folder that explain edit-list wrote"):
            edited_maps(folder, listed[1])


def test_masks_are_maps_of_ones_and_zeros(data):
    found = mask_maps(data)
    assert sorted(found.maps) == [1, 3, 5, 7, 9, 11]
    np.testing.assert_array_equal(found(7), data.train.mask(7).astype(np.float32))
    assert found.notes == ("masks of 6 of 12 training images stand for edited maps",)
    bare = replace(data, train=data.val)
    with pytest.raises(DataError, match="no training image of folder:.* has a mask that could stand for an edited map"):
        mask_maps(bare)


def test_a_trial_is_the_perception_branch_on_the_edited_map(listed, edit, data):
    change(edit / FIRST, white_corner)
    trained = open_training(listed[0], device="cpu")
    (found,) = trial(trained, edited_maps(edit, data))
    image = data.preprocessing(data.train.pixels(0))[None]
    with Image.open(edit / FIRST) as painted:
        cells = torch.tensor(np.asarray(painted).reshape(5, 90, 7, 90)[:, 0, :, 0] / 255, dtype=torch.float32)
    with torch.no_grad():
        own = trained.network.forward_branches(image)
        answered = trained.network.forward_branches(image, attention_map=cells[None, None])
    for answer, logits in ((found.before, own.logits), (found.after, answered.logits)):
        probabilities = logits.softmax(1)[0]
        assert answer.predicted == ("above", "below")[int(probabilities.argmax())]
        assert answer.probability == pytest.approx(float(probabilities.max()), abs=1e-4)
        assert answer.true_probability == pytest.approx(float(probabilities[0]), abs=1e-4)
        assert answer.right == (int(probabilities.argmax()) == 0)
    assert found.before.true_probability != found.after.true_probability
    assert found.distances[0] == pytest.approx(float((cells - own.attention_map[0, 0]).norm()), abs=1e-3)
    assert found.distances[1] == 0  # with the edited map in its place, that is the map
    (same,) = changes(trained, trained, edited_maps(edit, data))
    assert same.before == same.after == found.before
    assert same.distances[0] == same.distances[1] == found.distances[0]


def test_the_preview_has_a_row_for_each_edited_image(listed, edit, data, tmp_path):
    for index in range(3):
        change(edit / f"maps/train/above/{index}.png", white_corner)
    trained = open_training(listed[0], device="cpu")
    (tmp_path / "preview-009.png").write_bytes(b"of another time")
    (page,) = write_preview(tmp_path, trained, trial(trained, edited_maps(edit, data)))
    assert [path.name for path in tmp_path.glob("preview-*.png")] == ["preview-001.png"]
    with Image.open(page) as image:
        width, height = image.size
    assert width == 4 * (224 + 8) + 8
    assert height == 3 * (160 + 2 * 17 + SCALE + 8) + 8  # images of 28 × 20 as wide as their cells
