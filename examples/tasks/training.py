"""What the networks of this folder share: blocks, a plain training loop, and the command around it."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn


@dataclass(frozen=True)
class Task:
    """make: the untrained network; data: (split, count, seed) → tensors of the same length; loss: of the network and
    rows of them; score: of the trained network and the test data, by the name of each figure."""

    make: Callable[[], nn.Module]
    data: Callable[[str, int, int], tuple[Tensor, ...]]
    loss: Callable[..., Tensor]
    score: Callable[..., dict[str, float]]
    samples: int
    steps: int
    test: int = 500
    batch: int = 32
    rate: float = 4e-3


def block(inputs: int, outputs: int, dimensions: int = 2, stride: int = 1) -> nn.Sequential:
    """A convolution of width 3, batch norm and ReLU, over 1, 2 or 3 axes."""
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
    norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dimensions - 1]
    return nn.Sequential(convolution(inputs, outputs, 3, stride, 1, bias=False), norm(outputs), nn.ReLU())


def fit(task: Task, data: Sequence[Tensor], *, steps: int, seed: int) -> nn.Module:
    """A trained network in evaluation mode; the same seed gives the same one on the same machine."""
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = task.make().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=task.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, task.rate, total_steps=steps, pct_start=0.15)
    order, start = torch.empty(0, dtype=torch.int64), time.perf_counter()
    for step in range(steps):
        if len(order) < task.batch:
            order = torch.cat([order, torch.randperm(len(data[0]), generator=rng)])
        rows, order = order[: task.batch], order[task.batch :]
        loss = task.loss(network, *(each[rows] for each in data))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % max(1, steps // 5) == 0:
            print(f"step {step + 1}/{steps}  loss {loss.item():.3f}  {time.perf_counter() - start:.0f} s", flush=True)
    return network.eval()


def main(task: Task, about: str | None) -> None:
    """Train, score on test samples, and write weights.safetensors and score.json."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and training samples")
    parser.add_argument("--samples", type=int, default=task.samples, help="training samples (default %(default)s)")
    parser.add_argument("--steps", type=int, default=task.steps, help="batches (default %(default)s)")
    parser.add_argument("--test", type=int, default=task.test, help="test samples (default %(default)s)")
    options = parser.parse_args()
    start = time.perf_counter()
    network = fit(task, task.data("train", options.samples, options.seed), steps=options.steps, seed=options.seed)
    with torch.no_grad():
        scores = task.score(network, *task.data("test", options.test, 0))
    options.out.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.contiguous() for name, value in network.state_dict().items()}, options.out / "weights.safetensors"
    )
    (options.out / "score.json").write_text(json.dumps({"seed": options.seed, **scores}, indent=2) + "\n")
    told = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    print(
        f"{told} on {options.test} test samples; {time.perf_counter() - start:.0f} s, {options.out}/weights.safetensors"
    )


def in_parts(network: nn.Module, inputs: Tensor, size: int = 64) -> Tensor:
    """What the network returns for all inputs, batch after batch."""
    return torch.cat([network(part) for part in inputs.split(size)])


def accuracy(network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """Share of inputs whose best score is that of their class."""
    return {"accuracy": (in_parts(network, inputs).argmax(dim=1) == labels).float().mean().item()}
