"""Retinas in the folders that IDRiD is distributed in."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from explainers.data.images import write_image
from explainers.data.sets import data_set
from explainers.errors import DataError

GRADING, SEGMENTATION = "B. Disease Grading", "A. Segmentation"
TRAIN_TABLE = f"{GRADING}/2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv"
TEST_TABLE = f"{GRADING}/2. Groundtruths/b. IDRiD_Disease Grading_Testing Labels.csv"
GRADES = [0, 0, 0, 0, 0, 1, 2, 3, 4, 1]  # of the training images 1 … 10


def table(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture
def root(tmp_path):
    """Ten training and three test images; image n of both is filled with n, of the test with 100 + n."""
    for part, count, offset in (("a. Training Set", 10, 0), ("b. Testing Set", 3, 100)):
        for number in range(1, count + 1):
            path = tmp_path / GRADING / "1. Original Images" / part / f"IDRiD_{number:03d}.jpg"
            write_image(path, np.full((8, 12, 3), offset + number, np.uint8), quality=100)
    rows = [f"IDRiD_{number:03d},{grade},2,,,,,,,,," for number, grade in enumerate(GRADES, 1)]
    rows[4] += " "  # as in one line of the original
    table(tmp_path / TRAIN_TABLE, "Image name,Retinopathy grade,Risk of macular edema,,,,,,,,,", rows)
    rows = ["IDRiD_001,4,0", "IDRiD_002,3,1", "IDRiD_003,0,0"]
    table(tmp_path / TEST_TABLE, "Image name,Retinopathy grade,Risk of macular edema ", rows)
    return tmp_path


@pytest.fixture
def segmented(root):
    """IDRiD_01 is the training image 7, IDRiD_55 the test image 2; IDRiD_56 is as large a file as one, and another."""
    images, lesions = (
        root / SEGMENTATION / "1. Original Images",
        root / SEGMENTATION / "2. All Segmentation Groundtruths",
    )
    graded = root / GRADING / "1. Original Images"
    for part, number, source in (("a. Training Set", "01", "007"), ("b. Testing Set", "55", "002")):
        (images / part).mkdir(parents=True)
        shutil.copy(graded / part / f"IDRiD_{source}.jpg", images / part / f"IDRiD_{number}.jpg")
    twin = (graded / "b. Testing Set" / "IDRiD_003.jpg").read_bytes()
    (images / "b. Testing Set" / "IDRiD_56.jpg").write_bytes(twin[:-1] + bytes([twin[-1] ^ 1]))
    for part, kind, stem, row in (
        ("b. Testing Set", "1. Microaneurysms", "IDRiD_55_MA", 1),
        ("b. Testing Set", "3. Hard Exudates", "IDRiD_55_EX", 2),
        ("b. Testing Set", "5. Optic Disc", "IDRiD_55_OD", 3),
        ("b. Testing Set", "2. Haemorrhages", "IDRiD_56_HE", 4),
        ("a. Training Set", "4. Soft Exudates", "IDRiD_01_SE", 5),
    ):
        (lesions / part / kind).mkdir(parents=True)
        mask = np.zeros((8, 12), np.uint8)
        mask[row, 6] = 1
        picture = Image.fromarray(mask, mode="P")
        picture.putpalette([0, 0, 0, 255, 0, 0])  # lesions are red, as in the original
        picture.save(lesions / part / kind / f"{stem}.tif")
    return root


def test_the_official_training_set_is_divided_by_class(root):
    data = data_set(f"idrid:{root}")
    assert data.class_names == ("normal", "abnormal")
    # fractions: .813 .161 .498 .258 .181 of the normal ones, .334 .050 .433 .701 .984 of the others; the lowest is val
    assert data.val.names == ("a. Training Set/IDRiD_002.jpg", "a. Training Set/IDRiD_007.jpg")
    assert data.val.labels == (0, 1)
    assert data.train.names == tuple(f"a. Training Set/IDRiD_{number:03d}.jpg" for number in (1, 3, 4, 5, 6, 8, 9, 10))
    assert data.train.labels == (0, 0, 0, 0, 1, 1, 1, 1)
    assert data.test.names == tuple(f"b. Testing Set/IDRiD_{number:03d}.jpg" for number in (1, 2, 3))
    assert data.test.labels == (1, 1, 0)
    assert (data.val.pixels(1) == 7).all()
    assert (data.test.pixels(1) == 102).all()


def test_the_crop_is_the_published_one(root):
    preprocessing = data_set(f"idrid:{root}").preprocessing
    assert preprocessing.box(2848, 4288) == (0, 290, 2848, 3701)
    pixels = np.zeros((2848, 4288, 3), np.uint8)
    pixels[:, 290:3701] = 51
    expected = [(0.2 - mean) / std for mean, std in ((0.4329, 0.3083), (0.2094, 0.1643), (0.0687, 0.0829))]
    found = preprocessing(pixels)
    assert found.shape == (3, 224, 224)
    assert np.allclose(found.numpy(), np.array(expected)[:, None, None], atol=1e-5)


def test_the_folder_of_grading_itself_will_do(segmented):
    assert data_set(f"idrid:{segmented / GRADING}").test.mask(1) is not None


def test_without_segmentation_there_are_no_masks(root):
    data = data_set(f"idrid:{root}")
    assert not data.masks
    assert [data.test.mask(index) for index in range(3)] == [None] * 3
    assert data.notes == (
        "2 of the 10 official training images are for validation",
        f"no lesion masks: no images in {root}/A. Segmentation/1. Original Images",
    )


def test_masks_are_of_equal_files_not_of_equal_numbers(segmented):
    data = data_set(f"idrid:{segmented}")
    assert not data.masks
    assert np.argwhere(data.test.mask(1)).tolist() == [[1, 6], [2, 6]]  # not the optic disc
    assert data.test.mask(0) is None
    assert data.test.mask(2) is None
    assert data.train.mask(0) is None  # the training image 1 is not IDRiD_01
    assert np.argwhere(data.val.mask(1)).tolist() == [[5, 6]]
    assert data.notes[1] == (
        "1 of 3 test images have lesion masks: those that are the same file as one of the 3 images of 'A. Segmentation', "
        "whose numbers are others"
    )


HEADER = "Image name,Retinopathy grade,Risk of macular edema"


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            lambda root: shutil.rmtree(root / GRADING),
            "ROOT holds neither 'B. Disease Grading' nor '1. Original Images'; expected IDRiD's folders as distributed",
        ),
        (
            lambda root: (root / TEST_TABLE).unlink(),
            f"no file ROOT/{TEST_TABLE}; expected a table with the columns Image name,Retinopathy grade; "
            f"is ROOT/{TRAIN_TABLE} meant?",
        ),
        (
            lambda root: table(root / TRAIN_TABLE, "Image,Grade", ["IDRiD_001,1"]),
            f"ROOT/{TRAIN_TABLE}, line 1: expected the columns Image name,Retinopathy grade, found Image,Grade",
        ),
        (
            lambda root: table(root / TRAIN_TABLE, HEADER, ["IDRiD_001,1,0", ",,", "IDRiD_002,5,0"]),
            f"ROOT/{TRAIN_TABLE}, line 4, column Retinopathy grade: expected a grade 0 … 4, found '5'",
        ),
        (
            lambda root: table(root / TRAIN_TABLE, HEADER, ["IDRiD_001"]),
            f"ROOT/{TRAIN_TABLE}, line 2, column Retinopathy grade: expected a grade 0 … 4, found ''",
        ),
        (
            lambda root: table(root / TRAIN_TABLE, HEADER, ["IDRiD_001,1,0", "IDRiD_001,2,0"]),
            f"ROOT/{TRAIN_TABLE}, line 3, column Image name: expected a name that no other line has, found 'IDRiD_001'",
        ),
        (
            lambda root: table(root / TRAIN_TABLE, HEADER, []),
            f"ROOT/{TRAIN_TABLE} names no images",
        ),
        (
            lambda root: (root / GRADING / "1. Original Images" / "b. Testing Set" / "IDRiD_003.jpg").unlink(),
            f"no file ROOT/{GRADING}/1. Original Images/b. Testing Set/IDRiD_003.jpg, which ROOT/{TEST_TABLE} names",
        ),
    ],
)
def test_what_is_wrong_is_named(root, harm, message):
    harm(root)
    with pytest.raises(DataError) as caught:
        data_set(f"idrid:{root}")
    assert str(caught.value).replace(str(root), "ROOT") == message
