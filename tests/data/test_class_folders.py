"""Class folders, split already or not."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.core.preprocessing import Preprocessing
from explainers.data.images import write_image
from explainers.data.sets import data_set
from explainers.data.sets.splits import fraction_of
from explainers.errors import DataError, ImageError

# Fractions of the names by the hash: cat .102 .415 .439 .401 .909 .178 .810, dog .455 .738 .509 .958
FLAT = [f"cat/{index}.png" for index in range(7)] + [f"dog/{index}.png" for index in range(4)]


def write(root, names, value=90):
    for name in names:
        write_image(root / name, np.full((3, 4, 3), value, np.uint8))


def of(split):
    return list(zip(split.names, split.labels, strict=True))


@pytest.fixture
def ready(tmp_path):
    write(tmp_path, [f"{split}/{name}/{split}.png" for split in ("train", "val", "test") for name in ("dog", "cat")])
    return tmp_path


def test_flat_folders_are_divided_by_names(tmp_path):
    write(tmp_path, FLAT)
    data = data_set(f"folder:{tmp_path}")
    assert data.spec == f"folder:{tmp_path}"
    assert data.class_names == ("cat", "dog")
    assert of(data.train) == [(f"cat/{i}.png", 0) for i in (0, 1, 2, 3, 5)] + [("dog/0.png", 1), ("dog/2.png", 1)]
    assert of(data.val) == [("cat/6.png", 0), ("dog/1.png", 1)]
    assert of(data.test) == [("cat/4.png", 0), ("dog/3.png", 1)]
    assert data.notes == ("split by a hash of each name: 7 train, 2 val, 2 test images",)
    assert data.preprocessing == Preprocessing(
        256, (224, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), source="folder"
    )
    assert not data.masks


def test_a_class_without_test_images_and_a_test_without_images_are_told(tmp_path):
    write(tmp_path, [name for name in FLAT if name != "dog/3.png"])
    data = data_set(f"folder:{tmp_path}")
    assert data.notes[1:] == ("no test images of dog",)
    (tmp_path / "cat" / "4.png").unlink()
    data = data_set(f"folder:{tmp_path}")
    assert data.test is None
    assert data.notes[1:] == ("no test images of cat, dog",)


def test_ready_folders_stay_as_they_are(ready):
    data = data_set(f"folder:{ready}")
    assert of(data.train) == [("train/cat/train.png", 0), ("train/dog/train.png", 1)]
    assert of(data.val) == [("val/cat/val.png", 0), ("val/dog/val.png", 1)]
    assert of(data.test) == [("test/cat/test.png", 0), ("test/dog/test.png", 1)]
    assert data.notes == ()


@pytest.mark.parametrize("name", ["valid", "validation"])
def test_other_names_of_val(ready, name):
    (ready / "val").rename(ready / name)
    assert data_set(f"folder:{ready}").val.names == (f"{name}/cat/val.png", f"{name}/dog/val.png")


def test_without_val_a_fifth_of_train_is_taken(tmp_path):
    # fractions: cat .957 .395, dog .955 .695 .907
    write(tmp_path, ["train/cat/0.png", "train/cat/1.png", "train/dog/0.png", "train/dog/1.png", "train/dog/2.png"])
    data = data_set(f"folder:{tmp_path}")
    assert of(data.train) == [("train/cat/1.png", 0), ("train/dog/1.png", 1)]
    assert of(data.val) == [("train/cat/0.png", 0), ("train/dog/0.png", 1), ("train/dog/2.png", 1)]
    assert data.test is None
    assert data.notes == ("no val folder: 3 images of train, by a hash of their names, are for validation",)


def test_deeper_folders_and_other_files_are_as_find_images_has_them(ready):
    write(ready, ["train/cat/more/x.png", "train/cat/.hidden.png", "train/.cache/y.png"])
    (ready / "train" / "cat" / "notes.txt").write_text("no image")
    data = data_set(f"folder:{ready}")
    assert data.train.names == ("train/cat/more/x.png", "train/cat/train.png", "train/dog/train.png")


def test_masks_mirror_the_images(ready):
    for name in ("cat", "dog"):
        mask = np.zeros((3, 4), np.uint8)
        mask[1, 2] = 255
        write_image(ready / "masks" / "test" / name / "test.png", mask)
    data = data_set(f"folder:{ready}")
    assert data.masks
    assert np.argwhere(data.test.mask(1)).tolist() == [[1, 2]]
    assert data.train.mask(0) is None  # masks/test is no mask of an image in train
    (ready / "masks" / "test" / "dog" / "test.png").unlink()
    data = data_set(f"folder:{ready}")
    assert not data.masks
    assert data.test.mask(0) is not None
    assert data.test.mask(1) is None
    assert data.notes == ("1 of 2 test images have masks",)


def test_the_folder_of_masks_is_no_class(tmp_path):
    write(tmp_path, FLAT)
    write(tmp_path, [f"masks/{name}" for name in FLAT], value=255)
    data = data_set(f"folder:{tmp_path}")
    assert data.class_names == ("cat", "dog")
    assert data.masks
    assert data.train.mask(0).all()


def test_a_damaged_image_is_reported_when_it_is_read(ready):
    (ready / "train" / "cat" / "train.png").write_bytes(b"")
    data = data_set(f"folder:{ready}")
    with pytest.raises(ImageError, match="train/cat/train.png is empty"):
        data.train.pixels(0)
    assert data.train.pixels(1).tolist() == np.full((3, 4, 3), 90).tolist()


def error(root):
    with pytest.raises(DataError) as caught:
        data_set(f"folder:{root}")
    return str(caught.value).replace(str(root), "ROOT")


def test_a_small_class_lends_an_image_to_a_part_without_one(tmp_path):
    """Without dog/1 val has no dog; of train's two, dog/0 and dog/2, the one with the lower hash moves."""
    write(tmp_path, [name for name in FLAT if name != "dog/1.png"])
    data = data_set(f"folder:{tmp_path}")
    lent = min((fraction_of(name), name) for name in ("dog/0.png", "dog/2.png"))[1]
    assert (lent, 1) in of(data.val)
    assert (lent, 1) not in of(data.train)
    assert sum(label for _, label in of(data.train)) == 1
    assert data.notes[-1] == f"class dog is small: {lent} was lent to val, which had none of it"


def test_two_images_are_enough_for_a_class(tmp_path):
    for names in (["dog/0.png", "dog/1.png"], ["dog/1.png", "dog/3.png"], ["dog/0.png", "dog/3.png"]):
        folder = tmp_path / names[0][4] / names[1][4]
        write(folder, [*(name for name in FLAT if name.startswith("cat")), *names])
        data = data_set(f"folder:{folder}")
        assert [sum(label for _, label in of(split)) for split in (data.train, data.val)] == [1, 1]


def test_a_single_image_cannot_be_divided(tmp_path):
    write(tmp_path, [*(name for name in FLAT if name.startswith("cat")), "dog/0.png"])
    assert error(tmp_path) == ("class dog of ROOT has one image; it needs one to train and one to validate")


def test_other_classes_in_another_split(ready):
    (ready / "val" / "dog").rename(ready / "val" / "fox")
    assert error(ready) == "the classes of ROOT/val and ROOT/train differ: only train has dog; only val has fox"
    (ready / "val" / "fox").rename(ready / "val" / "dog")
    write(ready, ["test/eel/0.png"])
    assert error(ready) == "the classes of ROOT/test and ROOT/train differ: only test has eel"


def test_fewer_than_two_classes(tmp_path):
    assert error(tmp_path) == "ROOT needs a folder of images for each of at least two classes; there is none"
    write(tmp_path, ["cat/0.png", "masks/cat/0.png"])
    assert error(tmp_path) == "ROOT needs a folder of images for each of at least two classes; there is only cat"
    write(tmp_path, ["train/cat/0.png"])
    assert error(tmp_path) == "ROOT/train needs a folder of images for each of at least two classes; there is only cat"


def test_a_class_without_images(ready):
    (ready / "val" / "dog" / "val.png").unlink()
    assert error(ready).startswith("class dog cannot be used: no images below ROOT/val/dog (looked for .avif, ")


def test_two_masks_of_one_image(ready):
    write(ready, ["masks/test/cat/test.webp", "masks/test/cat/test.jpg"], value=255)
    assert error(ready) == (
        "several masks of test/cat/test.png: ROOT/masks/test/cat/test.jpg, ROOT/masks/test/cat/test.webp; leave the one "
        "that is meant"
    )


def test_splits_that_do_not_fit(ready):
    write(ready, ["valid/cat/0.png", "valid/dog/0.png"])
    assert error(ready) == "ROOT has the folders val and valid; leave the one with validation images"
    (ready / "train").rename(ready / "training")
    assert error(ready) == (
        "ROOT has a folder val and no folder train; expected train/CLASS/… beside it, or CLASS/… alone"
    )
