"""What RISE costs beside the bare passes of the network, and how many masks its designs need.

    pip install ".[dev]" && python benchmarks/rise.py --out benchmarks/rise.md

Four parts: overhead, memory, fidelity, time; `--part` runs one of them. Fidelity takes a quarter of an hour on two
cores.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import platform
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from turns import DEVICE, clock

from explainers import RISE, LoadedModel, RiseEstimate, load_model
from explainers.data.generated.digits import digits
from explainers.data.images import find_images, read_image

warnings.filterwarnings("ignore")
PARTS = ("overhead", "memory", "fidelity", "time")
DESIGNS = ("paper", "balanced")
SETTINGS: dict[str, dict[str, Any]] = {
    "float32": {},
    "auto": {"precision": "auto"},
    "auto, compiled": {"precision": "auto", "compile": True},
}
GOAL = 0.95
COUNTS = (128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)


def networks() -> dict[str, tuple[nn.Module, int]]:
    """Networks with the side of their images; those of torchvision have random weights."""
    torch.manual_seed(0)
    own = load_model("embedded", device=DEVICE).network
    assert isinstance(own, nn.Module)
    return {
        "resnet18": (torchvision.models.resnet18(weights=None).eval().to(DEVICE), 224),
        "resnet50": (torchvision.models.resnet50(weights=None).eval().to(DEVICE), 224),
        "embedded": (own, 96),
    }


def overhead(masks: int, rounds: int) -> list[str]:
    """RISE against the same network, replica and batch size on a buffer that stays as it is, taking turns."""
    lines = [
        "| network | precision | batch | ms per bare pass | ms per mask | overhead | passes per second |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (network, side) in networks().items():
        image = torch.randn(1, 3, side, side, device=DEVICE)
        for setting, options in SETTINGS.items():
            rise = RISE(network, masks=masks, **options)
            rise(image)
            size = int(rise.predictor.describe()["batch_size"])
            fast = rise.predictor.replica.ready(image, lambda run, images: run(images))
            buffer = torch.randn(size, 3, side, side, device=DEVICE).contiguous(memory_format=torch.channels_last)

            def bare(fast: Any = fast, buffer: Tensor = buffer, size: int = size) -> None:
                with torch.inference_mode():
                    for _ in range(math.ceil(masks / size)):
                        fast(buffer)

            whole, alone = [], []
            for turn in range(rounds + 1):
                pair = clock(bare), clock(lambda rise=rise, image=image: rise(image))
                if turn:
                    alone.append(pair[0] / (math.ceil(masks / size) * size))
                    whole.append(pair[1] / masks)
            ratio = statistics.median(w / a for w, a in zip(whole, alone, strict=True))
            a, w = statistics.median(alone), statistics.median(whole)
            lines.append(
                f"| {name} | {setting} | {size} | {1000 * a:.2f} | {1000 * w:.2f} | {ratio:.3f} | {1 / w:.0f} |"
            )
    return lines


class Strided(nn.Module):
    """Next to nothing at 224 pixels, so that what is measured is the memory of masks and sums."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 8, 8, stride=8), nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.first(images).relu().mean((2, 3)))


def memory() -> list[str]:
    """Peak memory of a process for each number of masks."""
    lines = ["| masks | peak memory of the process, MiB | beside 500 masks |", "|---|---|---|"]
    first = 0.0
    for masks in (500, 2000, 4000, 8000, 16000):
        told = subprocess.run(
            [sys.executable, __file__, "--peak", str(masks)], capture_output=True, text=True, check=True
        )
        peak = float(told.stdout)
        first = first or peak
        lines.append(f"| {masks} | {peak:.0f} | {peak / first:.3f} |")
    return lines


def peak(masks: int) -> float:
    torch.manual_seed(0)
    RISE(Strided().eval(), masks=masks)(torch.randn(1, 3, 224, 224))
    status = Path("/proc/self/status").read_text()  # getrusage would tell of the process that started this one
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]).double())[0, 1])


def of_digits(images: int) -> tuple[LoadedModel, Tensor]:
    """The embedded classifier, and generated test images (N, 3, 96, 96) as it takes them."""
    loaded = load_model("embedded", device=DEVICE)
    return loaded, prepared(loaded, digits(images, split="test")[0].permute(0, 2, 3, 1).numpy())


def of_photographs(images: int, folder: Path) -> tuple[LoadedModel, Tensor]:
    """The network for photographs, and so many of a folder's, evenly spread over their sorted names."""
    files = find_images(folder)
    chosen = [files[len(files) * number // images] for number in range(images)]
    loaded = load_model("photographs", device=DEVICE)
    return loaded, prepared(loaded, [read_image(file.path).pixels for file in chosen])


def prepared(loaded: LoadedModel, photos: Iterable[np.ndarray]) -> Tensor:
    assert loaded.preprocessing is not None
    return torch.stack([loaded.preprocessing(photo) for photo in photos]).to(DEVICE)


def fidelity(
    loaded: LoadedModel, batch: Tensor, converged: int, keep: Path | None
) -> tuple[list[str], dict[str, float]]:
    """Correlation with the map of `converged` masks against the number of masks, on a trained network."""
    counts = [count for count in COUNTS if count <= converged // 4]
    curves = [
        kept(
            keep,
            f"{loaded.spec}: {number} of {len(batch)}, {converged}",
            lambda image=image: curve(loaded, image, converged, counts),
        )
        for number, image in enumerate(batch, start=1)
    ]
    means = {
        design: {count: statistics.fmean(curve[design][str(count)] for curve in curves) for count in counts}
        for design in DESIGNS
    }
    needed = {design: crossing(table, GOAL) for design, table in means.items()}
    lines = ["| masks | paper | balanced |", "|---|---|---|"]
    lines += [f"| {count} | {means['paper'][count]:.3f} | {means['balanced'][count]:.3f} |" for count in counts]
    if any(map(math.isnan, needed.values())):
        return [*lines, "", f"Up to {counts[-1]} masks one of them does not reach a mean correlation of {GOAL}."], {}
    lines += [
        "",
        f"A mean correlation of {GOAL} over {len(batch)} images is reached with {needed['paper']:.0f} masks by the "
        f"paper's design and with {needed['balanced']:.0f} by the balanced one: "
        f"{needed['paper'] / needed['balanced']:.1f} times fewer.",
    ]
    return lines, needed


def curve(loaded: LoadedModel, image: Tensor, converged: int, counts: list[int]) -> dict[str, dict[str, float]]:
    """Of one image (C, H, W): by design and number of masks, the correlation with its map of `converged` others."""
    truth = RISE(loaded, masks=converged, seed=1, precision="auto")(image[None])[0].cpu()
    found: dict[str, dict[str, float]] = {design: {} for design in DESIGNS}
    for design, table in found.items():

        def watch(estimate: RiseEstimate, table: dict[str, float] = table) -> None:
            if estimate.masks in counts:
                table[str(estimate.masks)] = correlation(estimate.maps[0], truth)

        RISE(loaded, masks=counts[-1], seed=2, precision="auto", design=design, watch=watch)(image[None])
    return found


def kept(keep: Path | None, name: str, measure: Callable[[], Any]) -> Any:
    """What an earlier call measured under that name, else what is measured now, which goes into the file."""
    rows = [json.loads(line) for line in keep.read_text().splitlines()] if keep and keep.exists() else []
    done = next((row["found"] for row in rows if row["name"] == name), None)
    if done is None:
        done = measure()
        if keep:
            with keep.open("a") as file:
                file.write(json.dumps({"name": name, "found": done}) + "\n")
    return done


def crossing(table: dict[int, float], goal: float) -> float:
    """The number of masks at which the correlation passes the goal, between two counts on a logarithmic scale."""
    counts = sorted(table)
    for low, high in itertools.pairwise(counts):
        if table[low] < goal <= table[high]:
            share = (goal - table[low]) / (table[high] - table[low])
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return float(counts[0] if table[counts[0]] >= goal else math.nan)


def papers_procedure(network: nn.Module, image: Tensor, count: int, batch: int = 100) -> Tensor:
    """RISE as published: all masks first, batches of 100, a matrix product at the end."""
    side, cells, p = image.shape[-1], 7, 0.5
    cell = math.ceil(side / cells)
    grids = (torch.rand(count, 1, cells, cells) < p).float()
    masks = torch.empty(count, side, side)
    for index in range(count):
        large = F.interpolate(grids[index : index + 1], size=((cells + 1) * cell,) * 2, mode="bilinear")[0, 0]
        top, left = (int(value) for value in torch.randint(cell, (2,)))
        masks[index] = large[top : top + side, left : left + side]
    masks = masks.to(image.device)
    with torch.no_grad():
        batches = [network(image * part[:, None]).softmax(1) for part in masks.split(batch)]
    return (torch.cat(batches).T @ masks.flatten(1)).view(-1, side, side) / count / p


def seconds_to_goal(needed: dict[str, float]) -> list[str]:
    """One image through resnet50, with the masks that each design needs on the trained network."""
    network, side = networks()["resnet50"]
    image = torch.randn(1, 3, side, side, device=DEVICE)
    paper, balanced = round(needed["paper"]), round(needed["balanced"])
    papers_procedure(network, image, 100)
    base = clock(lambda: papers_procedure(network, image, paper))
    small = clock(lambda: papers_procedure(network, image, paper, batch=8))
    lines = [
        "| procedure | masks | seconds per image | times faster | seconds for the first image |",
        "|---|---|---|---|---|",
        f"| the paper's, float32, batches of 100 | {paper} | {base:.1f} | 1.0 | |",
        f"| the paper's, float32, batches of 8 | {paper} | {small:.1f} | {base / small:.1f} | |",
    ]
    for setting, options in SETTINGS.items():
        rise = RISE(network, masks=balanced, **options)
        first = clock(lambda rise=rise: rise(image))
        took = statistics.median(clock(lambda rise=rise: rise(image)) for _ in range(3))
        lines.append(f"| ours, {setting} | {balanced} | {took:.1f} | {base / took:.1f} | {first:.1f} |")
    return lines


def machine() -> str:
    where = (
        torch.cuda.get_device_name()
        if DEVICE == "cuda"
        else f"{torch.get_num_threads()} threads of {platform.machine()}"
    )
    return f"torch {torch.__version__}, torchvision {torchvision.__version__}, {where}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--masks", type=int, default=512, help="of the overhead")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=24, help="of the fidelity")
    parser.add_argument("--converged", type=int, default=32_768, help="masks of the maps that fidelity compares with")
    parser.add_argument("--photographs", type=Path, help="a folder of them: fidelity on these instead of digits")
    parser.add_argument("--keep", type=Path, help="a file that keeps fidelity's images as they are done, to go on from")
    parser.add_argument("--needed", type=json.loads, help='instead of fidelity, e.g. {"paper": 2100, "balanced": 360}')
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(peak(options.peak))
        return
    parts, needed = options.part or PARTS, options.needed
    text = [
        "# RISE",
        "",
        f"{machine()}. Networks of torchvision have random weights; the embedded classifier is trained.",
        "",
    ]
    if "fidelity" in parts:
        if options.photographs:
            about = "Network for photographs (EfficientNet-Lite0), photographs of 224 × 224"
            lines, needed = fidelity(
                *of_photographs(options.images, options.photographs), options.converged, options.keep
            )
        else:
            about = "Embedded classifier, generated test images of 96 × 96"
            lines, needed = fidelity(*of_digits(options.images), options.converged, options.keep)
        text += ["## Fidelity", "", f"{about}; against maps of {options.converged} masks.", "", *lines, ""]
    if "overhead" in parts:
        text += [
            "## Overhead",
            "",
            f"{options.masks} masks, one image, one class; median of {options.rounds} turns.",
            "",
        ]
        text += [*overhead(options.masks, options.rounds), ""]
    if "memory" in parts:
        text += [
            "## Memory",
            "",
            "A small network on an image of 224 × 224, each in a process of its own.",
            "",
            *memory(),
            "",
        ]
    if "time" in parts and needed:
        text += [
            "## Time",
            "",
            "resnet50 at 224 × 224, one image, to the correlation above; no other package has RISE.",
            "",
        ]
        text += [*seconds_to_goal(needed), ""]
    print("\n".join(text))
    if options.out:
        options.out.write_text("\n".join(text))


if __name__ == "__main__":
    main()
