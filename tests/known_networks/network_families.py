"""Library networks of the zoo: every family of torchvision's classifiers, and small ones of timm, HF and open_clip."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from network_case import Case, Stage
from torch import Tensor, nn

CLASSES = 7


def tv(name: str, **options: Any) -> partial[nn.Module]:
    def make() -> nn.Module:
        import torchvision

        return getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **options)

    return partial(make)


def narrow_head(name: str) -> partial[nn.Module]:
    """The same features with a narrower head: AlexNet's holds over 90 % of its weights."""

    def make() -> nn.Module:
        network = tv(name)()
        before = next(module for module in network.modules() if isinstance(module, nn.Linear)).in_features
        network.classifier = narrow_classifier(before)
        return network

    return partial(make)


def narrow_classifier(before: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, 48), nn.ReLU(inplace=True), nn.Dropout(),
                         nn.Linear(48, 32), nn.ReLU(inplace=True), nn.Linear(32, CLASSES))  # fmt: skip


# torchvision's own classes with fewer channels and blocks: what a method has to get right is in how they are joined.


def narrowed(name: str, factor: int, **options: Any) -> partial[nn.Module]:
    """The same layers with a part of their channels; the image's and the classes' stay."""

    def part(channels: int) -> int:
        if channels in (1, 3, CLASSES):
            return channels
        assert channels % factor == 0, f"{channels} channels of {name} are no multiple of {factor}"
        return channels // factor

    def make() -> nn.Module:
        network = tv(name, **options)()
        for path, module in list(network.named_modules()):
            if isinstance(module, nn.Conv2d):
                depthwise = module.groups == module.in_channels
                less: nn.Module = nn.Conv2d(
                    part(module.in_channels), part(module.out_channels), module.kernel_size, module.stride,
                    module.padding, groups=part(module.groups) if depthwise else module.groups,
                    bias=module.bias is not None,
                )  # fmt: skip
            elif isinstance(module, nn.BatchNorm2d):
                less = nn.BatchNorm2d(part(module.num_features), eps=module.eps)
            elif isinstance(module, nn.Linear):
                less = nn.Linear(part(module.in_features), part(module.out_features))
            else:
                continue
            network.set_submodule(path, less)
        return network

    return partial(make)


def reg_net(*, squeeze: bool) -> nn.Module:
    from torchvision.models.regnet import BlockParams, RegNet

    ratio = 0.25 if squeeze else None
    blocks = BlockParams.from_init_params(depth=6, w_0=8, w_a=12.0, w_m=1.8, group_width=4, se_ratio=ratio)
    return RegNet(blocks, CLASSES, stem_width=8)


def vgg11(*, norm: bool) -> nn.Module:
    from torchvision.models.vgg import VGG, make_layers

    network = VGG(make_layers([8, "M", 12, "M", 16, 16, "M", 24, 24, "M", 24, 24, "M"], batch_norm=norm), CLASSES)
    network.classifier = narrow_classifier(24 * 49)
    return network


def bottlenecks(**options: Any) -> nn.Module:
    from torchvision.models.resnet import Bottleneck, ResNet

    return ResNet(Bottleneck, [1, 1, 1, 1], num_classes=CLASSES, **options)


def dense_net() -> nn.Module:
    from torchvision.models import DenseNet

    return DenseNet(8, (2, 3, 3, 2), 16, num_classes=CLASSES)


def efficient_net(name: str) -> nn.Module:
    """b0 narrower and shallower by its own multipliers; v2, which has none, by its stages."""
    from torchvision.models.efficientnet import (
        EfficientNet,
        FusedMBConvConfig as Fused,
        MBConvConfig,
        _efficientnet_conf,
    )

    if name == "efficientnet_b0":
        setting, last = _efficientnet_conf(name, width_mult=0.25, depth_mult=0.5)
        return EfficientNet(setting, 0.2, last_channel=last or 64, num_classes=CLASSES)
    plan = [Fused(1, 3, 1, 8, 8, 1), Fused(4, 3, 2, 8, 16, 2), Fused(4, 3, 2, 16, 16, 1)]
    plan += [MBConvConfig(4, 3, 2, 16, 24, 2), MBConvConfig(6, 3, 1, 24, 32, 2), MBConvConfig(6, 3, 2, 32, 40, 2)]
    return EfficientNet(plan, 0.2, last_channel=64, num_classes=CLASSES)


def conv_next() -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    widths = (16, 24, 32, 48)
    blocks = [CNBlockConfig(*each) for each in zip(widths, (*widths[1:], None), (1, 1, 2, 1), strict=True)]
    return ConvNeXt(blocks, num_classes=CLASSES)


def swin(version: int) -> nn.Module:
    from torchvision.models.swin_transformer import (
        PatchMergingV2,
        SwinTransformer,
        SwinTransformerBlockV2,
    )

    plan: dict[str, Any] = {"patch_size": [4, 4], "embed_dim": 24, "depths": [2, 2, 2, 2], "num_heads": [1, 2, 4, 8]}
    if version == 1:
        return SwinTransformer(**plan, window_size=[7, 7], num_classes=CLASSES)
    newer = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}
    return SwinTransformer(**plan, window_size=[8, 8], num_classes=CLASSES, **newer)


def vit() -> nn.Module:
    from torchvision.models import VisionTransformer

    return VisionTransformer(48, 16, num_layers=12, num_heads=3, hidden_dim=24, mlp_dim=48, num_classes=CLASSES)


def stages(text: str) -> tuple[Stage, ...]:
    """From "conv1 7/2/3, layer1 3/2/1": the layer, then kernel, stride and padding of the step that leads to it."""
    parsed = []
    for part in text.split(","):
        layer, window = part.split()
        parsed.append(Stage(layer, *map(int, window.split("/"))))
    return tuple(parsed)


def channels_last(value: Tensor) -> Tensor:
    return value.permute(0, 3, 1, 2)


def patches(height: int, width: int, prefix: int = 1):
    """Tokens (N, prefix + height · width, C) as (N, C, height, width)."""

    def spatial(value: Tensor) -> Tensor:
        return value[:, prefix:].permute(0, 2, 1).reshape(len(value), -1, height, width)

    return spatial


def softmax_of(q: Tensor, k: Tensor) -> Tensor:
    """(N, heads, T, T) from (N, heads, T, D)."""
    logits = torch.einsum("nhid,nhjd->nhij", q, k) / q.shape[-1] ** 0.5
    weights = (logits - logits.amax(-1, keepdim=True)).exp()
    return weights / weights.sum(-1, keepdim=True)


def heads_of(value: Tensor, count: int) -> Tensor:
    return value.reshape(*value.shape[:2], count, -1).permute(0, 2, 1, 3)


def inputs_of(network: nn.Module, kind: str, images: Tensor) -> list[tuple[Any, Tensor]]:
    """(module, first argument) of every run of modules of that class name."""
    seen: list[tuple[Any, Tensor]] = []
    handles = [
        module.register_forward_pre_hook(lambda module, arguments: seen.append((module, arguments[0].detach().clone())))
        for module in network.modules()
        if type(module).__name__ == kind
    ]
    with torch.enable_grad():  # evaluation without gradient takes a fused path that runs no hooks
        network(images.clone())
    for handle in handles:
        handle.remove()
    return seen


def torch_attention(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Of nn.MultiheadAttention, batch first, from its packed projection."""
    found = []
    for module, x in inputs_of(network, "MultiheadAttention", images):
        q, k, _ = (x @ module.in_proj_weight.T + module.in_proj_bias).detach().chunk(3, dim=-1)
        found.append(softmax_of(heads_of(q, module.num_heads), heads_of(k, module.num_heads)))
    return found


def timm_attention(network: nn.Module, images: Tensor) -> list[Tensor]:
    found = []
    for module, x in inputs_of(network, "Attention", images):
        q, k, _ = (x @ module.qkv.weight.T + module.qkv.bias).detach().chunk(3, dim=-1)
        found.append(softmax_of(heads_of(q, module.num_heads), heads_of(k, module.num_heads)))
    return found


def hf_attention(network: nn.Module, images: Tensor) -> list[Tensor]:
    found = []
    for module, x in inputs_of(network, "ViTAttention", images):
        q = (x @ module.q_proj.weight.T + module.q_proj.bias).detach()
        k = (x @ module.k_proj.weight.T + module.k_proj.bias).detach()
        found.append(softmax_of(heads_of(q, 3), heads_of(k, 3)))
    return found


def max_vit() -> nn.Module:
    """torchvision's class at a size where its partitions fit a small image (maxvit_t itself takes 224 px alone)."""
    from torchvision.models.maxvit import MaxVit

    return MaxVit(
        input_size=(64, 64),
        stem_channels=8,
        partition_size=4,
        block_channels=[8, 16],
        block_layers=[1, 2],
        head_dim=4,
        stochastic_depth_prob=0.1,
        num_classes=CLASSES,
    )


RESNET = stages("relu 7/2/3, layer1 3/2/1, layer2 3/2/1, layer3 3/2/1, layer4 3/2/1")
REGNET = stages(
    "stem 3/2/1, trunk_output.block1 3/2/1, trunk_output.block2 3/2/1, trunk_output.block3 3/2/1, trunk_output 3/2/1"
)
PX, SMALL = (3, 64, 64), (3, 40, 40)

TORCHVISION = (
    Case("alexnet", "torchvision", narrow_head("alexnet"), PX, layer="features.11", chain=True),
    Case("vgg11", "torchvision", partial(vgg11, norm=False), PX, layer="features.19", chain=True),
    Case("vgg11_bn", "torchvision", partial(vgg11, norm=True), PX, layer="features.27", chain=True),
    Case("resnet18", "torchvision", narrowed("resnet18", 4), PX, layer="layer4", linear="fc", walk=RESNET),
    Case("resnext50_32x4d", "torchvision", partial(bottlenecks, groups=8, width_per_group=4), SMALL, layer="layer4", linear="fc", walk=RESNET),
    Case("resnet50", "torchvision", partial(bottlenecks, width_per_group=16), SMALL, layer="layer4", linear="fc", walk=RESNET),
    Case("densenet121", "torchvision", partial(dense_net), PX, layer="features", linear="classifier", cap=math.inf,
         walk=stages("features.relu0 7/2/3, features.denseblock1 3/2/1, features.denseblock2 2/2/0, "
                     "features.denseblock3 2/2/0, features 2/2/0")),
    Case("googlenet", "torchvision", narrowed("googlenet", 4, init_weights=False), PX, layer="inception5b", linear="fc",
         walk=stages("conv1 7/2/3, conv3 3/2/0, inception3b 3/2/0, inception4e 3/2/0, inception5b 2/2/0")),
    Case("inception_v3", "torchvision", narrowed("inception_v3", 8, init_weights=False), (3, 107, 107), layer="Mixed_7c",
         linear="fc", walk=stages(
             "Conv2d_1a_3x3 3/2/0, Conv2d_2b_3x3 3/1/0, Conv2d_3b_1x1 3/2/0, Conv2d_4a_3x3 3/1/0, Mixed_5d 3/2/0, "
             "Mixed_6e 3/2/0, Mixed_7c 3/2/0")),
    Case("squeezenet1_1", "torchvision", narrowed("squeezenet1_1", 4), PX, layer="features",
         linear="", walk=stages("features.1 3/2/0, features.4 3/2/0, features.7 3/2/0, features 3/2/0")),
    Case("mobilenet_v2", "torchvision", tv("mobilenet_v2", width_mult=0.35), PX, layer="features", linear="classifier.1",
         walk=stages("features.1 3/2/1, features.3 3/2/1, features.6 3/2/1, features.13 3/2/1, features 3/2/1")),
    Case("mobilenet_v3_small", "torchvision", narrowed("mobilenet_v3_small", 4), PX, layer="features", rectifiers="mixed",
         walk=stages("features.0 3/2/1, features.1 3/2/1, features.3 3/2/1, features.8 5/2/2, features 5/2/2")),
    Case("mnasnet0_5", "torchvision", narrowed("mnasnet0_5", 4), PX, layer="layers", linear="classifier.1",
         walk=stages("layers.7 3/2/1, layers.8 3/2/1, layers.9 5/2/2, layers.11 5/2/2, layers 5/2/2")),
    Case("shufflenet_v2_x0_5", "torchvision", narrowed("shufflenet_v2_x0_5", 4), PX, layer="conv5", linear="fc",
         walk=stages("conv1 3/2/1, stage2.0.branch2.2 3/2/1, stage2 3/2/1, stage3 3/2/1, conv5 3/2/1")),
    Case("efficientnet_b0", "torchvision", partial(efficient_net, "efficientnet_b0"), PX, layer="features", rectifiers="smooth",
         linear="classifier.1",
         walk=stages("features.1 3/2/1, features.2 3/2/1, features.3 5/2/2, features.5 3/2/1, features 5/2/2")),
    Case("efficientnet_v2_s", "torchvision", partial(efficient_net, "efficientnet_v2_s"), SMALL, layer="features", rectifiers="smooth",
         linear="classifier.1",
         walk=stages("features.1 3/2/1, features.2 3/2/1, features.3 3/2/1, features.5 3/2/1, features 3/2/1")),
    Case("regnet_x_400mf", "torchvision", partial(reg_net, squeeze=False), PX, layer="trunk_output", linear="fc", walk=REGNET),
    Case("regnet_y_400mf", "torchvision", partial(reg_net, squeeze=True), PX, layer="trunk_output", linear="fc", walk=REGNET),
    Case("convnext_tiny", "torchvision", partial(conv_next), PX, layer="features", rectifiers="smooth",
         walk=stages("features.1 4/4/0, features.3 2/2/0, features.5 2/2/0, features 2/2/0")),
    Case("swin_t", "torchvision", partial(swin, 1), PX, layer="norm", spatial=channels_last, rectifiers="smooth",
         linear="head"),
    Case("swin_v2_t", "torchvision", partial(swin, 2), PX, layer="norm", spatial=channels_last, rectifiers="smooth",
         linear="head"),
    Case("vit_b_16", "torchvision", partial(vit), (3, 48, 48),
         layer="encoder.layers.encoder_layer_11.ln_1", spatial=patches(3, 3), rectifiers="smooth",
         attention=torch_attention, grid=(3, 3)),
    Case("maxvit", "torchvision", max_vit, PX, layer="blocks.1", rectifiers="smooth",
         walk=stages("stem 3/2/1, blocks.0 3/2/1, blocks.1 3/2/1")),
)  # fmt: skip


def from_timm(name: str, **options: Any) -> partial[nn.Module]:
    def make() -> nn.Module:
        import timm

        return timm.create_model(name, num_classes=CLASSES, **options)

    return partial(make)


def timm_preactivation() -> nn.Module:
    from timm.layers import BatchNormAct2d
    from timm.models.resnetv2 import ResNetV2

    return ResNetV2(layers=[1, 1, 2], channels=(16, 24, 32), num_classes=CLASSES, stem_chs=8, norm_layer=BatchNormAct2d)


def hf(kind: str, **options: Any) -> partial[nn.Module]:
    def make() -> nn.Module:
        import transformers

        config = getattr(transformers, f"{kind}Config")(num_labels=CLASSES, **options)
        return getattr(transformers, f"{kind}ForImageClassification")(config)

    return partial(make)


def clip_transformer() -> nn.Module:
    from open_clip.transformer import VisionTransformer

    return VisionTransformer(image_size=32, patch_size=8, width=24, layers=3, heads=3, mlp_ratio=2.0, output_dim=5)


def clip_resnet() -> nn.Module:
    from open_clip.modified_resnet import ModifiedResNet

    return ModifiedResNet(layers=(1, 1, 1, 1), output_dim=5, heads=4, image_size=64, width=8)


def logits(returned: Any) -> Tensor:
    return returned.logits


SMALL_VIT = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 48}
SMALL_SWIN = {"window_size": 4, "embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2)}
SMALL_RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16, 24], "depths": [1, 1, 1], "layer_type": "basic"}

OTHERS = (
    Case("timm test_resnet", "timm", from_timm("test_resnet"), PX, layer="layer4", linear="fc",
         walk=stages("act1 3/2/1, layer1 3/2/1, layer2 3/2/1, layer3 3/2/1, layer4 3/2/1")),
    Case("timm test_efficientnet", "timm", from_timm("test_efficientnet"), PX, layer="bn2", linear="classifier",
         rectifiers="smooth",
         walk=stages("blocks.0 3/2/1, blocks.1 3/2/1, blocks.2 3/2/1, blocks.3 3/2/1, bn2 3/2/1")),
    Case("timm test_nfnet", "timm", from_timm("test_nfnet"), PX, layer="final_act", linear="head.fc",
         rectifiers="mixed",
         walk=stages("stem.act4 3/2/1, stages.0 3/2/1, stages.1 3/2/1, stages.2 3/2/1, final_act 3/2/1")),
    # Its batch norm holds the ReLU behind it: a module's output is then no pre-activation, and a refusal is fair.
    Case("timm test_byobnet", "timm", from_timm("test_byobnet"), PX, layer="stages", linear="head.fc",
         either=frozenset({"full-grad"}),
         walk=stages("stem 3/2/1, stages.0 3/2/1, stages.1 3/2/1, stages.2 3/2/1, stages 3/2/1")),
    Case("timm pre-activation", "timm", timm_preactivation, PX, layer="norm", linear="head.fc",
         either=frozenset({"full-grad"}),
         walk=stages("stem.conv 7/2/3, stages.0 3/2/1, stages.1 3/2/1, norm 3/2/1")),
    Case("timm test_convnext", "timm", from_timm("test_convnext"), PX, layer="stages", rectifiers="smooth",
         walk=stages("stages.0 4/4/0, stages.1 2/2/0, stages.2 2/2/0, stages 2/2/0")),
    Case("timm test_mambaout", "timm", from_timm("test_mambaout"), PX, layer="stages", spatial=channels_last,
         rectifiers="smooth"),
    Case("timm test_coatnet", "timm", from_timm("test_coatnet", img_size=64), PX, layer="norm", linear="head.fc",
         rectifiers="smooth",
         walk=stages("stem 3/2/1, stages.0 2/2/0, stages.1 2/2/0, stages.2 2/2/0, norm 2/2/0")),
    Case("timm swin", "timm", from_timm("swin_tiny_patch4_window7_224", img_size=64, **SMALL_SWIN), PX, layer="norm",
         spatial=channels_last, rectifiers="smooth", linear="head.fc"),
    Case("timm test_vit", "timm", from_timm("test_vit", img_size=64), PX, layer="blocks.5.norm1",
         spatial=patches(4, 4), rectifiers="smooth", attention=timm_attention, grid=(4, 4)),
    Case("timm test_vit2", "timm", from_timm("test_vit2", img_size=64), PX, layer="blocks", spatial=patches(4, 4),
         rectifiers="smooth"),
    Case("HF ResNet", "HF", hf("ResNet", **SMALL_RESNET), PX, layer="resnet.encoder.stages.2", linear="classifier.1",
         scores=logits, walk=stages(
             "resnet.embedder.embedder 7/2/3, resnet.encoder.stages.0 3/2/1, resnet.encoder.stages.1 3/2/1, "
             "resnet.encoder.stages.2 3/2/1")),
    Case("HF ConvNeXt", "HF", hf("ConvNext", hidden_sizes=[8, 16, 24], depths=[1, 1, 1], num_stages=3), PX,
         layer="convnext.encoder.stages.2", rectifiers="smooth", scores=logits, walk=stages(
             "convnext.encoder.stages.0 4/4/0, convnext.encoder.stages.1 2/2/0, convnext.encoder.stages.2 2/2/0")),
    Case("HF ViT", "HF", hf("ViT", image_size=32, patch_size=8, **SMALL_VIT), layer="vit.layers.2.layernorm_before",
         spatial=patches(4, 4), rectifiers="smooth", scores=logits, attention=hf_attention, grid=(4, 4)),
    Case("HF Swin", "HF", hf("Swin", image_size=32, patch_size=4, **{**SMALL_SWIN, "embed_dim": 8}),
         layer="swin.layernorm", spatial=patches(4, 4, prefix=0), rectifiers="smooth", linear="classifier",
         scores=logits),
    Case("CLIP ViT", "open_clip", clip_transformer, layer="transformer.resblocks.2.ln_1", spatial=patches(4, 4),
         rectifiers="smooth", attention=torch_attention, grid=(4, 4)),
    # Attention pooling normalises nothing but has softmax weights: not piecewise linear.
    Case("CLIP ResNet", "open_clip", clip_resnet, PX, layer="layer4",
         walk=stages("act3 3/2/1, layer1 2/2/0, layer2 2/2/0, layer3 2/2/0, layer4 2/2/0")),
)  # fmt: skip
