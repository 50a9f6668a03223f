"""Masks and maps from files, in an evaluation of a folder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from evaluated_case import quick, table
from explainers.cli.main import main
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

    def go(metrics=("miou",)):
        explainers.evaluate(embedded(), images, ["cam"], metrics, masks=masks)

    with pytest.raises(MapError, match="no folder .*masks of masks"):
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
