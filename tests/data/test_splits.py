"""Division by hashes of names, splits of files, and which data sets there are."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.data import sets
from explainers.data.images import ImageFile, write_image
from explainers.data.sets.splits import Box, FileSplit, box_mask, divided, folder_of, fraction_of, held_out
from explainers.errors import DataError, ImageError, MapError


def test_the_fraction_is_the_head_of_the_sha_256():
    # printf %s cat/a.png | sha256sum: b6b8f96f3680…
    assert fraction_of("cat/a.png") == 0xB6B8F96F3680 / 0x1000000000000
    assert fraction_of("cat/c.png") == 0x0AFCD594DE1A / 0x1000000000000
    assert 0 <= fraction_of("broken-\udcff.png") < 1  # a file name that is no UTF-8


def test_fractions_are_spread_evenly():
    found = np.sort([fraction_of(f"class/{index}.jpg") for index in range(4000)])
    steps = (np.arange(4000) + 0.5) / 4000
    assert np.abs(found - steps).max() < 1.63 / 4000**0.5  # Kolmogorov's bound that one set in a hundred passes


def test_names_are_divided_by_their_fractions():
    # fractions, in order: .102 .415 .909 .810 .738 .958
    names = ["cat/0.png", "cat/1.png", "cat/4.png", "cat/6.png", "dog/1.png", "dog/3.png"]
    assert divided(names, (0.7, 0.15, 0.15)) == [[0, 1], [3, 4], [2, 5]]
    assert divided(names, (0.8, 0.2)) == [[0, 1, 4], [2, 3, 5]]


def test_a_new_image_moves_no_other_one():
    names = [f"cat/{index}.png" for index in range(200)]
    before = {names[index]: part for part, own in enumerate(divided(names, (0.7, 0.15, 0.15))) for index in own}
    more = sorted([*names, *(f"cat/new-{index}.png" for index in range(50))])
    after = {more[index]: part for part, own in enumerate(divided(more, (0.7, 0.15, 0.15))) for index in own}
    assert {name: after[name] for name in names} == before
    assert len(after) == 250


def test_exact_shares_of_each_class_are_held_out():
    names, labels = [f"{index}" for index in range(70)], [0] * 50 + [1] * 20
    kept, held = held_out(names, labels, 0.2)
    assert [sum(labels[index] == label for index in held) for label in (0, 1)] == [10, 4]
    assert sorted(kept + held) == list(range(70))
    order = list(reversed(range(70)))  # of the files on a disk
    again = held_out([names[index] for index in order], [labels[index] for index in order], 0.2)[1]
    assert {order[index] for index in again} == set(held)


def test_lowest_fractions_are_held_out_and_at_least_one_each_way():
    # fractions: .102 .415 .909 | .738 .958
    names = ["cat/0.png", "cat/1.png", "cat/4.png", "dog/1.png", "dog/3.png"]
    assert held_out(names, [0, 0, 0, 1, 1], 0.01) == ([1, 2, 4], [0, 3])
    assert held_out(names, [0, 0, 0, 1, 1], 0.99) == ([2, 4], [0, 1, 3])


def test_a_class_of_one_image_cannot_be_held_out():
    with pytest.raises(DataError) as caught:
        held_out(["a", "b", "c"], [0, 1, 0], 0.2)
    assert str(caught.value) == "class 1 has one image, b; it needs one to train and one to validate"


@pytest.fixture
def files(tmp_path):
    """Two images of 4 × 6 and three masks, the last of another size."""
    rng = np.random.default_rng(0)
    found = []
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name, rng.integers(0, 256, (4, 6, 3), np.uint8))
        found.append(ImageFile(tmp_path / name, f"x/{name}"))
    for index, size in enumerate([(4, 6), (4, 6), (4, 5)]):
        mask = np.zeros(size, np.uint8)
        mask[index, 1] = 255
        write_image(tmp_path / f"mask{index}.png", mask)
    return found


def test_a_file_split_reads_its_files_and_unites_masks(files, tmp_path):
    split = FileSplit(files, [1, 0], {"x/b.png": (tmp_path / "mask0.png", tmp_path / "mask1.png")})
    assert (len(split), split.names, split.labels) == (2, ("x/a.png", "x/b.png"), (1, 0))
    expected = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    assert np.array_equal(split.pixels(0), expected)
    assert split.mask(0) is None
    assert np.argwhere(split.mask(1)).tolist() == [[0, 1], [1, 1]]


def test_a_mask_of_another_size_is_refused(files, tmp_path):
    with pytest.raises(MapError) as caught:
        FileSplit(files, [1, 0], {"x/a.png": (tmp_path / "mask2.png",)}).mask(0)
    assert str(caught.value) == (
        f"the mask {tmp_path}/mask2.png has 4 × 5 pixels, its image {tmp_path}/a.png has 4 × 6"
    )


def test_an_unreadable_image_says_its_name_when_it_is_read(files):
    files[1].path.write_bytes(b"no image")
    split = FileSplit(files, [1, 0])
    with pytest.raises(ImageError, match="b.png is not an image"):
        split.pixels(1)


def test_a_folder_has_to_be_there(tmp_path):
    assert folder_of(str(tmp_path), "folder") == tmp_path
    with pytest.raises(DataError) as caught:
        folder_of("", "idrid")
    assert str(caught.value) == "idrid: names no folder; write idrid:PATH"
    with pytest.raises(DataError) as caught:
        folder_of(f"{tmp_path}/x", "idrid")
    assert str(caught.value) == f"idrid:{tmp_path}/x: no folder {tmp_path}/x"


def test_data_sets_are_known_without_importing_their_modules():
    kinds = {spelling.partition(":")[0].partition("[")[0] for spelling in sets.data_set_spellings()}
    photographs = {"cub200-2010", "cub200-2011", "image-net", "imagenet-s", "stanford-dogs"}
    assert {"birds", "cifar10", "defn", "folder", "idrid", "magnetogram"} | photographs <= kinds
    with pytest.raises(DataError, match=r"no data set 'folders'; did you mean folder:PATH .*\? available: birds"):
        sets.data_set("folders:x")


def test_held_out_shares_may_be_rounded_down():
    names = [f"{index}.png" for index in range(25)]
    labels = [0] * 12 + [1] * 11 + [2] * 2
    kept, val = held_out(names, labels, 1 / 6, int)
    assert [sum(labels[index] == label for index in val) for label in range(3)] == [2, 1, 1]
    assert sorted([*kept, *val]) == list(range(25))


def test_a_box_is_every_pixel_that_it_touches_inside_the_image():
    whole = box_mask([Box(2, 1, 5, 3)], 4, 6, "a")
    assert whole.sum() == 6
    assert whole[1:3, 2:5].all()
    part = box_mask([Box(1.5, 0.2, 2.5, 1.0), Box(4, 2, 9, 9)], 4, 6, "a")
    assert np.argwhere(part).tolist() == [[0, 1], [0, 2], [2, 4], [2, 5], [3, 4], [3, 5]]
    with pytest.raises(MapError, match=r"the box of a from \(7, 0\) to \(9, 2\) has nothing inside its 6 × 4 pixels"):
        box_mask([Box(7, 0, 9, 2)], 4, 6, "a")
    with pytest.raises(MapError, match="there is no box of a"):
        box_mask([], 4, 6, "a")


def test_boxes_are_a_mask_only_by_their_name(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((4, 6, 3), np.uint8))
    split = FileSplit([ImageFile(tmp_path / "a.png", "a.png")], [0], boxes=lambda name: [Box(0, 0, 2, 2)])
    assert split.mask_names == ("box",)
    assert split.mask(0) is None
    assert split.named_mask(0, "box").sum() == 4
    with pytest.raises(DataError, match="there is no mask 'mask'; there is box"):
        split.named_mask(0, "mask")
    split.check_mask(0, (4, 6))
    with pytest.raises(MapError, match="nothing inside its 1 × 1"):
        FileSplit(split.files, [0], boxes=lambda name: [Box(3, 3, 5, 5)]).check_mask(0, (1, 1))
