"""The notebook door for volumes, signals and clips."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from recording_case import AFFINE, BLOBS, LENGTH, LOUD, RATE, SHAPE, WINDOW, clips, network, scan, scans, sounds
from run_case import embedded
from torch import nn

import explainers
from explainers.data.samples import sample_images
from explainers.errors import ImageError, MapError
from explainers.explanation import ArrayExplanation
from explainers.models import ArrayPreprocessing

nibabel = pytest.importorskip("nibabel")
WINDOWED = ArrayPreprocessing("volume", window=WINDOW)
PHOTO = sample_images()[3].path


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("arrays")
    for made in (scans, sounds, clips, network):
        made(root)
    return root


@pytest.fixture(scope="module")
def net(root):
    loaded = {kind: explainers.load_model(f"{root}/net.py:{kind}") for kind in ("volume", "signal", "clip")}
    return lambda kind: loaded[kind]


@pytest.fixture(scope="module")
def scanned(root, net):
    return explainers.explain(net("volume"), root / "scans/a.nii.gz", preprocessing=WINDOWED)


def test_a_volume_by_path_array_and_tensor_gives_the_same_maps(root, net, scanned):
    assert isinstance(scanned, ArrayExplanation)
    assert scanned.maps.shape == (1, *SHAPE)
    assert np.unravel_index(scanned.map().argmax(), SHAPE) == BLOBS["a"]
    assert (scanned.targets.tolist(), scanned.names) == ([1], ("a.nii.gz",))
    values = scan("a").astype(np.float32)
    for given in (str(root / "scans/a.nii.gz"), values, values[None], scan("a"), values[None, None], [values]):
        again = explainers.explain(net("volume"), given, preprocessing=WINDOWED)
        assert torch.equal(again.maps, scanned.maps)
        assert again.label(0, 1) == scanned.label(0, 1)
    inputs = WINDOWED(values[None])
    for given in (inputs, inputs[None], [inputs], inputs.numpy()):
        assert torch.equal(explainers.explain(net("volume"), given).maps, scanned.maps)
    both = explainers.explain(
        net("volume").network, [root / f"scans/{name}.nii.gz" for name in BLOBS], "saliency", preprocessing=WINDOWED
    )
    assert [np.unravel_index(both.map(index).argmax(), SHAPE) for index in range(2)] == list(BLOBS.values())


def test_a_signal_and_a_clip(root, net):
    with pytest.warns(UserWarning, match="gets the signal's values as they are stored; .* preprocessing="):
        sound = explainers.explain(net("signal"), root / "sounds/s.wav", "saliency")
    assert (sound.maps.shape, int(sound.map().argmax()), sound.recordings[0].rate) == ((1, LENGTH), LOUD, RATE)
    values = sound.recordings[0].values
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in (values, values[None], torch.from_numpy(values)[None]):
            assert torch.equal(explainers.explain(net("signal"), given, "saliency").maps, sound.maps)
        clip = explainers.explain(net("clip"), root / "clips/one", "saliency")
    assert np.unravel_index(clip.map().argmax(), (3, 6, 9)) == (2, 4, 7)
    one = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    assert explainers.explain(one, values[0], "saliency").maps.shape == (1, LENGTH), "an array without channels"


def test_maps_are_saved_where_the_recording_lies(scanned, net, tmp_path):
    found = nibabel.load(scanned.save(tmp_path / "a.nii.gz"))
    assert np.array_equal(np.asarray(found.dataobj), scanned.map())
    assert np.array_equal(found.affine, AFFINE)
    assert np.array_equal(np.load(scanned.save(tmp_path / "a.npy")), scanned.map())
    assert np.array_equal(np.asarray(Image.open(scanned.save(tmp_path / "a.png"))), scanned.overlay())
    assert Image.open(scanned.save(tmp_path / "a.webp")).n_frames == SHAPE[2]
    half = explainers.explain(
        net("volume"), scan("a"), preprocessing=ArrayPreprocessing("volume", (7, 5, 4), window=WINDOW)
    )
    assert half.maps.shape == (1, 7, 5, 4)
    assert np.load(half.save(tmp_path / "half.npy")).shape == half.placed().shape == SHAPE
    with pytest.raises(MapError, match=r"where the recording lies is not known; write \.npy"):
        half.save(tmp_path / "half.nii.gz")


def test_it_shows_itself(scanned):
    found = scanned._repr_mimebundle_()
    assert set(found) == {"text/html", "image/png", "text/plain"}
    assert found["image/png"][:4] == b"\x89PNG"
    assert '<img src="data:image/' in found["text/html"]
    assert found["text/plain"] == "Explanation(grad-cam, 1 × 14 × 10 × 8, targets [1])"


def test_methods_below_each_other_with_what_they_say_together(root, net):
    figure = explainers.compare(
        net("volume"), root / "scans/b.nii.gz", ["grad-cam", "saliency"], preprocessing=WINDOWED
    )
    (part,) = figure.subfigs
    titles = [axis.get_title(loc="left").split("\n")[0] for axis in part.axes]
    assert [title for title in titles if title] == ["grad-cam", "saliency", "mean of methods", "disagreement"]
    assert [axis.get_title() for axis in part.axes[:3]] == ["x = 10 of 14", "y = 2 of 10", "z = 5 of 8"]
    assert part.get_suptitle().startswith("b.nii.gz · class 1 0.")
    sound = explainers.compare(net("signal"), np.eye(2, 50, 7, dtype=np.float32) * 4, ["grad-cam", "saliency"])
    titles = [axis.get_title(loc="left").split("\n")[0] for axis in sound.subfigs[0].axes]
    assert titles[0].startswith("signal · class")
    assert [each for each in titles[1:] if each] == ["grad-cam", "saliency", "mean of methods", "disagreement"]


class WithAge(nn.Module):
    """A scan and a number."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv3d(1, 1, 1), nn.Linear(2, 2)

    def forward(self, scan, age):
        return self.head(torch.cat([self.conv(scan).square().mean((2, 3, 4)), age], 1))


def test_a_volume_among_several_inputs(root):
    given = {"scan": [root / f"scans/{name}.nii.gz" for name in BLOBS], "age": torch.rand(2, 1)}
    found = explainers.explain(WithAge(), given, "saliency", explain="scan", preprocessing=WINDOWED)
    assert (found.maps.shape, found.names) == ((2, *SHAPE), ("a.nii.gz", "b.nii.gz"))
    assert [np.unravel_index(found.map(index).argmax(), SHAPE) for index in range(2)] == list(BLOBS.values())


def test_a_function_takes_what_its_preprocessing_says_or_what_is_given(root):
    def score(inputs):
        flat = inputs.flatten(1).mean(1)
        return torch.stack([flat, -flat], 1)

    options = {"masks": 8, "batch_size": 8}
    assert explainers.explain(score, torch.rand(1, 1, 4, 5, 6), "rise", **options).maps.shape == (1, 4, 5, 6)
    signal = ArrayPreprocessing("signal")
    found = explainers.explain(score, np.ones((2, 30), np.float32), "rise", preprocessing=signal, **options)
    assert found.maps.shape == (1, 30)
    with pytest.warns(UserWarning, match="gets the volume's values as they are stored"):
        assert explainers.explain(score, root / "scans/a.nii.gz", "rise", **options).maps.shape == (1, *SHAPE)


def test_targets_several_and_kept_channels(net):
    values = np.random.default_rng(0).uniform(size=(2, 60)).astype(np.float32)
    several = explainers.explain(net("signal"), values, "input-x-gradient", [[0, 1]], channels=None)
    assert several.maps.shape == (1, 2, 2, 60)
    assert several.placed(0, 1).shape == (2, 60)
    assert len(several.plot().subfigs) == 1
    volume = explainers.explain(net("volume"), scan("a"), "saliency", [[0, 1]], preprocessing=WINDOWED)
    assert volume.overlay(0, target=1).ndim == 3


@pytest.fixture(scope="module")
def spoiled(root):
    """Files that are wrong, each in its way."""
    holes = scan("a").astype(np.float32)
    holes[1, 2, 3] = np.nan
    nibabel.save(nibabel.Nifti1Image(holes, AFFINE), root / "holes.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6, 2), np.float32), AFFINE), root / "four.nii.gz")
    data = (root / "sounds/s.wav").read_bytes()
    (root / "empty.wav").write_bytes(data[:40] + b"\0\0\0\0")
    return root


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("volume", "gone.nii.gz", "no file or folder .*gone.nii.gz"),
        ("volume", PHOTO, r"three.png is a photo, and the network takes volumes; pass a volume \(\.nii"),
        ("volume", Image.new("RGB", (9, 9)), "got a PIL image, which is a photo; pass a volume"),
        ("volume", "four.nii.gz", "it has 2 channels, and the network takes 1; choose some"),
        ("volume", "holes.nii.gz", "has 1 value that is NaN or infinite; replace"),
        ("volume", "sounds/s.wav", "has 1 axis behind its channels, and a volume has 3; pass a volume"),
        ("volume", "scans", "is a folder with no DICOM slices .*; pass a volume .*or a list"),
        (
            "volume",
            np.zeros((4, 5)),
            r"the array has the shape \(4, 5\) of float64; pass .*\(D, H, W\), \(C, D, H, W\)",
        ),
        ("volume", np.full((4, 5, 6), np.inf), "the array has 120 values that are NaN or infinite; replace"),
        (
            "volume",
            [np.zeros((4, 5, 6)), np.zeros((4, 5, 7))],
            "volumes after preprocessing have different sizes.*; set",
        ),
        ("volume", torch.zeros(4, 5, 6), r"\(N, C, D, H, W\), or one without N; got \(4, 5, 6\); add"),
        ("volume", torch.full((1, 4, 5, 6), torch.nan), "NaN or infinite values in image 0 of the batch; replace"),
        ("volume", torch.zeros(1, 2, 4, 5, 6), r"takes 1 channel, and the images \(1, 2, 4, 5, 6\) have 2; pass"),
        ("volume", [], "the list of volumes is empty; pass"),
        ("signal", "empty.wav", r"empty.wav holds no values: its axes are 2 × 0; pass"),
        ("signal", "scans/a.nii.gz", "has 3 axes behind its channels, and a signal has 1; pass a signal"),
        ("signal", np.zeros(9), "the array: it has 1 channel, and the network takes 2; choose"),
        ("clip", np.zeros((5, 6, 7, 3), np.uint8), "it has 5 channels, and the network takes 3; move the axis"),
        ("photo", "scans/a.nii.gz", "is a volume, and the network takes photos; pass a photo, choose"),
        ("photo", "sounds/s.wav", "is a signal, and the network takes photos; pass a photo, choose"),
        ("photo", torch.zeros(1, 3, 4, 5, 6), r"takes \(N, C, H, W\), got \(1, 3, 4, 5, 6\); pass"),
        ("photo", np.zeros((1, 4, 5, 6)), r"expected an array .* got \(1, 4, 5, 6\); pass"),
    ],
)
@pytest.mark.filterwarnings("ignore:the network gets", "ignore:.*behind the third axis")
def test_what_does_not_fit_is_one_error_that_says_what_to_do(spoiled, net, kind, given, message):
    model = embedded() if kind == "photo" else net(kind)
    given = spoiled / given if isinstance(given, str) else given
    with pytest.raises(ImageError, match=message):
        explainers.explain(model, given, "saliency")
