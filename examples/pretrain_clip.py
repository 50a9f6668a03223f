"""A small image encoder that learns from images and sentences, as CLIP does, on generated birds.

    python examples/pretrain_clip.py --out clip.safetensors

It writes the image encoder's weights, from which networks can start (`train("ala", …, start="clip.safetensors")`), and
beside them `clip-classes.safetensors`: for each class of the birds the embedding of its sentences, with which the
encoder is a zero-shot classifier.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import Tensor, nn

from explainers.baselines.networks.ala import VisionTransformer, vision_transformer
from explainers.baselines.networks.vision_transformer import Block
from explainers.data.data_set import DataSet
from explainers.data.sets import data_set
from explainers.models.libraries import ZeroShot
from explainers.storage.atomic import write_bytes

LONGEST = 24  # words of a sentence
EMBEDDING = 128
HOTTEST = 100.0  # largest scale of the similarities, as in CLIP


@dataclass(frozen=True)
class Pretraining:
    """How the encoder learns. classes, train: of the birds; size: of the images; seed: of the birds and the weights."""

    encoder: str = "small-vit"
    size: int = 64
    classes: int = 16
    train: int = 3000
    epochs: int = 12
    batch_size: int = 64
    lr: float = 1e-3
    seed: int = 1


class TextEncoder(nn.Module):
    """Sentences to embeddings: words and their places, two blocks, the mean over the words."""

    def __init__(self, words: int, width: int = 64) -> None:
        super().__init__()
        self.words = nn.Embedding(words + 1, width, padding_idx=0)
        self.places = nn.Parameter(0.02 * torch.randn(LONGEST, width))
        self.blocks = nn.Sequential(Block(width, 4), Block(width, 4))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, EMBEDDING, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, LONGEST) numbers of words, 0 behind the last, to (N, EMBEDDING)."""
        there = (tokens > 0)[:, :, None]
        seen = self.norm(self.blocks(self.words(tokens) + self.places))
        return self.head((seen * there).sum(dim=1) / there.sum(dim=1))


def tokenised(sentences: Sequence[str], known: dict[str, int]) -> Tensor:
    """(N, LONGEST) numbers of words."""
    rows = torch.zeros(len(sentences), LONGEST, dtype=torch.long)
    for row, sentence in enumerate(sentences):
        words = re.findall(r"[a-z-]+", sentence)[:LONGEST]
        rows[row, : len(words)] = torch.tensor([known[word] for word in words])
    return rows


def contrast(images: Tensor, texts: Tensor, scale: Tensor, tokens: Tensor) -> Tensor:
    """Cross entropy from images to sentences and back, equal sentences being equally right.

    Args:
        images, texts: (N, D); tokens: (N, LONGEST).

    Source: Radford et al. 2021; several right answers as Yang et al. 2022 (UniCL).
    """
    logits = scale * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T
    same = (tokens[:, None] == tokens[None]).all(dim=2).to(logits)
    right = same / same.sum(dim=1, keepdim=True)
    return 0.5 * (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right))


def pretrained(settings: Pretraining, classes: DataSet, out: Path) -> tuple[Path, Path]:
    """The encoder's weights and the embeddings of the classes, learned now or before.

    Args:
        classes: the birds that the classes are of; none of their images is learned from.
    """
    beside = out.with_name(f"{out.stem}-classes.safetensors")
    if out.is_file() and beside.is_file():
        return out, beside
    birds = data_set(
        f"birds:size={settings.size},classes={settings.classes},train={settings.train},val=1,test=0,seed={settings.seed}"
    )
    split, prepare = birds.train, birds.preprocessing
    pictures = torch.stack([prepare(split.pixels(index)) for index in range(len(split))])
    sentences = [split.sentence(index) for index in range(len(split))]  # type: ignore[attr-defined]
    about = class_sentences(classes)
    every = [*sentences, *(sentence for sentence, _ in about)]
    vocabulary = sorted({word for sentence in every for word in re.findall(r"[a-z-]+", sentence)})
    known = {word: index + 1 for index, word in enumerate(vocabulary)}
    tokens = tokenised(sentences, known)
    torch.manual_seed(settings.seed)
    visual = vision_transformer(settings.encoder, outputs=EMBEDDING)
    text = TextEncoder(len(known))
    temperature = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
    _learn(visual, text, temperature, (pictures, tokens), settings)
    with torch.no_grad():
        text.eval()
        made = []
        for label in range(len(classes.class_names)):
            own = [sentence for sentence, each in about if each == label]
            made.append(F.normalize(text(tokenised(own, known)), dim=1).mean(dim=0))
        scale = temperature.exp().clamp(max=HOTTEST)
    write_bytes(beside, save({"text": F.normalize(torch.stack(made), dim=1), "scale": scale.reshape(())}))
    write_bytes(out, save({name: value.contiguous() for name, value in visual.state_dict().items()}))
    return out, beside


def _learn(
    visual: VisionTransformer,
    text: TextEncoder,
    temperature: nn.Parameter,
    pairs: tuple[Tensor, Tensor],
    settings: Pretraining,
) -> None:
    """AdamW, a rate that rises for a tenth of the steps and falls along a cosine, half of the images mirrored."""
    pictures, tokens = pairs
    learned = [*visual.parameters(), *text.parameters(), temperature]
    optimizer = torch.optim.AdamW(learned, lr=settings.lr, weight_decay=0.05)
    steps = settings.epochs * (len(pictures) // settings.batch_size)
    if not steps:
        raise SystemExit(f"--pretraining-images {len(pictures)}: expected at least {settings.batch_size}, a batch")
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=steps, pct_start=0.1)
    for epoch in range(settings.epochs):
        total = 0.0
        for rows in torch.randperm(len(pictures)).split(settings.batch_size):
            if len(rows) < settings.batch_size:
                break
            images = pictures[rows]
            mirrored = torch.rand(len(rows)) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
            loss = contrast(visual(images), text(tokens[rows]), temperature.exp().clamp(max=HOTTEST), tokens[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learned, 1.0)
            optimizer.step()
            rates.step()
            total += float(loss.detach()) * settings.batch_size
        print(f"encoder, epoch {epoch + 1} of {settings.epochs}: loss {total / len(pictures):.3f}", flush=True)


def class_sentences(data: DataSet) -> list[tuple[str, int]]:
    """A few sentences about each class, with its label; those about colours of plumage and places left out."""
    found: dict[int, dict[str, None]] = {}
    for index, label in enumerate(data.train.labels):
        if len(found.setdefault(label, {})) < 2:
            words = data.train.sentence(index)  # type: ignore[attr-defined]
            parts = re.findall(r"an? [a-z]+ [a-z-]+ (?:beak|tail)", words)
            found[label][f"a bird with {' and '.join(parts)}"] = None
    return [(sentence, label) for label in sorted(found) for sentence in found[label]]


def zero_shot(encoder: Path, classes: Path, name: str) -> ZeroShot:
    """The encoder as a classifier: scaled cosines of an image with the sentences of each class."""
    visual = vision_transformer(name, outputs=EMBEDDING)
    visual.load_state_dict(load_file(encoder))
    texts = load_file(classes)
    return ZeroShot(visual, texts["text"], texts["scale"]).eval()


def main() -> None:
    usual = Pretraining()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("clip.safetensors"))
    parser.add_argument("--data", default="birds:size=64,classes=4", help="whose classes get embeddings")
    parser.add_argument("--images", type=int, default=usual.train, help="to learn from (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=usual.epochs, help="default %(default)s")
    options = parser.parse_args()
    data = data_set(options.data)
    encoder, classes = pretrained(Pretraining(train=options.images, epochs=options.epochs), data, options.out)
    print(f"encoder  {encoder}\nclasses  {classes}")


if __name__ == "__main__":
    main()
