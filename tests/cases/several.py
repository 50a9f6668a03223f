"""Small networks of several inputs, and the same bound by hand: one wrapper, for one image."""

from __future__ import annotations

from typing import Any

import torch
from small import Chain, lively
from torch import Tensor, nn


class SharedTrunk(nn.Module):
    """Two images through one trunk; scores of the product of what comes out. Every module of the trunk runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = Chain(), nn.Linear(5, 4)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head(self.trunk(left) * self.trunk(right).sigmoid())


class TwoTrunks(nn.Module):
    """Two images of different channels, each through a trunk of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = Chain(), Chain(channels=1), nn.Linear(10, 4)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head(torch.cat([self.left(left), self.right(right)], dim=1).relu())


class LateFusion(nn.Module):
    """A photo and a table (N, 6), joined in front of the head."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = Chain(), nn.Linear(11, 4)

    def forward(self, photo: Tensor, table: Tensor) -> Tensor:
        return self.head(torch.cat([self.trunk(photo), table], dim=1).relu())


class FiLM(nn.Module):
    """A table that scales and shifts the channels of the first layer (Perez et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.scale, self.shift = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 6), nn.Linear(6, 6)
        self.second, self.act, self.head = nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Linear(8, 4)

    def forward(self, photo: Tensor, table: Tensor) -> Tensor:
        x = self.first(photo) * self.scale(table)[:, :, None, None] + self.shift(table)[:, :, None, None]
        return self.head(self.act(self.second(x.relu())).mean((2, 3)))


class OfMapping(nn.Module):
    """Takes one mapping, and works in place on its images."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = LateFusion()

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        batch["photo"].mul_(1.5)
        batch["table"].mul_(0.5)
        return {"logits": self.inner(batch["photo"], batch["table"])}


class Captioned(nn.Module):
    """Patches of a photo and words, a class token first, in one transformer layer under a mask of the words."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.words = nn.Conv2d(3, 8, 4, stride=4), nn.Embedding(10, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(
        self, photo: Tensor, words: Tensor, attention_mask: Tensor | None = None, *, return_dict: bool = False
    ) -> Any:
        seen = self.patches(photo).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(photo), -1, -1), seen, self.words(words)], dim=1)
        hidden = None
        if attention_mask is not None:
            whole = attention_mask.new_ones(len(photo), 1 + seen.shape[1])
            hidden = ~torch.cat([whole, attention_mask], dim=1)
        scores = self.head(self.block(x, src_key_padding_mask=hidden)[:, 1 : 1 + seen.shape[1]].mean(1))
        return {"logits": scores} if return_dict else scores


class ByHand(nn.Module):
    """What an expert writes today: the network of one input, with one image's others written down in it."""

    def __init__(self, network: nn.Module, call: Any) -> None:
        super().__init__()
        self.network, self.call = network, call

    def forward(self, images: Tensor) -> Any:
        return self.call(self.network, images)


def batch(count: int = 3) -> dict[str, Tensor]:
    """Inputs of all networks, a row for each image."""
    rng = torch.Generator().manual_seed(5)

    def drawn(*size: int) -> Tensor:
        return torch.randn(*size, generator=rng, dtype=torch.float64)

    words = torch.randint(0, 10, (count, 5), generator=rng)
    return {
        "photo": drawn(count, 3, 16, 12),
        "other": drawn(count, 3, 16, 12),
        "gray": drawn(count, 1, 8, 20),
        "table": drawn(count, 6),
        "words": words,
        "mask": torch.arange(5)[None] < torch.arange(1, count + 1)[:, None] + 1,
    }


def cases(count: int = 3) -> dict[str, tuple[nn.Module, Any, Any, dict[str, Any], Any]]:
    """By name: network, inputs as a user passes them, which is explained, forward_kwargs, and from a row to the call
    that binds it by hand."""
    torch.manual_seed(0)
    x = batch(count)
    shared, two, late, film = (lively(each()).double() for each in (SharedTrunk, TwoTrunks, LateFusion, FiLM))
    mapping, captioned = lively(OfMapping()).double(), lively(Captioned()).double()

    def rows(value: Tensor, row: int, images: Tensor) -> Tensor:
        return value[row].expand(len(images), *value.shape[1:]).clone()

    def of(key: str) -> Any:
        return lambda row: lambda net, images: net(images, rows(x[key], row, images))

    def before(key: str) -> Any:
        return lambda row: lambda net, images: net(rows(x[key], row, images), images)

    def in_mapping(row: int) -> Any:
        return lambda net, images: net({"photo": images.clone(), "table": rows(x["table"], row, images)})

    def captions(row: int) -> Any:
        return lambda net, images: net(images, rows(x["words"], row, images), rows(x["mask"], row, images))

    return {
        "shared, left": (shared, (x["photo"], x["other"]), 0, {}, of("other")),
        "shared, right": (shared, {"left": x["photo"], "right": x["other"]}, "right", {}, before("photo")),
        "two, left": (two, (x["photo"], x["gray"]), "left", {}, of("gray")),
        "two, right": (two, (x["photo"], x["gray"]), 1, {}, before("photo")),
        "late": (late, (x["photo"], x["table"]), None, {}, of("table")),
        "film": (film, {"table": x["table"], "photo": x["photo"]}, "photo", {}, of("table")),
        "mapping": (mapping, {"photo": x["photo"], "table": x["table"]}, "photo", {}, in_mapping),
        "captioned": (
            captioned,
            (x["photo"], x["words"]),
            0,
            {"attention_mask": x["mask"], "return_dict": True},
            captions,
        ),
    }
