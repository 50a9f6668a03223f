"""Detectors of transformers that were saved as a folder, with the image processor that says how photos are taken."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from detectors import detr

import explainers
from explainers.core.preprocessing import Preprocessing
from explainers.data.images import write_image
from explainers.errors import OptionError
from explainers.models.given_preprocessing import from_processor
from explainers.run import RunOptions, run
from explainers.run.targets import Detected

transformers = pytest.importorskip("transformers")
EDGES = {"shortest_edge": 48, "longest_edge": 70}


@pytest.mark.parametrize(("kind", "size"), [("Detr", EDGES), ("Yolos", EDGES), ("RTDetr", {"height": 40, "width": 64})])
@pytest.mark.parametrize("photo", [(96, 128), (128, 96), (60, 171), (171, 60)])
def test_a_photo_is_taken_as_the_image_processor_takes_it(kind, size, photo):
    processor = getattr(transformers, f"{kind}ImageProcessor")(size=size)
    smooth = np.linspace(0, 255, photo[0] * photo[1] * 3).reshape(*photo, 3).astype(np.uint8)
    expected = processor(smooth, return_tensors="pt")["pixel_values"][0]
    found = from_processor(processor.to_dict(), kind)(smooth)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)  # 1 / 255, normalised


def test_the_limits_of_sides_by_hand():
    assert Preprocessing(48, longest=70).resized_size(60, 240) == (18, 70)  # 70 / 4 is 17.5, rounded to the even one
    assert Preprocessing(48, longest=70, multiple=16).resized_size(240, 60) == (64, 16)
    assert Preprocessing(48, longest=70).resized_size(96, 128) == (48, 64)
    assert "longest" not in Preprocessing(48).describe()
    for wrong in ({"longest": 70}, {"resize": (48, 48), "multiple": 16}, {"resize": 48, "longest": 0}):
        with pytest.raises(OptionError, match="longest="):
            Preprocessing(**wrong)


def test_padding_to_a_given_size_is_refused():
    processor = transformers.DetrImageProcessor(size=EDGES, pad_size={"height": 80, "width": 80})
    with pytest.raises(OptionError, match="preprocessing of net pads"):
        from_processor(processor.to_dict(), "net")


def test_a_saved_detector_is_explained_box_by_box_in_pixels_of_the_photo(tmp_path):
    network = detr()
    network.config.id2label = {0: "wall", 1: "cat", 2: "dog"}
    network.save_pretrained(tmp_path / "net")
    processor = transformers.DetrImageProcessor(size=EDGES)
    processor.save_pretrained(tmp_path / "net")
    photo = np.random.default_rng(0).integers(0, 256, (96, 192, 3), np.uint8)
    write_image(tmp_path / "photos" / "a.png", photo)
    loaded = explainers.load_model(f"hf:{tmp_path / 'net'}", device="cpu")
    assert type(loaded.network).__name__ == "DetrForObjectDetection"
    assert loaded.class_names == ("wall", "cat", "dog")

    out = tmp_path / "out"
    run(tmp_path / "photos", loaded, ["saliency"], out, options=RunOptions(target=Detected(2, 0.01)))
    with torch.no_grad():
        returned = network(processor(photo, return_tensors="pt")["pixel_values"])
    (expected,) = processor.post_process_object_detection(returned, threshold=0.0, target_sizes=[(96, 192)])
    best = expected["scores"].argsort(descending=True)[:2]
    rows = list(csv.DictReader((out / "results.csv").open(encoding="utf-8")))
    for row, at in zip(rows, best.tolist(), strict=True):
        corners = [float(row[name]) for name in ("x0", "y0", "x1", "y1")]
        np.testing.assert_allclose(corners, expected["boxes"][at].numpy(), atol=0.5)
        assert float(row["score"]) == pytest.approx(float(expected["scores"][at]), abs=2e-3)
