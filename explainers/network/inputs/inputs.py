"""A batch of inputs: everything that a network is given for each of N images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

Key = str | int  # of an input: its name in a mapping, its position in a tuple

POSITIONS, NAMES, MAPPING, SEQUENCE = "positions", "names", "mapping", "sequence"


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a network is given for `count` images.

    Every tensor in it, in lists and mappings too, has a row for each image, or one row that all images share; one
    without dimensions, and whatever is no tensor, is the same for all and passed as it is.

    parts: the inputs; count: of images; style: how forward takes them, as POSITIONS, by NAMES, or as one argument that
    is a MAPPING or a SEQUENCE; keywords: of forward, besides.
    """

    parts: dict[Key, Any]
    count: int
    style: str = POSITIONS
    keywords: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: Sequence[int]) -> Inputs:
        """Those of some of the images."""

        def pick(value: Tensor) -> Tensor:
            if value.ndim == 0 or len(value) != self.count:
                return value
            return value[torch.tensor(list(rows), dtype=torch.int64, device="cpu").to(value.device)]

        return replace(self._mapped(pick), count=len(rows))

    def repeated(self, count: int, without: Key) -> Inputs:
        """The other inputs for `count` rows: one row is every row's, of several the last is repeated, as passes fill
        their batches up.

        The tensors are copies, since networks may work in place on their input.
        """

        def fit(value: Tensor) -> Tensor:
            if value.ndim == 0:
                return value.clone()
            rows = value[:count]
            more = rows[-1:].expand(count - len(rows), *rows.shape[1:])
            return rows.clone() if not len(more) else torch.cat([rows, more])

        return replace(self.with_part(without, None)._mapped(fit), count=count)

    def with_part(self, key: Key, value: Any) -> Inputs:
        """The same with another input in one place."""
        return replace(self, parts={**self.parts, key: value})

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional arguments and the keywords that the network is called with."""
        values = tuple(self.parts.values())
        if self.style == NAMES:
            return (), {**{str(key): value for key, value in self.parts.items()}, **self.keywords}
        if self.style == MAPPING:
            return (dict(self.parts),), dict(self.keywords)
        return (values,) if self.style == SEQUENCE else values, dict(self.keywords)

    def as_given(self) -> Any:
        """The inputs as a user passes them: a mapping, or a tuple."""
        return dict(self.parts) if self.style in (NAMES, MAPPING) else tuple(self.parts.values())

    def tensors(self, without: Key | None = None) -> list[Tensor]:
        """All tensors, but for those of one input."""
        parts = [value for key, value in self.parts.items() if key != without]
        return [leaf for leaf in tree_leaves([parts, self.keywords]) if isinstance(leaf, Tensor)]

    def kind(self) -> tuple[Any, ...]:
        """What decides which ways a network takes, as far as that can be told without its values: shapes and types of
        tensors without their rows, and everything that is no tensor."""
        return (self.style, repr(tree_map_only(Tensor, _kind_of, [self.parts, self.keywords])))

    def digest(self) -> str:
        """Tells the inputs from all others, in this process and the next."""
        told = repr(tree_map_only(Tensor, _content, [self.parts, self.keywords]))
        return hashlib.sha256(f"{self.style} {told}".encode()).hexdigest()

    def _mapped(self, change: Any) -> Inputs:
        parts, keywords = tree_map_only(Tensor, change, (self.parts, self.keywords))
        return replace(self, parts=parts, keywords=keywords)


def _kind_of(value: Tensor) -> str:
    return f"{value.dtype} {tuple(value.shape[1:])} {value.device}"


def _content(value: Tensor) -> str:
    plain = value.detach().cpu().contiguous()
    data = plain.view(torch.uint8) if plain.ndim else plain.reshape(1).view(torch.uint8)
    return f"{_kind_of(value)} {hashlib.sha256(data.numpy().tobytes()).hexdigest()}"
