"""What Grad-CAM costs beside one forward and one backward pass of the same batches, in one run on one machine.

python benchmarks/cost.py --out benchmarks/cost.md
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

import explainers
from explainers import load_model
from explainers.data.images import write_image
from explainers.run import MethodCall, RunOptions, run

warnings.filterwarnings("ignore")


def forward_backward(network: nn.Module, images: Tensor) -> None:
    leaf = images.clone().requires_grad_()
    scores = network(leaf)
    torch.autograd.grad(scores.gather(1, scores.argmax(1, keepdim=True)).sum(), leaf)


def peers(network: nn.Module, layer: str) -> dict[str, Callable[[Tensor], object]]:
    """Grad-CAM of other packages, where they are installed."""
    found: dict[str, Callable[[Tensor], object]] = {}
    try:
        from captum.attr import LayerGradCam

        cam = LayerGradCam(network, network.get_submodule(layer))
        found["captum LayerGradCam"] = lambda x: cam.attribute(x, target=network(x).argmax(1))
    except ImportError:
        pass
    try:
        from pytorch_grad_cam import GradCAM

        theirs = GradCAM(network, [network.get_submodule(layer)])
        found["pytorch-grad-cam"] = lambda x: theirs(x.clone(), None)
    except ImportError:
        pass
    return found


def interleaved(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each call; the calls take turns, so that a slow spell of the machine hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if repeat:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def folder_seconds(loaded: object, images: Path, out: Path) -> float:
    start = time.perf_counter()
    run(images, loaded, [MethodCall("grad-cam")], out, options=RunOptions(), batch_size=8, overwrite=True)
    return time.perf_counter() - start


def measure(name: str, layer: str, repeats: int, count: int) -> list[str]:
    torch.manual_seed(0)
    network = getattr(torchvision.models, name)(weights=None).eval()
    images = torch.randn(8, 3, 224, 224)
    ours = explainers.GradCAM(network)
    guided = explainers.GuidedBackprop(network)
    calls: dict[str, Callable[[], object]] = {
        "one forward + one backward pass": lambda: forward_backward(network, images),
        "explainers.GradCAM": lambda: ours(images),
        "explainers.GradCAM, 3 layers": lambda: explainers.GradCAM(network, layer=[-1, -2, -3])(images),
        "explainers.GuidedBackprop": lambda: guided(images),
    }
    for peer, call in peers(network, layer).items():
        calls[peer] = lambda call=call: call(images)
    times = interleaved(calls, repeats)
    base = times["one forward + one backward pass"]
    lines = [f"| {name} | {what} | {1000 * value / 8:.0f} | {value / base:.2f} |" for what, value in times.items()]
    with tempfile.TemporaryDirectory() as place:
        rng = np.random.default_rng(0)
        for index in range(count):
            coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 24, 32)))
            smooth = torch.nn.functional.interpolate(coarse, size=(480, 640), mode="bicubic")[0].permute(1, 2, 0)
            pixels = (smooth + 6 * torch.randn(480, 640, 1)).clamp(0, 255).to(torch.uint8).numpy()
            write_image(Path(place, "in", f"{index:03d}.jpg"), pixels)
        loaded = load_model(f"torchvision:{name}", device="cpu")
        loaded = replace(loaded, network=network)
        batches = count // 8
        whole, bare = [], []
        for _ in range(3):
            bare.append(
                sum(interleaved({"x": lambda: forward_backward(network, images)}, 1)["x"] for _ in range(batches))
            )
            whole.append(folder_seconds(loaded, Path(place, "in"), Path(place, "out")))
    ratio = statistics.median(whole) / statistics.median(bare)
    what = f"`explain run` on {count} JPEGs of 640 × 480, pictures and maps written"
    lines.append(f"| {name} | {what} | {1000 * statistics.median(whole) / count:.0f} | {ratio:.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=32)
    options = parser.parse_args()
    lines = [
        "# Cost of Grad-CAM",
        "",
        f"torch {torch.__version__}, {torch.get_num_threads()} threads of {platform.machine()}, no GPU; "
        f"random weights, batches of 8 random images of 224 × 224, float32; median of {options.repeats} "
        "interleaved rounds. The ratio is to one forward and one backward pass (to the image) of the same batches.",
        "",
        "| network | what | ms per image | ratio |",
        "|---|---|---|---|",
    ]
    for name, layer in (("resnet18", "layer4"), ("resnet50", "layer4")):
        lines += measure(name, layer, options.repeats, options.images)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
