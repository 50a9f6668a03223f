"""Names of outputs: no two images share one, and each finds its own again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from run_case import embedded, folder, rows

import explainers
from explainers.data.images import ImageFile, write_image
from explainers.errors import OptionError
from explainers.run import RunOptions, run
from explainers.run.explain.names import bases
from explainers.storage.atomic import replaced


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
def test_a_file_that_could_be_of_two_images_costs_these_two(tmp_path, kind):
    images, beside = folder(tmp_path / "in", ("a.jpg", "a.png", "b.png")), tmp_path / "beside"
    beside.mkdir()
    for name, size in (("a", (40, 64)), ("b", (60, 64))):
        np.save(beside / f"{name}.npy", np.linspace(1, 2, size[0] * size[1]).reshape(size))
    call = {"explainers": {"x": beside}} if kind == "map" else {"explainers": {"x": "cam"}, "masks": beside}
    found = explainers.evaluate(embedded(), images, metrics=["sparseness"], **call)
    told = {row["image"]: (row["status"], row["reason"]) for row in found.rows if row["explainer"] == "x"}
    assert [told[name][0] for name in ("a.jpg", "a.png", "b.png")] == ["failed", "failed", "ok"]
    for name in ("a.jpg", "a.png"):
        assert f"a.npy could be the {kind} of a.jpg and of a.png" in told[name][1]
        assert told[name][1].endswith(f"such as {name}.npy")


def test_an_evaluation_finds_the_maps_of_images_with_very_long_names(tmp_path):
    names = (f"{'x' * 240}1.png", f"{'x' * 240}2.png", "short.png")  # 245 bytes
    images = folder(tmp_path / "in", names)
    model = embedded()
    run(images, model, ["cam"], tmp_path / "out")
    found = explainers.evaluate(
        model, images, {"stored": (tmp_path / "out/maps", ".cam"), "cam": "cam"}, ["sparseness"]
    )
    values = found.values("sparseness")
    assert set(values["stored"]) == set(names)
    for name in names:
        assert values["stored"][name] == pytest.approx(values["cam"][name], rel=1e-3)


def test_files_of_which_the_names_begin_alike_are_written_by_threads_at_once(tmp_path):
    files = [tmp_path / f"{'x' * 100}{number}.bin" for number in range(8)]
    wait = threading.Barrier(len(files))

    def write(path):
        with replaced(path) as temporary:
            temporary.write_text(path.name)
            wait.wait(10)

    with ThreadPoolExecutor(len(files)) as pool:
        list(pool.map(write, files))
    assert [path.read_text() for path in files] == [path.name for path in files]
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_several_masks_of_one_image_cost_that_image(tmp_path):
    images, masks = folder(tmp_path / "in", ("a.png", "b.png")), tmp_path / "masks"
    for name in ("a.png", "b.png", "b.jpg.png", "b.npy"):
        path = masks / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith(".npy"):
            np.save(path, np.ones((50, 64)))
        else:
            write_image(path, np.full((40 if name == "a.png" else 50, 64), 255, np.uint8))
    (masks / "b.png").rename(masks / "b.tif")
    result = explainers.evaluate(embedded(), images, ["cam"], ["miou"], masks=masks)
    told = {row["image"]: (row["status"], row["reason"]) for row in result.rows if row["explainer"] == "cam"}
    assert told["a.png"][0] == "ok"
    assert told["b.png"][0] == "failed"
    assert "several masks of b.png" in told["b.png"][1]
