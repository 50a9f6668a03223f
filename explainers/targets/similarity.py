"""What makes an image like another: the cosine of their embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.errors import TargetError
from explainers.network.output import describe
from explainers.passes.activation import Reading
from explainers.targets.answer import Answer
from explainers.targets.target import Target


@dataclass(frozen=True, eq=False)
class Similarity(Target):
    """The cosine of the image's embedding and a reference's, −1 … 1.

    Args:
        reference: an image (C, H, W) or (1, C, H, W) as the network takes it, or an embedding (D,).
        name: what tables call the reference.
    """

    quantity = "similarity"
    of_network = True

    reference: Tensor
    name: str = "the reference"

    def __post_init__(self) -> None:
        if not isinstance(self.reference, Tensor) or not self.reference.is_floating_point():
            raise TargetError(
                f"Similarity: the reference is {describe(self.reference)}; expected an image or embedding, a "
                "tensor (D,) or (C, H, W) as the network takes it, such as of a file "
                "model.preprocessing(explainers.read_image(path).pixels)"
            )
        if not bool(torch.isfinite(self.reference).all()):
            raise TargetError("Similarity: the reference has NaN or infinite values")
        if self.reference.ndim == 1 and not bool(self.reference.detach().abs().max() > 0):
            raise TargetError("Similarity: the embedding of the reference is 0, which has no direction")

    @property
    def settled(self) -> bool:
        """Whether the reference is an embedding."""
        return self.reference.ndim == 1

    def settle(self, answer: Answer) -> Similarity:
        """With the reference's embedding for its image.

        Raises:
            TargetError: the reference has no embedding, or is no image that the network takes.
        """
        if self.settled:
            return self
        image = self.reference[None] if self.reference.ndim == len(answer.size) + 1 else self.reference
        if image.ndim != len(answer.size) + 2 or len(image) != 1:
            raise TargetError(
                f"Similarity: the reference is {describe(self.reference)}; expected one image (C, H, W) or (D,)"
            )
        if answer.ask is None:
            raise TargetError("Similarity: the reference is an image, and there is no network here to embed it")
        try:
            asked = answer.ask(image)
        except Exception as error:  # whatever a network raises on what it cannot take
            first = str(error).strip().partition("\n")[0]
            shape = tuple(image.shape)
            raise TargetError(f"Similarity: the network fails on the reference, an image {shape}: {first}") from error
        embedding = embeddings(asked)[0]
        return replace(self, reference=embedding.detach().clone())

    def score(self, answer: Answer) -> Tensor:
        """cos(e(x), e(reference))."""
        found = embeddings(answer)
        if not self.settled:
            raise TargetError("Similarity: settle it on the unperturbed image first, which embeds the reference")
        if found.shape[1] != len(self.reference):
            raise TargetError(
                f"Similarity: the reference's embedding has {len(self.reference)} values and the network's "
                f"{found.shape[1]}"
            )
        return F.cosine_similarity(found, self.reference.to(found)[None], dim=1)

    def meaning(self, classes: Reading | None) -> str:
        """A cosine."""
        return "a similarity (cosine of embeddings), -1 to 1"

    def label(self, class_names: Sequence[str] | None = None) -> str:
        """like NAME."""
        return f"like {self.name}"


def embeddings(answer: Answer) -> Tensor:
    """(N, D) of an answer.

    Raises:
        TargetError: what the network returned is none.
    """
    value = answer.picked
    if isinstance(value, Tensor) and value.ndim > 2 and value.shape[2:].numel() == 1:
        value = value.flatten(1)
    if not isinstance(value, Tensor) or value.ndim != 2 or not value.is_floating_point() or len(value) != answer.count:
        raise TargetError(
            f"the target needs embeddings (N, D), and the network returned {describe(value)}; pass output= (--output) "
            "to pick them"
        )
    if value.shape[1] == 1:
        raise TargetError(
            "the target needs embeddings (N, D), and the network returned one number for each image, of which the "
            "cosine is 1 or -1; explain the number (Value(0), --target value:0), or pass output= (--output)"
        )
    return value
