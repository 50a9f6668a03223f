"""Birds in the folders and lists that CUB-200-2011 and CUB-200-2010 are distributed in."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from explainers.data.images import write_image
from explainers.data.sets import data_set
from explainers.errors import DataError, DependencyError, ImageError, MapError

CLASSES = ("001.Black_footed_Albatross", "002.Laysan_Albatross")


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))


def inside(number):
    """The bird of image `number`, 10 × 12 pixels."""
    mask = np.zeros((10, 12), bool)
    mask[2:7, 1 : 3 + number % 5] = True
    return mask


@pytest.fixture
def root(tmp_path):
    """CUB-200-2011 with 13 images a class, of which 12 and 11 are for training; image n is filled with n."""
    cub, paths = tmp_path / "CUB_200_2011", []
    for number in range(1, 27):
        name = CLASSES[number > 13]
        paths.append(f"{name}/{name[4:]}_{number:04d}_{number * 7}.jpg")
        write_image(cub / "images" / paths[-1], np.full((10, 12, 3), number, np.uint8), quality=100)
        people = np.where(inside(number), 153, 102).astype(np.uint8)  # three of five, and two of five
        write_image(tmp_path / "segmentations" / paths[-1].replace(".jpg", ".png"), people)
    lines(cub / "images.txt", [f"{number} {path}" for number, path in enumerate(paths, 1)])
    lines(cub / "train_test_split.txt", [f"{number} {int(number not in (13, 14, 15))}" for number in range(1, 27)])
    lines(cub / "classes.txt", [f"{number} {name}" for number, name in enumerate(CLASSES, 1)])
    lines(cub / "image_class_labels.txt", [f"{number} {1 + (number > 13)}" for number in range(1, 27)])
    lines(cub / "bounding_boxes.txt", [f"{number} 1.0 2.0 {number % 5 + 2}.0 5.0" for number in range(1, 27)])
    return tmp_path


def replaced(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_2011_has_the_lists_split_with_a_sixth_of_each_class_held_out(root):
    made = data_set(f"cub200-2011:{root}")
    assert made.class_names == CLASSES
    assert [len(split) for split in (made.train, made.val, made.test)] == [20, 3, 3]  # 12 // 6 + 11 // 6 held out
    assert sorted(made.val.labels) == [0, 0, 1]
    seen = set()
    for split in (made.train, made.val, made.test):
        for index, name in enumerate(split.names):
            number = int(name.split("_")[-2])
            assert split.labels[index] == (number > 13)
            assert split.pixels(index).max() == number
            assert np.array_equal(split.mask(index), inside(number))
            assert np.array_equal(split.named_mask(index, "box"), inside(number))
            split.check_mask(index, (10, 12))
            seen.add(number)
    assert seen == set(range(1, 27))
    assert {int(name.split("_")[-2]) for name in made.test.names} == {13, 14, 15}
    assert made.masks
    assert made.test.mask_names == ("mask", "box")
    assert "3 of the 23 training images" in made.notes[0]


def test_2011_from_its_own_folder_and_with_segmentations_inside_it(root):
    (root / "segmentations").rename(root / "CUB_200_2011" / "segmentations")
    made = data_set(f"cub200-2011:{root / 'CUB_200_2011'}")
    assert made.test.mask(0).any()


def test_2011_holds_out_994_of_the_real_sets_training_images():
    from explainers.data.sets.photographs.cub200_2011 import VAL_SHARE, held_out, math

    labels = [label for label in range(200) for _ in range(29 if label < 6 else 30)]  # 5,994
    kept, val = held_out([f"{index}.jpg" for index in range(len(labels))], labels, VAL_SHARE, math.floor)
    assert (len(kept), len(val)) == (5000, 994)


def test_2011_without_segmentations_has_boxes_and_no_masks(root):
    (root / "segmentations").rename(root / "elsewhere")
    made = data_set(f"cub200-2011:{root}")
    assert not made.masks
    assert made.test.mask(0) is None
    assert made.test.mask_names == ("box",)
    assert made.test.named_mask(0, "box").any()
    assert "no folder segmentations in or beside" in made.notes[1]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda cub: (cub / "classes.txt").unlink(), "CUB_200_2011 has no classes.txt; expected CUB-200-2011 as dist"),
        (lambda cub: replaced(cub / "images.txt", "5 001.", "4 001."), "images.txt, line 5: number 4 stands there for the"),
        (lambda cub: replaced(cub / "images.txt", "5 001.", "five 001."), "line 5: expected a number and the path of an"),
        (lambda cub: replaced(cub / "train_test_split.txt", "5 1\n", "5 2\n"), "line 5: expected a number and 0 or 1, f"),
        (lambda cub: replaced(cub / "train_test_split.txt", "\n5 1\n", "\n"), r"train_test_split.txt has no line of 5 \(00"),
        (lambda cub: replaced(cub / "image_class_labels.txt", "26 2\n", ""), r"labels.txt has no line of 26 \(002.Laysan"),
        (lambda cub: replaced(cub / "image_class_labels.txt", "26 2", "26 3"), "_0026_182.jpg the class 3, which .*classes"),
        (lambda cub: replaced(cub / "bounding_boxes.txt", "4 1.0 2.0 6.0", "4 1.0 2.0 -6.0"), "line 4: expected a number and x"),
        (lambda cub: replaced(cub / "bounding_boxes.txt", "26 ", "27 "), r"bounding_boxes.txt has no line of 26"),
        (lambda cub: lines(cub / "train_test_split.txt", [f"{n} 1" for n in range(1, 27)]), "has no test image"),
        (lambda cub: next((cub / "images").rglob("*_0004_28.jpg")).unlink(), "images lacks 001.*_0004_28.jpg, which .*images.txt"),
        (lambda cub: next((cub.parent / "segmentations").rglob("*_0004_28.png")).unlink(), "lacks the segmentations of 001.*_0004_28.jpg"),
        (lambda cub: replaced(cub / "images.txt", "1 001.Black_footed_Albatross/", "1 ../images/001.Black_footed_Albatross/"), "outside its folder"),
        (lambda cub: replaced(cub / "images.txt", "Albatross_0002_14", "Albatross_0001_7"), "names 001.*_0001_7.jpg twice"),
    ],
)  # fmt: skip
def test_2011_says_what_is_missing_or_broken(root, change, text):
    change(root / "CUB_200_2011")
    with pytest.raises(DataError, match=text):
        data_set(f"cub200-2011:{root}")


def test_a_mask_of_another_size_is_refused_before_the_first_epoch(root, tmp_path):
    from explainers.baselines import Settings, train

    wrong = next((root / "segmentations").rglob("*_0004_28.png"))
    write_image(wrong, np.full((10, 13), 255, np.uint8))
    with pytest.raises(
        ImageError, match=rf"an image cannot be read: the mask .*{wrong.name} has 10 × 13 pixels, its image"
    ):
        train(
            "plain", f"cub200-2011:{root}", tmp_path / "RUN", Settings(epochs=1), options={"backbone": "cifar-resnet20"}
        )
    assert not (tmp_path / "RUN" / "log.csv").exists()


@pytest.fixture
def older(tmp_path):
    """CUB-200-2010 with five training images and two test images a class; image n is filled with n."""
    io = pytest.importorskip("scipy.io")
    listed = {"train": [], "test": []}
    for number in range(1, 15):
        name = CLASSES[number > 7]
        path = f"{name}/{name[4:]}_{number:04d}_{number * 7}.jpg"
        listed["test" if number % 7 in (0, 1) else "train"].append(path)
        write_image(tmp_path / "images" / path, np.full((10, 12, 3), number, np.uint8), quality=100)
        annotation = (tmp_path / "annotations-mat" / path).with_suffix(".mat")
        annotation.parent.mkdir(parents=True, exist_ok=True)
        box = {"left": 1.0, "top": 2.0, "right": 3.0 + number % 5, "bottom": 7.0}
        io.savemat(annotation, {"bbox": box, "seg": inside(number), "wikipedia_url": "http://"})
    lines(tmp_path / "lists" / "classes.txt", CLASSES)
    for part, paths in listed.items():
        lines(tmp_path / "lists" / f"{part}.txt", paths)
    return tmp_path


def test_2010_has_the_lists_split_and_the_masks_of_its_annotations(older):
    made = data_set(f"cub200-2010:{older}")
    assert made.class_names == CLASSES
    assert [len(split) for split in (made.train, made.val, made.test)] == [8, 2, 4]
    for split in (made.train, made.val, made.test):
        for index, name in enumerate(split.names):
            number = int(name.split("_")[-2])
            assert split.labels[index] == (number > 7)
            assert np.array_equal(split.mask(index), inside(number))
            assert np.array_equal(split.named_mask(index, "box"), inside(number))
    assert {int(name.split("_")[-2]) for name in made.test.names} == {1, 7, 8, 14}


def test_2010_without_annotations_has_neither_masks_nor_boxes(older):
    (older / "annotations-mat").rename(older / "elsewhere")
    made = data_set(f"cub200-2010:{older}")
    assert not made.masks
    assert made.test.mask(0) is None
    assert "no masks and no boxes: no folder annotations-mat" in made.notes[1]


def test_2010_without_scipy_names_what_to_install(older, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(
        DependencyError, match=r"are MATLAB files, which need SciPy: pip install 'explainers\[matlab\]'"
    ):
        data_set(f"cub200-2010:{older}")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda cub: (cub / "lists" / "test.txt").unlink(), "has no lists/test.txt; expected CUB-200-2010 as distributed"),
        (lambda cub: replaced(cub / "lists" / "train.txt", "002.Laysan", "003.Laysan"), "train.txt, line 6: expected CLASS/IMAGE"),
        (lambda cub: (cub / "lists" / "test.txt").write_text("\n"), "test.txt is empty"),
        (lambda cub: (cub / "lists" / "test.txt").write_bytes(b"\xff\xfe\x00"), "test.txt cannot be read as text"),
        (lambda cub: lines(cub / "lists" / "test.txt", [(cub / "lists" / "train.txt").read_text()]), "both name 001."),
        (lambda cub: replaced(cub / "lists" / "classes.txt", "002.Laysan_Albatross", CLASSES[0]), "classes.txt names a class twice"),
        (lambda cub: next((cub / "annotations-mat").rglob("*_0004_28.mat")).unlink(), "lacks the annotations of 001.*_0004_28"),
    ],
)  # fmt: skip
def test_2010_says_what_is_missing_or_broken(older, change, text):
    change(older)
    with pytest.raises(DataError, match=text):
        data_set(f"cub200-2010:{older}")


def test_2010_refuses_annotations_that_are_none(older):
    io = pytest.importorskip("scipy.io")
    made = data_set(f"cub200-2010:{older}")
    path = made.test.masks[made.test.names[0]][0]
    for content, text in (
        ({"bbox": 1}, "has no variable seg"),
        ({"seg": np.zeros((10, 12))}, "has nothing inside"),
        ({"seg": np.ones((10, 12, 3))}, "expected seg to be a mask"),
        ({"seg": np.ones((10, 13))}, "has 10 × 13 pixels, its image .* has 10 × 12"),
    ):
        io.savemat(path, content)
        with pytest.raises((DataError, MapError), match=text):
            made.test.mask(0)
    io.savemat(path, {"bbox": {"left": 1.0}, "seg": np.ones((10, 12))})
    with pytest.raises(MapError, match="expected bbox with left, top, right and bottom"):
        made.test.named_mask(0, "box")
    path.write_bytes(b"no MATLAB file")
    with pytest.raises(DataError, match="cannot be read as a MATLAB file"):
        made.test.mask(0)
