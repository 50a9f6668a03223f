"""A data set of FiftyOne: its heat maps held to the maps of the run, and read by FiftyOne itself where it is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from explainers.cli.main import main
from PIL import Image

from explainers.errors import DataError, OptionError
from explainers.run.export.fiftyone import levels, write_fiftyone
from explainers.run.report.folder import ReadFolder
from explainers.run.report.maps import RawMap, read_map


@pytest.fixture(scope="module")
def exported(folders, tmp_path_factory):
    """Of a run and an evaluation: the data set's folder."""
    root = tmp_path_factory.mktemp("fiftyone")
    for name in ("run", "evaluate"):
        write_fiftyone(folders / name, root / name)
    return root


def samples_of(folder):
    return json.loads((folder / "samples.json").read_text(encoding="utf-8"))["samples"]


@pytest.mark.parametrize(
    ("least", "most", "ends", "beyond", "seen"),
    [(0.0, 4.0, (0, 4), 0, [0, 255]), (1.0, 3.0, (1, 3), 0, [0, 255]), (-1.0, 4.0, (-4, 4), 128, [96, 255])],
)
def test_levels_lie_where_the_map_lies_in_the_photo(least, most, ends, beyond, seen):
    """Two values, each of 2 × 2 pixels, in the middle of a photo of 2 × 6."""
    full = np.array([[least, most]], np.float32)
    pixels, low, high = levels(RawMap(full, full, (0, 2, 1, 4), (2, 6)))
    assert (low, high) == ends
    assert pixels.tolist() == [[beyond, beyond, *seen, beyond, beyond], [beyond] * 6]
    assert levels(RawMap(full * 0 + 2, full, (0, 0, 2, 6), (2, 6)))[0].tolist() == [[0] * 6] * 2


def test_samples_have_classes_scores_and_maps(exported, folders, hostile, capsys):
    samples = samples_of(exported / "run")
    paths = {str((folders / "in" / name).resolve()): name for name in hostile}
    assert {sample["filepath"] for sample in samples} == set(paths)
    rows = {
        (row["file"], row["method"]): row
        for _, unit in ReadFolder(folders / "run").units()
        for row in unit
        if row.get("map")
    }
    for sample in samples:
        name = paths[sample["filepath"]]
        for method, field in (("saliency", "saliency"), ("grad-cam", "grad_cam")):
            row, heat = rows[name, method], sample[field]
            assert (heat["_cls"], heat["target"], heat["status"]) == ("Heatmap", row["target_name"], row["status"])
            assert sample["prediction"]["label"] == row["predicted_name"]
            assert sample["prediction"]["confidence"] == pytest.approx(row["probability"])
            raw = read_map(folders / "run" / row["map"]).full
            assert raw.min() - 1e-6 <= heat["low"] < heat["high"] <= raw.max() + 1e-6
            picture = np.asarray(Image.open(exported / "run" / heat["map_path"]))
            assert (picture.dtype, picture.shape) == (np.uint8, (40, 28))
            assert picture.max() == 255
    (scored,) = (each for each in samples_of(exported / "evaluate") if "007" in each["filepath"])
    assert scored["random_sparseness"] != scored["saliency_sparseness"]
    assert scored["saliency"]["_cls"] == "Heatmap"
    assert main(["export", str(folders / "run"), "--to", "fiftyone"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("4 photos\n8 heat maps\n")
    assert "broken.png: " in said.err
    with pytest.raises(OptionError, match="exists"):
        write_fiftyone(folders / "run")


def test_volumes_are_refused(tmp_path, folders):
    (tmp_path / "run").mkdir()
    for name in ("journal.jsonl", "manifest.json"):
        text = (folders / "run" / name).read_text(encoding="utf-8")
        manifest = {**json.loads(text), "preprocessing": {"kind": "volume"}} if name[0] == "m" else None
        (tmp_path / "run" / name).write_text(json.dumps(manifest) if manifest else text, encoding="utf-8")
    with pytest.raises(DataError, match="is of a volume"):
        write_fiftyone(tmp_path / "run")


def test_fiftyone_reads_it(exported, hostile, monkeypatch, tmp_path):
    """By its own importer, with a stand-in for its database server."""
    mongomock = pytest.importorskip("mongomock")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FIFTYONE_DO_NOT_TRACK", "1")
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "mongodb://localhost:1")
    fo = pytest.importorskip("fiftyone")
    import fiftyone.core.odm.database as database
    import mongoengine.connection
    from mongomock.store import ServerStore

    store = ServerStore()

    class Client(mongomock.MongoClient):
        _closed, _opened, _topology = False, True, None

        def __init__(self, *given, **options):
            super().__init__("localhost", _store=store)

    monkeypatch.setattr(database.pymongo, "MongoClient", Client)
    monkeypatch.setattr(mongoengine.connection, "MongoClient", Client)
    monkeypatch.setattr(database, "_validate_db_version", lambda *given, **options: None)
    for name in ("run", "evaluate"):
        data = fo.Dataset.from_dir(dataset_dir=str(exported / name), dataset_type=fo.types.FiftyOneDataset, name=name)
        assert len(data) == len(hostile)
        schema = data.get_field_schema()
        assert {"prediction", "saliency"} <= set(schema)
        assert isinstance(schema["saliency"], fo.EmbeddedDocumentField)
        assert schema["saliency"].document_type is fo.Heatmap
        assert isinstance(data.get_field("saliency.high"), fo.FloatField)
        for sample, written in zip(data, samples_of(exported / name), strict=True):
            heat = written["saliency"]
            np.testing.assert_array_equal(
                sample.saliency.get_map(), np.asarray(Image.open(exported / name / heat["map_path"]))
            )
            assert sample.saliency.high == heat["high"]
            assert sample.prediction.label == written["prediction"]["label"]
    assert sample.saliency_sparseness == written["saliency_sparseness"]
    view = data.match(fo.ViewField("saliency_sparseness") > 2)
    assert len(view) == 0
    data.add_sample(fo.Sample(filepath="x.png", more=fo.Heatmap(map=np.eye(3))))
    assert len(data) == len(hostile) + 1
