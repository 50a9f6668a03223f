"""The lambda layer against a direct loop over positions, and its content part."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from explainers.baselines import LambdaLayer
from explainers.errors import OptionError


def filled(layer: LambdaLayer) -> LambdaLayer:
    """Weights and statistics away from their beginnings, in double precision and evaluation mode."""
    layer = layer.double().eval()
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, value in [*layer.named_parameters(), *layer.named_buffers()]:
            if value.is_floating_point():
                drawn = torch.rand(value.shape, generator=rng, dtype=torch.float64)
                value.copy_(drawn + 0.5 if "var" in name else drawn - 0.5)
    return layer


@torch.no_grad()
def direct(layer: LambdaLayer, x: Tensor) -> tuple[Tensor, Tensor]:
    """Content and position parts of the output, one image, head, value channel and position after the other.

    Position p's position lambda is the sum over its neighbours at offset (a, b) of the kernel's value there times the
    neighbour's value; outside of the image there is nothing.
    """
    count, _, height, width = x.shape
    h, k, u, v, r = layer.heads, layer.key, layer.intra, layer.value, layer.position.kernel_size[0]
    queries = layer.norm_queries(layer.queries(x)).view(count, h, k, height, width)
    values = layer.norm_values(layer.values(x)).view(count, u, v, height, width)
    logits = layer.keys(x).view(count, u, k, height * width)
    keys = (logits.exp() / logits.exp().sum(-1, keepdim=True)).view(count, u, k, height, width)
    kernel, bias = layer.position.weight, layer.position.bias
    content, position = torch.zeros(2, count, h * v, height, width, dtype=x.dtype)
    for n in range(count):
        of_content = torch.zeros(k, v, dtype=x.dtype)
        for i in range(height):
            for j in range(width):
                for deep in range(u):
                    of_content += torch.outer(keys[n, deep, :, i, j], values[n, deep, :, i, j])
        for i in range(height):
            for j in range(width):
                of_position = bias[:, None].expand(k, v).clone()
                for a in range(r):
                    for b in range(r):
                        y, z = i + a - r // 2, j + b - r // 2
                        if 0 <= y < height and 0 <= z < width:
                            for deep in range(u):
                                of_position += torch.outer(kernel[:, deep, a, b], values[n, deep, :, y, z])
                for head in range(h):
                    rows = slice(head * v, (head + 1) * v)
                    content[n, rows, i, j] = of_content.T @ queries[n, head, :, i, j]
                    position[n, rows, i, j] = of_position.T @ queries[n, head, :, i, j]
    return content, position


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"heads": 2, "key": 3, "scope": 3}, (4, 5)),
        ({"heads": 4, "key": 2, "intra": 2, "scope": 5}, (3, 7)),
        ({"heads": 1, "key": 4, "scope": 7}, (2, 2)),  # a neighbourhood wider than the image
        ({"heads": 2, "key": 2, "scope": 1}, (5, 1)),
    ],
)
def test_the_layer_equals_a_loop_over_positions(settings, size):
    layer = filled(LambdaLayer(3, 8, **settings))
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    content, position = direct(layer, x)
    torch.testing.assert_close(layer(x), content + position, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(layer.lambda_content(x), content, rtol=1e-9, atol=1e-11)


def test_the_content_of_one_position_is_its_value_times_its_query():
    """With one position the softmax is 1, so λ_content is the value in every key row."""
    layer = filled(LambdaLayer(1, 2, heads=1, key=2, scope=1))
    x = torch.tensor([[[[2.0]]]], dtype=torch.float64)
    query = layer.norm_queries(layer.queries(x)).flatten()
    value = layer.norm_values(layer.values(x)).flatten()
    torch.testing.assert_close(layer.lambda_content(x).flatten(), value * query.sum())


def test_parameters_are_those_of_the_paper():
    """h·k + k·u + v·u projections of 32 channels, two norms, k·u·r² + k of the position lambdas: by hand."""
    layer = LambdaLayer(32, 24, heads=4, key=16, intra=1, scope=23)
    by_hand = 32 * (64 + 16 + 6) + 2 * (64 + 6) + 16 * 1 * 23 * 23 + 16
    assert sum(value.numel() for value in layer.parameters()) == by_hand
    assert [name for name, _ in layer.named_parameters() if name.endswith("bias")] == [
        "norm_queries.bias",
        "norm_values.bias",
        "position.bias",
    ]


def test_images_of_a_batch_do_not_mix():
    layer = filled(LambdaLayer(3, 8, heads=2, key=3, scope=3))
    x = torch.randn(3, 3, 4, 4, dtype=torch.float64)
    alone = torch.cat([layer(one[None]) for one in x])
    torch.testing.assert_close(layer(x), alone)


@pytest.mark.parametrize(
    ("after", "settings", "message"),
    [
        (6, {"heads": 4}, "a lambda layer of 6 channels cannot have 4 heads; 6 must divide"),
        (8, {"scope": 4}, "heads=4, key=16, intra=1, scope=4; at least 1, and scope odd"),
        (8, {"key": 0}, "heads=4, key=0, intra=1, scope=23; at least 1, and scope odd"),
    ],
)
def test_sizes_that_cannot_be_are_refused(after, settings, message):
    with pytest.raises(OptionError) as error:
        LambdaLayer(3, after, **settings)
    assert str(error.value) == message
