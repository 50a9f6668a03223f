"""Attention rollout against explicit matrices, and against attention that never forms them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from small import Chain, Tokens, lively
from torch import nn

import explainers
from explainers.errors import UnsupportedError


def expected_map(model: Tokens, images: torch.Tensor, *, turned: bool = False) -> torch.Tensor:
    grid = model.patch(images)
    x = (grid.mT if turned else grid).flatten(2).transpose(1, 2)
    x = torch.cat([model.token.expand(len(x), -1, -1), x], dim=1)
    total = torch.eye(x.shape[1]).expand(len(x), -1, -1)
    for block in model.blocks:
        weights, _ = block.weights(x)
        total = torch.stack(
            [(0.5 * weights[i].mean(0) + 0.5 * torch.eye(x.shape[1])) @ total[i] for i in range(len(x))]
        )
        x = block(x)
    patches = total[:, 0, 1:]
    patches = patches.view(-1, 1, 6, 4).mT if turned else patches.view(-1, 1, 4, 6)
    return F.interpolate(patches, size=(16, 24), mode="bilinear")[:, 0].detach()


def test_map_equals_the_product_of_explicit_matrices():
    model, images = lively(Tokens()), torch.randn(2, 3, 16, 24)
    torch.testing.assert_close(explainers.create("attention-rollout", model)(images), expected_map(model, images))


def test_fused_attention_gives_the_same_map():
    class Fused(Tokens):
        pass

    model, images = lively(Fused()), torch.randn(2, 3, 16, 24)
    expected = expected_map(model, images)
    for block in model.blocks:

        def forward(x, block=block):
            q, k, v = block.qkv(block.norm(x)).unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
            x = x + F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            return x + block.mlp(x)

        block.forward = forward
    torch.testing.assert_close(explainers.create("attention-rollout", model)(images), expected)


def test_multihead_attention_modules_are_seen():
    class Standard(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, 8, 4, stride=4)
            self.token = nn.Parameter(torch.randn(1, 1, 8))
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.norm = nn.LayerNorm(8)
            self.head = nn.Linear(8, 5)

        def embed(self, x):
            x = self.patch(x).flatten(2).transpose(1, 2)
            return torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)

        def forward(self, x):
            x = self.embed(x)
            x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
            return self.head(x[:, 0])

    model, images = Standard().eval(), torch.randn(2, 3, 16, 24)
    embedded = model.embed(images)
    _, weights = model.attention(embedded, embedded, embedded, need_weights=True)
    expected = F.interpolate(0.5 * weights[:, 0, 1:].view(2, 1, 4, 6), size=(16, 24), mode="bilinear")[:, 0].detach()
    torch.testing.assert_close(explainers.create("attention-rollout", model)(images), expected)


def test_networks_without_tokens_or_without_a_class_token_that_is_read_are_refused():
    with pytest.raises(UnsupportedError, match="no vision transformer"):
        explainers.create("attention-rollout", lively(Chain()))(torch.randn(1, 3, 16, 24))
    with pytest.raises(UnsupportedError, match="do not come from a class token"):
        explainers.create("attention-rollout", lively(Tokens(pooled=True)))(torch.randn(1, 3, 16, 24))


def test_global_switches_are_put_back():
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.cuda.math_sdp_enabled()
    explainers.create("attention-rollout", lively(Tokens()))(torch.randn(1, 3, 16, 24))
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.cuda.math_sdp_enabled()) == before


def test_tokens_that_go_down_the_columns_are_turned_back():
    class Columns(Tokens):
        def forward(self, x):
            x = self.patch(x).mT.flatten(2).transpose(1, 2)
            x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x)[:, 0])

    model, images = lively(Columns()), torch.randn(2, 3, 16, 24)
    wanted = expected_map(model, images, turned=True)
    torch.testing.assert_close(explainers.create("attention-rollout", model)(images), wanted)


def test_a_token_that_is_read_and_is_not_the_first_is_refused():
    class Second(Tokens):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.randn(1, 2, 8))

        def forward(self, x):
            x = self.patch(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x)[:, 1])

    with pytest.raises(UnsupportedError, match="first of its tokens"):
        explainers.create("attention-rollout", lively(Second()))(torch.randn(1, 3, 16, 24))
