"""CIFAR-10 in its authors' pickled batches, small ones here."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys

import numpy as np
import pytest

from explainers.data.sets import data_set
from explainers.errors import DataError, DependencyError

datasets = pytest.importorskip("torchvision.datasets")

NAMES = ["airplane", "automobile"]
FILES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"]


def write(folder, name, content):
    path = folder / "cifar-10-batches-py" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Five batches of eight images and a test batch of six, of the classes 0, 1, 0, 1 …; the checksums are of these."""
    rng = np.random.default_rng(0)
    for name in FILES[:-1]:
        count = 6 if name == "test_batch" else 8
        data = rng.integers(0, 256, (count, 3072), np.uint8)
        write(tmp_path, name, {"data": data, "labels": [index % 2 for index in range(count)], "batch_label": name})
    write(tmp_path, "batches.meta", {"label_names": NAMES, "num_vis": 3072})
    sums = {name: hashlib.md5((tmp_path / "cifar-10-batches-py" / name).read_bytes()).hexdigest() for name in FILES}
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [[name, sums[name]] for name in FILES[:5]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": sums["batches.meta"]})
    return tmp_path


def test_a_tenth_of_each_class_is_for_validation(root):
    data = data_set(f"cifar10:{root}")
    assert data.class_names == ("airplane", "automobile")
    # lowest fractions of train/00000 … train/00039: 12 .010, 8 .061 of the even ones, 23 .061, 7 .099 of the odd ones
    assert data.val.names == ("train/00007", "train/00008", "train/00012", "train/00023")
    assert data.val.labels == (1, 0, 0, 1)
    rest = [index for index in range(40) if index not in (7, 8, 12, 23)]
    assert data.train.names == tuple(f"train/{index:05d}" for index in rest)
    assert data.train.labels == tuple(index % 2 for index in rest)
    assert data.test.names == tuple(f"test/{index:05d}" for index in range(6))
    assert data.test.labels == (0, 1, 0, 1, 0, 1)
    assert not data.masks
    assert data.notes == ("4 of the 40 training images, the same share of each class, are for validation",)


def test_pixels_are_planes_of_red_green_and_blue(root):
    data = data_set(f"cifar10:{root}")
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (8, 3072), np.uint8) for _ in range(5)]
    row = batches[2][7]  # image 23, the last of val
    pixels = data.val.pixels(3)
    assert pixels.shape == (32, 32, 3)
    for y, x in ((0, 0), (5, 17), (31, 30)):
        assert pixels[y, x].tolist() == [row[y * 32 + x], row[1024 + y * 32 + x], row[2048 + y * 32 + x]]
    pixels[:] = 0
    assert data.val.pixels(3).any()  # a copy


def test_preprocessing_keeps_the_size_and_scales(root):
    image = data_set(f"cifar10:{root}").preprocessing(np.full((32, 32, 3), 51, np.uint8))
    expected = [(0.2 - mean) / std for mean, std in ((0.4914, 0.2470), (0.4822, 0.2435), (0.4465, 0.2616))]
    assert image.shape == (3, 32, 32)
    assert np.allclose(image.numpy(), np.array(expected)[:, None, None], atol=1e-5)


def test_the_folder_of_batches_itself_will_do(root):
    assert len(data_set(f"cifar10:{root}/cifar-10-batches-py").train) == 36


class Harmful:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_a_file_that_is_not_the_authors_is_not_unpickled(root, name):
    write(root, name, Harmful(str(root / "trace")))
    with pytest.raises(DataError) as caught:
        data_set(f"cifar10:{root}")
    assert not (root / "trace").exists()
    assert str(caught.value).replace(str(root), "ROOT") == (
        "ROOT/cifar-10-batches-py does not hold the files of CIFAR-10, or one is not as distributed (MD5); expected "
        "data_batch_1 … data_batch_5, test_batch and batches.meta: unpack "
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz in ROOT"
    )


def test_names_of_classes_that_are_not_the_authors_are_not_unpickled(root):
    write(root, "batches.meta", Harmful(str(root / "trace")))
    with pytest.raises(DataError, match="is not as distributed"):
        data_set(f"cifar10:{root}")
    assert not (root / "trace").exists()


def test_nothing_is_downloaded(tmp_path):
    with pytest.raises(DataError, match="does not hold the files of CIFAR-10"):
        data_set(f"cifar10:{tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_without_torchvision_the_command_is_named(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(DependencyError) as caught:
        data_set(f"cifar10:{root}")
    text = str(caught.value)
    assert text.startswith(
        "reading CIFAR-10 needs torchvision, which cannot be imported (import of torchvision.datasets"
    )
    assert text.endswith("): pip install --upgrade --force-reinstall torch torchvision")
