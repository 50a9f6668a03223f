"""Draw generated birds, and below each its masks: docs/birds.png.

python examples/draw_birds.py --out docs/birds.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.data.generated.birds import bird, bird_sentence
from explainers.data.images import write_image

SIDE, FINER, GAP = 132, 3, 4
INDICES = (204, 209, 212, 223, 214, 210)
WHITE, PINK = (255.0, 255.0, 255.0), (255.0, 40.0, 200.0)


def outlined(image: Tensor, mask: Tensor, colour: tuple[float, float, float]) -> Tensor:
    """(3, S, S): a line of the colour around the mask (S, S)."""
    wider = F.max_pool2d(mask[None].float(), 2 * FINER + 1, stride=1, padding=FINER)[0] > 0
    line = wider & ~mask
    return torch.where(line, torch.tensor(colour)[:, None, None], image)


def smaller(image: Tensor) -> Tensor:
    """(3, S / 3, S / 3), the means of its pixels."""
    return F.avg_pool2d(image[None], FINER)[0]


def main() -> None:
    """Write the picture and print a sentence about each bird."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("birds.png"))
    parser.add_argument("--birds", type=int, nargs="+", default=INDICES, help="indices of test images")
    arguments = parser.parse_args()
    columns = []
    for index in arguments.birds:
        made = bird(index, size=SIDE * FINER)
        image = made.pixels.float()
        marked = outlined(outlined(image, made.bird, WHITE), made.parts, PINK)
        gap = torch.full((3, GAP, SIDE), 255.0)
        columns += [
            torch.cat([smaller(image), gap, smaller(marked)], dim=1),
            torch.full((3, 2 * SIDE + GAP, GAP), 255.0),
        ]
        print(f"{index}: {bird_sentence(index)}")
    picture = torch.cat(columns[:-1], dim=2).round().to(torch.uint8)
    write_image(arguments.out, picture.permute(1, 2, 0).contiguous().numpy())


if __name__ == "__main__":
    main()
