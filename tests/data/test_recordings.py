"""Volumes and signals: what their files say is what is read, and what is written back lies where it was."""

from __future__ import annotations

import gzip
import os
import struct
import sys
import wave

import numpy as np
import pytest
import torch

from explainers.core.preprocessing import ArrayPreprocessing
from explainers.data.images import write_image
from explainers.data.recordings import MOST_VALUES, find_recordings, kinds_in, read_recording, write_map
from explainers.data.recordings.recording import check_count
from explainers.errors import DependencyError, ImageError, MapError, OptionError
from explainers.run.kinds import kind_of

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")

AFFINE = np.array([[0, -1.5, 0, 10], [2, 0, 0.1, -20], [0, 0, 3.25, 5], [0, 0, 0, 1]])
SHAPE = (5, 7, 3)


def values(shape=SHAPE):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def nifti(path, data=None, affine=AFFINE, kind=nibabel.Nifti1Image):
    nibabel.save(kind(values() if data is None else data, affine), path)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_a_nifti_file_is_read_in_its_own_order_with_its_affine(tmp_path, name, kind):
    found = read_recording(nifti(tmp_path / name, kind=kind))
    np.testing.assert_array_equal(found.values[0], values())
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-6)
    assert (found.axes, found.notes) == (SHAPE, ())


@pytest.mark.parametrize("shape", [(8,), (8, 6)])
def test_a_nifti_file_without_a_third_axis_is_no_volume(tmp_path, shape):
    with pytest.raises(ImageError, match=r"is no volume: it has [12] axes \(8.*, and a volume has three"):
        read_recording(nifti(tmp_path / "flat.nii", np.ones(shape, np.float32)))


def test_slope_and_intercept_of_a_nifti_file_are_applied(tmp_path):
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), AFFINE)
    image.header.set_slope_inter(0.5, -10)
    nibabel.save(image, tmp_path / "a.nii.gz")
    expected = np.asarray(nibabel.load(tmp_path / "a.nii.gz").get_fdata())
    np.testing.assert_allclose(read_recording(tmp_path / "a.nii.gz").values[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("place", "form", "numbers", "said"),
    [
        (280, "4f", [np.nan] * 4, "its affine says no place .* not finite"),
        (280, "12f", [0] * 12, "its affine says no place .* no inverse"),
        (252, "2h3f", [1, 0, 5, 5, 5], "is damaged .*w2 should be positive"),  # a quaternion that is none
        (112, "2f", [1, np.nan], "is damaged .*intercept"),
        (40, "4h", [3, 4, 0, 6], "holds no values"),
        (108, "f", [np.inf], "is damaged"),
    ],
)
def test_headers_that_say_no_place_or_scale_are_one_error(tmp_path, place, form, numbers, said):
    data = bytearray(nibabel.Nifti1Image(values(), AFFINE).to_bytes())
    struct.pack_into(f"<{form}", data, place, *numbers)
    (tmp_path / "a.nii").write_bytes(data)
    with pytest.raises(ImageError, match=said):
        read_recording(tmp_path / "a.nii")


def test_axes_behind_the_third_are_channels(tmp_path):
    data = values((4, 5, 6, 2))
    found = read_recording(nifti(tmp_path / "a.nii", data))
    assert found.values.shape == (2, 4, 5, 6)
    np.testing.assert_array_equal(found.values[1], data[..., 1])
    assert "channels" in found.notes[0]


def test_a_file_without_orientation_says_so_and_its_map_has_none_either(tmp_path):
    image = nibabel.Nifti1Image(values(), None)
    image.header["sform_code"], image.header["qform_code"] = 0, 0
    nibabel.save(image, tmp_path / "a.nii.gz")
    found = read_recording(tmp_path / "a.nii.gz")
    assert "does not say how its axes lie" in found.notes[0]
    write_map(tmp_path / "map.nii.gz", values(), found)
    header = nibabel.load(tmp_path / "map.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)


@pytest.mark.parametrize("name", ["map.nii", "map.nii.gz"])
def test_a_map_is_written_back_with_the_volumes_affine_to_the_bit(tmp_path, name):
    found = read_recording(nifti(tmp_path / "a.nii.gz"))
    map_ = values() ** 2
    write_map(tmp_path / name, map_, found)
    first, second = nibabel.load(tmp_path / "a.nii.gz"), nibabel.load(tmp_path / name)
    np.testing.assert_array_equal(first.affine, second.affine)
    np.testing.assert_array_equal(np.asarray(second.dataobj), map_)
    assert second.get_data_dtype() == np.float32
    assert first.header.get_xyzt_units() == second.header.get_xyzt_units()
    for form in ("sform_code", "qform_code"):
        assert int(first.header[form]) == int(second.header[form])


def test_a_planted_voxel_stays_at_its_place_in_the_world(tmp_path):
    data = np.zeros(SHAPE, np.float32)
    data[4, 1, 2] = 1
    found = read_recording(nifti(tmp_path / "a.nii.gz", data))
    prepared = ArrayPreprocessing(size=(10, 14, 6))(found.values)
    map_ = ArrayPreprocessing().back(prepared[0].numpy(), found.axes)
    write_map(tmp_path / "map.nii.gz", map_, found)
    written = nibabel.load(tmp_path / "map.nii.gz")
    index = np.unravel_index(np.argmax(np.asarray(written.dataobj)), SHAPE)
    np.testing.assert_allclose((written.affine @ [*index, 1])[:3], (AFFINE @ [4, 1, 2, 1])[:3], atol=1e-5)


def series(folder, places, *, uid="1.2.3", rows=4, columns=6, slope=2.0, intercept=-1000.0, order=None):
    """Slices whose stored value is their number, along a tilted normal."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    folder.mkdir(exist_ok=True)
    across, down = np.array([1.0, 0, 0]), np.array([0, 0.8, 0.6])
    normal = np.cross(across, down)
    for number, place in enumerate(places):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
        meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
        name = f"{(order or list(range(len(places))))[number]:03d}.dcm"
        each = FileDataset(str(folder / name), {}, file_meta=meta, preamble=b"\0" * 128)
        each.SOPClassUID, each.SOPInstanceUID, each.SeriesInstanceUID = CTImageStorage, f"1.2.3.4.{number}", uid
        each.Rows, each.Columns, each.PixelSpacing = rows, columns, [0.7, 0.9]
        each.ImageOrientationPatient = [*across, *down]
        each.ImagePositionPatient = [*(np.array([3.0, -2.0, 1.0]) + place * normal)]
        each.SamplesPerPixel, each.PhotometricInterpretation = 1, "MONOCHROME2"
        each.BitsAllocated = each.BitsStored = 16
        each.HighBit, each.PixelRepresentation = 15, 1
        each.RescaleSlope, each.RescaleIntercept = slope, intercept
        stored = np.full((rows, columns), number, np.int16)
        stored[0, 1] = 50
        each.PixelData = stored.tobytes()
        each.save_as(folder / name)
    return folder


def test_slices_are_ordered_by_their_places_and_scaled(tmp_path):
    folder = series(tmp_path / "ct", [7.5, 0.0, 5.0, 2.5], order=[2, 3, 0, 1])
    found = read_recording(folder)
    assert found.values.shape == (1, 4, 4, 6)
    np.testing.assert_array_equal(found.values[0, :, 2, 2], 2.0 * np.array([1, 3, 2, 0]) - 1000)
    assert found.values[0, 0, 0, 1] == 2 * 50 - 1000
    normal = np.cross([1.0, 0, 0], [0, 0.8, 0.6])
    by_hand = np.array([3.0, -2.0, 1.0]) + 2 * 2.5 * normal + 1 * 0.7 * np.array([0, 0.8, 0.6]) + 3 * 0.9 * np.eye(3)[0]
    np.testing.assert_allclose((found.affine @ [2, 1, 3, 1])[:3], by_hand * [-1, -1, 1], atol=1e-6)
    write_map(tmp_path / "map.nii.gz", found.values[0], found)
    in_ras = nibabel.load(tmp_path / "map.nii.gz").affine @ [2, 1, 3, 1]
    np.testing.assert_allclose(in_ras[:3], by_hand * [-1, -1, 1], atol=1e-5)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: series(folder, [1.0], uid="9.9", order=[9]), "2 series"),
        (lambda folder: series(folder, [50.0], rows=8, order=[9]), "different sizes"),
        (lambda folder: series(folder, [2.5], order=[9]), "two slices at one place"),
        (lambda folder: (folder / "000.dcm").write_bytes((folder / "000.dcm").read_bytes()[:-10]), "000.dcm"),
    ],
)
def test_slices_that_are_no_one_volume_are_refused_by_name(tmp_path, spoil, message):
    folder = series(tmp_path / "ct", [0.0, 2.5, 5.0])
    spoil(folder)
    with pytest.raises(ImageError, match=message):
        read_recording(folder)


def test_a_missing_slice_is_told(tmp_path):
    found = read_recording(series(tmp_path / "ct", [0.0, 2.5, 5.0, 10.0]))
    assert "2.5 to 5 mm apart" in found.notes[0]
    assert "places behind a gap are not those of the patient" in found.notes[0]


def test_a_slice_that_is_called_so_alone_is_told_and_the_index_of_a_disc_is_none(tmp_path):
    folder = series(tmp_path / "ct", [0.0, 2.5, 5.0])
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    assert read_recording(folder).axes == (3, 4, 6)
    with pytest.raises(ImageError, match=r"000\.dcm is a DICOM file, of which a volume has many: pass the folder"):
        read_recording(folder / "000.dcm")
    assert kinds_in(folder / "000.dcm") == kinds_in(folder) == {"volume"}
    (folder / "003.dcm").write_bytes(b"")  # a copy that broke off
    with pytest.raises(ImageError, match=r"003\.dcm"):
        read_recording(folder)


@pytest.mark.parametrize(("numbers", "gap"), [((1, 2, 3, 5, 6), "behind 3 comes 5"), ((0, 10, 20), None), ((4,), None)])
def test_a_missing_frame_is_told(tmp_path, numbers, gap):
    for number in numbers:
        write_image(tmp_path / f"frame{number}.png", np.zeros((4, 5, 3), np.uint8))
    notes = read_recording(tmp_path).notes
    assert [gap in note for note in notes] == ([True] if gap else [])


@pytest.mark.parametrize(("width", "scale"), [(1, 128), (2, 1 << 15), (3, 1 << 23), (4, 1 << 31)])
def test_pcm_of_every_width_is_scaled_by_its_range(tmp_path, width, scale):
    whole = np.array([[0, -scale], [1, scale - 1], [-2, 3]], np.int64)  # (samples, channels)
    stored = whole + 128 if width == 1 else whole
    data = b"".join(int(each).to_bytes(width, "little", signed=width > 1) for each in stored.ravel())
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(data)
    found = read_recording(tmp_path / "a.wav")
    assert (found.rate, found.values.shape) == (8000, (2, 3))
    np.testing.assert_allclose(found.values, (whole.T / scale).astype(np.float32), atol=1e-7)


def test_floats_and_extensible_wav_files_with_chunks_before_the_samples(tmp_path):
    samples = np.array([0.5, -2.0, 1e-3], np.float32)
    body = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 100, 400, 4, 32, 22, 32, 0) + struct.pack("<H", 3) + b"\0" * 14
    parts = [b"fmt " + struct.pack("<I", len(body)) + body, b"LIST" + struct.pack("<I", 3) + b"abc\0"]
    parts.append(b"data" + struct.pack("<I", 12) + samples.tobytes())
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", 4 + sum(map(len, parts))) + b"WAVE" + b"".join(parts))
    np.testing.assert_array_equal(read_recording(tmp_path / "a.wav").values, samples[None])


def test_wav_samples_that_do_not_fill_their_bytes_are_refused(tmp_path):
    body = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 100, 400, 4, 24) + b"data" + struct.pack("<I", 8) + b"\0" * 8
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    with pytest.raises(ImageError, match="24 bits in 4 bytes for its 1 channels"):
        read_recording(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("shape", "expected"), [((9,), (1, 9)), ((2, 9), (2, 9)), (SHAPE, (1, *SHAPE)), ((2, *SHAPE),) * 2]
)
def test_arrays_are_signals_or_volumes_by_their_axes(tmp_path, shape, expected):
    np.save(tmp_path / "a.npy", values(shape))
    np.savez_compressed(tmp_path / "b.npz", values=values(shape), other=np.zeros(3))
    for name in ("a.npy", "b.npz"):
        found = read_recording(tmp_path / name)
        assert found.values.shape == expected
        np.testing.assert_array_equal(found.values.ravel(), values(shape).ravel())


def test_sizes_are_refused_before_values_are_read(tmp_path):
    for name in ("a.nii", "a.nii.gz"):
        nifti(tmp_path / name, np.zeros((30, 30, 30), np.int16))
    np.save(tmp_path / "a.npy", np.zeros((30, 30, 30), np.float32))
    series(tmp_path / "ct", range(10), rows=50, columns=60)
    for name in ("a.nii", "a.nii.gz", "a.npy", "ct"):
        with pytest.raises(ImageError, match="more than the limit of 26,999"):
            read_recording(tmp_path / name, most=26_999)


def test_a_long_ct_is_within_the_limit_and_a_file_of_twice_the_limit_is_not(tmp_path):
    check_count(tmp_path / "ct.nii.gz", (1, 512, 512, 600), MOST_VALUES)
    with pytest.raises(ImageError, match="more than the limit of 500,000,000; raise it with max_pixels"):
        check_count(tmp_path / "ct.nii.gz", (1, 1000, 1000, 1000), MOST_VALUES)
    kind = kind_of(ArrayPreprocessing("volume"))
    np.save(tmp_path / "a.npy", np.zeros((3, 3, 3), np.float32))
    assert kind.read(tmp_path / "a.npy", None).axes == (3, 3, 3)
    with pytest.raises(ImageError, match="more than the limit of 26;"):
        kind.read(tmp_path / "a.npy", 26)


def test_a_bomb_is_refused_by_its_header(tmp_path):
    header = nibabel.Nifti1Header()
    header.set_data_shape((2000, 2000, 2000))
    header.set_data_dtype(np.float32)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(header.binaryblock + b"\0" * 4 + b"\0" * 1_000_000))
    with pytest.raises(ImageError, match="more than the limit"):
        read_recording(tmp_path / "bomb.nii.gz")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.wav", "a.npy", "a.npz"])
def test_damaged_files_give_one_error_with_their_name(tmp_path, name):
    path = tmp_path / name
    if name.startswith("a.nii"):
        nifti(path)
    elif name == "a.wav":
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes(400))
    else:
        (np.save if name == "a.npy" else np.savez_compressed)(path, values())
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    spoiled = [b"", whole[: len(whole) // 2], whole[:20], b"\x1f\x8b" + bytes(50), bytes(len(whole))]
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, min(len(data), 400), 4):
            data[place] = int(rng.integers(256))
        spoiled.append(bytes(data))
    refused = 0
    for data in spoiled:
        path.write_bytes(data)
        try:
            read_recording(path)
        except ImageError as error:
            refused += 1
            assert name in str(error)
            assert "\n" not in str(error)
    assert refused >= 4


def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "a.nii.gz")
    os.symlink("/dev/zero", tmp_path / "b.wav")
    (tmp_path / "folder").mkdir()
    (tmp_path / "c.txt").write_text("x")
    for name in ("a.nii.gz", "b.wav", "folder", "c.txt", "nowhere.nii"):
        with pytest.raises(ImageError, match=name.partition(".")[0]):
            read_recording(tmp_path / name)


def test_values_that_are_not_finite_are_counted(tmp_path):
    data = values()
    data[0, 0, :2] = np.nan, np.inf
    with pytest.raises(ImageError, match="2 values that are NaN"):
        read_recording(nifti(tmp_path / "a.nii.gz", data))


@pytest.mark.parametrize("package", ["nibabel", "pydicom"])
def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch, package):
    path = nifti(tmp_path / "a.nii.gz") if package == "nibabel" else series(tmp_path / "ct", [0.0])
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=rf'{package}: pip install "explainers\[medical\]"'):
        read_recording(path)


def test_recordings_of_a_folder_are_found_sorted_and_series_count_once(tmp_path):
    (tmp_path / "b").mkdir()
    nifti(tmp_path / "b" / "two.nii.gz")
    nifti(tmp_path / "one.NII")
    nifti(tmp_path / ".hidden.nii")
    series(tmp_path / "ct", [0.0, 1.0])
    series(tmp_path / "ct" / "later", [0.0, 1.0])  # beside the slices of another one
    (tmp_path / "photo.jpg").write_bytes(b"x")
    assert [file.name for file in find_recordings(tmp_path, "volume")] == ["b/two.nii.gz", "ct", "ct/later", "one.NII"]
    assert [file.name for file in find_recordings(tmp_path / "ct", "volume")] == ["ct", "later"]
    with pytest.raises(ImageError, match="no volumes"):
        find_recordings(series(tmp_path / "empty", []), "volume")
    with pytest.raises(ImageError, match="no file or folder"):
        find_recordings(tmp_path / "nowhere", "volume")


def test_array_preprocessing_by_hand(tmp_path):
    found = read_recording(nifti(tmp_path / "a.nii.gz"))
    data = torch.from_numpy(values())
    assert torch.equal(ArrayPreprocessing()(found.values)[0], data)
    limited = ArrayPreprocessing(window=(-0.5, 1.5))(found.values)[0]
    torch.testing.assert_close(limited, (data.clamp(-0.5, 1.5) + 0.5) / 2)
    scaled = ArrayPreprocessing(normalize="z-score")(found.values)
    assert abs(float(scaled.mean())) < 1e-5
    assert float(scaled.std(correction=0)) == pytest.approx(1, abs=1e-5)
    unit = ArrayPreprocessing(normalize="min-max")(found.values)
    assert (float(unit.min()), float(unit.max())) == (0, 1)
    halves = ArrayPreprocessing(size=(5, 7, 6))(found.values)
    assert halves.shape == (1, 5, 7, 6)
    back = ArrayPreprocessing().back(halves[0].numpy(), found.axes)
    assert back.shape == SHAPE
    for wrong in (dict(kind="signal"), dict(channels=3)):
        with pytest.raises(ImageError):
            ArrayPreprocessing(**wrong)(found.values)
    for wrong in (
        dict(size=(4, 4)),
        dict(size=(0, 1, 1)),
        dict(kind="photo"),
        dict(std=(0.0,)),
        dict(window=(2.0, 1.0)),
        dict(window=(0.0, float("nan"))),
        dict(normalize="most"),
    ):
        with pytest.raises(OptionError):
            ArrayPreprocessing(**wrong)


def test_maps_that_do_not_fit_are_refused(tmp_path):
    found = read_recording(nifti(tmp_path / "a.nii.gz"))
    with pytest.raises(MapError, match="enlarge it first"):
        write_map(tmp_path / "map.nii.gz", values((2, 2, 2)), found)
    np.save(tmp_path / "s.npy", values((9,)))
    signal = read_recording(tmp_path / "s.npy")
    with pytest.raises(MapError, match="write .npy"):
        write_map(tmp_path / "map.nii.gz", values((9,)), signal)
    write_map(tmp_path / "map.npy", values((9,)), signal)
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), values((9,)))
