"""ImageNet in torchvision's folders, and ImageNet-S with its masks."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from explainers.data.images import write_image
from explainers.data.sets import data_set
from explainers.errors import DataError, MapError

SYNSETS = [f"n{1440764 + 7 * number:08d}" for number in range(50)]


def write_class_mask(path, classes):
    """(H, W) numbers of classes as red + 256 · green."""
    write_image(path, np.stack([classes % 256, classes // 256, 0 * classes], axis=-1).astype(np.uint8))


@pytest.fixture
def image_net(tmp_path):
    """Four training images and one of val for each of three classes, filled with the class."""
    for label, name in enumerate(SYNSETS[:3]):
        for number in range(4):
            write_image(tmp_path / "train" / name / f"{name}_{number}.JPEG.png", np.full((8, 8, 3), label, np.uint8))
        write_image(tmp_path / "val" / name / f"ILSVRC2012_val_{label:08d}.png", np.full((8, 8, 3), label, np.uint8))
    (tmp_path / "meta.bin").write_bytes(b"a pickle")
    return tmp_path


def test_image_net_has_val_as_its_test_and_holds_out_one_of_each_class(image_net):
    made = data_set(f"image-net:{image_net}")
    assert made.class_names == tuple(SYNSETS[:3])
    assert [len(split) for split in (made.train, made.val, made.test)] == [9, 3, 3]
    assert made.val.labels == (0, 1, 2)
    for split in (made.train, made.val, made.test):
        assert all(split.pixels(index).max() == label for index, label in enumerate(split.labels))
    assert all(name.startswith("val/") for name in made.test.names)
    assert made.train.mask(0) is None
    assert not made.masks


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda root: shutil.rmtree(root / "val"), "has no val; expected ImageNet as distributed, with train, val"),
        (lambda root: shutil.rmtree(root / "val" / SYNSETS[1]), f"val and .*train differ: the first lacks {SYNSETS[1]}"),
        (lambda root: (root / "val" / SYNSETS[9]).mkdir(), f"val and .*train differ: the first has {SYNSETS[9]}"),
        (lambda root: (root / "train" / "tench").mkdir(), "train: expected folders such as n01440764, found tench"),
        (lambda root: [shutil.rmtree(root / "train" / name) for name in SYNSETS[:2]], "train has 1 class folders"),
        (lambda root: [path.unlink() for path in (root / "val" / SYNSETS[1]).iterdir()], f"class {SYNSETS[1]} cannot be used: no im"),
    ],
)  # fmt: skip
def test_image_net_says_what_is_missing(image_net, change, text):
    change(image_net)
    with pytest.raises(DataError, match=text):
        data_set(f"image-net:{image_net}")


def class_mask(label):
    """A square of the class, one of another class and a line that shall not count, 6 × 8 pixels."""
    classes = np.zeros((6, 8), int)
    classes[1:3, 1:4], classes[4, 5:7], classes[5, :] = label + 1, (label + 1) % 50 + 1, 1000
    return classes


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """ImageNetS50 with three training images, one of them with a mask, and a validation image for each class."""
    root = tmp_path_factory.mktemp("imagenet-s") / "ImageNetS50"
    for label, name in enumerate(SYNSETS):
        for number in range(3):
            write_image(root / "train" / name / f"{name}_{number}.png", np.full((6, 8, 3), label, np.uint8))
        write_class_mask(root / "train-semi-segmentation" / name / f"{name}_1.png", class_mask(label))
        stem = f"{name}/ILSVRC2012_val_{label:08d}.png"
        write_image(root / "validation" / stem, np.full((6, 8, 3), label, np.uint8))
        write_class_mask(root / "validation-segmentation" / stem, class_mask(label))
    return root


@pytest.fixture
def imagenet_s(made_once, tmp_path):
    return shutil.copytree(made_once, tmp_path / "ImageNetS50")


@pytest.mark.parametrize("around", [True, False])
def test_imagenet_s_has_masks_of_the_images_own_class(made_once, around):
    made = data_set(f"imagenet-s:{made_once.parent if around else made_once}")
    assert made.class_names == tuple(SYNSETS)
    assert [len(split) for split in (made.train, made.val, made.test)] == [100, 50, 50]
    assert made.masks
    assert made.test.mask_names == ("mask", "ignored")
    for index in (0, 7, 49):
        label = made.test.labels[index]
        assert made.test.pixels(index).max() == label
        assert np.array_equal(made.test.mask(index), class_mask(label) == label + 1)
        assert np.array_equal(made.test.named_mask(index, "ignored"), class_mask(label) == 1000)
        made.test.check_mask(index, (6, 8))
    known = [split.mask(index) for split in (made.train, made.val) for index in range(len(split))]
    assert sum(mask is not None for mask in known) == 50
    assert "50 training images have masks" in made.notes
    without = next(index for index in range(100) if made.train.mask(index) is None)
    assert made.train.named_mask(without, "ignored") is None


def test_imagenet_s_reads_classes_beyond_255_from_green(tmp_path):
    from explainers.data.sets.photographs.imagenet_s import class_pixels

    classes = np.array([[0, 255, 256], [257, 919, 1000]])
    write_class_mask(tmp_path / "a.png", classes)
    assert np.array_equal(class_pixels(tmp_path / "a.png", 919), classes)
    with pytest.raises(
        MapError, match=r"a.png has a pixel \(151, 3, 0\); expected red \+ 256 · green of 0 … 300 or 1000"
    ):
        class_pixels(tmp_path / "a.png", 300)
    write_image(tmp_path / "b.png", np.full((2, 2, 3), 1, np.uint8))
    with pytest.raises(MapError, match=r"b.png has a pixel \(1, 1, 1\); .*and no blue"):
        class_pixels(tmp_path / "b.png", 919)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda root: shutil.rmtree(root / "validation-segmentation"), "has no validation-segmentation; expected ImageNet-S"),
        (lambda root: shutil.rmtree(root / "train" / SYNSETS[3]), "train has 49 classes; expected 50, 300 or 919"),
        (lambda root: shutil.rmtree(root / "validation" / SYNSETS[3]), f"differ: the first lacks {SYNSETS[3]}"),
        (lambda root: next((root / "validation-segmentation").rglob("*_00000004.png")).unlink(), "lacks the masks of n.*_00000004"),
        (lambda root: (root.parent / "ImageNetS300").mkdir(), "holds ImageNetS50 and ImageNetS300; name the one"),
    ],
)  # fmt: skip
def test_imagenet_s_says_what_is_missing(imagenet_s, change, text):
    change(imagenet_s)
    with pytest.raises(DataError, match=text):
        data_set(f"imagenet-s:{imagenet_s.parent}")


def test_imagenet_s_refuses_a_mask_of_another_size(imagenet_s):
    made = data_set(f"imagenet-s:{imagenet_s}")
    write_class_mask(made.test.masks[made.test.names[0]][0], np.ones((6, 7), int))
    with pytest.raises(MapError, match="has 6 × 7 pixels, its image .* has 6 × 8"):
        made.test.check_mask(0, (6, 8))
