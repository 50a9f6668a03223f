"""The attention lattice adapter: its formulas, what it reads of encoders, what rests, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
import torchvision
from small import lively
from torch import Tensor, nn

from explainers.baselines import ALA
from explainers.baselines.networks.ala import vision_transformer
from explainers.baselines.networks.ala.encoder import Encoder
from explainers.baselines.networks.ala.network import read_layers
from explainers.baselines.networks.ala.side_network import SideBlocks
from explainers.baselines.networks.vision_transformer import resized_table
from explainers.errors import OptionError


def block(tokens: Tensor, part: nn.Module) -> Tensor:
    """Attention head by head, with softmax matrices."""

    def norm(x: Tensor, layer: nn.LayerNorm) -> Tensor:
        spread = x.var(dim=-1, keepdim=True, correction=0)
        return (x - x.mean(dim=-1, keepdim=True)) / (spread + layer.eps).sqrt() * layer.weight + layer.bias

    seen, width = norm(tokens, part.norm1), tokens.shape[-1] // part.heads
    every = (seen @ part.qkv.weight.T + part.qkv.bias).chunk(3, dim=-1)
    heads = []
    for head in range(part.heads):
        q, k, v = (each[..., head * width : (head + 1) * width] for each in every)
        heads.append((q @ k.mT / width**0.5).softmax(dim=-1) @ v)
    tokens = tokens + torch.cat(heads, dim=-1) @ part.proj.weight.T + part.proj.bias
    first, _, second = part.mlp
    hidden = nn.functional.gelu(norm(tokens, part.norm2) @ first.weight.T + first.bias)
    return tokens + hidden @ second.weight.T + second.bias


def patches_of(images: Tensor, convolution: nn.Conv2d) -> Tensor:
    """(N, h·w, C): each patch times the kernel."""
    side = convolution.kernel_size[0]
    rows = images.unfold(2, side, side).unfold(3, side, side).flatten(4).permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2)
    return rows @ convolution.weight.flatten(1).T + convolution.bias


def test_ala_is_its_formula():
    torch.manual_seed(0)
    encoder = vision_transformer("tiny-vit")
    network = lively(ALA(encoder, 3, side=SideBlocks(16, 4, 2, 5))).double().eval()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)  # the size that the positions are for
    vit, side, h = network.encoder.network, network.side, 8
    tokens = torch.cat([vit.cls_token.expand(2, -1, -1), patches_of(images, vit.patch_embed.proj)], 1) + vit.pos_embed
    layers = [vit.norm_pre(tokens)]
    for part in vit.blocks:
        layers.append(block(layers[-1], part))
    read = [layers[number][:, 1:] for number in (0, 1, 2, 3)]  # of four blocks
    places = torch.cat([side.query_positions, side.positions])
    tokens = torch.cat([side.queries.expand(2, -1, -1), patches_of(images, side.patches)], 1) + places

    def fused(tokens: Tensor, number: int) -> Tensor:
        if number > 3:
            return tokens
        fusion = side.fusions[number]
        added = fusion.norm(read[number]) @ fusion.proj.weight[:, :, 0, 0].T + fusion.proj.bias
        return torch.cat([tokens[:, :5], tokens[:, 5:] + added], 1)

    tokens = fused(tokens, 0)
    for number, part in enumerate(side.blocks, start=1):
        tokens = fused(block(tokens, part), number)
        tokens = tokens if number == 4 else tokens + places
    masks = side.query_decoder(tokens[:, :5]) @ side.patch_decoder(tokens[:, 5:]).mT  # (2, 5, 64)
    to_map = network.attention.to_map
    raw = torch.einsum("q,nqp->np", to_map.weight[0, :, 0, 0], masks) + to_map.bias
    low, high = raw.amin(dim=1, keepdim=True), raw.amax(dim=1, keepdim=True)
    wanted = ((raw - low) / (high - low + 1e-7)).view(2, 1, h, h)
    branches = network.forward_branches(images)
    torch.testing.assert_close(branches.attention_map, wanted)
    assert float(wanted.detach().std()) > 0.05
    norm, first, _, second, _, _ = network.attention.to_logits
    spread = (norm.running_var + norm.eps).sqrt()[:, None]
    seen = (masks - norm.running_mean[:, None]) / spread * norm.weight[:, None] + norm.bias[:, None]
    seen = (torch.einsum("oq,nqp->nop", first.weight[:, :, 0, 0], seen) + first.bias[:, None]).clamp(min=0)
    logits = (torch.einsum("oq,nqp->nop", second.weight[:, :, 0, 0], seen) + second.bias[:, None]).mean(dim=2)
    torch.testing.assert_close(branches.attention_logits, logits)
    features = read[3].mT.unflatten(2, (h, h))
    torch.testing.assert_close(branches.features, features)
    pooled = network.perception(wanted * features).mean(dim=(2, 3))
    torch.testing.assert_close(branches.perception_pooled, pooled)
    torch.testing.assert_close(branches.logits, network.head(pooled))


def test_without_side_network_the_masks_are_of_the_encoders_last_layer():
    network = lively(ALA(vision_transformer("tiny-vit"), 3, sbn=False, side=SideBlocks(queries=6))).double().eval()
    images, seen = torch.randn(2, 3, 40, 56, dtype=torch.float64), []
    network.encoder.network.blocks[-1].register_forward_hook(lambda *call: seen.append(call[2]))
    branches = network.forward_branches(images)
    layer = network.side.read
    masks = layer.norm(seen[0][:, 1:]) @ layer.proj.weight[:, :, 0, 0].T + layer.proj.bias
    raw = masks @ network.attention.to_map.weight[0, :, 0, 0] + network.attention.to_map.bias
    low, high = raw.amin(dim=1, keepdim=True), raw.amax(dim=1, keepdim=True)
    torch.testing.assert_close(branches.attention_map, ((raw - low) / (high - low + 1e-7)).view(2, 1, 5, 7))


@pytest.mark.parametrize(
    ("depth", "layers"), [(12, (0, 3, 6, 9)), (24, (0, 6, 12, 18)), (6, (0, 2, 3, 5)), (4, (0, 1, 2, 3))]
)
def test_layers_are_spread_over_encoders_of_any_depth(depth, layers):
    assert read_layers(depth) == layers


def timms(**more):
    return timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=4, num_classes=3, **more)


def clips():
    open_clip = pytest.importorskip("open_clip")
    return open_clip.transformer.VisionTransformer(32, 8, 32, 4, 2, 4.0, output_dim=16)


ENCODERS = {
    "timm": (timms, "blocks", 1, "norm_pre"),
    "timm with registers": (lambda: timms(reg_tokens=3, pre_norm=True), "blocks", 4, "norm_pre"),
    "timm, positions of patches alone": (lambda: timms(no_embed_class=True), "blocks", 1, "norm_pre"),
    "timm without class token": (lambda: timms(class_token=False, global_pool="avg"), "blocks", 0, "norm_pre"),
    "torchvision": (
        lambda: torchvision.models.VisionTransformer(32, 8, 4, 2, 32, 64, num_classes=3),
        "encoder.layers",
        1,
        "encoder.dropout",
    ),
    "open_clip": (clips, "transformer.resblocks", 1, "ln_pre"),
    "own": (lambda: nn.Sequential(vision_transformer("tiny-vit"))[0], "blocks", 1, "norm_pre"),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_layers_are_what_the_networks_own_pass_makes(name):
    make, blocks, prefix, first = ENCODERS[name]
    network = lively(make()).eval()
    size = 64 if name == "own" else 32
    images, seen = torch.randn(2, 3, size, size), []
    watched = [network.get_submodule(first), *network.get_submodule(blocks).children()]
    handles = [module.register_forward_hook(lambda *call: seen.append(call[2])) for module in watched]
    network(images)
    for handle in handles:
        handle.remove()
    found = Encoder(network, (0, 1, 4))(images)
    for number, layer in zip((0, 1, 4), found, strict=True):
        torch.testing.assert_close(layer.flatten(2).mT, seen[number][:, prefix:], rtol=1e-4, atol=1e-5)
    network_of_all = ALA(network, 3, side=SideBlocks(16, 3, 2, 5)).eval()
    branches = network_of_all.forward_branches(torch.randn(2, 3, 48, 64))  # another size than it was made for
    assert branches.attention_map.shape == (2, 1, 6, 8)


def cubic(x: float) -> float:
    """Keys' kernel with a = −0.75, as torch has it."""
    x = abs(x)
    if x <= 1:
        return 1.25 * x**3 - 2.25 * x**2 + 1
    return -0.75 * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def slowly_resized(values: np.ndarray, after: int) -> np.ndarray:
    """Along the first dimension, edges repeated."""
    before = len(values)
    made = np.zeros((after, *values.shape[1:]))
    for new in range(after):
        place = (new + 0.5) * before / after - 0.5
        for old in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            made[new] += cubic(place - old) * values[min(max(old, 0), before - 1)]
    return made


def test_positions_are_resized_bicubically_and_the_prefix_stays():
    table = torch.randn(2 + 3 * 4, 5, dtype=torch.float64)
    made = resized_table(table, (3, 4), (5, 6))
    square = table[2:].view(3, 4, 5).numpy()
    wanted = slowly_resized(slowly_resized(square, 5).swapaxes(0, 1), 6).swapaxes(0, 1)
    assert torch.equal(made[:2], table[:2])
    np.testing.assert_allclose(made[2:].view(5, 6, 5).numpy(), wanted, atol=1e-12)
    assert resized_table(table, (3, 4), (3, 4)) is table


def test_a_given_map_skips_what_makes_one():
    network = ALA(vision_transformer("tiny-vit"), 3, side=SideBlocks(16, 3, 2, 5)).eval()
    images = torch.randn(2, 3, 32, 48)
    own = network.forward_branches(images)
    network.side.forward = network.attention.forward = None  # not to be called
    given = network.forward_branches(images, attention_map=own.attention_map.detach())
    torch.testing.assert_close(given.logits, own.logits)
    ones = network.forward_branches(images, attention_map=1.0)
    by_hand = network.head(network.perception(own.features).mean(dim=(2, 3)))
    torch.testing.assert_close(ones.logits, by_hand)
    assert ones.attention_logits is None
    with pytest.raises(OptionError, match=r"expected \(2, 1, 4, 6\)"):
        network.forward_branches(images, attention_map=torch.rand(2, 1, 4, 4))


def test_a_map_that_is_the_same_everywhere_is_zero_and_no_nan():
    network = ALA(vision_transformer("tiny-vit"), 3, side=SideBlocks(16, 3, 2, 5)).eval()
    nn.init.zeros_(network.attention.to_map.weight)
    assert not network.forward_branches(torch.randn(2, 3, 32, 32)).attention_map.any()
