"""Pre-annotations of Label Studio, decoded as its documentation and its editor do, and held to the regions of maps."""

from __future__ import annotations

import json
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from explainers.cli.main import main

from explainers.errors import OptionError
from explainers.run.export.label_studio import brush_lengths, write_label_studio
from explainers.run.regions import region_of
from explainers.run.report.folder import ReadFolder
from explainers.run.report.maps import read_map


def decoded(lengths):
    """The values of a brush, read bit by bit as the decoder of thi.ng's rle-pack does, which the editor has."""
    bits = np.unpackbits(np.array(lengths, np.uint8))
    at = 0

    def take(count):
        nonlocal at
        at += count
        return int("".join(map(str, bits[at - count : at])), 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values = []
    while len(values) < total:
        repeated, length = take(1), take(sizes[take(2)]) + 1
        values += [take(word)] * length if repeated else [take(word) for _ in range(length)]
    assert len(values) == total
    assert len(bits) - at < 8
    return np.array(values, np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 8), (130, 131)])
def test_a_brush_is_the_region_in_all_channels(shape):
    rng = np.random.default_rng(0)
    for region in (rng.random(shape) > 0.97, np.ones(shape, bool), np.zeros(shape, bool)):  # runs beyond 16 bits, too
        np.testing.assert_array_equal(
            decoded(brush_lengths(region)).reshape(*shape, 4), np.where(region, 255, 0)[..., None].repeat(4, axis=2)
        )


def test_tasks_hold_the_regions_of_the_maps(ran, hostile, tmp_path, capsys):
    out = tmp_path / "ls"
    typed = ["--to", "label-studio", "--out", str(out), "--threshold", "0.5", "--largest", "--image-url", "http://x/"]
    assert main(["export", str(ran), *typed]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("8 regions\n4 tasks\n")
    assert "broken.png" in printed.err
    tasks = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    interface = ElementTree.parse(out / "interface.xml").getroot()
    image, brushes = interface.find("Image"), interface.find("BrushLabels")
    labels = {label.get("value") for label in brushes}
    rows = {(row["file"], row["method"]): row for _, unit in ReadFolder(ran).units() for row in unit if row.get("map")}
    assert {task["data"]["file"] for task in tasks} == set(hostile)
    identities = []
    for task in tasks:
        name = task["data"]["file"]
        assert unquote(task["data"]["image"]) == f"http://x/{name}"
        assert [each["model_version"] for each in task["predictions"]] == ["saliency", "grad-cam"]
        for prediction in task["predictions"]:
            row = rows[name, prediction["model_version"]]
            (brush,) = prediction["result"]
            identities.append(brush["id"])
            assert (brush["from_name"], brush["to_name"]) == (brushes.get("name"), image.get("name"))
            assert brushes.get("toName") == image.get("name")
            assert image.get("value") == "$image"
            assert (brush["original_height"], brush["original_width"], brush["image_rotation"]) == (40, 28, 0)
            assert (brush["type"], brush["value"]["format"]) == ("brushlabels", "rle")
            assert brush["value"]["brushlabels"] == [row["target_name"]]
            assert labels >= {row["target_name"]}
            assert prediction["score"] == brush["score"] == row["target_probability"]
            region = region_of(read_map(ran / row["map"]), 0.5, largest=True)
            alpha = decoded(brush["value"]["rle"]).reshape(40, 28, 4)[..., 3]
            np.testing.assert_array_equal(alpha, np.where(region, 255, 0))
    assert len(set(identities)) == 8


def test_a_map_without_a_region_is_named_and_options_of_other_formats_are_refused(ran, tmp_path, capsys):
    made = write_label_studio(ran, tmp_path / "ls", threshold=1.0)
    assert made.counts == {"region": 0, "task": 0}
    assert sum("points out nothing" in reason for _, reason in made.left_out) == 8
    with pytest.raises(OptionError, match="threshold='half'"):
        write_label_studio(ran, tmp_path / "other", threshold="half")
    assert main(["export", str(ran), "--to", "tiff", "--threshold", "0.5", "--out", str(tmp_path / "t")]) == 2
    assert "--to tiff takes no --threshold" in capsys.readouterr().err
