"""Folders of volumes, signals and clips through `explain run`, `evaluate` and `doctor`."""

from __future__ import annotations

import csv
import json
import sys
import wave

import numpy as np
import pytest
from explainers.cli.main import main
from explainers.cli.parser import parse
from PIL import Image
from recording_case import BLOBS, NETWORK, SHAPE, scan

nibabel = pytest.importorskip("nibabel")

AFFINE = np.array([[0, -1.5, 0, 10], [2, 0, 0.1, -20], [0, 0, 3.25, 5], [0, 0, 0, 1]])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORK)
    return tmp_path


@pytest.fixture
def scans(here):
    folder = here / "scans"
    folder.mkdir()
    for name in BLOBS:
        nibabel.save(nibabel.Nifti1Image(scan(name), AFFINE), folder / f"{name}.nii.gz")
    return folder


def rows_of(out):
    with open(out / "results.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def explained(*arguments: str) -> int:
    return main(["run", *arguments, "--window", "0,1000", "--quiet", "--no-report"])


def test_maps_of_a_folder_of_scans_lie_where_the_scans_do(scans, here):
    arguments = ("scans", "--model", "net.py:volume", "-m", "grad-cam", "-m", "saliency", "--contact-sheet")
    assert explained(*arguments) == 0
    out = here / "explained"
    assert {(row["file"], row["method"], row["status"]) for row in rows_of(out)} == {
        (f"{name}.nii.gz", method, "ok") for name in BLOBS for method in ("grad-cam", "saliency")
    }
    for name, blob in BLOBS.items():
        source = nibabel.load(scans / f"{name}.nii.gz")
        found = nibabel.load(out / "maps" / f"{name}.grad-cam.nii.gz")
        assert found.affine.tobytes() == source.affine.tobytes()
        assert (found.shape, found.get_data_dtype()) == (SHAPE, np.float32)
        strongest = np.unravel_index(np.argmax(found.get_fdata()), SHAPE)
        np.testing.assert_array_equal(found.affine @ [*strongest, 1], source.affine @ [*blob, 1])
        with np.load(out / "maps" / f"{name}.grad-cam.npz") as raw:
            np.testing.assert_array_equal(raw["map"], np.asarray(found.dataobj))
            np.testing.assert_array_equal(raw["affine"], source.affine)
        with Image.open(out / "overlays" / f"{name}.grad-cam.webp") as walk:
            assert walk.n_frames == SHAPE[2]
        assert Image.open(out / "overlays" / f"{name}.grad-cam.png").size[0] == 960
    assert (out / "sheet-001.png").is_file()
    told = json.loads((out / "manifest.json").read_text())["preprocessing"]
    assert told == {"kind": "volume", "window": [0.0, 1000.0], "channels": 1, "source": "flags"}


def test_a_map_of_another_grid_is_brought_back_to_the_scans(scans, here):
    assert explained("scans", "--model", "net.py:volume", "--size", "7,5,8") == 0
    found = nibabel.load(here / "explained" / "maps" / "a.grad-cam.nii.gz")
    assert found.shape == SHAPE
    with np.load(here / "explained" / "maps" / "a.grad-cam.npz") as raw:
        assert raw["map"].shape == (7, 5, 8)
        assert tuple(raw["image_size"]) == SHAPE


def test_a_run_goes_on_and_damaged_files_cost_themselves(scans, here, capsys):
    whole = (scans / "a.nii.gz").read_bytes()
    (scans / "c.nii.gz").write_bytes(whole[: len(whole) // 2])
    assert explained("scans", "--model", "net.py:volume") == 1
    rows = {row["file"]: row for row in rows_of(here / "explained")}
    assert [rows[f"{name}.nii.gz"]["status"] for name in "abc"] == ["ok", "ok", "failed"]
    assert "c.nii.gz" in rows["c.nii.gz"]["reason"]
    (scans / "c.nii.gz").write_bytes(whole)
    before = (here / "explained" / "maps" / "a.grad-cam.nii.gz").stat().st_mtime_ns
    capsys.readouterr()
    assert explained("scans", "--model", "net.py:volume") == 0
    assert "1 of 3 volumes explained" in (told := capsys.readouterr().out)
    assert "2 were done already" in told
    assert (here / "explained" / "maps" / "a.grad-cam.nii.gz").stat().st_mtime_ns == before


def test_common_scales_are_drawn_of_volumes_too(scans, here):
    assert explained("scans", "--model", "net.py:volume", "--scale", "common") == 0
    assert (here / "explained" / "overlays" / "b.grad-cam.webp").is_file()


def test_a_region_alone_is_perturbed(scans, here):
    arguments = ("--model", "net.py:volume", "-m", "occlusion", "--option", "occlusion.window=1")
    assert explained("scans", *arguments, "--option", "occlusion.stride=1", "--roi", "2:6,5:9,1:4") == 0
    found = nibabel.load(here / "explained" / "maps" / "a.occlusion.nii.gz").get_fdata()
    assert np.unravel_index(np.argmax(found), SHAPE) == BLOBS["a"]
    inside = np.zeros(SHAPE, bool)
    inside[2:6, 5:9, 1:4] = True
    assert not found[~inside].any()


@pytest.mark.parametrize("roi", ["2:6", "2:6,5:9,1", "a:b,0:1,0:1", "2:6,5:9,1:99"])
def test_a_region_that_is_none_is_refused(scans, roi, capsys):
    arguments = ("--model", "net.py:volume", "-m", "occlusion")
    assert explained("scans", *arguments, "--roi", roi) == 2
    assert "roi" in capsys.readouterr().err


def test_a_region_outside_of_one_volume_costs_that_volume(here, capsys):
    (here / "scans").mkdir()
    for name, depth in (("a", 8), ("b", 4), ("c", 8)):
        np.save(here / "scans" / f"{name}.npy", scan("a")[:depth])
    arguments = ("--model", "net.py:volume", "-m", "occlusion", "-m", "rise", "--masks", "8")
    several = ("--option", "occlusion.window=2+3+4", "--option", "occlusion.stride=2+3+2")
    assert explained("scans", *arguments, *several, "--roi", "0:6,0:4,0:4") == 1
    rows = {row["file"]: row for row in rows_of(here / "explained")}
    assert [rows[f"{name}.npy"]["status"] for name in "abc"].count("failed") == 1
    assert "reaches outside of the input, which has 4 × " in rows["b.npy"]["reason"]
    assert explained("scans", *arguments, "--option", "occlusion.window=2+x") == 2
    assert "expected a whole number or None or several values, each a whole number" in capsys.readouterr().err


def test_a_folder_of_nothing_says_all_that_was_looked_for(here, capsys):
    (here / "scans").mkdir()
    (here / "scans" / "film.mp4").write_bytes(b"x")
    assert explained("scans", "--model", "net.py:volume") == 2
    error = capsys.readouterr().err
    assert "no images below scans" in error
    assert "volumes (looked for .nii, .nii.gz, .npy, .npz and folders of DICOM slices)" in error
    assert ".wav" in error


def test_signals_are_read_drawn_and_written(here):
    (here / "sounds").mkdir()
    samples = np.zeros((200, 2), np.int16)
    samples[120] = 32767
    with wave.open(str(here / "sounds" / "s.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.tobytes())
    assert main(["run", "sounds", "--model", "net.py:signal", "--quiet", "--no-report"]) == 0
    found = np.load(here / "explained" / "maps" / "s.grad-cam.npy")
    assert (found.shape, found.dtype, int(found.argmax())) == ((200,), np.float32, 120)
    with np.load(here / "explained" / "maps" / "s.grad-cam.npz") as raw:
        assert float(raw["rate"]) == 8000
    assert Image.open(here / "explained" / "overlays" / "s.grad-cam.png").size[0] == 960


def test_each_folder_of_numbered_frames_is_a_clip(here):
    for name in ("one", "two"):
        (here / "clips" / name).mkdir(parents=True)
        for number in (1, 2, 10):
            pixels = np.zeros((6, 9, 3), np.uint8)
            if number == 10:
                pixels[4, 7] = 255
            Image.fromarray(pixels).save(here / "clips" / name / f"frame{number}.png")
    arguments = ["run", "clips", "--data-kind", "frames", "--model", "net.py:clip", "--quiet", "--no-report"]
    assert main(arguments) == 0
    found = np.load(here / "explained" / "maps" / "two.grad-cam.npy")
    assert np.unravel_index(found.argmax(), found.shape) == (2, 4, 7)


def test_pictures_for_a_network_over_three_axes_may_be_frames(here, capsys):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("a.png")
    assert main(["run", "a.png", "--model", "net.py:clip", "--quiet", "--no-report"]) == 2
    assert "it goes over three axes: say what the files are (--data-kind frames, or volumes)" in capsys.readouterr().err


def test_frames_without_an_order_are_refused(here):
    (here / "clips" / "one").mkdir(parents=True)
    for name in ("a.png", "b1.png"):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(here / "clips" / "one" / name)
    assert main(["run", "clips", "--data-kind", "frames", "--model", "net.py:clip", "--quiet", "--no-report"]) != 0
    assert "a.png has no number" in rows_of(here / "explained")[0]["reason"]


def test_scans_are_scored_with_masks_and_with_maps_of_a_run(scans, here):
    (here / "masks").mkdir()
    for name, blob in BLOBS.items():
        mask = np.zeros(SHAPE, np.uint8)
        mask[blob] = 1
        nibabel.save(nibabel.Nifti1Image(mask, AFFINE), here / "masks" / f"{name}.nii.gz")
    assert explained("scans", "--model", "net.py:volume") == 0
    arguments = ["evaluate", "scans", "--model", "net.py:volume", "--window", "0,1000", "-m", "grad-cam"]
    arguments += ["--metric", "pointing-game", "--masks", "masks", "--maps", "mine=explained/maps", "--quiet"]
    assert main([*arguments, "--no-report", "--no-figures"]) == 0
    with open(here / "evaluated" / "scores.csv", encoding="utf-8") as file:
        values = {(row["explainer"], row["image"]): float(row["value"]) for row in csv.DictReader(file)}
    for name in BLOBS:
        assert values["grad-cam", f"{name}.nii.gz"] == values["mine/grad-cam", f"{name}.nii.gz"] == 1


def test_doctor_sees_by_the_convolutions_what_a_network_takes(here, capsys):
    assert main(["doctor", "--model", "net.py:volume"]) in (0, 2)
    assert "1 × 32 × 32 × 32" in capsys.readouterr().out
    assert main(["layers", "--model", "net.py:volume", "--size", "6,5,4"]) == 0
    assert "1 × 6 × 5 × 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "does not take volumes"),
        (("--model", "torchvision:resnet18"), "takes photos"),
        (("--model", "net.py:volume", "--gray"), "--gray is made for photos"),
        (("--model", "net.py:volume", "--size", "8,8"), "as many as a volume has axes"),
        (
            ("--model", "net.py:volume", "--where", "box:0,0,2,2"),
            "expected predicted, all, mask:FOLDER, box:A0:A1,B0:B1,C0:C1 or voxel:A,B,C (the file's axes in order), such as",
        ),
        (("--model", "net.py:volume", "--data-kind", "signals"), "no signals"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(scans, here, arguments, message, capsys):
    assert main(["run", "scans", *arguments, "--quiet"]) == 2
    assert message in capsys.readouterr().err
    assert not (here / "explained").exists()


def test_photos_beside_scans_need_a_word(scans, capsys):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(scans / "photo.png")
    assert main(["run", "scans", "--model", "net.py:volume", "--quiet"]) == 2
    assert "photos and volumes" in capsys.readouterr().err


def test_a_missing_library_is_one_line_with_the_extra(scans, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    assert main(["run", "scans", "--model", "net.py:volume", "--quiet", "--no-report"]) == 2
    assert 'pip install "explainers[medical]"' in capsys.readouterr().err


def test_a_missing_library_costs_the_files_that_need_it(scans, here, monkeypatch, capsys):
    """Volumes, masks and maps of NIfTI, and a series of DICOM, beside arrays of NumPy."""
    for name in ("array", "masked", "mapped"):
        np.save(scans / f"{name}.npy", scan(next(iter(BLOBS))))
    (scans / "ct").mkdir()
    (scans / "ct/a.dcm").write_bytes(bytes(128) + b"DICM" + bytes(20))
    inside = np.zeros(SHAPE, np.uint8)
    inside[:2] = 1
    for folder, other in (("masks", "masked"), ("maps", "mapped")):
        (here / folder).mkdir()
        for name in {"array", "masked", "mapped"} - {other}:
            np.save(here / folder / f"{name}.npy", inside)
        nibabel.save(nibabel.Nifti1Image(inside, AFFINE), here / folder / f"{other}.nii.gz")
    for name in ("nibabel", "pydicom"):
        monkeypatch.setitem(sys.modules, name, None)
    more = ("--model", "net.py:volume", "--window", "0,1000", "-m", "saliency", "--no-report", "-q")
    assert main(["run", "scans", *more]) == 1
    status = {row["file"]: (row["status"], row["reason"]) for row in rows_of(here / "explained")}
    assert {name for name, (told, _) in status.items() if told == "ok"} == {"array.npy", "masked.npy", "mapped.npy"}
    assert all('pip install "explainers[medical]"' in why for told, why in status.values() if told == "failed")
    asked = ("--masks", "masks", "--maps", "maps", "--metric", "pxap", "--no-figures")
    assert main(["evaluate", "scans", *more, *asked]) == 1
    with open(here / "evaluated/scores.csv", encoding="utf-8") as file:
        found = {(row["image"], row["explainer"]): row for row in csv.DictReader(file)}
    assert found["array.npy", "maps"]["status"] == found["mapped.npy", "saliency"]["status"] == "ok"
    for key in (("mapped.npy", "maps"), ("masked.npy", "saliency"), ("ct", "saliency")):
        assert (found[key]["status"], "explainers[medical]" in found[key]["reason"]) == ("failed", True)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--window", "-100,300"),
        ("--window", "-.5,.5"),
        ("--mean", "-0.1,0.2,0.3"),
        ("--layer", "-2"),
        ("--window", "-1e3,2"),
    ],
)
def test_values_may_begin_with_a_minus(flag, value):
    assert getattr(parse(["run", "scans", flag, value]), flag[2:]) == value


def test_a_flag_that_begins_like_a_number_is_none(capsys):
    with pytest.raises(SystemExit):
        parse(["run", "scans", "--window", "-x,300"])
    assert "-x" in capsys.readouterr().err
