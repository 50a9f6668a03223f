"""The lambda layer: what an image's positions say together becomes a linear function, applied to each of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from explainers.errors import OptionError


class LambdaLayer(nn.Module):
    """λ = λ_content + λ_position of each position, applied to its query: y = λᵀ q.

    Args:
        before, after: channels in and out; after is divisible by heads.
        heads: queries per position, h; key: key depth k; intra: intra-depth u.
        scope: r, side of the neighbourhood that λ_position sees; odd.

    Source: Bello 2021, section 3.2, with the position lambdas as a convolution (the lambda convolution).
    """

    def __init__(
        self, before: int, after: int, *, heads: int = 4, key: int = 16, intra: int = 1, scope: int = 23
    ) -> None:
        super().__init__()
        if after % heads:
            raise OptionError(f"a lambda layer of {after} channels cannot have {heads} heads; {after} must divide")
        if scope % 2 == 0 or min(heads, key, intra, scope) < 1:
            raise OptionError(f"heads={heads}, key={key}, intra={intra}, scope={scope}; at least 1, and scope odd")
        self.heads, self.key, self.intra, self.value = heads, key, intra, after // heads
        self.queries = nn.Conv2d(before, heads * key, 1, bias=False)
        self.keys = nn.Conv2d(before, key * intra, 1, bias=False)
        self.values = nn.Conv2d(before, self.value * intra, 1, bias=False)
        self.norm_queries = nn.BatchNorm2d(heads * key)
        self.norm_values = nn.BatchNorm2d(self.value * intra)
        # The paper's convolution with kernel (1, r, r) over (v, H, W) is this one over each of the v channels alone.
        self.position = nn.Conv2d(intra, key, scope, padding=scope // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) → (N, after, H, W)."""
        queries, keys, values = self._parts(x)
        content = _content(queries, keys, values)
        return (content + self._position(queries, values, x.shape[2:])).reshape(len(x), -1, *x.shape[2:])

    def lambda_content(self, x: Tensor) -> Tensor:
        """(N, after, H, W): the output's share that comes from the content lambda."""
        return _content(*self._parts(x)).reshape(len(x), -1, *x.shape[2:])

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (N, h, k, n), keys (N, u, k, n) whose values sum to 1 over the n positions, values (N, u, v, n)."""
        count = len(x)
        queries = self.norm_queries(self.queries(x)).reshape(count, self.heads, self.key, -1)
        keys = self.keys(x).reshape(count, self.intra, self.key, -1).softmax(dim=-1)
        values = self.norm_values(self.values(x)).reshape(count, self.intra, self.value, -1)
        return queries, keys, values

    def _position(self, queries: Tensor, values: Tensor, size: torch.Size) -> Tensor:
        """(N, h, v, n): position lambdas applied to the queries."""
        count, intra, depth, positions = values.shape
        fields = values.transpose(1, 2).reshape(count * depth, intra, *size)
        lambdas = self.position(fields).reshape(count, depth, self.key, positions)
        return torch.einsum("nhkp,nvkp->nhvp", queries, lambdas)


def _content(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """(N, h, v, n): λ_content (N, k, v), one for all positions of an image, applied to its queries."""
    lambdas = torch.einsum("nukm,nuvm->nkv", keys, values)
    return torch.einsum("nhkp,nkv->nhvp", queries, lambdas)
