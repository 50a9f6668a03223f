"""Train the embedded digit classifier and write its weights, sample images and masks.

    python examples/train_embedded.py            # seven minutes on two cores

Needs `pip install 'explainers[demo]'`. The result depends on the seed and, in its last digits, on torch's version.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from explainers import CAM
from explainers.data.generated.digits import CLASSES, digits
from explainers.data.images import write_image
from explainers.models.embedded import EmbeddedNet

BATCH = 32
PACKAGE = Path(__file__).resolve().parent.parent / "explainers"


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    return ((pixels.float() / 255 - 0.5) / 0.25).contiguous(memory_format=torch.channels_last)


def train(images: int, epochs: int, seed: int) -> EmbeddedNet:
    torch.manual_seed(seed)
    network = EmbeddedNet().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    steps = images // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=epochs * steps, pct_start=0.2)
    pixels, _, labels = digits(images, split="train", seed=seed)
    start = time.perf_counter()
    for epoch in range(epochs):
        network.train()
        total = 0.0
        for rows in torch.randperm(images)[: steps * BATCH].view(-1, BATCH):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = network(normalised(pixels[rows]))
            loss = F.cross_entropy(scores.float(), labels[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}  loss {total / steps:.3f}  {time.perf_counter() - start:.0f} s")
    return network.eval()


@torch.no_grad()
def accuracy(network: EmbeddedNet, count: int) -> float:
    pixels, _, labels = digits(count)
    found = torch.cat([network(normalised(part)).argmax(1) for part in pixels.split(100)])
    return (found == labels).float().mean().item()


def energy_inside(network: EmbeddedNet, count: int) -> tuple[float, float]:
    """Share of CAM's positive mass inside the digit's mask, and the mask's share of the image."""
    pixels, masks, labels = digits(count)
    maps = torch.cat(
        [CAM(network)(normalised(p), y) for p, y in zip(pixels.split(50), labels.split(50), strict=True)]
    ).relu()
    wide = F.max_pool2d(masks[:, None].float(), 9, 1, 4)[:, 0]
    inside = (maps * wide).sum((1, 2)) / maps.sum((1, 2)).clamp(min=1e-9)
    return inside.mean().item(), wide.mean().item()


def write_samples(network: EmbeddedNet, folder: Path, count: int = 24) -> None:
    """The first test images, class after class in turn, as the network has never seen them; mistakes stay in."""
    pixels, masks, labels = digits(400, start=100_000)
    with torch.no_grad():
        found = network(normalised(pixels)).argmax(1)
    taken: list[int] = []
    for number in range(count):
        taken.append(next(i for i in range(400) if i not in taken and int(labels[i]) == number % 10))
    for number, i in enumerate(taken):
        name = f"{number:02d}-{CLASSES[int(labels[i])]}.png"
        write_image(folder / name, pixels[i].permute(1, 2, 0).contiguous().numpy())
        write_image(folder.parent / "masks" / name, (masks[i].to(torch.uint8) * 255).numpy())
        if found[i] != labels[i]:
            print(f"sample {name} is classified as {CLASSES[int(found[i])]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=9000, help="training images (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=14, help="passes over them (default %(default)s)")
    parser.add_argument("--test", type=int, default=2000, help="test images (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=PACKAGE, help="package folder to write into")
    options = parser.parse_args()
    network = train(options.images, options.epochs, options.seed)
    half = {name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()}
    network.load_state_dict(
        {name: value.float() if value.dtype == torch.half else value for name, value in half.items()}
    )
    score = accuracy(network, options.test)
    inside, area = energy_inside(network, min(options.test, 200))
    print(
        f"test accuracy {score:.4f} on {options.test} images; {inside:.0%} of CAM's positive mass lies within 4 px of "
        f"the strokes, which is {area:.0%} of the image"
    )
    notes = {"accuracy": f"{score:.4f}", "seed": str(options.seed), "torch": torch.__version__}
    path = options.out / "models" / "embedded.safetensors"
    save_file({name: value.contiguous() for name, value in half.items()}, path, metadata=notes)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    write_samples(network, options.out / "data" / "samples")


if __name__ == "__main__":
    main()
