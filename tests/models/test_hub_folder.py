"""Folders of the Hugging Face Hub as models: written by transformers and timm themselves, and loaded without network."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from explainers import load_model
from explainers.errors import ModelFileError


@pytest.fixture(scope="module")
def owls(tmp_path_factory):
    """A tiny classifier of transformers with random weights, as the library saves it, and the classifier."""
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        embedding_size=4, hidden_sizes=[4, 4], depths=[1, 1], layer_type="basic", num_labels=2,
        id2label={0: "cat", 1: "owl"}, label2id={"cat": 0, "owl": 1},
    )  # fmt: skip
    network = transformers.ResNetForImageClassification(config).eval()
    folder = tmp_path_factory.mktemp("hub") / "owls"
    network.save_pretrained(folder)
    size = {"height": 24, "width": 20}
    transformers.ViTImageProcessor(size=size, image_mean=[0.4] * 3, image_std=[0.3] * 3).save_pretrained(folder)
    return folder, network


def cached(folder, root, name="models--org--owls", snapshot="a1b2", main="a1b2"):
    """The folder in the layout of the hub's cache: files are links to blobs."""
    made = root / name
    (made / "blobs").mkdir(parents=True)
    (made / "snapshots" / snapshot).mkdir(parents=True)
    for number, path in enumerate(sorted(folder.iterdir())):
        shutil.copy(path, made / "blobs" / str(number))
        (made / "snapshots" / snapshot / path.name).symlink_to(f"../../blobs/{number}")
    if main:
        (made / "refs").mkdir()
        (made / "refs" / "main").write_text(main)
    return made


def test_a_classifier_of_transformers_comes_with_its_scores_names_and_preprocessing(owls, tmp_path):
    folder, network = owls
    images = torch.randn(2, 3, 24, 20)
    expected = network(images).logits.detach()
    cache = cached(folder, tmp_path)
    for spec in (folder, cache, cached(folder, tmp_path, "alone", main=None), f"hf:{cache}"):
        loaded = load_model(spec, device="cpu")
        torch.testing.assert_close(loaded.network(images).logits.detach(), expected)
        assert loaded.class_names == ("cat", "owl")
        assert loaded.preprocessing.input_size() == (3, 24, 20)
        assert tuple(loaded.preprocessing.mean) == (0.4,) * 3


def test_a_cache_that_does_not_say_which_snapshot_is_meant_is_refused(owls, tmp_path):
    cache = cached(owls[0], tmp_path, main=None)
    (cache / "snapshots" / "other").mkdir()
    with pytest.raises(ModelFileError, match=r"name one of snapshots/ \(a1b2, other\)"):
        load_model(cache)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("c3d4\n")
    with pytest.raises(ModelFileError, match="no snapshot c3d4"):
        load_model(cache)


def test_weights_are_safetensors_unless_a_pickle_is_trusted(owls, tmp_path):
    folder, network = owls
    pickled = shutil.copytree(folder, tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    with pytest.raises(ModelFileError, match=r"has no weights \(model.safetensors\)"):
        load_model(pickled)
    torch.save(network.state_dict(), pickled / "pytorch_model.bin")
    for spec in (pickled, f"hf:{pickled}"):
        with pytest.raises(ModelFileError, match="are a pickle .*--trust-model-file"):
            load_model(spec)
    images = torch.randn(1, 3, 24, 20)
    loaded = load_model(pickled, device="cpu", trust_model_file=True)
    torch.testing.assert_close(loaded.network(images).logits, network(images).logits)
    # Of both, the one that is data is read.
    shutil.copy(folder / "model.safetensors", pickled)
    (pickled / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    assert load_model(pickled, device="cpu", trust_model_file=True).class_names == ("cat", "owl")


def test_weights_without_a_classifier_are_refused_and_not_filled_up_at_random(owls, tmp_path):
    network = owls[1]
    network.resnet.save_pretrained(tmp_path / "backbone")
    with pytest.raises(ModelFileError, match=r"lack 2 of ResNetForImageClassification \(classifier"):
        load_model(tmp_path / "backbone")


def test_a_folder_that_is_none_says_what_is_wrong(owls, tmp_path):
    with pytest.raises(ModelFileError, match="drop weights"):
        load_model(owls[0], weights="DEFAULT")
    for text, match in (("{", "cannot be read"), ("[]", "no settings"), ("{}", "neither an architecture of timm")):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ModelFileError, match=match):
            load_model(tmp_path)


def test_a_network_of_timm_comes_with_its_scores_names_and_preprocessing(tmp_path):
    timm = pytest.importorskip("timm")
    from timm.models import save_for_hf

    network = timm.create_model("test_resnet", num_classes=3).eval()
    told = {"label_names": ["n1", "n2", "n3"], "label_descriptions": {"n1": "cat", "n2": "owl", "n3": "hen"}}
    save_for_hf(network, tmp_path / "owls", model_config=told, safe_serialization=True)
    images = torch.randn(2, 3, 160, 160)
    for spec in (tmp_path / "owls", cached(tmp_path / "owls", tmp_path)):
        loaded = load_model(spec, device="cpu")
        torch.testing.assert_close(loaded.network(images), network(images))
        assert loaded.class_names == ("cat", "owl", "hen")
        assert loaded.preprocessing.input_size() == (3, 160, 160)
    config = tmp_path / "owls" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "architecture": "resnet_of_nobody"}))
    with pytest.raises(ModelFileError, match="timm makes no network of .*resnet_of_nobody"):
        load_model(tmp_path / "owls")
    (tmp_path / "owls" / "model.safetensors").rename(tmp_path / "owls" / "pytorch_model.bin")
    with pytest.raises(ModelFileError, match="are a pickle"):
        load_model(tmp_path / "owls")
