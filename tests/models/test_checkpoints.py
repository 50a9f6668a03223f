"""Checkpoints as trainers leave them: wrapped, prefixed, averaged, with a loss beside; and damaged ones."""

from __future__ import annotations

import argparse
import io
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from explainers import load_model
from explainers.errors import ExplainersError, ModelFileError
from explainers.models.weight_files import fit_state, kind_of, read_state

FACTORY = """
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3))
"""
PREFIXES = ["", "module.", "model.", "net.", "backbone.", "_orig_mod.", "_orig_mod.module.", "model.net.", "learner."]


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3))


def other_values(network: nn.Module) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    return {
        name: torch.rand(value.shape, generator=generator) if value.is_floating_point() else value + 5
        for name, value in network.state_dict().items()
    }


def loaded_equals(network: nn.Module, state: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("wrapper", [(), ("state_dict",), ("state_dict_ema",), ("model_ema",), ("model", "state_dict")])
def test_wrappers_prefixes_and_what_trainers_keep(tmp_path, prefix, wrapper):
    (tmp_path / "net.py").write_text(FACTORY)
    state = other_values(small())
    saved = {f"{prefix}{name}": value for name, value in state.items()}
    saved |= {"n_averaged": torch.tensor(3), "criterion.weight": torch.ones(3), "train_acc.total": torch.tensor(9.0)}
    saved[f"{prefix}loss_fn.weight"] = torch.ones(3)
    for key in reversed(wrapper):
        saved = {key: saved, "epoch": 3, "args": argparse.Namespace(lr=0.1, name="small")}
    torch.save(saved, tmp_path / "w.pt")
    loaded = load_model(f"{tmp_path / 'net.py'}:make", weights=tmp_path / "w.pt", device="cpu")
    assert loaded_equals(loaded.network, state)
    said = "; ".join(loaded.notes)
    assert (f"prefix {prefix!r} removed" in said) == bool(prefix)
    assert "4 values beside the network in w.pt left out (n_averaged, criterion.weight" in said
    assert all(f"weights taken from {key!r}" in said for key in wrapper)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("squeezenet1_1", ""),
        ("mobilenet_v3_small", "model."),
        ("mobilenet_v3_small", "_orig_mod.module."),
        ("mobilenet_v3_small", "backbone."),
        ("googlenet", "net."),
    ],
)
def test_another_number_of_classes_under_a_prefix(tmp_path, name, prefix):
    models = pytest.importorskip("torchvision").models
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    state = models.get_model(name, weights=None, num_classes=7, **options).state_dict()
    path = tmp_path / "w.pt"
    torch.save(
        {"state_dict": {prefix + key: value for key, value in state.items()} | {"criterion.weight": torch.ones(7)}},
        path,
    )
    loaded = load_model(f"torchvision:{name}", weights=path, device="cpu")
    assert loaded_equals(loaded.network, state)
    assert loaded(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


def test_another_number_of_classes_of_timm(tmp_path):
    timm = pytest.importorskip("timm")
    state = timm.create_model("resnet10t", num_classes=5).state_dict()
    torch.save({"state_dict_ema": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "w.pt")
    loaded = load_model("timm:resnet10t", weights=tmp_path / "w.pt", device="cpu")
    assert loaded_equals(loaded.network, state)


def test_averaged_models_of_torch(tmp_path):
    averaged = torch.optim.swa_utils.AveragedModel(small())
    averaged.update_parameters(small())
    torch.save(averaged.state_dict(), tmp_path / "w.pt")
    network = small()
    fit_state(network, *[read_state(tmp_path / "w.pt")[0]], tmp_path / "w.pt")
    assert loaded_equals(network, averaged.module.state_dict())


def test_what_may_belong_to_the_network_is_never_left_out(tmp_path):
    state = other_values(small())
    for beside, message in (
        ({"head.weight": torch.ones(3)}, r"1 left over \(head.weight\)"),
        ({"model.head.weight": torch.ones(3)}, r"1 left over \(head.weight\)"),
        ({f"teacher.{key}": value for key, value in state.items()}, "holds 2 networks, model., teacher.;"),
    ):
        saved = {f"model.{key}": value for key, value in state.items()} | beside
        network = small()
        before = {key: value.clone() for key, value in network.state_dict().items()}
        with pytest.raises(ModelFileError, match=message):
            fit_state(network, saved, tmp_path / "w.pt")
        assert loaded_equals(network, before)


@pytest.mark.parametrize("kind", [torch.complex64, torch.int8, torch.bool])
def test_weights_of_another_kind_of_number_are_refused(kind, tmp_path):
    network = small()
    state, name = network.state_dict(), next(name for name, _ in network.named_parameters())
    before = {key: value.clone() for key, value in state.items()}
    with pytest.raises(
        ModelFileError, match=rf"1 of another kind of number \({name} {kind} in the file, torch.float32"
    ):
        fit_state(network, {**before, name: before[name].to(kind)}, tmp_path / "w.pt")
    assert loaded_equals(network, before)
    fit_state(network, {key: value.double() for key, value in before.items()}, tmp_path / "w.pt")  # an average of all
    assert loaded_equals(network, before)


def test_a_network_that_has_a_loss_keeps_it(tmp_path):
    network = nn.ModuleDict({"criterion": nn.Linear(2, 2), "net": nn.Linear(2, 2)})
    state = other_values(network)
    assert fit_state(network, state, tmp_path / "w.pt") == []
    assert loaded_equals(network, state)


def test_a_checkpoint_that_unpacks_to_much_more_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", bytes(100 << 20))
    with pytest.raises(ModelFileError, match="would unpack to 104,857,6"):
        read_state(tmp_path / "w.pt")


@pytest.mark.parametrize("form", ["pt", "old pt", "safetensors"])
def test_damage_is_said_of_the_file(tmp_path, form):
    state, file, rng = other_values(small()), io.BytesIO(), np.random.default_rng(0)
    if form == "safetensors":
        from safetensors.torch import save

        whole = save(state)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=form == "pt")
        whole = file.getvalue()
    path = tmp_path / "w.pt"
    for number in range(120):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 6)):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data[: rng.integers(0, len(data))] if number % 3 == 0 else data)
        try:
            kind_of(path)
            fit_state(small(), read_state(path)[0], path)
        except ExplainersError as error:
            assert "w.pt" in str(error)


def test_a_damaged_folder_of_transformers_is_said_of_the_folder(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(embedding_size=4, hidden_sizes=[4, 4], depths=[1, 1], layer_type="basic")
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "hf")
    whole = {path: path.read_bytes() for path in (tmp_path / "hf").iterdir()}
    for path, data in whole.items():
        for damaged in (b"", data[: len(data) // 2], b"\xff\xfe" + data, b"[" * 5000, b"null", b"[1]"):
            path.write_bytes(damaged)
            with pytest.raises(ModelFileError, match="hf:.*could not be loaded"):
                load_model(f"hf:{tmp_path / 'hf'}", device="cpu")
        path.write_bytes(data)
    (tmp_path / "hf" / "preprocessor_config.json").write_bytes(b"\xff[1")
    loaded = load_model(f"hf:{tmp_path / 'hf'}", device="cpu")
    assert any("no usable image processor" in note for note in loaded.notes)
