"""Names of outputs: no two images share one, and each finds its own again."""

from __future__ import annotations

import numpy as np
import pytest
from run_case import embedded, folder, rows

import explainers
from explainers.data.images import ImageFile
from explainers.errors import MapError, OptionError
from explainers.run import RunOptions, run
from explainers.run.explain.names import bases


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a.jpg", "b.png"), ("a", "b")),
        (("a.jpg", "a.png"), ("a.jpg", "a.png")),
        (("a.jpg", "a.png", "a.jpg.png"), ("a.jpg", "a.png", "a.jpg.png")),
        (("a.jpg", "a.jpg.png"), ("a", "a.jpg.png")),
        (("a.jpg", "A.png"), ("a.jpg", "A.png")),
        (("é.jpg", "e\u0301.png"), ("é.jpg", "e\u0301.png")),
    ],
)
def test_no_two_images_share_an_output_name(tmp_path, names, expected):
    assert tuple(bases([ImageFile(tmp_path / name, name) for name in names]).values()) == expected


def test_very_long_names_leave_room_for_what_comes_behind_them(tmp_path):
    names = [f"day/{'é' * 120}{end}.png" for end in "ab"]  # 241 bytes each, which file systems allow
    found = bases([ImageFile(tmp_path / name, name) for name in names])
    assert len(set(found.values())) == 2
    assert all(each.startswith("day/éé") and len(each.encode()) < 170 for each in found.values())


def test_names_of_an_earlier_start_are_kept_and_not_given_to_others(tmp_path):
    files = [ImageFile(tmp_path / name, name) for name in ("a.jpg", "a.jpg.png", "a.png")]
    found = bases(files, {"a.jpg.png": "a.jpg"})
    assert found["a.jpg.png"] == "a.jpg"
    assert len({each.casefold() for each in found.values()}) == 3
    with pytest.raises(OptionError, match=r"two images are called 'a\.jpg'"):
        bases([files[0], files[0]])
    both = bases([ImageFile(tmp_path, "A.png"), ImageFile(tmp_path, "a.png")])
    assert len({each.casefold() for each in both.values()}) == 2


def test_images_that_come_later_take_no_map_of_those_that_were_there(tmp_path):
    images, out = folder(tmp_path / "in", ("a.jpg.png",)), tmp_path / "out"
    run(images, embedded(), ["cam"], out)
    folder(images, ("a.jpg", "a.png"))
    assert run(images, embedded(), ["cam"], out).resumed == 1
    assert len({row["map"] for row in rows(out)}) == 3
    assert run(images, embedded(), ["cam"], out, options=RunOptions()).resumed == 3


def test_each_image_finds_its_own_map_again(tmp_path):
    images = folder(tmp_path / "in", ("a.jpg", "a.png", "a.jpg.png"))
    run(images, embedded(), ["cam"], tmp_path / "out")
    maps = tmp_path / "out/maps"
    result = explainers.evaluate(embedded(), images, {"stored": (maps, ".cam"), "cam": "cam"}, ["sparseness"])
    values = result.values("sparseness")
    assert values["stored"] == pytest.approx(values["cam"])


@pytest.mark.parametrize("kind", ["map", "mask"])
def test_a_file_that_could_be_of_two_images_is_refused(tmp_path, kind):
    images, beside = folder(tmp_path / "in", ("a.jpg", "a.png")), tmp_path / "beside"
    beside.mkdir()
    np.save(beside / "a.npy", np.ones((96, 96)))
    call = {"explainers": {"stored": beside}} if kind == "map" else {"explainers": ["cam"], "masks": beside}
    with pytest.raises(MapError, match=rf"a\.npy could be the {kind} of a\.jpg and of a\.png"):
        explainers.evaluate(embedded(), images, metrics=["sparseness"], **call)
