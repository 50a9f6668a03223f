"""F-CAM: its decoder, the maps that teach it, and that the classifier which it explains does not move."""

from __future__ import annotations

from dataclasses import replace

import pytest
import timm
import torch
import torchvision
from explainers.cli.main import main
from safetensors.torch import load_file, save_file
from small import lively
from torch import Tensor, nn

import explainers
from explainers.baselines import (
    FCAM,
    SGD,
    ColourAffinity,
    Constant,
    SeededCrossEntropy,
    Settings,
    SizeBarrier,
    create_network,
    draw_seeds,
    partial_cross_entropy,
    read_run,
    resnet,
    train,
)
from explainers.baselines.networks.ala import vision_transformer
from explainers.data.sets import data_set
from explainers.errors import OptionError, UnsupportedError

DATA = "magnetogram:size=32,grades=4,train=24,val=8,test=8"
TINY = {"width": 8}
LOSSES = (SeededCrossEntropy(erosion=3), ColourAffinity(exact=64), SizeBarrier())
SMALL = Settings(losses=LOSSES, epochs=3, batch_size=8, optimizer=SGD(lr=0.05), schedule=Constant())


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A training of a classifier, of another backbone than the usual."""
    folder = tmp_path_factory.mktemp("classifier")
    settings = Settings(epochs=1, batch_size=12, optimizer=SGD(lr=0.05))
    return train("plain", DATA, folder, settings, options={"backbone": "cifar-resnet20"}, device="cpu").folder


def enlarged(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest neighbours, where sides grow by whole factors."""
    assert size[0] % x.shape[2] == size[1] % x.shape[3] == 0
    return x.repeat_interleave(size[0] // x.shape[2], 2).repeat_interleave(size[1] // x.shape[3], 3)


def test_the_decoder_joins_the_stages_from_the_deepest_to_the_image():
    network = lively(FCAM(resnet("small-resnet", classes=3), width=16)).double().eval()
    images, encoder = torch.randn(2, 3, 64, 48, dtype=torch.float64), network.encoder
    stages, seen = [], images
    for name, module in encoder.named_children():
        if name.startswith("pool") or name == "avgpool":
            break
        seen = module(seen)
        if name.startswith("layer"):
            stages.append(seen)
    assert [tuple(stage.shape[2:]) for stage in stages] == [(32, 24), (16, 12), (8, 6), (4, 3)]
    seen = stages[3]
    for number, size in enumerate([(8, 6), (16, 12), (32, 24), (64, 48)]):
        wide = enlarged(seen, size)
        wide = torch.cat([wide, stages[2 - number]], dim=1) if number < 3 else wide
        first, first_norm, _, second, second_norm, _ = network.decoder[number].layers
        for convolution, norm in ((first, first_norm), (second, second_norm)):
            wide = nn.functional.conv2d(wide, convolution.weight, padding=1)
            view = (1, -1, 1, 1)
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            wide = (wide - norm.running_mean.view(view)) * scale.view(view) + norm.bias.view(view)
            wide = wide.clamp(min=0)
        assert wide.shape[1] == (16, 8, 4, 4)[number]
        seen = wide
    two = nn.functional.conv2d(seen, network.to_map.weight, network.to_map.bias, padding=1)
    branches = network.forward_branches(images)
    torch.testing.assert_close(branches.map_logits, two)
    torch.testing.assert_close(branches.attention_map, two[:, 1:].exp() / two.exp().sum(dim=1, keepdim=True))
    torch.testing.assert_close(branches.logits, encoder(images))
    assert branches.attention_map.shape == (2, 1, 64, 48)
    assert network.stages == ("layer1", "layer2", "layer3", "layer4")


WIDTHS = {
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=3), (256, 128, 64, 32, 16)),
    "depth 4, inside another network": (lambda: nn.Sequential(resnet("small-resnet", classes=3)), (256, 128, 64, 32)),
    "a first stage of the image's size": (lambda: resnet("cifar-resnet20", classes=3), (256, 128)),
    "a first stage of a quarter": (lambda: timm.create_model("convnext_atto", num_classes=3), (256, 128, 64, 32, 16)),
    "a transformer of one resolution": (lambda: vision_transformer("tiny-vit", outputs=3), (256, 128, 64)),
    "timm's, which takes one size": (
        lambda: timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=3),
        (256, 128, 64, 32),
    ),
}


@pytest.mark.parametrize("name", WIDTHS)
def test_any_classifier_is_explained_at_the_images_size(name):
    make, widths = WIDTHS[name]
    network = FCAM(make().eval())
    assert tuple(step.width for step in network.decoder) == widths
    assert not any(module.training for module in network.encoder.modules())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        branches = network.eval().forward_branches(images)
    assert branches.attention_map.shape == (2, 1, 64, 64)
    torch.testing.assert_close(branches.logits, network.encoder(images))


def test_what_teaches_is_the_toolkits_class_activation_map():
    """One formula: CAM's map, divided by the number of positions, and with a ReLU Grad-CAM's."""
    classifier = lively(resnet("small-resnet", classes=3)).double().eval()
    network, images = FCAM(classifier, width=8).double(), torch.randn(2, 3, 64, 96, dtype=torch.float64)
    network.train()
    cams = network.forward_branches(images).cams
    assert cams.shape == (2, 3, 4, 6)
    assert not cams.requires_grad
    for label in range(3):
        wide = nn.functional.interpolate(cams[:, label : label + 1], (64, 96), mode="bilinear")[:, 0]
        cam = explainers.create("cam", classifier)(images, label)
        torch.testing.assert_close(24 * wide.float(), cam, rtol=1e-4, atol=1e-5)
        wide = nn.functional.interpolate(cams[:, label : label + 1].relu(), (64, 96), mode="bilinear")[:, 0]
        torch.testing.assert_close(wide.float(), explainers.create("grad-cam", classifier)(images, label))


def test_a_given_map_is_shown_and_the_classifier_answers_as_before():
    network = FCAM(resnet("small-resnet", classes=3), width=8).eval()
    images, given = torch.randn(2, 3, 32, 48), torch.rand(2, 1, 32, 48)
    branches = network.forward_branches(images, attention_map=given)
    assert torch.equal(branches.attention_map, given)
    torch.testing.assert_close(branches.logits, network.encoder(images))
    with pytest.raises(OptionError, match=r"expected \(2, 1, 32, 48\)"):
        network.forward_branches(images, attention_map=torch.rand(2, 1, 4, 6))


def test_training_moves_the_decoder_and_nothing_of_the_classifier(classifier, tmp_path):
    run = train("f-cam", DATA, tmp_path / "run", SMALL, options=TINY, start=classifier, device="cpu")
    before, after = load_file(classifier / "best.safetensors"), load_file(tmp_path / "run/best.safetensors")
    assert all(torch.equal(after[f"encoder.{name}"], value) for name, value in before.items())
    assert any("running_mean" in name for name in before)
    fresh = create_network("f-cam", channels=1, classes=4, backbone="cifar-resnet20", **TINY).state_dict()
    moved = [name for name, value in after.items() if name.startswith(("decoder", "to_map")) and value.ndim == 4]
    assert moved
    assert not any(torch.equal(after[name], fresh[name]) for name in moved)
    assert run.config["network"]["options"]["backbone"] == "cifar-resnet20"  # the classifier's own
    assert {"train_seeded-cross-entropy", "train_colour-affinity", "train_size-barrier"} <= set(run.history[0])
    classified = read_run(classifier).result["test"]["accuracy"]
    assert run.result["test"]["accuracy"] == classified  # it answers as the classifier does
    loaded = explainers.load_model(run.folder, device="cpu")
    images = torch.randn(2, 1, 32, 32)
    maps = explainers.create("attention", loaded)(images)
    torch.testing.assert_close(maps, loaded.network.forward_branches(images).attention_map[:, 0])


def test_the_command_line_takes_data_and_backbone_from_the_classifiers_training(classifier, tmp_path, capsys):
    more = ["--epochs", "1", "--batch-size", "12", "--option", "width=8", "--lr", "0.001", "--device", "cpu"]
    assert main(["train", "f-cam", "--resume-from", str(classifier), "--out", str(tmp_path / "run"), *more]) == 0
    told = read_run(tmp_path / "run").config
    assert (told["network"]["options"]["backbone"], told["network"]["options"]["width"]) == ("cifar-resnet20", 8)
    assert told["data"]["spec"] == DATA
    assert "(before)" in capsys.readouterr().out
    assert main(["train", "f-cam", "--data", DATA, "--out", str(tmp_path / "other"), *more]) == 2
    assert "f-cam keeps its encoder as it is, so that has to be trained" in capsys.readouterr().err


class Stopped(Exception):
    pass


def test_a_stopped_training_goes_on_to_the_same_weights(classifier, tmp_path):
    def stop(epoch: int, step: int, steps: int, losses: dict) -> None:
        if (epoch, step) == (2, 2):
            raise Stopped

    def fitted(name: str, **more):
        settings = replace(SMALL, augment=("flip",))
        return train("f-cam", DATA, tmp_path / name, settings, options=TINY, start=classifier, device="cpu", **more)

    fitted("whole")
    with pytest.raises(Stopped):
        fitted("broken", progress=stop)
    torch.manual_seed(99)
    fitted("broken")
    first, second = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "broken"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_maps_of_sixteen_images_learn_their_seeds_by_heart():
    torch.manual_seed(5)
    data = data_set("birds:size=32,classes=4,train=16,val=1,test=0")
    images = torch.stack([data.preprocessing(data.train.pixels(index)) for index in range(16)])
    network = FCAM(resnet("small-resnet", classes=4), width=16).train()
    for parameter in network.encoder.parameters():
        parameter.requires_grad_(False)
    cams = network.cams(images)[torch.arange(16), torch.tensor(data.train.labels)][:, None]
    cams = nn.functional.interpolate(cams, (32, 32), mode="bilinear")[:, 0]
    seeds = draw_seeds(cams, torch.Generator().manual_seed(0), erosion=3)
    assert int((seeds == 1).sum()) > 100
    assert int((seeds == 0).sum()) > 100
    optimizer = torch.optim.AdamW([value for value in network.parameters() if value.requires_grad], lr=1e-2)
    for _ in range(50):
        optimizer.zero_grad()
        partial_cross_entropy(network.forward_branches(images).map_logits, seeds).backward()
        optimizer.step()
    made = network.eval().forward_branches(images).attention_map[:, 0] > 0.5
    assert torch.equal(made[seeds >= 0], (seeds == 1)[seeds >= 0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda out: train("f-cam", DATA, out, SMALL),
            OptionError,
            "f-cam keeps its encoder as it is, so that has to be trained, and nothing says by what: start from a training",
        ),
        (
            lambda out: FCAM(nn.Sequential(nn.Flatten(), nn.Linear(3 * 96 * 96, 2))),
            UnsupportedError,
            "f-cam finds no stages in Sequential for its decoder",
        ),
        (lambda out: create_network("f-cam", classes=2, width=2), OptionError, "width=2; expected at least 4"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_epoch(call, error, message, tmp_path):
    with pytest.raises(error, match=message):
        call(tmp_path / "run")
    assert not (tmp_path / "run" / "log.csv").exists()


def test_a_pretrained_classifier_of_other_classes_is_refused(tmp_path):
    """Its last layer would be random and never learn, so its maps would mean nothing."""
    save_file(torchvision.models.resnet18(num_classes=7).state_dict(), tmp_path / "seven.safetensors")
    options = {"channels": 3, "backbone": "torchvision:resnet18", "weights": str(tmp_path / "seven.safetensors")}
    message = (
        r"has 7 classes and the data 3: its last layer would be drawn at random and never learn. Train it on these"
    )
    with pytest.raises(UnsupportedError, match=message):
        create_network("f-cam", classes=3, **options)
    assert create_network("f-cam", classes=7, width=8, **options)(torch.randn(1, 3, 64, 64)).shape == (1, 7)
