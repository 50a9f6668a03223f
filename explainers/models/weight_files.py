"""Weight files as data: what a file is, its state dict read without running code, and fitting it to a network."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import ModelFileError

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "backbone.")


def kind_of(path: Path) -> str:
    """ "safetensors", "onnx", "torchscript", "export", "checkpoint" (torch.save), or "unknown", by content.

    Raises:
        ModelFileError: there is no such file, or it is empty.
    """
    if not path.is_file():
        raise ModelFileError(f"no file {path}")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        inner = [name.partition("/")[2] for name in names]
        if any(name.startswith("code/") for name in inner) and "constants.pkl" in inner:
            return "torchscript"
        if any(name.startswith("models/") or "serialized_exported_program" in name for name in [*names, *inner]):
            return "export"
        return "checkpoint" if "data.pkl" in inner else "unknown"
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ModelFileError(f"{path} is empty (0 bytes)")
    if head[8:9] == b"{":
        return "safetensors"
    if head[:1] == b"\x80":
        return "checkpoint"
    return "onnx" if path.suffix.lower() == ".onnx" else "unknown"


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
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelFileError(f"{path} is not a whole safetensors file: {error}") from error
    if kind != "checkpoint":
        raise ModelFileError(f"{path} is {_WHAT.get(kind, 'no weight file')}; {_INSTEAD.get(kind, _EXPECTED)}")
    return _unwrapped(path, _safe_load(path))


_EXPECTED = "expected a safetensors file or a state dict saved by torch.save(model.state_dict(), …)"
_WHAT = {"torchscript": "a TorchScript file", "export": "a torch.export file", "onnx": "an ONNX file"}
_INSTEAD = {
    "torchscript": "it holds a whole network: pass it as the model, with trust_model_file (--trust-model-file)",
    "export": "it holds a whole network: pass it as the model, with trust_model_file (--trust-model-file)",
    "onnx": "it holds a whole network: pass it as the model",
}


def _safe_load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        culprits = _unsafe(path)
        if culprits:
            raise ModelFileError(
                f"{path} holds more than tensors ({', '.join(culprits[:5])}), and loading it would run code. "
                "Save the weights alone (torch.save(model.state_dict(), …) or safetensors); a whole pickled network is "
                "passed as the model, with trust_model_file (--trust-model-file), if you trust where it comes from"
            ) from error
        first = str(error).strip().partition("\n")[0]
        raise ModelFileError(f"{path} is damaged or no file of torch.save: {first}") from error


def _unsafe(path: Path) -> list[str]:
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:
        # The list is a courtesy inside an error; files that torch cannot scan (its old format) have none.
        return []


def _unwrapped(path: Path, loaded: Any) -> tuple[dict[str, Tensor], list[str]]:
    notes = []
    for key in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
            notes.append(f"weights taken from {key!r} of {path.name}")
    state = (
        {key: value for key, value in loaded.items() if isinstance(value, Tensor)}
        if isinstance(loaded, Mapping)
        else {}
    )
    if not state:
        raise ModelFileError(f"{path} holds {type(loaded).__name__}, and no state dict was found in it; {_EXPECTED}")
    return state, notes


def fit_state(network: nn.Module, state: dict[str, Tensor], path: Path) -> list[str]:
    """Load a state dict into a network, every tensor or none; returns notes on prefixes that were removed.

    Raises:
        ModelFileError: names are missing, left over, or have other shapes.
    """
    wanted, notes = network.state_dict(), []
    for prefix in PREFIXES:
        if not set(state) & set(wanted) and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
            notes.append(f"prefix {prefix!r} removed from the names in {path.name}")
    missing, extra = [key for key in wanted if key not in state], [key for key in state if key not in wanted]
    shapes = [
        f"{key} {tuple(state[key].shape)} in the file, {tuple(value.shape)} in the network"
        for key, value in wanted.items()
        if key in state and value.shape != state[key].shape
    ]
    problems = [
        f"{len(names)} {what} ({', '.join(names[:3])}{' …' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("left over", extra), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise ModelFileError(f"the weights in {path} do not fit {type(network).__name__}: {'; '.join(problems)}")
    network.load_state_dict(state)
    return notes
