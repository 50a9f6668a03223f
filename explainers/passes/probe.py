"""What a network gives for one fixed image: a few numbers that tell it from a network of other code."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import ExplainersError
from explainers.network.guard import GLOBAL_SWITCHES, exact, preserved
from explainers.network.input import first_parameter, fixed_batch, run
from explainers.network.output import Output, scores_of, tensors_in
from explainers.network.unwrapping import as_network, class_name
from explainers.passes.steady import CHANCE, ROWS, steadiness, tell_steadiness

VIEWS = 4  # directions from which scores and gradient are looked at


def probe(model: Any, size: Sequence[int], output: Output | None = None) -> dict[str, Any]:
    """Scores and an input gradient of one fixed image, and the names of the modules, as plain values.

    Two runs whose values are near (`storage.run_folder.near`) were made by the same function, whatever its code says.
    Numbers instead of a hash: another kernel or thread count changes the last digits, and no rounding keeps all values
    away from its borders.

    Args:
        size: (C, *axes) of the network's input; output: as everywhere.

    Returns:
        `modules`: a hash of names and classes; `scores`, `gradient`: the logarithm of the norm, and the cosines to
        fixed directions (the gradient is of a fixed weighted sum of the scores, None for black boxes); `returned`
        instead of `scores`, a list of the same for every tensor that it gives, where these are no scores (N, classes),
        as of a segmentation network; `raised` instead, where the network does not take such an image.

    Warns of a network that gives something else when it sees the same image again (`unsteady` is True then), or mixes
    its batch (see `explainers.passes.steady`).

    Cost: a forward and a backward pass, and two forward passes of four images. The network and torch's generators are
    left as found.
    """
    network = as_network(model)
    parameter = first_parameter(network)
    device, dtype = (torch.device("cpu"), torch.float32) if parameter is None else (parameter.device, parameter.dtype)
    image = _waves(math.prod(size), 0).reshape(1, *size).to(device=device, dtype=dtype)
    image = image.expand(fixed_batch(network) or 1, *size).contiguous()
    devices = [device] if device.type == "cuda" else []
    found: dict[str, Any] = {"modules": _modules(network)}
    try:
        with (
            preserved(network),
            GLOBAL_SWITCHES,
            torch.random.fork_rng(devices),
            exact(image, gradients=True),
        ):
            torch.manual_seed(0)  # of networks that draw
            image = image.requires_grad_(isinstance(network, nn.Module))
            returned = run(network, image)
            try:
                values = scores_of(returned, len(image), output)[0]
                found["scores"] = _seen(values)
            except ExplainersError:  # maps of scores, boxes, features beside scores
                parts = list(tensors_in(returned))
                found["returned"] = [_seen(part) for part in parts]
                values = torch.cat([part.flatten() for part in parts])
            found["gradient"] = _gradient(values, image)
        if CHANCE in steadiness(network, image.detach(), ROWS):
            found["unsteady"] = True
        tell_steadiness(network, image.detach(), ROWS, stacklevel=3)
    except Exception as error:  # the run itself says what is wrong with the network
        found["raised"] = type(error).__name__
    return found


def _gradient(scores: Tensor, image: Tensor) -> dict[str, Any] | None:
    if not scores.requires_grad:
        return None
    try:
        (gradient,) = torch.autograd.grad((scores * _waves(len(scores), 1).to(scores)).sum(), image)
    except RuntimeError:  # torch has no gradient of it
        return None
    return _seen(gradient[0])


def _seen(values: Tensor) -> dict[str, Any]:
    """Log-norm, and cosines to fixed directions."""
    flat = values.detach().double().flatten().cpu()
    norm = float(flat.norm())
    if not math.isfinite(norm):
        return {"size": len(flat), "log_norm": str(norm), "cosines": []}
    directions = [_waves(len(flat), number) for number in range(1, VIEWS + 1)]
    cosines = [float(flat @ each / each.norm()) / max(norm, 1e-30) for each in directions]
    return {"size": len(flat), "log_norm": round(math.log(max(norm, 1e-30)), 6), "cosines": _rounded(cosines)}


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 6) for value in values]


def _waves(count: int, number: int) -> Tensor:
    """(count,) float64 in -1 … 1 that look like noise and are the same everywhere: no generator's stream is."""
    index = torch.arange(1, count + 1, dtype=torch.float64, device="cpu")
    return torch.sin(index * (0.7 + 0.31 * number) + torch.sin(index * (0.013 + 0.007 * number)) * 3)


def _modules(network: Any) -> str:
    named = network.named_modules() if isinstance(network, nn.Module) else ()
    text = "\n".join([class_name(network), *(f"{name} {type(module).__name__}" for name, module in named)])
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
