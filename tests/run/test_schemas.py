"""What commands write is what the published schemas say."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from explainers.cli.main import main

from explainers.data.samples import sample_images

jsonschema = pytest.importorskip("jsonschema")
SCHEMAS = Path(__file__).resolve().parent.parent.parent / "docs" / "schemas"
QUIET = ["--quiet", "--no-report"]


def check(name, value):
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(value, schema, cls=jsonschema.Draft202012Validator)
    return schema


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three digits, and a file that is no image."""
    folder = tmp_path_factory.mktemp("images")
    for file in sample_images()[:3]:
        (folder / file.path.name).write_bytes(file.path.read_bytes())
    (folder / "broken.png").write_bytes(b"\x89PNG nothing")
    return folder


@pytest.mark.parametrize("target", [[], ["--target", "3 - next"], ["--target", "value:2"]])
def test_a_run(folder, tmp_path, target):
    out = tmp_path / "out"
    methods = ["-m", "grad-cam", "-m", "rise", "--masks", "128"]
    assert main(["run", str(folder), "--model", "embedded", *methods, *target, "--out", str(out), *QUIET]) == 1
    check("manifest", json.loads((out / "manifest.json").read_text()))
    found = rows(out / "results.csv")
    assert {row["status"] for row in found} == {"ok", "failed"}
    for row in found:
        schema = check("results", row)
        assert set(row) <= set(schema["properties"])
    main(["regions", str(out), "--quiet"])
    check("regions", json.loads((out / "regions.json").read_text()))


def test_an_evaluation(folder, tmp_path):
    out = tmp_path / "out"
    arguments = ["-m", "grad-cam", "--metric", "sparseness", "--metric", "deletion:steps=4", "--no-figures"]
    assert main(["evaluate", str(folder), "--model", "embedded", *arguments, "--out", str(out), *QUIET]) == 1
    check("manifest", json.loads((out / "manifest.json").read_text()))
    for row in rows(out / "scores.csv"):
        check("scores", row)


def test_a_constant_map_is_a_row_of_the_schema_too(tmp_path):
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def forward(self, x):\n"
        "        return x.flatten(1)[:, :3] * 0 + torch.tensor([1.0, 2.0, 3.0])\n\n\ndef make():\n    return Net()\n"
    )
    images = sample_images()[:1]
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(images[0].path.read_bytes())
    command = ["run", str(tmp_path / "images"), "--model", f"{tmp_path / 'net.py'}:make", "--size", "16", "-m", "rise"]
    main([*command, "--masks", "128", "--out", str(tmp_path / "out"), *QUIET])
    found = rows(tmp_path / "out" / "results.csv")
    assert {row["status"] for row in found} == {"constant"}
    check("results", found[0])


def test_the_schemas_refuse_what_is_wrong():
    good = {"schema_version": 1, "command": "drift"}
    check("manifest", good)
    for wrong in ({**good, "schema_version": 2}, {**good, "command": "run"}, {**good, "files": {"a": [1, "no hash"]}}):
        with pytest.raises(jsonschema.ValidationError):
            check("manifest", wrong)
