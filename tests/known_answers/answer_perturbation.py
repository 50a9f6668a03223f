"""Perturbation methods by hand: one changed image after the other, sums in loops."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from answer_layers import Array, upsampled
from torch import Tensor, nn

Watched = Callable[[Tensor], Tensor]  # (1, C, H, W) → f(x), (1, classes)
MASKS, CELLS, SEED = 6, 3, 5  # of RISE
WINDOW, STRIDE = (27, 25), (20, 17)  # of occlusion
SAMPLES, SEGMENTS = 12, 2  # of LIME and KernelSHAP
GROUPS = 3  # of Group-CAM
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
OPTIONS: dict[str, dict[str, Any]] = {
    "rise": {"masks": MASKS, "grid": CELLS, "seed": SEED, "design": "paper"},
    "occlusion": {"window": WINDOW, "stride": STRIDE},
    "lime": {"samples": SAMPLES, "segments": SEGMENTS},
    "kernel-shap": {"samples": SAMPLES, "segments": SEGMENTS},
    "group-cam": {"groups": GROUPS, "substrate": "mean"},
}


def probability(watched: Watched, image: Tensor, target: int) -> float:
    with torch.no_grad():
        return float(watched(image[None].clone())[0, target])


def rise(watched: Watched, image: Tensor, target: int) -> Array:
    """Petsiuk 2018, equation 6, with the documented draws: grids and shifts of a block of 64 from one generator."""
    size = image.shape[1:]
    cells = [min(CELLS, side) for side in size]
    cell = [-(-side // count) for side, count in zip(size, cells, strict=True)]
    generator = torch.Generator().manual_seed(SEED * 1_000_003 + 1)
    grids = (torch.rand(64, math.prod(cells), generator=generator) < 0.5).double().view(64, 1, *cells)
    last = [torch.randint(side, (64,), generator=generator) for side in cell[-2:]]  # rows and columns before the depth
    shifts = [*(torch.randint(side, (64,), generator=generator) for side in cell[:-2]), *last]
    wide = [(count + 1) * side for count, side in zip(cells, cell, strict=True)]
    large = F.interpolate(grids, size=wide, mode=LINEAR[len(size)])
    total = np.zeros(tuple(size))
    for index in range(MASKS):
        spans = (slice(int(s[index]), int(s[index]) + side) for s, side in zip(shifts, size, strict=True))
        mask = large[(index, 0, *spans)]
        total += probability(watched, image * mask, target) * mask.numpy()
    return total / (MASKS * 0.5)


def occlusion(watched: Watched, image: Tensor, target: int) -> Array:
    """Zeiler 2014: the fall of the probability, averaged over the windows that cover a pixel."""
    size = tuple(image.shape[1:])
    window, stride = windows(size), strides(size)
    whole = probability(watched, image, target)
    total, count = np.zeros(size), np.zeros(size)
    for corner in itertools.product(*map(_starts, size, window, stride)):
        place = tuple(slice(start, start + side) for start, side in zip(corner, window, strict=True))
        hidden = image.clone()
        hidden[(slice(None), *place)] = 0
        total[place] += whole - probability(watched, hidden, target)
        count[place] += 1
    return total / count


def windows(size: Sequence[int]) -> tuple[int, ...]:
    """Of occlusion: about half of each side, where these are small or no image's."""
    return WINDOW if _large(size) else tuple(side // 2 + 1 for side in size)


def strides(size: Sequence[int]) -> tuple[int, ...]:
    return STRIDE if _large(size) else tuple(side // 3 + 1 for side in size)


def _large(size: Sequence[int]) -> bool:
    return len(size) == 2 and max(size) >= max(WINDOW)


def _starts(length: int, window: int, stride: int) -> Iterator[int]:
    start = 0
    while True:
        yield start
        if start + window >= length:
            return
        start += stride


def by_captum(name: str, watched: Watched, image: Tensor, target: int) -> Array:
    """KernelSHAP by captum on the bare network; LIME's regression by hand on the samples that captum draws."""
    import captum.attr

    axes = image.ndim - 1
    labels = torch.zeros(image.shape[1:], dtype=torch.long)
    for axis, side in enumerate(image.shape[1:]):
        labels.movedim(axis, 0)[-(-side // 2) :] += 2 ** (axes - 1 - axis)
    state = np.random.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        np.random.seed(0)
        if name == "Lime":
            values = _lime(watched, image, target, labels)
        else:
            answers: list[Tensor] = []

            def kept(x: Tensor) -> Tensor:
                answers.append(watched(x.clone()))
                return answers[-1]

            values = getattr(captum.attr, name)(kept).attribute(
                image[None], target=target, feature_mask=labels[None, None], n_samples=SAMPLES
            )[0, 0]
            found = torch.cat(answers)[:, target]
            if float(found.max() - found.min()) <= 1e-6 * float(found.abs().max()):
                values = torch.zeros_like(values)  # not what the regression leaves of answers that are all the same
    np.random.set_state(state)
    return values.detach().numpy().astype(float)


def _lime(watched: Watched, image: Tensor, target: int, labels: Tensor) -> Tensor:
    """Ribeiro 2016 with the ridge of its code: (Xᵀ W X + 1) β = Xᵀ W y about weighted means, β put on the segments."""
    count = int(labels.max()) + 1
    there, answers, weights = [], [], []
    for _ in range(SAMPLES):
        on = torch.bernoulli(torch.full((1, count), 0.5))[0]
        changed = image * on[labels]
        there.append(on.double())
        answers.append(probability(watched, changed, target))
        distance = 1 - F.cosine_similarity(image.flatten().float(), changed.flatten().float(), dim=0)
        weights.append(math.sqrt(math.exp(-(float(distance) ** 2))))
    x, y, w = torch.stack(there), torch.tensor(answers, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64)
    x, y = x - (w @ x) / w.sum(), y - (w @ y) / w.sum()
    slopes = torch.linalg.solve((x * w[:, None]).T @ x + torch.eye(count, dtype=torch.float64), (x * w[:, None]).T @ y)
    slopes[slopes.abs() < 1e-15] = 0  # what rounding leaves of answers that are all the same
    return slopes[labels]


def score_cam(watched: Watched, image: Tensor, target: int, activation: Array) -> Array:
    """(u, v): Wang 2020, algorithm 1."""
    size = tuple(image.shape[1:])
    base = probability(watched, torch.zeros_like(image), target)
    rises, live = [], []
    for index, channel in enumerate(activation):
        if channel.max() == channel.min():
            continue
        mask = upsampled(channel, *size)
        if mask.max() == mask.min():  # it varies at positions alone that a smaller image leaves out
            continue
        mask = (mask - mask.min()) / (mask.max() - mask.min())
        rises.append(probability(watched, image * torch.from_numpy(mask), target) - base)
        live.append(index)
    weights = np.exp(np.array(rises) - max(rises, default=0))
    total = np.zeros(activation.shape[1:])
    for weight, index in zip(weights / weights.sum() if live else [], live, strict=True):
        total += weight * activation[index]
    return np.maximum(total, 0)


def ablation_cam(
    network: nn.Module, layer: str, image: Tensor, score: Callable[[Any], float], spatial: Callable[[Tensor], Tensor]
) -> Array:
    """(u, v): Desai 2020, equation 4, each channel in a whole pass through the network with a hook."""
    name, _, call = layer.partition("#")
    runs, channel, seen = [0], [-1], []

    def ablate(_module: Any, _inputs: Any, output: Any) -> Any:
        runs[0] += 1
        if runs[0] - 1 != int(call or 0):
            return output
        value = (output[0] if isinstance(output, (tuple, list)) else output).clone()
        view = spatial(value)
        seen.append(view.detach().clone())
        if channel[0] >= 0:
            view[:, channel[0]] = 0
        return type(output)([value, *output[1:]]) if isinstance(output, (tuple, list)) else value

    def watched(index: int) -> float:
        runs[0], channel[0] = 0, index
        return score(network(image[None].clone()))

    handle = network.get_submodule(name).register_forward_hook(ablate)
    with torch.enable_grad():  # without it, some of torch's own layers take a fused path that runs no hooks
        whole = watched(-1)
        activation = seen[0][0].numpy().astype(float)
        total = np.zeros(activation.shape[1:])
        for index, values in enumerate(activation):
            total += (whole - watched(index)) / whole * values
    handle.remove()
    return np.maximum(total, 0)


def group_cam(watched: Watched, image: Tensor, target: int, activation: Array, gradient: Array) -> Array:
    """(H, W): Zhang 2021, equations 3 to 7, on the mean colour instead of a blur."""
    size = tuple(image.shape[1:])
    mean = image.mean(dim=tuple(range(1, image.ndim)), keepdim=True).expand_as(image)
    base = probability(watched, mean, target)
    channels = [gradient[k].mean() * activation[k] for k in range(len(activation))]
    total = np.zeros(size)
    for members in np.array_split(np.arange(len(channels)), min(GROUPS, len(channels))):
        mask = upsampled(np.maximum(sum(channels[k] for k in members), 0), *size)
        if mask.max() == mask.min():
            continue
        mask = (mask - mask.min()) / (mask.max() - mask.min())
        part = torch.from_numpy(mask)
        total += max(0.0, probability(watched, image * part + mean * (1 - part), target) - base) * mask
    return total
