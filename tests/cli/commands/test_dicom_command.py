"""DICOM series through `explain run` and `evaluate`: the map lies where the patient has what was planted."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from explainers.cli.main import main

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")

ROWS, COLUMNS, SLICES = 9, 7, 6
SPACING, STEP = (0.7, 0.9), 2.5  # millimetres between rows and columns, and between slices
ACROSS, DOWN = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, -1.0])  # a sagittal series
ORIGIN = np.array([30.0, -12.0, 44.0])
NETWORK = """
import torch
from torch import nn

def make():
    network = nn.Sequential(nn.Conv3d(1, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(1, 2))
    with torch.no_grad():
        network[0].weight.fill_(1); network[0].bias.fill_(-0.5)
        network[4].weight.copy_(torch.tensor([[-100.0], [100.0]])); network[4].bias.copy_(torch.tensor([0.01, 0.0]))
    return network.eval()
"""


def place(row: int, column: int, number: int) -> np.ndarray:
    """Where a pixel of a slice is in the patient: millimetres to the left, to the back, to the head."""
    normal = np.cross(ACROSS, DOWN)
    return ORIGIN + row * SPACING[0] * DOWN + column * SPACING[1] * ACROSS + number * STEP * normal


def write_series(folder, bright, uid):
    """Signed slices whose file names are not in their order; one pixel of them is bright."""
    folder.mkdir(parents=True)
    for number in range(SLICES):
        meta = pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        meta.MediaStorageSOPInstanceUID = f"{uid}.{number + 1}"
        path = folder / f"{(number * 5 + 2) % SLICES}.dcm"
        each = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        each.SOPClassUID, each.SOPInstanceUID = pydicom.uid.CTImageStorage, f"{uid}.{number + 1}"
        each.SeriesInstanceUID = uid
        each.Rows, each.Columns, each.PixelSpacing = ROWS, COLUMNS, list(SPACING)
        each.ImageOrientationPatient = [*ACROSS, *DOWN]
        each.ImagePositionPatient = [*place(0, 0, number)]
        each.SamplesPerPixel, each.PhotometricInterpretation = 1, "MONOCHROME2"
        each.BitsAllocated, each.BitsStored, each.HighBit, each.PixelRepresentation = 16, 16, 15, 1
        each.RescaleSlope, each.RescaleIntercept = 2.0, -1000.0
        stored = np.full((ROWS, COLUMNS), -12, np.int16)  # -1024 Hounsfield units
        if number == bright[2]:
            stored[bright[0], bright[1]] = 1000  # 1000 of them
        each.PixelData = stored.tobytes()
        each.save_as(path)


@pytest.fixture
def patients(tmp_path, monkeypatch):
    """Two series, and one that has a damaged slice."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORK)
    bright = {"one": (2, 5, 4), "two": (7, 0, 1)}
    for number, name in enumerate(bright):
        write_series(tmp_path / "scans" / name, bright[name], f"1.2.3.{number + 1}")
    write_series(tmp_path / "scans" / "torn", (1, 1, 1), "1.2.3.9")
    torn = tmp_path / "scans" / "torn" / "3.dcm"
    torn.write_bytes(torn.read_bytes()[:-20])
    return bright


COMMON = ["scans", "--model", "net.py:make", "-m", "grad-cam", "-m", "saliency", "--window", "-1000,1000", "--quiet"]


def test_maps_of_series_lie_where_the_patient_has_it_and_a_torn_one_costs_itself(patients, tmp_path):
    assert main(["run", *COMMON]) == 1
    with open("explained/results.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"]: row["status"] for row in rows} == {"one": "ok", "two": "ok", "torn": "failed"}
    assert "3.dcm" in next(row["reason"] for row in rows if row["file"] == "torn")
    for name, bright in patients.items():
        found = nibabel.load(f"explained/maps/{name}.grad-cam.nii.gz")
        strongest = np.unravel_index(np.argmax(found.get_fdata()), found.shape)
        to_the_right = place(*bright) * [-1, -1, 1]  # NIfTI counts to the right and to the front
        np.testing.assert_allclose((found.affine @ [*strongest, 1])[:3], to_the_right, atol=1e-4)
    assert (tmp_path / "explained" / "report" / "index.html").is_file()


def test_series_are_scored(patients):
    metrics = ["--metric", "deletion", "--metric", "sparseness", "--no-figures", "--no-report"]
    assert main(["evaluate", *COMMON, *metrics]) == 1
    with open("evaluated/scores.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["explainer"] == "grad-cam" and row["score"] == "sparseness"]
    # One place of all is not 0, so that the Gini index is 1 less its share.
    values = {row["image"]: float(row["value"]) for row in rows if row["status"] == "ok"}
    assert values == pytest.approx(dict.fromkeys(patients, 1 - 1 / (ROWS * COLUMNS * SLICES)), abs=1e-5)
