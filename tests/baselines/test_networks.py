"""ABN and LABN: shapes, parameter counts, explicit formulas, whose map is whose, and the protocol."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from small import lively
from snapshot import same, snapshot
from torch import Tensor, nn

import explainers
from explainers.baselines import ABN, LABN, ExplainingNetwork, Gate, available_networks, create_network, resnet
from explainers.baselines.networks.abn import without_stride
from explainers.baselines.networks.backbone import cut
from explainers.baselines.networks.plain import fitted
from explainers.baselines.networks.registry import network_entry, network_options
from explainers.errors import OptionError, UnsupportedError


def parameters(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def convolution(x: Tensor, weight: Tensor) -> Tensor:
    """1 × 1 or 3 × 3 convolution as a sum of shifted products, zeros outside."""
    pad = weight.shape[2] // 2
    wide = torch.zeros(*x.shape[:2], x.shape[2] + 2 * pad, x.shape[3] + 2 * pad, dtype=x.dtype)
    wide[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]] = x
    made = 0
    for a in range(weight.shape[2]):
        for b in range(weight.shape[3]):
            part = wide[:, :, a : a + x.shape[2], b : b + x.shape[3]]
            made = made + torch.einsum("oi,nihw->nohw", weight[:, :, a, b], part)
    return made


def normalised(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    view = (1, -1, 1, 1)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (x - norm.running_mean.view(view)) * scale.view(view) + norm.bias.view(view)


@pytest.mark.parametrize("bypass", [True, False])
def test_abn_is_its_formula(bypass):
    network = lively(ABN(resnet("small-resnet", channels=1, classes=3), bypass=bypass)).double().eval()
    images = torch.randn(2, 1, 40, 56, dtype=torch.float64)
    branches = network.forward_branches(images)
    branch, h = network.attention, network.features(images)
    norm, to_classes, class_norm, _ = branch.evidence
    evidence = normalised(convolution(normalised(branch.body(h), norm), to_classes.weight), class_norm).clamp(min=0)
    map_conv, map_norm, _ = branch.to_map
    alpha = 1 / (1 + (-normalised(convolution(evidence, map_conv.weight), map_norm)).exp())
    pooled = convolution(evidence, branch.to_logits[0].weight).mean((2, 3))
    seen = (1 + alpha) * h if bypass else alpha * h
    logits = network.perception(seen).mean((2, 3)) @ network.head.fc.weight.T + network.head.fc.bias
    torch.testing.assert_close(branches.attention_map, alpha)
    torch.testing.assert_close(branches.attention_logits, pooled)
    torch.testing.assert_close(branches.logits, logits)
    torch.testing.assert_close(branches.features, h)
    assert branches.attention_map.shape == (2, 1, 5, 7)  # the size of the features, not of the last stage
    assert bool(((alpha > 0) & (alpha < 1)).all())
    assert float(alpha.detach().std()) > 0


@pytest.mark.parametrize("cut_off", [False, True])
def test_labn_is_its_formula(cut_off):
    network = lively(LABN(channels=1, classes=2, scope=5)).double().eval()
    images = torch.randn(2, 1, 32, 48, dtype=torch.float64)
    theta = float(network.forward_branches(images).attention_map.detach().median()) + 1e-6 if cut_off else 0.0
    network.gate = Gate(bypass=False, threshold=theta)
    branches = network.forward_branches(images)
    branch, h = network.attention, network.features(images)
    norm, to_ten, _ = branch.evidence
    evidence = convolution(normalised(branch.body(h), norm), to_ten.weight).clamp(min=0)
    first, first_norm, _, second, second_norm, _ = branch.to_map
    hidden = normalised(convolution(evidence, first.weight), first_norm).clamp(min=0)
    alpha = 1 / (1 + (-normalised(convolution(hidden, second.weight), second_norm)).exp())
    seen = torch.where(alpha > theta, alpha, 0.0) * h
    logits = network.perception(seen).mean((2, 3)) @ network.head.fc.weight.T + network.head.fc.bias
    torch.testing.assert_close(branches.attention_map, alpha)  # θ changes what is perceived, not the map
    torch.testing.assert_close(
        branches.attention_logits, convolution(evidence, branch.to_logits[0].weight).mean((2, 3))
    )
    torch.testing.assert_close(branches.logits, logits)
    assert branches.attention_map.shape == (2, 1, 8, 12)
    assert bool((alpha > theta).any())
    assert bool((alpha <= theta).any()) == cut_off


def test_labn_of_the_paper_has_the_papers_sizes():
    """DeFN: (16, 128, 128) features of 512 pixels. IDRiD: (512, 28, 28) of 224, layers three and four perceive."""
    magnetogram, fundus = LABN().to("meta"), LABN("lambda-resnet50", channels=3, threshold=0.75).to("meta")
    assert magnetogram.features(torch.empty(1, 1, 512, 512, device="meta")).shape == (1, 16, 128, 128)
    assert fundus.features(torch.empty(1, 3, 224, 224, device="meta")).shape == (1, 512, 28, 28)
    assert [name for name, _ in fundus.perception.named_children()] == ["layer3", "layer4"]
    layers = [m for m in fundus.modules() if hasattr(m, "lambda_content")]
    assert len(layers) == 3 + 4 + 6 + 3
    assert {layer.position.kernel_size for layer in layers} == {(23, 23)}


def test_parameters_of_a_small_labn_by_hand():
    def bottleneck(before: int, planes: int, mixing: int) -> int:
        skip = 0 if before == 4 * planes else before * 4 * planes + 8 * planes
        return before * planes + 2 * planes + mixing + 2 * planes + planes * 4 * planes + 8 * planes + skip

    extractor = 49 * 16 + 32
    branch = bottleneck(16, 16, 9 * 256) + bottleneck(64, 16, 9 * 256) + 128 + 640 + (100 + 20 + 10 + 2) + 20
    lambda_layer = 8 * (64 + 16 + 2) + 2 * (64 + 2) + 16 * 49 + 16
    perception = bottleneck(16, 8, lambda_layer) + 32 * 2 + 2
    assert parameters(LABN(scope=7)) == extractor + branch + perception


def test_parameters_of_abn_on_resnet18_by_hand():
    """The plain network, its last stage once more (8,393,728), batch norm of 512, 512·10 + 20, 3·3·10 + 2, 100."""
    backbone = torchvision.models.resnet18(num_classes=10)
    added = 8_393_728 + 1024 + 5120 + 20 + 90 + 2 + 100
    assert parameters(ABN(backbone)) == parameters(backbone) + added


@pytest.mark.parametrize(
    ("name", "count"),
    [("cifar-resnet20", 0.27e6), ("cifar-basic-resnet56", 0.85e6), ("cifar-basic-resnet110", 1.7e6)],
)
def test_cifar_resnets_have_the_papers_parameters(name, count):
    """Table 6 of He et al. 2016; ours have 1 × 1 shortcuts where theirs pad with zeros (2,752 more)."""
    with torch.device("meta"):
        assert parameters(resnet(name, classes=10)) == pytest.approx(count, rel=0.03)


@pytest.mark.parametrize(("name", "count"), [("cifar-resnet56", 1_588_562), ("cifar-resnet110", 3_056_786)])
def test_abn_on_deep_cifar_resnets_has_the_published_codes_parameters(name, count):
    """Counted in the code of attention branch networks, which stacks bottlenecks, with 100 classes."""
    assert parameters(ABN(resnet(name, classes=100))) == count


def test_lambda_resnet50_replaces_every_3x3_convolution():
    with torch.device("meta"):
        network, plain = resnet("lambda-resnet50"), torchvision.models.resnet50()
        shape = network(torch.empty(2, 3, 64, 96, device="meta")).shape
    assert shape == (2, 1000)
    assert not [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert sum(hasattr(m, "lambda_content") for m in network.modules()) == 16
    replaced = sum(m.weight.numel() for m in plain.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3))
    layers = sum(parameters(m) for m in network.modules() if hasattr(m, "lambda_content"))
    assert parameters(network) - layers == parameters(plain) - replaced


BACKBONES = {
    "torchvision resnet18": lambda: torchvision.models.resnet18(num_classes=4),
    "torchvision resnext50": lambda: torchvision.models.resnext50_32x4d(num_classes=4),
    "torchvision regnet": lambda: torchvision.models.regnet_y_400mf(num_classes=4),
    "timm resnet26d": lambda: timm.create_model("resnet26d", num_classes=4),
    "small": lambda: resnet("small-resnet", classes=4),
    "cifar": lambda: resnet("cifar-resnet20", classes=4),
    "lambda": lambda: resnet("small-lambda-resnet", classes=4),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_a_cut_backbone_gives_its_own_scores(name):
    backbone = lively(BACKBONES[name]()).eval()
    parts, images = cut(backbone), torch.randn(2, 3, 65, 97)
    torch.testing.assert_close(parts.head(parts.stage(parts.features(images))), backbone(images), rtol=1e-4, atol=1e-5)
    before = snapshot(backbone)
    network = ABN(backbone).eval()
    assert same(before, snapshot(backbone))
    branches = network.forward_branches(images)
    assert branches.attention_map.shape[2:] == branches.features.shape[2:]
    assert branches.logits.shape == branches.attention_logits.shape == (2, 4)
    assert not {id(value) for value in network.parameters()} & {id(value) for value in backbone.parameters()}


class Skipping(nn.Module):
    """Runs its children in another order than they are listed."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1))
        self.two = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1))
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.one(self.two(x)) + x).flatten(1))


@pytest.mark.parametrize(
    ("backbone", "why"),
    [
        (
            lambda: torchvision.models.densenet121(),
            "its children \\(features, classifier\\) are not stages followed by pooling and one linear layer",
        ),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), "its children \\(0, 1\\) are not stages"),
        (Skipping, "its parts, run one after the other, do not give its scores"),
    ],
)
def test_what_is_no_resnet_is_refused(backbone, why):
    with pytest.raises(UnsupportedError, match=why):
        ABN(backbone())


def test_a_stage_without_stride_keeps_the_size():
    for backbone in (timm.create_model("resnet26d"), resnet("lambda-resnet26", scope=3)):
        stage = without_stride(backbone.layer4)
        images = torch.randn(2, 1024, 6, 5)
        assert stage(images).shape == (2, 2048, 6, 5)
        assert backbone.layer4(images).shape == (2, 2048, 3, 3)


@pytest.mark.parametrize("name", [n for n in available_networks() if network_entry(n).attention])
def test_a_map_belongs_to_its_image(name):
    network = lively(create_network(name, channels=3, classes=3)).double().eval()
    images = torch.randn(4, 3, 48, 32, dtype=torch.float64)
    together = network.forward_branches(images)
    for row, image in enumerate(images):
        alone = network.forward_branches(image[None])
        torch.testing.assert_close(together.attention_map[row], alone.attention_map[0])
        torch.testing.assert_close(together.logits[row], alone.logits[0])
    order = [2, 0, 3, 1]
    network(images[order])
    torch.testing.assert_close(network.attention_map, together.attention_map[order])


def test_the_map_of_the_last_pass_has_no_graph_and_branches_keep_nothing():
    network = LABN(channels=3, scope=3)
    assert network.attention_map is None
    first, second = torch.randn(2, 2, 3, 32, 32)
    logits = network.eval()(first)
    kept = network.attention_map
    assert logits.requires_grad
    assert not kept.requires_grad
    assert network.forward_branches(second).attention_map.requires_grad
    assert network.attention_map is kept
    assert "attention_map" not in network.state_dict()
    assert network.double().attention_map.dtype == torch.float64  # it moves with the network


@pytest.mark.parametrize("before", [False, True])
def test_explaining_leaves_the_map_of_the_last_pass(before):
    network = lively(LABN(channels=3, scope=3)).eval()
    if before:
        network(torch.randn(1, 3, 32, 32))
    kept, state = network.attention_map, snapshot(network)
    for name in ("attention", "lambda-attention", "grad-cam", "occlusion"):
        explainers.create(name, network)(torch.randn(2, 3, 32, 32))
    assert network.attention_map is kept
    assert same(state, snapshot(network))


def test_a_gate_is_plain_multiplication():
    h, alpha = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([[[[0.0, 0.25], [0.5, 1.0]]]])
    assert Gate(bypass=False)(h, alpha).flatten().tolist() == [0, 0.5, 1.5, 4]
    assert Gate(bypass=True)(h, alpha).flatten().tolist() == [1, 2.5, 4.5, 8]
    assert Gate(bypass=False, threshold=0.5)(h, alpha).flatten().tolist() == [0, 0, 0, 4]
    with pytest.raises(OptionError, match="threshold=1; expected at least 0 and below 1"):
        Gate(bypass=False, threshold=1)


def test_networks_compile_and_export():
    network = lively(LABN(channels=1, scope=3)).eval()
    images = torch.randn(2, 1, 32, 32)
    exported = torch.export.export(network, (images,)).module()
    torch.testing.assert_close(exported(images), network(images))


@pytest.mark.parametrize("name", available_networks())
def test_every_network_takes_its_options_and_any_channels_and_classes(name):
    network = create_network(name, channels=2, classes=7, **network_options(name))
    assert network(torch.randn(2, 2, 64, 48)).shape == (2, 7)
    assert isinstance(network, ExplainingNetwork) == network_entry(name).attention
    assert network_entry(name).summary.endswith(".")


def test_a_librarys_network_is_fitted_to_gray_images_as_its_colours_were():
    """A gray image in three equal channels gives what it gives in one channel afterwards."""
    network = torchvision.models.resnet18().eval()
    gray = torch.randn(2, 1, 64, 64)
    before = network(gray.expand(-1, 3, -1, -1))
    torch.testing.assert_close(fitted(network, 1, 1000)(gray), before, rtol=1e-4, atol=1e-4)
    assert fitted(network, 1, 5)(gray).shape == (2, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: create_network("labm"),
            "no network 'labm'; did you mean labn or amb or ala? available: abn, ala, ",
        ),
        (lambda: create_network("abn", depth=3), "abn has no option depth; its options are backbone, bypass"),
        (
            lambda: create_network("abn", weights="DEFAULT"),
            "weights='DEFAULT': abn with these options starts from nothing; weights belong to a library's backbone, such "
            "as torchvision:resnet18",
        ),
        (
            lambda: create_network("abn", backbone="resnet9"),
            "no network 'resnet9'; there are cifar-resnet20, ",
        ),
        (lambda: LABN("square"), "no LABN design 'square'; there are magnetogram, lambda-resnet18, "),
        (lambda: LABN(depth=2), "LABN has no setting depth; its lambda layers have heads, key, scope"),
        (lambda: resnet("small-resnet", colour=1), "small-resnet has no setting colour; there are block, planes, "),
    ],
)
def test_what_is_not_there_is_refused_by_name(call, message):
    with pytest.raises(OptionError) as error:
        call()
    assert str(error.value).startswith(message)
