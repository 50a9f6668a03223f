"""Networks from every source, from real small files in the true formats; errors that name the way out."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small import Chain, lively
from torch import nn

import explainers
from explainers import load_model
from explainers.data.images import read_image
from explainers.data.samples import sample_images
from explainers.errors import DependencyError, ModelFileError, OptionError, TargetError, UnsupportedError
from explainers.models import LoadedModel, class_index, torchvision_or_explain

FACTORY = """
import torch
from torch import nn

def make():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

def broken():
    raise KeyError("no such thing")

def number():
    return 3
"""


@pytest.fixture
def factory(tmp_path):
    (tmp_path / "net.py").write_text(FACTORY)
    return tmp_path / "net.py"


def made(factory) -> nn.Module:
    scope: dict = {}
    exec(FACTORY, scope)
    return scope["make"]()


def test_the_embedded_network_knows_its_samples():
    loaded = load_model("embedded", device="cpu")
    assert isinstance(loaded, LoadedModel)
    assert not loaded.network.training
    images = torch.stack([loaded.preprocessing(read_image(file.path).pixels) for file in sample_images()])
    found = explainers.class_scores(loaded, images).argmax(1)
    right = [loaded.class_names[index] in file.name for index, file in zip(found, sample_images(), strict=True)]
    assert sum(right) >= 23


def test_the_embedded_network_is_right_on_generated_test_images():
    pytest.importorskip("sklearn")
    from explainers.data.generated.digits import digits

    loaded = load_model("embedded", device="cpu")
    pixels, _, labels = digits(400, start=50_000)
    images = torch.stack([loaded.preprocessing(p.permute(1, 2, 0).numpy()) for p in pixels])
    assert float((explainers.class_scores(loaded, images).argmax(1) == labels).float().mean()) >= 0.94


@pytest.mark.parametrize("kind", ["safetensors", "pt", "wrapped", "parallel"])
def test_a_factory_with_weights_in_every_safe_form(factory, tmp_path, kind):
    torch.manual_seed(7)
    state = {name: torch.randn_like(value) for name, value in made(factory).state_dict().items()}
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pt")
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "wrapped":
        torch.save({"epoch": 3, "state_dict": state}, path)
    else:
        torch.save({f"module.{k}": v for k, v in state.items()} if kind == "parallel" else state, path)
    loaded = load_model(f"{factory}:make", weights=path, device="cpu")
    for name, value in loaded.network.state_dict().items():
        assert torch.equal(value, state[name])
    assert len(loaded.sha256) == 64
    assert bool(loaded.notes) == (kind in ("wrapped", "parallel"))


def test_weights_that_do_not_fit_are_refused_whole(factory, tmp_path):
    state = made(factory).state_dict()
    wrong = {
        **{k: v for k, v in state.items() if k != "4.bias"},
        "4.weight": torch.zeros(7, 4),
        "extra": torch.zeros(1),
    }
    torch.save(wrong, tmp_path / "w.pt")
    with pytest.raises(
        ModelFileError, match=r"1 missing \(4.bias\); 1 left over \(extra\); 1 of another shape \(4.weight"
    ):
        load_model(f"{factory}:make", weights=tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{dir}/net.py:nothing", "has no callable 'nothing'; it has broken, make"),
        ("{dir}/net.py:broken", "raised KeyError"),
        ("{dir}/net.py:number", "gave int"),
        ("{dir}/none.py:make", "no file"),
        ("{dir}/net.py", "name the function"),
        ("no.such.module:make", "cannot import 'no.such.module'"),
        ("resnet50", "is not understood; expected photographs, embedded, torchvision:NAME"),
        ("torchvision:resnet5", "close are torchvision:resnet50"),
        ("torchvision:", "names no network"),
        ("timm:resnet18x", "close are timm:resnet18"),
        ("open_clip:ViT-B-33", "close are open_clip:ViT-B-32"),
    ],
)
def test_specs_that_name_nothing_say_what_would_have_worked(factory, tmp_path, spec, message):
    if spec.startswith(("timm", "open_clip")):
        pytest.importorskip(spec.partition(":")[0])
    with pytest.raises(ModelFileError, match=message):
        load_model(spec.format(dir=tmp_path))


def test_files_that_run_code_need_trust(tmp_path):
    model, images = lively(Chain()), torch.randn(2, 3, 16, 16)
    expected = model(images).detach()
    torch.save(model, tmp_path / "pickled.pt")
    torch.jit.trace(model, images).save(tmp_path / "scripted.pt")
    torch.export.save(torch.export.export(model, (images,)), tmp_path / "exported.pt2")
    for name, message in (
        ("pickled.pt", "is a pickle.*--trust-model-file"),
        ("scripted.pt", "is a TorchScript file"),
        ("exported.pt2", "is a torch.export file"),
    ):
        with pytest.raises(ModelFileError, match=message):
            load_model(tmp_path / name)
        loaded = load_model(tmp_path / name, trust_model_file=True, device="cpu")
        torch.testing.assert_close(loaded(images).detach(), expected)
        torch.testing.assert_close(
            explainers.GuidedBackprop(loaded)(images, 1), explainers.GuidedBackprop(model)(images, 1)
        )
        if name == "scripted.pt":
            with pytest.raises(UnsupportedError, match="TorchScript"):
                explainers.GradCAM(loaded)(images, 1)
        else:
            torch.testing.assert_close(explainers.GradCAM(loaded)(images, 1), explainers.GradCAM(model)(images, 1))


def test_an_exported_file_takes_other_batch_sizes_than_its_own(tmp_path):
    model = lively(Chain())
    torch.export.save(torch.export.export(model, (torch.randn(2, 3, 16, 16),)), tmp_path / "m.pt2")
    loaded = load_model(tmp_path / "m.pt2", trust_model_file=True, device="cpu")
    images = torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(explainers.GradCAM(loaded)(images, 1), explainers.GradCAM(model)(images, 1))
    torch.testing.assert_close(explainers.Saliency(loaded)(images, 1), explainers.Saliency(model)(images, 1))


def test_weights_with_code_in_them_are_refused_with_the_culprit(factory, tmp_path):
    torch.save(lively(Chain()), tmp_path / "whole.pt")
    with pytest.raises(ModelFileError, match=r"holds more than tensors \(.*Chain"):
        load_model(f"{factory}:make", weights=tmp_path / "whole.pt")


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "is empty"), (b"hello, no model", "no weight file"), (b"\x80\x04junk", "damaged")],
)
def test_files_that_are_no_weights_are_refused(factory, tmp_path, data, message):
    (tmp_path / "w.pt").write_bytes(data)
    with pytest.raises(ModelFileError, match=message):
        load_model(f"{factory}:make", weights=tmp_path / "w.pt")


def test_onnx_is_a_black_box(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    weight = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, [2, 3, 8, 8])],
        [helper.make_tensor_value_info("y", kind, [2, 2])],
        [helper.make_tensor("w", kind, [3, 2], weight.flatten())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    loaded = load_model(tmp_path / "m.onnx")
    assert loaded.black_box
    images = torch.randn(3, 3, 8, 8)  # another batch size than the file's
    torch.testing.assert_close(loaded(images), images.mean((2, 3)) @ torch.from_numpy(weight), rtol=1e-4, atol=1e-5)
    with pytest.raises(UnsupportedError, match="black box"):
        explainers.GradCAM(loaded)(images)
    with pytest.raises(UnsupportedError, match="no gradient"):
        explainers.Saliency(loaded)(images)
    pytest.importorskip("captum")
    assert explainers.create("captum:Occlusion", loaded)(images, 1).shape == (3, 8, 8)
    own = explainers.RISE(lambda x: x.mean((2, 3)) @ torch.from_numpy(weight), masks=200)(images, 1)
    torch.testing.assert_close(explainers.RISE(loaded, masks=200)(images, 1), own, rtol=1e-4, atol=1e-5)


def test_torchvision_with_a_file_of_its_own_number_of_classes(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    made = torchvision.models.googlenet(weights=None, num_classes=4, aux_logits=True, init_weights=False)
    torch.save(made.state_dict(), tmp_path / "g.pt")
    loaded = load_model("torchvision:googlenet", weights=tmp_path / "g.pt", device="cpu")
    assert loaded(torch.randn(1, 3, 64, 64)).shape == (1, 4)
    small = torchvision.models.mobilenet_v3_small(weights=None, num_classes=3)
    save_file(small.state_dict(), tmp_path / "m.safetensors")
    loaded = load_model("torchvision:mobilenet_v3_small", weights=tmp_path / "m.safetensors", device="cpu")
    assert loaded(torch.randn(1, 3, 64, 64)).shape == (1, 3)
    assert loaded.preprocessing.crop == (224, 224)
    with pytest.raises(ModelFileError, match="neither a file nor one of DEFAULT, IMAGENET1K_V1"):
        load_model("torchvision:alexnet", weights="IMAGENET1K_V9")


def test_random_weights_are_said():
    assert "random weights" in load_model("torchvision:squeezenet1_1").notes[0]


def test_timm_brings_its_preprocessing(tmp_path):
    timm = pytest.importorskip("timm")
    network = timm.create_model("test_resnet", num_classes=5)
    save_file(network.state_dict(), tmp_path / "t.safetensors")
    loaded = load_model("timm:test_resnet", weights=tmp_path / "t.safetensors", device="cpu")
    config = timm.data.resolve_model_data_config(network)
    pixels = np.random.default_rng(0).integers(0, 256, (240, 200, 3), np.uint8)
    from PIL import Image

    expected = timm.data.create_transform(**config)(Image.fromarray(pixels))
    found = loaded.preprocessing(pixels)
    assert found.shape == expected.shape
    assert float((found - expected).abs().mean()) < 0.01  # PIL rounds between its two passes
    assert explainers.GradCAM(loaded)(found[None]).shape == (1, *found.shape[1:])


def test_hf_classifiers_come_with_processor_and_labels(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3,
        id2label={0: "cat", 1: "dog", 2: "owl"}, label2id={"cat": 0, "dog": 1, "owl": 2},
    )  # fmt: skip
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path)
    size = {"height": 48, "width": 40}
    transformers.ViTImageProcessor(size=size, image_mean=[0.4] * 3, image_std=[0.3] * 3).save_pretrained(tmp_path)
    loaded = load_model(f"hf:{tmp_path}", device="cpu")
    assert loaded.class_names == ("cat", "dog", "owl")
    image = loaded.preprocessing(np.zeros((90, 120, 3), np.uint8))
    assert image.shape == (3, 48, 40)
    torch.testing.assert_close(image, torch.full((3, 48, 40), -0.4 / 0.3))
    assert explainers.GradCAM(loaded)(image[None], 2).shape == (1, 48, 40)


def test_open_clip_with_labels_is_a_zero_shot_classifier():
    pytest.importorskip("open_clip")
    try:
        loaded = load_model("open_clip:RN50-quickgelu", labels=["a cat", "a dog"], device="cpu")
    except ModelFileError as error:
        pytest.skip(f"open_clip cannot build it here: {error}")
    images = torch.randn(1, 3, 224, 224)
    assert loaded(images).shape == (1, 2)
    assert loaded.class_names == ("a cat", "a dog")
    assert loaded.preprocessing.crop == (224, 224)


def test_devices_that_are_not_there_are_refused():
    with pytest.raises(OptionError, match="expected auto, cpu"):
        load_model("embedded", device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="torch sees 0 CUDA devices"):
            load_model("embedded", device="cuda")


def test_class_names_are_found_whatever_their_case_and_errors_name_close_ones():
    names = ["tabby cat", "Egyptian cat", "dog", "crane", "crane"]
    assert class_index("DOG", names) == 2
    with pytest.raises(TargetError, match=r"close are 'tabby cat' \(0\), 'Egyptian cat' \(1\)"):
        class_index("cat", names)
    with pytest.raises(TargetError, match=r"2 classes are called 'crane' \(indices \[3, 4\]\)"):
        class_index("crane", names)


def test_a_class_with_several_names_is_meant_by_each_that_no_other_has():
    names = ("tabby, tabby cat", "tiger cat", "crane, bird", "crane", "crane, machine", "machine")
    assert [class_index(name, names) for name in ("tabby", "Tabby Cat", "tabby, tabby cat", "bird")] == [0, 0, 0, 2]
    assert class_index("crane", names) == 3
    assert class_index("machine", names) == 5
    with pytest.raises(TargetError, match=r"2 classes are called 'heron' \(indices \[0, 1\]\); give the index"):
        class_index("heron", ("bird, heron", "heron, grey"))
    with pytest.raises(TargetError, match="no class 'cat'; close are 'tabby, tabby cat'"):
        class_index("cat", names)


def test_labels_from_files(factory, tmp_path):
    (tmp_path / "names.txt").write_text("ant\nbee\n\ncow\n", encoding="utf-8")
    (tmp_path / "names.json").write_text('{"0": ["n01", "ant"], "2": ["n03", "cow"], "1": ["n02", "bee"]}')
    for name in ("names.txt", "names.json"):
        loaded = load_model(f"{factory}:make", labels=tmp_path / name, device="cpu")
        assert loaded.class_names == ("ant", "bee", "cow")
    with pytest.raises(OptionError, match="no file .*none"):
        load_model(f"{factory}:make", labels=tmp_path / "none.txt")


def test_a_torchvision_built_for_another_torch_is_explained(monkeypatch):
    import builtins

    real = builtins.__import__

    def broken(name, *rest):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(DependencyError, match=r"torch \d.*torchvision.*nms does not exist.*--force-reinstall"):
        torchvision_or_explain()


def test_a_users_factory_needs_no_torchvision(factory, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert load_model(f"{factory}:make", device="cpu")(torch.randn(1, 3, 8, 8)).shape == (1, 3)
    with pytest.raises(DependencyError):
        load_model("torchvision:resnet18")


def test_weights_that_are_drawn_are_the_same_in_every_call_and_touch_no_generator(tmp_path):
    code = """
import random
import numpy as np
import torch
from torch import nn

def make():
    net = nn.Conv2d(3, 4, 3)
    nn.init.constant_(net.bias, np.random.rand() + random.random())
    return net
"""
    (tmp_path / "net.py").write_text(code)
    spec = f"{tmp_path / 'net.py'}:make"
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again = load_model(spec, device="cpu"), load_model(spec, device="cpu")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.sha256 == again.sha256 != load_model(spec, device="cpu", seed=1).sha256
    one, two = (load_model("torchvision:squeezenet1_1", device="cpu").sha256 for _ in range(2))
    assert one == two
