"""Maps of the same images while a network trains."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small import Chain, Residual, lively
from torch import nn
from training_case import DATA

import explainers
from explainers import MapWatch
from explainers.baselines import Settings, train
from explainers.baselines.training.run_folder import BEST
from explainers.core.preprocessing import Preprocessing
from explainers.data.sets import data_set
from explainers.errors import OptionError, UnsupportedError
from explainers.render import contact_sheet
from explainers.render.sheet import SCALE
from explainers.run.drift import watching
from explainers.run.drift.watching import watched


def test_the_maps_of_each_epoch_are_those_of_the_network_at_that_moment(tmp_path):
    network, images = lively(Residual()), torch.randn(3, 3, 16, 16)
    watch = MapWatch(images, ["grad-cam", "saliency"], tmp_path / "film", targets=torch.tensor([0, 1, 2]))
    for epoch in (1, 2):
        with torch.no_grad():
            network.block.conv1.weight.mul_(1 + epoch)
        strip = watch(network, epoch)
        for name, maps in watch.maps(epoch).items():
            wanted = explainers.create(name, network)(images, torch.tensor([0, 1, 2]))
            np.testing.assert_allclose(maps, wanted.numpy(), rtol=1e-5, atol=1e-7)
    assert not np.allclose(watch.maps(1)["saliency"], watch.maps(2)["saliency"])
    assert watch.epochs == [1, 2]
    height, width = 3 * (96 + 17 + SCALE + 8) + 8, 3 * (96 + 8) + 8
    assert strip.shape == (2 * height, width, 3)
    assert sorted(path.name for path in watch.out.glob("*.png")) == ["film-grad-cam.png", "film-saliency.png"]
    assert watch.seconds > 0


def test_a_strip_shows_twelve_epochs_at_most_and_goes_on_after_an_interruption(tmp_path):
    network, images = lively(Residual()), torch.randn(1, 3, 12, 12)
    for epoch in range(1, 15):
        strip = MapWatch(images, ["saliency"], tmp_path)(network, epoch)
    assert MapWatch(images, ["saliency"], tmp_path).epochs == list(range(1, 15))
    assert strip.shape[1] == 13 * (96 + 8) + 8


def test_a_map_that_shows_nothing_is_marked_and_a_class_stands_above_the_file(tmp_path, monkeypatch):
    seen = []

    def noted(rows, **more):
        seen.extend([caption for caption, *_ in row] for row in rows)
        return contact_sheet(rows, **more)

    monkeypatch.setattr(watching, "contact_sheet", noted)
    still = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.init.zeros_(still[0].weight)
    names = ["flare/0001-of-a-long-name.png"]
    MapWatch(torch.randn(1, 3, 12, 12), ["saliency"], tmp_path, names=names)(still, 1)
    assert seen == [["flare\n0001-of-a-long-name.png", "epoch 1\nconstant"]]


def test_a_training_ends_with_the_same_weights_and_its_network_is_left_in_train_mode(tmp_path):
    settings = Settings(epochs=2, batch_size=16, seed=3)
    data = data_set(DATA)
    given = watched(data.val, data.preprocessing, 4)
    watch = MapWatch(given.pop("images"), ["grad-cam", "smooth-grad"], tmp_path / "film", **given)
    plain = train("plain", data, tmp_path / "a", settings, device="cpu")
    seen = train("plain", data, tmp_path / "b", settings, device="cpu", watch_network=watch)
    assert (plain.folder / BEST).read_bytes() == (seen.folder / BEST).read_bytes()
    assert watch.epochs == [0, 1, 2]
    assert [data.val.labels[data.val.names.index(name)] for name in watch.names] == watch.targets.tolist()
    assert len(set(watch.targets.tolist())) == 2


def test_a_method_that_refuses_the_network_says_so_before_the_first_epoch_and_never_later(tmp_path):
    class Refusing(nn.Module):
        broken = True

        def forward(self, x):
            if self.broken:
                raise UnsupportedError("not now")
            return x.flatten(1)[:, :2] * 2

    network, images = Refusing(), torch.randn(2, 3, 12, 12)
    watch = MapWatch(images, ["saliency"], tmp_path)
    with pytest.raises(UnsupportedError, match="not now"):
        watch(network, 0)
    network.broken = False
    assert watch(network, 1) is not None
    network.broken = True
    assert watch(network, 2) is None
    assert watch.failed == {2: "not now"}


def test_images_are_shown_in_their_colours(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (9, 8, 3), np.uint8)
    steps = Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.1))
    assert np.array_equal(MapWatch(steps(pixels)[None], out=tmp_path, preprocessing=steps).pictures[0], pixels)
    gray = MapWatch(torch.tensor([[[[2.0, 4.0]]]]), out=tmp_path).pictures[0]
    assert np.array_equal(gray, [[[0, 0, 0], [255, 255, 255]]])


def test_what_cannot_be_watched_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"are \(3, 12, 12\); expected a tensor"):
        MapWatch(torch.zeros(3, 12, 12), out=tmp_path)
    with pytest.raises(OptionError, match="no method 'gradcam'"):
        MapWatch(torch.zeros(1, 3, 12, 12), ["gradcam"], tmp_path)
    with pytest.raises(OptionError, match="0 images to watch"):
        watched(data_set(DATA).val, data_set(DATA).preprocessing, 0)


def test_any_loop_can_be_watched_in_three_lines(tmp_path):
    network, images, labels = Chain(classes=2), torch.randn(8, 3, 12, 12), torch.arange(8) % 2
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    watch = MapWatch(images[:2], ["grad-cam"], tmp_path)
    for epoch in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        before = [parameter.grad.clone() for parameter in network.parameters()]
        watch(network, epoch)
        assert network.training
        assert all(torch.equal(p.grad, g) for p, g in zip(network.parameters(), before, strict=True))
        optimizer.step()
    assert watch.epochs == [0, 1]


def test_the_strip_goes_to_tensorboard_too(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    data = data_set(DATA)
    given = watched(data.val, data.preprocessing, 2)
    watch = MapWatch(given.pop("images"), ["saliency"], tmp_path / "film", **given)
    settings = Settings(epochs=1, batch_size=16)
    run = train("plain", data, tmp_path / "r", settings, device="cpu", tensorboard=True, watch_network=watch)
    log = accumulator.EventAccumulator(str(run.folder / "tensorboard"), size_guidance={"images": 0})
    log.Reload()
    assert [event.step for event in log.Images("watch")] == [0, 1]
    assert "train/loss" in log.Tags()["scalars"]
