"""Images of a split as files: which, under which names, with which masks."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.data.images import read_image
from explainers.data.sets import Split
from explainers.data.written import write_split
from explainers.errors import DataError


class Flat(Split):
    """Images of one gray value each (ten times their index); masks by index: True has a square, False is empty."""

    def __init__(self, names, labels, masks=None, size=(6, 8)) -> None:
        self.names, self.labels, self.masks, self.size = names, labels, masks or {}, size

    def pixels(self, index):
        return np.full((*self.size, 3), 10 * index, np.uint8)

    def mask(self, index):
        if index not in self.masks:
            return None
        mask = np.zeros(self.size, bool)
        mask[1:3, 2:5] = self.masks[index]
        return mask


def found(folder):
    """Gray value of each PNG by its path."""
    return {
        path.relative_to(folder).as_posix(): int(read_image(path).pixels.max())
        for path in sorted(folder.rglob("*.png"))
    }


SIX = Flat([f"{index}.png" for index in range(6)], [0, 1, 0, 1, 1, 2], {1: True, 2: False, 3: True, 4: False, 5: True})


def test_the_first_images_are_written_as_they_are(tmp_path):
    written = write_split(SIX, tmp_path, count=3)
    assert written.labels == {"0.png": 0, "1.png": 1, "2.png": 0}
    assert (written.count, written.why) == (3, "")
    assert (written.images, written.masks) == (tmp_path / "images", tmp_path / "masks")
    assert found(tmp_path) == {"images/0.png": 0, "images/1.png": 10, "images/2.png": 20}
    assert np.array_equal(read_image(tmp_path / "images" / "2.png").pixels, SIX.pixels(2))


def test_fewer_than_asked_for_are_all(tmp_path):
    written = write_split(SIX, tmp_path, count=100)
    assert written.count == len(written.labels) == len(found(tmp_path)) == 6


def test_a_label_chooses_its_images_alone(tmp_path):
    written = write_split(SIX, tmp_path, count=2, label=1)
    assert written.labels == {"1.png": 1, "3.png": 1}
    assert (written.count, written.why) == (2, "")
    assert write_split(SIX, tmp_path / "zero", count=9, label=0).labels == {"0.png": 0, "2.png": 0}


def test_masks_that_are_needed_leave_out_images_without_one(tmp_path):
    written = write_split(SIX, tmp_path, count=2, masks=True)
    assert written.labels == {"1.png": 1, "3.png": 1}
    assert written.why == " (masks are needed, and 2 images before them have none)"
    assert found(tmp_path) == {"images/1.png": 10, "images/3.png": 30, "masks/1.png": 255, "masks/3.png": 255}
    mask = read_image(tmp_path / "masks" / "3.png").pixels
    assert np.array_equal(mask[..., 0] > 127, SIX.mask(3))
    assert set(np.unique(mask)) == {0, 255}


def test_masks_and_label_together(tmp_path):
    written = write_split(SIX, tmp_path, count=9, label=1, masks=True)
    assert written.labels == {"1.png": 1, "3.png": 1}
    assert written.why == " (masks are needed, and 1 images before them have none)"


def test_masks_that_are_not_needed_are_not_written(tmp_path):
    write_split(SIX, tmp_path, count=6)
    assert not (tmp_path / "masks").exists()


def test_folders_in_names_stay(tmp_path):
    split = Flat(["a/x.png", "b/x.png"], [0, 1])
    assert write_split(split, tmp_path, count=2).labels == {"a/x.png": 0, "b/x.png": 1}
    assert found(tmp_path) == {"images/a/x.png": 0, "images/b/x.png": 10}


@pytest.mark.parametrize(
    "names",
    [
        ("a.jpg", "a.png"),
        ("a.jpg", "a.jpeg", "a.tif", "a"),
        ("a.jpg", "a.jpg.png"),
        ("a", "a.png"),
        ("a.jpg.png", "a.jpg", "a.jpg.png.png"),
        ("a", "a.png", "a.png.png", "a.png.png.png"),
        ("x/a", "x/a.png", "a"),
    ],
)
def test_images_whose_names_differ_in_their_suffix_alone_stay_apart(tmp_path, names):
    split = Flat(list(names), list(range(len(names))), dict.fromkeys(range(len(names)), True))
    written = write_split(split, tmp_path, count=len(names), masks=True)
    assert sorted(written.labels.values()) == list(range(len(names)))
    assert written.count == len(names)
    for name, label in written.labels.items():
        assert found(tmp_path)[f"images/{name}"] == 10 * label
        assert (tmp_path / "masks" / name).exists()


def test_a_name_does_not_depend_on_which_images_are_chosen(tmp_path):
    split = Flat(["a.jpg", "a.jpg.png"], [0, 1])
    assert write_split(split, tmp_path / "both", count=2).labels == {"a.jpg.png.png": 0, "a.jpg.png": 1}
    assert write_split(split, tmp_path / "one", count=1).labels == {"a.jpg.png.png": 0}
    assert write_split(split, tmp_path / "other", count=2, label=1).labels == {"a.jpg.png": 1}


def test_names_of_written_files_end_in_png(tmp_path):
    split = Flat(["photo.JPG", "scan.PNG", "b.png"], [0, 1, 2])
    written = write_split(split, tmp_path, count=3)
    assert sorted(written.labels) == ["b.png", "photo.JPG.png", "scan.PNG.png"]
    assert sorted(found(tmp_path)) == [f"images/{name}" for name in sorted(written.labels)]


def test_files_that_are_there_already_are_written_anew(tmp_path):
    write_split(SIX, tmp_path, count=2, masks=True)
    others = Flat(SIX.names[::-1], SIX.labels[::-1], {2: True, 4: True}, (5, 9))  # the same names, other images
    assert write_split(others, tmp_path, count=2, masks=True).labels == {"3.png": 1, "1.png": 1}
    assert found(tmp_path / "images") == {"1.png": 40, "3.png": 20}
    for index, name in ((2, "3.png"), (4, "1.png")):
        assert np.array_equal(read_image(tmp_path / "images" / name).pixels, others.pixels(index))
        assert np.array_equal(read_image(tmp_path / "masks" / name).pixels[..., 0] > 127, others.mask(index))


def test_a_rare_class_with_a_mask_is_found_among_all(tmp_path):
    assert write_split(SIX, tmp_path, count=2, masks=True, label=2).labels == {"5.png": 2}


@pytest.mark.parametrize(
    ("split", "chosen", "message"),
    [
        (SIX, {"label": 7}, "there is no image of class 7 among these 6"),
        (SIX, {"label": 0, "masks": True}, "there is no image of class 0 with a mask among these 6"),
        (
            Flat(["a.png", "b.png"], [0, 0], {1: False}),
            {"masks": True},
            "there is no image with a mask among these 2",
        ),
        (Flat([], []), {}, "there is no image among these 0"),
    ],
)
def test_no_such_image_is_told(tmp_path, split, chosen, message):
    with pytest.raises(DataError) as caught:
        write_split(split, tmp_path, count=2, **chosen)
    assert str(caught.value) == message
    assert found(tmp_path) == {}
