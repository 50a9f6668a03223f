"""Masks and maps from files, in an evaluation of a folder."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from evaluated_case import quick, table
from explainers.cli.main import main
from PIL import Image
from run_case import embedded, folder

import explainers
from explainers.data.images import read_image, write_image
from explainers.errors import MapError


def test_masks_lie_over_what_the_network_sees(tmp_path):
    """A photo that is resized and cropped: the mask is cut like it, and a map that shows the mask scores 1."""
    pixels = np.random.default_rng(0).integers(0, 255, (120, 200, 3), np.uint8)
    mask = np.zeros((120, 200), np.uint8)
    mask[30:90, 80:120] = 255
    write_image(tmp_path / "in/a.jpg", pixels)
    write_image(tmp_path / "masks/a.png", mask)
    seen = []

    def explainer(images, targets):
        map_ = torch.zeros(len(images), 96, 96)
        map_[:, 24:72, 32:64] = 1  # 120 rows become 96; the columns 40 … 160 do
        seen.append(images.shape)
        return map_

    model = embedded()
    square = explainers.Preprocessing(resize=96, crop=(96, 96), mean=(0.5,) * 3, std=(0.25,) * 3)
    result = explainers.evaluate(
        model,
        tmp_path / "in",
        {"mine": explainer},
        ["miou", "energy-pointing-game"],
        masks=tmp_path / "masks",
        preprocessing=square,
    )
    assert seen == [(1, 3, 96, 96)]
    assert result.values("miou")["mine"] == {"a.jpg": 1.0}
    assert result.values("energy-pointing-game")["mine"] == {"a.jpg": 1.0}


def test_masks_that_do_not_fit_are_named(tmp_path):
    images, masks = folder(tmp_path / "in", ("a.png", "b.png")), tmp_path / "masks"
    (images / "a.png").unlink()

    def go(metrics=("miou",)):
        explainers.evaluate(embedded(), images, ["cam"], metrics, masks=masks)

    with pytest.raises(MapError, match="no folder of masks .*masks"):
        go()
    write_image(masks / "a.png", np.full((40, 64), 255, np.uint8))
    with pytest.raises(MapError, match=r"has no mask of b\.png: looked for b with \.npy, \.npz or an image's suffix"):
        go()
    write_image(masks / "b.png", np.full((9, 9), 255, np.uint8))
    with pytest.raises(MapError, match="9 × 9 pixels; its photo has 50 × 64, what the network sees of it 96 × 96"):
        go()
    write_image(masks / "b.png", np.zeros((50, 64), np.uint8))
    with pytest.raises(MapError, match=r"the mask .*b\.png has nothing inside"):
        go()
    (masks / "b.png").unlink()
    np.save(masks / "b.npy", np.eye(96))
    go()
    write_image(masks / "b.jpg", np.full((50, 64), 255, np.uint8))
    with pytest.raises(MapError, match=r"several masks of b\.png: .*b\.npy, .*b\.jpg; leave the one"):
        go()


@pytest.mark.parametrize("form", ["npy", "npz", "png"])
def test_maps_made_elsewhere_score_as_those_made_here(tmp_path, form):
    images, model = folder(tmp_path / "in"), embedded()
    maps = tmp_path / "maps"
    made = {}

    def mine(batch, targets):
        return (batch.mean(1) * 10).round().clamp(0, 255)

    for name in ("a.png", "sub/b.jpg", "sub/c.png"):
        image = model.preprocessing(read_image(images / name).pixels)[None]
        made[name] = mine(image, None)[0].numpy()
        path = (maps / name).with_suffix("." + form)
        path.parent.mkdir(parents=True, exist_ok=True)
        if form == "npy":
            np.save(path, made[name])
        elif form == "npz":
            np.savez(path, map=made[name])
        else:
            write_image(path, made[name].astype(np.uint8))
    result = explainers.evaluate(model, images, {"stored": maps, "mine": mine}, quick("insertion", "deletion"))
    for score in ("insertion", "deletion"):
        assert result.values(score)["stored"] == result.values(score)["mine"]
    before = explainers.evaluate(model, images, {"stored": maps}, ["sparseness"], out=tmp_path / "out", figures=False)
    if form == "npy":  # maps that were made anew are scored anew
        np.save(maps / "a.npy", made["a.png"] ** 2)
        after = explainers.evaluate(
            model, images, {"stored": maps}, ["sparseness"], out=tmp_path / "out", figures=False
        )
        one, two = (each.values("sparseness")["stored"] for each in (before, after))
        assert one["a.png"] != two["a.png"]
        assert one["sub/b.jpg"] == two["sub/b.jpg"]
    with_sanity = explainers.evaluate(model, images, {"stored": maps}, ["model-randomisation", "sparseness"])
    assert "stored" not in {row["explainer"] for row in with_sanity.rows if row["metric"] == "model-randomisation"}


def test_the_maps_of_a_run_are_found_by_their_methods(tmp_path, capsys):
    images, explained = folder(tmp_path / "in"), tmp_path / "explained"
    assert (
        main(
            [
                "run",
                str(images),
                "--model",
                "embedded",
                "-m",
                "cam",
                "-m",
                "layer-cam",
                "--no-overlays",
                "--out",
                str(explained),
                "-q",
            ]
        )
        == 0
    )
    arguments = [
        "evaluate",
        str(images),
        "--model",
        "embedded",
        "-m",
        "cam",
        "--maps",
        f"run={explained / 'maps'}",
        "--metric",
        "deletion:steps=4",
    ]
    assert main([*arguments, "--out", str(tmp_path / "out"), "--no-figures", "-q"]) == 0
    rows = table(tmp_path / "out/scores.csv")
    values = {}
    for row in rows:
        values.setdefault(row["explainer"], []).append(row["value"])
    assert set(values) == {"random", "center", "edges", "cam", "run/cam", "run/layer-cam"}
    assert values["run/cam"] == values["cam"]


def test_maps_that_do_not_fit_are_named(tmp_path):
    images, maps = folder(tmp_path / "in", ("a.png",)), tmp_path / "maps"
    maps.mkdir()

    def go():
        explainers.evaluate(embedded(), images, {"stored": maps}, quick("deletion"))

    with pytest.raises(MapError, match=r"has no map of a\.png"):
        go()
    np.save(maps / "a.npy", np.zeros((7, 7)))
    with pytest.raises(MapError, match=r"a\.npy has 7 × 7 pixels; its photo has 40 × 64"):
        go()
    np.save(maps / "a.npy", np.zeros((3, 96, 96)))
    with pytest.raises(MapError, match=r"has shape \(3, 96, 96\); expected \(H, W\)"):
        go()
    np.save(maps / "a.npy", np.array([["a"]]))
    with pytest.raises(MapError, match="expected numbers"):
        go()
    (maps / "a.npy").write_bytes(b"no array")
    with pytest.raises(MapError, match=r"cannot read .*a\.npy"):
        go()
    (maps / "a.npy").unlink()
    write_image(maps / "a.png", np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8))
    with pytest.raises(MapError, match="coloured picture; give raw values"):
        go()


def whole_map():
    return np.random.default_rng(7).random((96, 96))


def npy(values, **more):
    buffer = io.BytesIO()
    np.save(buffer, values, **more)
    return buffer.getvalue()


def npz(values):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, map=values)
    return buffer.getvalue()


def picture(form, pixels=None):
    buffer = io.BytesIO()
    given = (whole_map() * 255).astype(np.uint8) if pixels is None else pixels
    Image.fromarray(given).save(buffer, form)
    return buffer.getvalue()


def header(shape):
    """A .npy file that promises a shape and has no values."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + bytes(60)


SPOILED = {
    "cut.npy": (lambda: npy(whole_map())[:900], "it ends after"),
    "cut.npz": (lambda: npz(whole_map())[:900], "it is damaged"),
    "turned.npz": (lambda: npz(whole_map())[:900] + bytes(900) + npz(whole_map())[1800:], "it is damaged"),
    "cut.png": (lambda: picture("PNG")[:900], "is damaged"),
    "cut.tif": (lambda: picture("TIFF")[:900], "is damaged"),
    "cut.jpg": (lambda: picture("JPEG")[:300], "is damaged"),
    "empty.npy": (lambda: b"", "cannot read"),
    "empty.npz": (lambda: b"", "cannot read"),
    "empty.png": (lambda: b"", "is empty"),
    "text.npy": (lambda: npy(np.array([["a"]])), "expected numbers"),
    "complex.npy": (lambda: npy(whole_map() + 1j), "expected numbers"),
    "objects.npy": (lambda: npy(np.array([[{}]], dtype=object), allow_pickle=True), "expected numbers"),
    "nan.npy": (lambda: npy(np.where(np.eye(96) > 0, np.nan, 1.0)), "NaN or infinite"),
    "inf.npz": (lambda: npz(np.where(np.eye(96) > 0, np.inf, 1.0)), "NaN or infinite"),
    "overflowing.npy": (lambda: npy(whole_map() * 1e300), "NaN or infinite"),
    "small.npy": (lambda: npy(np.ones((7, 7))), "7 × 7 pixels"),
    "channels.npy": (lambda: npy(np.ones((3, 96, 96))), "expected (H, W)"),
    "huge.npy": (lambda: header((10**9, 10**9)), "more than the limit"),
    "negative.npy": (lambda: header((-1, 5)), "expected (H, W)"),
    "colour.png": (
        lambda: picture("PNG", np.eye(96, dtype=np.uint8)[..., None] * np.uint8([9, 0, 99])),
        "coloured picture",
    ),
}


@pytest.mark.parametrize("kind", SPOILED)
@pytest.mark.filterwarnings("error")
def test_a_spoiled_map_costs_its_image_alone(kind, tmp_path):
    spoiled, said = SPOILED[kind]
    images, maps = folder(tmp_path / "in", ("a.png", "b.png", "c.png")), tmp_path / "maps"
    maps.mkdir()
    suffix = kind.partition(".")[2]
    for name in ("a", "c"):
        (maps / f"{name}.npy").write_bytes(npy(whole_map()))
    (maps / f"b.{suffix}").write_bytes(spoiled())
    result = explainers.evaluate(embedded(), images, {"stored": maps}, ["sparseness"])
    assert set(result.values("sparseness")["stored"]) == {"a.png", "c.png"}
    assert set(result.values("sparseness")["random"]) == {"a.png", "b.png", "c.png"}
    (failed,) = (row for row in result.rows if row["status"] == "failed")
    assert (failed["image"], failed["explainer"]) == ("b.png", "stored")
    assert said in failed["reason"]
    for name in ("a", "c"):
        (maps / f"{name}.npy").unlink()
        (maps / f"{name}.{suffix}").write_bytes(spoiled())
    with pytest.raises(MapError, match="none of the 3 maps of stored can be used, the first since .*") as raised:
        explainers.evaluate(embedded(), images, {"stored": maps, "cam": "cam"}, ["sparseness"])
    assert said in str(raised.value)


def test_a_missing_map_costs_its_image_and_a_foreign_folder_is_refused(tmp_path, capsys):
    images, maps = folder(tmp_path / "in", ("a.png", "b.png")), tmp_path / "maps"
    maps.mkdir()
    (maps / "x.npy").write_bytes(npy(whole_map()))
    asked = ["evaluate", str(images), "--model", "embedded", "--maps", f"stored={maps}", "--metric", "sparseness"]
    command = [*asked, "-q", "--no-figures", "--no-report", "--out", str(tmp_path / "out")]
    assert main(command) == 2
    said = "has no map of any of the 2 images: expected files such as a.npy, b.npy (or another of .npy, .npz, or a picture)"
    assert f"{said}; it holds x.npy" in capsys.readouterr().err
    (maps / "a.npy").write_bytes(npy(whole_map()))
    assert main(command) == 1
    assert "has no map of b.png: looked for b with .npy" in capsys.readouterr().err
    (maps / "b.npy").write_bytes(npy(whole_map()))
    assert main(command) == 0


def test_a_bad_mask_costs_its_image(tmp_path, capsys):
    images, masks = folder(tmp_path / "in", ("a.png", "b.png", "c.png", "d.png", "e.png")), tmp_path / "masks"
    (images / "loop.png").symlink_to("loop.png")
    write_image(masks / "a.png", np.full((40, 64), 255, np.uint8))
    for name in ("e.tif", "e.bmp"):
        write_image(masks / "e.png", np.full((80, 64), 255, np.uint8))
        (masks / "e.png").rename(masks / name)
    write_image(masks / "b.png", np.full((9, 9), 255, np.uint8))
    (masks / "c.png").write_bytes(b"no image")
    asked = ["evaluate", str(images), "--model", "embedded", "--masks", str(masks), "-m", "cam"]
    metric = ["--metric", "energy-pointing-game", "--no-figures", "--no-report"]
    command = [*asked, *metric, "-q", "--out", str(tmp_path / "out")]
    assert main(command) == 1
    rows = [row for row in table(tmp_path / "out/scores.csv") if row["explainer"] == "cam"]
    reasons = {row["image"]: row["reason"] for row in rows}
    assert reasons["a.png"] == ""
    assert "9 × 9 pixels; its photo has 50 × 64" in reasons["b.png"]
    assert "is not an image" in reasons["c.png"]
    assert "has no mask of d.png" in reasons["d.png"]
    assert "several masks of e.png" in reasons["e.png"]
    assert "Too many levels of symbolic links" in reasons["loop.png"]
    (masks / "a.png").write_bytes(b"")
    assert main(command) == 2
    assert "none of the 5 masks can be used, the first since" in capsys.readouterr().err


def test_a_map_that_is_mended_is_scored(tmp_path, capsys):
    images, maps = folder(tmp_path / "in", ("a.png", "b.png")), tmp_path / "maps"
    maps.mkdir()
    for name in ("a", "b"):
        (maps / f"{name}.npy").write_bytes(npy(whole_map()))
    (maps / "b.npy").write_bytes(b"no array")
    asked = ["evaluate", str(images), "--model", "embedded", "--maps", f"stored={maps}", "--metric", "sparseness"]
    command = [*asked, "-q", "--no-figures", "--no-report", "--out", str(tmp_path / "out")]
    assert main(command) == 1
    assert "b.npy: it is damaged" in capsys.readouterr().err
    (maps / "b.npy").write_bytes(npy(whole_map()))
    assert main(command) == 0
    scores = [row["status"] for row in table(tmp_path / "out/scores.csv") if row["explainer"] == "stored"]
    assert scores == ["ok", "ok"]
