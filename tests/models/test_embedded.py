"""The shipped classifier: as accurate as its file says, by looking at the digit, in a form that CAM can explain."""

from __future__ import annotations

import hashlib

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

from explainers import CAM
from explainers.data.images import read_image
from explainers.data.samples import sample_images, sample_masks
from explainers.models.embedded import EMBEDDED_CLASSES, WEIGHTS, embedded_model

COUNT = 400


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return embedded_model()["network"]


@pytest.fixture(scope="module")
def fresh() -> tuple[Tensor, Tensor, Tensor]:
    """Test images far from those that the training script measured itself on."""
    pytest.importorskip("sklearn")
    from explainers.data.generated.digits import digits

    return digits(COUNT, start=800_000)


def normalised(pixels: Tensor) -> Tensor:
    return (pixels.float() / 255 - 0.5) / 0.25


@torch.no_grad()
def found(network: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([network(part).argmax(1) for part in images.split(50)])


def near(masks: Tensor) -> Tensor:
    """The masks widened by 4 pixels, half a cell of the 12 × 12 map."""
    return F.max_pool2d(masks[:, None].float(), 9, 1, 4)[:, 0]


def test_accuracy_on_fresh_images_is_what_the_file_claims(network, fresh):
    pixels, _, labels = fresh
    with safe_open(WEIGHTS, "pt") as file:
        claimed = float(file.metadata()["accuracy"])
    right = float((found(network, normalised(pixels)) == labels).float().mean())
    assert right >= 0.9
    # four standard errors of a share measured on this many images
    assert abs(right - claimed) < 4 * (claimed * (1 - claimed) / COUNT) ** 0.5


def test_the_class_is_read_from_the_digit_alone(network, fresh):
    pixels, masks, labels = fresh
    images = normalised(pixels)
    for image, mask in zip(images, masks, strict=True):
        rows, columns = mask.nonzero().T
        # a box, not the strokes: a hole in the shape of a digit would still be a digit
        top, left = (int((at.min() - 3).clamp(min=0)) for at in (rows, columns))
        image[:, top : int(rows.max()) + 4, left : int(columns.max()) + 4] = 0
    assert float((found(network, images) == labels).float().mean()) < 0.2


def test_cam_points_at_the_digit(network, fresh):
    pixels, masks, labels = (part[:100] for part in fresh)
    maps = CAM(network)(normalised(pixels), labels).relu()
    wide = near(masks)
    inside = (maps * wide).sum((1, 2)) / maps.sum((1, 2))
    assert float(inside.mean()) > 3 * float(wide.mean())
    peaks = wide.flatten(1)[torch.arange(100), maps.flatten(1).argmax(1)]
    assert float(peaks.mean()) >= 0.9


def test_on_every_sample_cam_of_the_prediction_prefers_the_digit(network):
    for file in sample_images():
        image = normalised(torch.tensor(read_image(file.path).pixels).permute(2, 0, 1)[None])
        mask = torch.tensor(read_image(sample_masks()[file.name]).pixels[:, :, 0])[None] > 0
        heat = CAM(network)(image).relu()
        wide = near(mask)
        assert float((heat * wide).sum() / heat.sum()) > 2 * float(wide.mean()), file.name


def test_only_the_sample_named_in_the_documentation_is_mistaken(network):
    files = sample_images()
    images = torch.stack([torch.tensor(read_image(file.path).pixels).permute(2, 0, 1) for file in files])
    classes = found(network, normalised(images)).tolist()
    mistaken = {
        file.name: EMBEDDED_CLASSES[c]
        for file, c in zip(files, classes, strict=True)
        if file.name[3:-4] != EMBEDDED_CLASSES[c]
    }
    assert mistaken == {"11-one.png": "seven"}
    assert "11-one.png" in (sample_images.__doc__ or "")


def test_last_stage_keeps_12_by_12_positions_and_ends_in_pooling_and_one_linear_layer(network):
    kept: list[Tensor] = []
    hook = network.stage4.register_forward_hook(lambda module, given, made: kept.append(made))
    with torch.no_grad():
        scores = network(torch.zeros(2, 3, 96, 96))
    hook.remove()
    assert kept[0].shape[2:] == (12, 12)
    assert scores.shape == (2, len(EMBEDDED_CLASSES))
    by_hand = kept[0].mean((2, 3)) @ network.head.weight.T + network.head.bias
    assert torch.allclose(scores, by_hand, atol=1e-5)


def test_every_rectifier_is_a_module_of_its_own(network):
    rectifiers = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    calls: list[int] = []
    hooks = [module.register_forward_hook(lambda m, given, made: calls.append(id(m))) for module in rectifiers]
    with torch.no_grad():
        network(torch.zeros(1, 3, 96, 96))
    for hook in hooks:
        hook.remove()
    assert len(calls) == len(set(calls)) == len(rectifiers) == 9


def test_the_file_is_small_and_the_network_comes_ready_to_use():
    made = embedded_model()
    assert WEIGHTS.stat().st_size <= 2_000_000
    assert made["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert made["class_names"] == EMBEDDED_CLASSES
    assert not any(module.training for module in made["network"].modules())
    # stored in half precision, used in full
    assert {value.dtype for value in made["network"].parameters()} == {torch.float32}
    with safe_open(WEIGHTS, "pt") as file:
        assert {"accuracy", "seed", "torch"} <= set(file.metadata())


def test_each_call_gives_a_network_of_its_own():
    first, second = embedded_model(), embedded_model()
    with torch.no_grad():
        first["network"].head.weight.zero_()
    first["preprocessing"]["resize"] = None
    assert bool(second["network"].head.weight.any())
    assert embedded_model()["preprocessing"]["resize"] == (96, 96)
