"""What K detections of one image cost by RISE: images that go through the network, and processor time.

The network is an untrained torchvision Faster R-CNN on a small backbone (tests/cases/detectors.py), which keeps
whatever it finds: what is counted does not depend on what was learned. Repetitions of all K take turns, so that other
work on the machine is spread over them.

    python benchmarks/detections.py --masks 256 --repetitions 5
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from explainers import RISE
from explainers.targets import Box, detections

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "cases"))
from detectors import torchvision_detector

COUNTS = (1, 2, 5, 10)
SIDE = 64


class Counted(nn.Module):
    """A detector that counts the images that it and its copies see."""

    images = 0

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """What torchvision's detectors return."""
        Counted.images += len(images)
        return self.inner(images)


def main() -> None:
    """Print a line for each K."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--masks", type=int, default=256)
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    inner = torchvision_detector("fasterrcnn")
    inner.roi_heads.detections_per_img = 40
    network = Counted(inner).eval()
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    (found,) = detections(network, image)
    if len(found) < max(COUNTS):
        raise SystemExit(f"the detector finds {len(found)} boxes; {max(COUNTS)} are needed")
    rise = RISE(network, masks=arguments.masks, grid=4)

    def together(count: int) -> Tensor:
        return rise(image, [[Box.of(found, place) for place in range(count)]])

    def apart(count: int) -> Tensor:
        return torch.stack([rise(image, [Box.of(found, place)])[0] for place in range(count)])[None]

    ways: dict[str, Callable[[int], Tensor]] = {"together": together, "apart": apart}
    largest = max(float((together(count) - apart(count)).abs().max()) for count in COUNTS)
    passes = {(way, count): _passes(call, count) for way, call in ways.items() for count in COUNTS}
    seconds: dict[tuple[str, int], list[float]] = {each: [] for each in passes}
    for _ in range(arguments.repetitions):
        for way, count in seconds:
            start = time.process_time()
            ways[way](count)
            seconds[way, count].append(time.process_time() - start)
    one = statistics.median(seconds["together", 1])
    print("| K | images through the network | one by one | processor time, K = 1 is 1 | one by one | spread |")
    print("|---|---|---|---|---|---|")
    for count in COUNTS:
        own, other = (sorted(seconds[way, count]) for way in ways)
        ratios = [statistics.median(each) / one for each in (own, other)]
        spread = f"{own[0] / one:.2f} … {own[-1] / one:.2f}"
        print(
            f"| {count} | {passes['together', count]} | {passes['apart', count]} | {ratios[0]:.2f} | {ratios[1]:.2f} "
            f"| {spread} |"
        )
    print(f"\nlargest difference of a map from that of its box alone: {largest:.1e}")


def _passes(call: Callable[[int], Tensor], count: int) -> int:
    """Images that the network sees."""
    Counted.images = 0
    call(count)
    return Counted.images


if __name__ == "__main__":
    main()
