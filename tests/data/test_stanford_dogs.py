"""Dogs in the folders, lists and annotations that Stanford Dogs is distributed in."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from explainers.data.images import write_image
from explainers.data.sets import data_set
from explainers.data.sets.photographs.annotations import annotated_boxes
from explainers.errors import DataError, DependencyError, MapError

io = pytest.importorskip("scipy.io")
BREEDS = ("n02085620-Chihuahua", "n02085782-Japanese_spaniel")
ANNOTATION = """<annotation>
\t<folder>{folder}</folder>
\t<filename>{stem}</filename>
\t<size><width>12</width><height>10</height><depth>3</depth></size>
\t<segment>0</segment>
{objects}</annotation>"""
OBJECT = """\t<object><name>dog</name><pose>Unspecified</pose><truncated>0</truncated>
\t\t<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>
"""


def write_list(path, names, labels):
    """As MATLAB keeps them: a column of cells, and a column of numbers."""
    cells = np.empty((len(names), 1), object)
    cells[:, 0] = names
    annotations = np.empty((len(names), 1), object)
    annotations[:, 0] = [name.removesuffix(".jpg") for name in names]
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"file_list": cells, "annotation_list": annotations, "labels": np.array(labels, np.uint8)[:, None]}
    io.savemat(path, content)


@pytest.fixture
def root(tmp_path):
    """Six training and two test images a breed; image n is filled with n, and its box is n % 4 + 2 wide."""
    parts = {"train": ([], []), "test": ([], [])}
    for number in range(1, 17):
        breed = number > 8
        name = f"{BREEDS[breed]}/{BREEDS[breed][:9]}_{number}.jpg"
        write_image(tmp_path / "Images" / name, np.full((10, 12, 3), number, np.uint8), quality=100)
        annotation = (tmp_path / "Annotation" / name).with_suffix("")
        annotation.parent.mkdir(parents=True, exist_ok=True)
        objects = OBJECT.format(1, 2, number % 4 + 3, 7) + (OBJECT.format(9, 8, 11, 9) if number == 7 else "")
        annotation.write_text(ANNOTATION.format(folder=BREEDS[breed][1:9], stem=annotation.name, objects=objects))
        names, labels = parts["test" if number % 8 in (0, 7) else "train"]
        names.append(name)
        labels.append(breed + 1)
    for part, content in parts.items():
        write_list(tmp_path / "lists" / f"{part}_list.mat", *content)
    return tmp_path


def test_the_lists_split_with_a_tenth_of_each_class_held_out_and_boxes_under_their_name(root):
    made = data_set(f"stanford-dogs:{root}")
    assert made.class_names == ("Chihuahua", "Japanese_spaniel")
    assert [len(split) for split in (made.train, made.val, made.test)] == [10, 2, 4]
    assert not made.masks
    for split in (made.train, made.val, made.test):
        assert split.mask_names == ("box",)
        for index, name in enumerate(split.names):
            number = int(name.removesuffix(".jpg").split("_")[-1])
            assert split.labels[index] == (number > 8)
            assert split.pixels(index).max() == number
            assert split.mask(index) is None
            box = np.zeros((10, 12), bool)
            box[2:7, 1 : number % 4 + 3] = True
            if number == 7:
                box[8:9, 9:11] = True
            assert np.array_equal(split.named_mask(index, "box"), box)
            split.check_mask(index, (10, 12))
    assert {int(name.removesuffix(".jpg").split("_")[-1]) for name in made.test.names} == {7, 8, 15, 16}


def test_lists_beside_the_images_and_no_annotations(root):
    for path in (root / "lists").iterdir():
        path.rename(root / path.name)
    (root / "lists").rmdir()
    (root / "Annotation").rename(root / "elsewhere")
    made = data_set(f"stanford-dogs:{root}")
    assert len(made.train) == 10
    assert made.test.named_mask(0, "mask") is None
    assert "no boxes: no folder Annotation" in made.notes[1]


def test_without_scipy_it_says_what_to_install(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DependencyError, match=r"train_list.mat are MATLAB files, which need SciPy: pip install"):
        data_set(f"stanford-dogs:{root}")


A, B = (f"{breed}/{breed[:9]}_{number}.jpg" for breed, number in zip(BREEDS, (1, 9), strict=True))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda root: (root / "Images").rename(root / "images_"), "has no Images; expected Stanford Dogs as distributed"),
        (lambda root: (root / "lists" / "test_list.mat").unlink(), "no file .*test_list.mat"),
        (lambda root: (root / "lists" / "test_list.mat").write_bytes(b"x" * 200), "test_list.mat cannot be read as a MATLAB"),
        (lambda root: io.savemat(root / "lists" / "test_list.mat", {"labels": [1]}), "test_list.mat has no variable file_list"),
        (lambda root: write_list(root / "lists" / "test_list.mat", [A, B], [1, 1]), "give n02085782-.* and n02085620-.* the same label 1"),
        (lambda root: write_list(root / "lists" / "test_list.mat", [A, B], [1, 2]), "both lists name n02085620-Chihuahua/n02085620_1.jpg"),
        (lambda root: write_list(root / "lists" / "test_list.mat", ["a", "b"], [1, 2]), "expected file_list to be paths CLASS/IMAGE.jpg"),
        (lambda root: write_list(root / "lists" / "test_list.mat", [A, A], [1, 2]), "names n02085620-.*_1.jpg twice"),
        (lambda root: (root / "Images" / A).unlink(), "Images lacks n02085620-.*_1.jpg, which .*train_list.mat names"),
        (lambda root: (root / "Annotation" / A).with_suffix("").unlink(), "lacks the boxes of n02085620-.*_1.jpg"),
    ],
)  # fmt: skip
def test_what_is_missing_or_broken_is_said(root, change, text):
    change(root)
    with pytest.raises(DataError, match=text):
        data_set(f"stanford-dogs:{root}")


BILLION = '<!DOCTYPE a [<!ENTITY x "boom"><!ENTITY y "&x;&x;&x;">]><annotation>&y;</annotation>'


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (BILLION.encode(), "declares a document type, which an annotation does not have"),
        (BILLION.encode("utf-16"), "cannot be read as an annotation with boxes"),
        (b"<annotation><object>", "cannot be read as an annotation with boxes: no element found"),
        (b"<annotation></annotation>", "has no object with a bndbox"),
        (b"<annotation><object><bndbox><xmin>a</xmin></bndbox></object></annotation>", "could not convert string"),
        (b" " * (1 << 20) + b"<annotation/>", "more than the limit of 1,048,576"),
    ],
)
def test_annotations_that_are_none_are_refused(tmp_path, content, text):
    (tmp_path / "n02085620_1").write_bytes(content)
    with pytest.raises(MapError, match=text):
        annotated_boxes(tmp_path / "n02085620_1")
