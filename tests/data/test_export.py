"""Images of a split as files: which, under which names, with which masks."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest

from explainers.data.data_set import Split
from explainers.data.images import ImageFile, read_image, write_image
from explainers.data.sets.export import write_split
from explainers.data.sets.splits import Box, FileSplit
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


# By the hash of their names: 0, 2, 1, 4, 3, 5. The classes in turn, then: 0, 1, 5, 2, 4, 3.


def test_classes_are_taken_in_turn_and_images_written_as_they_are(tmp_path):
    written = write_split(SIX, tmp_path, count=3)
    assert list(written.labels.items()) == [("0.png", 0), ("1.png", 1), ("5.png", 2)]
    assert written.blank == 0
    assert (written.images, written.masks) == (tmp_path / "images", tmp_path / "masks")
    assert found(tmp_path) == {"images/0.png": 0, "images/1.png": 10, "images/5.png": 50}
    assert np.array_equal(read_image(tmp_path / "images" / "5.png").pixels, SIX.pixels(5))


def test_fewer_than_asked_for_are_all(tmp_path):
    written = write_split(SIX, tmp_path, count=100)
    assert list(written.labels) == ["0.png", "1.png", "5.png", "2.png", "4.png", "3.png"]
    assert len(found(tmp_path)) == 6


def slowly(names, labels, count):
    """Round after round, the next image of each class by the hash of its name."""
    order, done = [], 0
    ranked = sorted(zip(names, labels, strict=True), key=lambda pair: hashlib.sha256(pair[0].encode()).digest())
    while len(order) < len(names):
        order += [
            pair for own in sorted(set(labels)) for pair in [each for each in ranked if each[1] == own][done:][:1]
        ]
        done += 1
    return order[:count]


def rare(seed=0):
    """Of 24 images four of class 0 and three of class 7, in an order of their own."""
    pairs = [(f"day {index}/x.png", 0 if index < 4 else 7 if index < 7 else 3) for index in range(24)]
    random.Random(seed).shuffle(pairs)
    return Flat(*map(list, zip(*pairs, strict=True)), size=(2, 2))


def test_a_larger_part_begins_with_a_smaller_one(tmp_path):
    split = rare()
    for count in (1, 2, 7, 11, 12, 23, 24, 25):
        written = write_split(split, tmp_path / str(count), count=count)
        assert list(written.labels.items()) == slowly(split.names, split.labels, count)


def test_a_part_has_as_many_of_each_class_until_a_class_ends(tmp_path):
    for count, of_each in ((3, [1, 1, 1]), (9, [3, 3, 3]), (12, [4, 5, 3])):
        labels = list(write_split(rare(), tmp_path / str(count), count=count).labels.values())
        assert [labels.count(own) for own in (0, 3, 7)] == of_each


def test_the_order_within_a_split_has_no_say(tmp_path):
    chosen = [write_split(rare(seed), tmp_path / str(seed), count=10).labels for seed in (0, 1)]
    assert list(chosen[0].items()) == list(chosen[1].items())


def test_a_label_chooses_its_images_alone(tmp_path):
    written = write_split(SIX, tmp_path, count=2, label=1)
    assert list(written.labels.items()) == [("1.png", 1), ("4.png", 1)]
    assert written.blank == 0
    assert write_split(SIX, tmp_path / "zero", count=9, label=0).labels == {"0.png": 0, "2.png": 0}


def test_masks_that_are_needed_leave_out_images_without_one(tmp_path):
    written = write_split(SIX, tmp_path, count=3, masks=True)
    assert list(written.labels.items()) == [("1.png", 1), ("5.png", 2), ("3.png", 1)]
    assert written.blank == 3  # 0 has none, those of 2 and 4 are empty
    names = ("1.png", "3.png", "5.png")
    gray = {f"images/{name}": 10 * int(name[0]) for name in names}
    assert found(tmp_path) == {**gray, **{f"masks/{name}": 255 for name in names}}
    mask = read_image(tmp_path / "masks" / "3.png").pixels
    assert np.array_equal(mask[..., 0] > 127, SIX.mask(3))
    assert set(np.unique(mask)) == {0, 255}


def test_images_behind_the_last_one_taken_are_not_counted_as_passed_over(tmp_path):
    written = write_split(SIX, tmp_path, count=2, masks=True)
    assert (set(written.labels), written.blank) == ({"1.png", "5.png"}, 1)


def test_masks_and_label_together(tmp_path):
    written = write_split(SIX, tmp_path, count=9, label=1, masks=True)
    assert written.labels == {"1.png": 1, "3.png": 1}
    assert written.blank == 1


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
    assert len(found(tmp_path)) == 2 * len(names)
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
    assert write_split(SIX, tmp_path, count=2, label=1, masks=True).labels == {"1.png": 1, "3.png": 1}
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


class Two(Flat):
    """The same with a second mask, one pixel in the corner."""

    mask_names = ("mask", "corner")

    def named_mask(self, index, name):
        if name != "corner":
            return super().named_mask(index, name)
        return np.arange(self.size[0] * self.size[1]).reshape(self.size) == 0


def test_masks_may_be_asked_for_by_name(tmp_path):
    two = Two(SIX.names, SIX.labels, SIX.masks)
    written = write_split(two, tmp_path, count=2, masks="corner")
    assert list(written.labels) == ["0.png", "1.png"]  # which has no mask of the other name
    mask = read_image(written.masks / "0.png").pixels[..., 0]
    assert np.argwhere(mask).tolist() == [[0, 0]]
    with pytest.raises(DataError, match="there is no mask 'bird'; there is mask and corner"):
        write_split(two, tmp_path / "b", count=2, masks="bird")


def test_boxes_are_written_only_by_their_name(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((4, 6, 3), np.uint8))
    split = FileSplit([ImageFile(tmp_path / "a.png", "a.png")], [0], boxes=lambda name: [Box(0, 0, 2, 2)])
    with pytest.raises(DataError, match="there is no image with a mask among these 1"):
        write_split(split, tmp_path / "out", count=1, masks=True)
    written = write_split(split, tmp_path / "out", count=1, masks="box")
    assert (read_image(written.masks / "a.png").pixels[..., 0] > 0).sum() == 4
