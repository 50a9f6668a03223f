"""Weight files as data: what a file is, its state dict read without running code, and fitting it to a network."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import ModelFileError
from explainers.storage.paths import not_there, shown, unreadable

WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights"),
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema"),
)
WRAPPED = 8  # wrappers at most; a pickle can hold itself
SMALL = 64 << 20  # bytes that any file may unpack to
# What trainers keep beside a network and no network computes with: averaging, losses, counts of accuracy.
BESIDE = re.compile(r"(\w*_)?(n_averaged|criterions?|loss|losses|loss_fn|metrics?|acc|accuracy)([._].*)?")


def kind_of(path: Path) -> str:
    """ "safetensors", "onnx", "torchscript", "export", "checkpoint" (torch.save), or "unknown", by content.

    Raises:
        ModelFileError: there is no such file, or it is empty.
    """
    if not path.is_file():
        raise ModelFileError(not_there(path, "file"))
    if (names := _members(path)) is not None:
        inner = [name.partition("/")[2] for name in names]
        if any(name.startswith("code/") for name in inner) and "constants.pkl" in inner:
            return "torchscript"
        if any(name.startswith("models/") or "serialized_exported_program" in name for name in [*names, *inner]):
            return "export"
        return "checkpoint" if "data.pkl" in inner else "unknown"
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ModelFileError(unreadable(path, error)) from error
    if not head:
        raise ModelFileError(f"{shown(path)} is empty (0 bytes)")
    if head[8:9] == b"{":
        return "safetensors"
    if head[:1] == b"\x80":
        return "checkpoint"
    return "onnx" if path.suffix.lower() == ".onnx" else "unknown"


def _members(path: Path) -> list[str] | None:
    """Names in a zip file, None where it is none.

    Raises:
        ModelFileError: it is damaged, or unpacks to much more than it has: no library compresses weights.
    """
    try:
        if not zipfile.is_zipfile(path):
            return None
        with zipfile.ZipFile(path) as archive:
            inside, size = archive.infolist(), path.stat().st_size
    except Exception as error:  # a damaged directory can raise anything
        raise ModelFileError(f"{shown(path)} is damaged: {error}") from error
    unpacked = sum(info.file_size for info in inside)
    if unpacked > max(SMALL, 4 * size):
        raise ModelFileError(
            f"{shown(path)} has {size:,} bytes and would unpack to {unpacked:,}; this is no weight file"
        )
    return [info.filename for info in inside]


def read_state(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a safetensors file or a state dict saved by torch, and notes on what was unwrapped.

    Nothing in the file is executed.

    Raises:
        ModelFileError: it is something else, or holds more than data.
    """
    kind = kind_of(path)
    if kind == "safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path), []
        except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
            raise ModelFileError(f"{shown(path)} is not a whole safetensors file: {error}") from error
    if kind != "checkpoint":
        raise ModelFileError(f"{shown(path)} is {NAMED.get(kind, 'no weight file')}; {_INSTEAD.get(kind, _EXPECTED)}")
    return _unwrapped(path, _safe_load(path))


_EXPECTED = "expected a safetensors file or a state dict saved by torch.save(model.state_dict(), …)"
NAMED = {"torchscript": "a TorchScript file", "export": "a torch.export file", "onnx": "an ONNX file"}
_INSTEAD = {
    "torchscript": "it holds a whole network: pass it as the model, with trust_model_file (--trust-model-file)",
    "export": "it holds a whole network: pass it as the model, with trust_model_file (--trust-model-file)",
    "onnx": "it holds a whole network: pass it as the model",
}


def _safe_load(path: Path) -> Any:
    try:
        # The settings of a script as argparse leaves them, which many checkpoints carry: a bag of values, no code.
        with torch.serialization.safe_globals([(SimpleNamespace, "argparse.Namespace")]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        culprits = _unsafe(path)
        if culprits:
            raise ModelFileError(
                f"{shown(path)} holds more than tensors ({', '.join(culprits[:5])}), and loading it would run code. "
                "Save the weights alone (torch.save(model.state_dict(), …) or safetensors); a whole pickled network is "
                "passed as the model, with trust_model_file (--trust-model-file), if you trust where it comes from"
            ) from error
        first = str(error).strip().partition("\n")[0]
        if "weights_only" in first:  # torch's advice is to run whatever is in it
            first = "it is a pickle in which torch finds no weights; save them with torch.save(model.state_dict(), …)"
        raise ModelFileError(f"{shown(path)} is damaged or no file of torch.save: {first}") from error


def _unsafe(path: Path) -> list[str]:
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:
        # The list is a courtesy inside an error; files that torch cannot scan (its old format) have none.
        return []


def _unwrapped(path: Path, loaded: Any) -> tuple[dict[str, Tensor], list[str]]:
    notes = []
    for _ in range(WRAPPED):
        if not isinstance(loaded, Mapping):
            break
        found = [key for key in WRAPPERS if isinstance(loaded.get(key), Mapping) and loaded[key]]
        if not found:
            break
        others = f" ({', '.join(found[1:])} beside it left out)" if len(found) > 1 else ""
        notes.append(f"weights taken from {found[0]!r} of {shown(path.name)}{others}")
        loaded = loaded[found[0]]
    state = (
        {key: value for key, value in loaded.items() if isinstance(key, str) and isinstance(value, Tensor)}
        if isinstance(loaded, Mapping)
        else {}
    )
    if not state:
        raise ModelFileError(
            f"{shown(path)} holds {type(loaded).__name__}, and no state dict was found in it; {_EXPECTED}"
        )
    return state, notes


def named_as(wanted: Collection[str], state: dict[str, Tensor], path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """A state dict under the names of a network, and notes: the prefix of a wrapper removed, and what a trainer kept
    beside the network left out.

    The prefix is the one under which most of the network's names are found: `module.`, `model.net.`,
    `_orig_mod.module.` or whatever a wrapper called its part. Every other name stays, and `fit_state` refuses it.

    Raises:
        ModelFileError: several parts of the file have the network's names.
    """
    own = {key: value for key, value in state.items() if key in wanted or not _is_beside(key, wanted)}
    counts: Counter[str] = Counter()
    for key in own:
        parts = key.split(".")
        tails = (".".join(parts[start:]) for start in range(len(parts)))
        counts.update(key.removesuffix(tail) for tail in tails if tail in wanted)
    most = max(counts.values(), default=0)
    best = [prefix for prefix, count in counts.items() if count == most]
    notes = []
    if most and "" not in best and 2 * most >= len(wanted):
        if len(best) > 1:
            raise ModelFileError(
                f"{shown(path)} holds {len(best)} networks, {', '.join(sorted(best))}; save the one that is meant alone"
            )
        prefix = best[0]
        own = {key.removeprefix(prefix): value for key, value in own.items()}
        own = {key: value for key, value in own.items() if key in wanted or not _is_beside(key, wanted)}
        notes.append(f"prefix {prefix!r} removed from the names in {shown(path.name)}")
    left = len(state) - len(own)
    if left:
        names = [key for key in state if _is_beside(key, wanted)] or ["of its prefix"]
        notes.append(f"{left} values beside the network in {shown(path.name)} left out ({', '.join(names[:3])})")
    return own, notes


def _is_beside(key: str, wanted: Collection[str]) -> bool:
    return key not in wanted and BESIDE.fullmatch(key) is not None


def fit_state(network: nn.Module, state: dict[str, Tensor], path: Path) -> list[str]:
    """Load a state dict into a network, every tensor or none; returns notes on names that were changed or left out.

    Raises:
        ModelFileError: names are missing, left over, or have other shapes or kinds of numbers.
    """
    wanted = network.state_dict()
    state, notes = named_as(wanted, state, path)
    missing, extra = [key for key in wanted if key not in state], [key for key in state if key not in wanted]
    shapes = [
        f"{key} {tuple(state[key].shape)} in the file, {tuple(value.shape)} in the network"
        for key, value in wanted.items()
        if key in state and value.shape != state[key].shape
    ]
    trained = {key for key, _ in network.named_parameters(remove_duplicate=False)}
    kinds = [
        f"{key} {state[key].dtype} in the file, {value.dtype} in the network"
        for key, value in wanted.items()
        if key in state and _other_kind(state[key], value, trained=key in trained)
    ]
    problems = [
        f"{len(names)} {what} ({', '.join(names[:3])}{' …' if len(names) > 3 else ''})"
        for what, names in (
            ("missing", missing),
            ("left over", extra),
            ("of another shape", shapes),
            ("of another kind of number", kinds),
        )
        if names
    ]
    if problems:
        raise ModelFileError(f"the weights in {shown(path)} do not fit {type(network).__name__}: {'; '.join(problems)}")
    network.load_state_dict(state)
    return notes


def _other_kind(found: Tensor, wanted: Tensor, *, trained: bool) -> bool:
    """Imaginary parts would be lost; whole numbers in place of weights are codes whose scale is elsewhere."""
    if found.is_complex() or wanted.is_complex():
        return found.is_complex() != wanted.is_complex()
    return trained and wanted.is_floating_point() and not found.is_floating_point()
