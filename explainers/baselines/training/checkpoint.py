"""Checkpoints: one safetensors file with weights, optimiser state and, as JSON in its header, everything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import ModelFileError
from explainers.storage.atomic import write_bytes

NETWORK = "network."  # before the names of its weights among all that is saved


def save_weights(path: Path, network: nn.Module, facts: dict[str, Any]) -> None:
    """The state dict alone."""
    _save(path, dict(network.state_dict()), facts)


def save_state(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    facts: dict[str, Any],
) -> None:
    """All that is needed to go on: weights, the optimisers' moments, and `facts`, which must be plain values.

    Args:
        modules, optimizers: by names of their own, under which they are found again.
    """
    tensors = {f"{part}.{name}": value for part, each in modules.items() for name, value in each.state_dict().items()}
    kept = dict(facts)
    for part, optimizer in optimizers.items():
        state = optimizer.state_dict()
        scalars: dict[str, dict[str, Any]] = {}
        for index, entries in state["state"].items():
            for name, value in entries.items():
                if isinstance(value, Tensor):
                    tensors[f"{part}.{index}.{name}"] = value
                elif value is not None:
                    scalars.setdefault(str(index), {})[name] = value
        kept[part] = {"scalars": scalars, "groups": state["param_groups"]}
    _save(path, tensors, kept)


def load_state(
    path: Path, modules: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
) -> dict[str, Any]:
    """Put weights and moments back; returns the facts.

    Raises:
        ModelFileError: the file is damaged, or of another network.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        for part, module in modules.items():
            module.load_state_dict(_of(tensors, part))
        for part, optimizer in optimizers.items():
            kept = facts.pop(part)
            state: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in kept["scalars"].items()}
            for name, value in _of(tensors, part).items():
                index, _, key = name.partition(".")
                state.setdefault(int(index), {})[key] = value
            optimizer.load_state_dict({"state": state, "param_groups": kept["groups"]})
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise ModelFileError(
            f"the checkpoint {path} cannot be gone on from: {error}; train anew with overwrite"
        ) from error
    return facts


def _of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Those under a name, without it."""
    return {name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")}


def _save(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    from safetensors.torch import save

    # Two names of one tensor (tied weights) are written twice, because the format refuses shared memory.
    whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    # Written by us: the library's own files could be read by their owner alone.
    data = save(whole, metadata={"facts": json.dumps(facts)})
    write_bytes(path, data)
