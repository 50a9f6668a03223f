"""Files that hold a whole network: pickled modules, TorchScript, torch.export, ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import ModelFileError
from explainers.models.onnx.onnx_network import OnnxNetwork
from explainers.models.source import Parts, Request
from explainers.models.weight_files import NAMED, kind_of, read_state
from explainers.network.input import fixed_batch
from explainers.storage.files import content_hash
from explainers.storage.paths import shown


def from_file(request: Request) -> Parts:
    """A file that holds a whole network: ONNX, or with trust a pickled module, TorchScript or torch.export file."""
    path = Path(request.name)
    kind = kind_of(path)
    if kind == "onnx":
        return Parts(OnnxNetwork(path), sha256=_digest(path), notes=["ONNX: a black box, perturbation methods only"])
    if kind == "safetensors" or (kind == "checkpoint" and not request.trust):
        what = "holds weights without a network" if kind == "safetensors" or _is_state(path) else "is a pickle"
        raise ModelFileError(
            f"{shown(path)} {what}: name the network and pass the file as weights (--model torchvision:NAME, "
            "timm:NAME or FILE.py:factory with --weights FILE); a pickled network needs trust_model_file "
            "(--trust-model-file), because loading it runs code"
        )
    if kind == "unknown":
        raise ModelFileError(
            f"{shown(path)} is no model file that is known here (ONNX, TorchScript, torch.export, torch.save)"
        )
    if not request.trust:
        raise ModelFileError(
            f"{shown(path)} is {NAMED[kind]}, and loading it can run code: pass trust_model_file (--trust-model-file) "
            "if you trust where it comes from"
        )
    loaders = {"checkpoint": _pickled, "torchscript": _scripted, "export": _exported}
    try:
        network, note = loaders[kind](path)
    except ModelFileError:
        raise
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        raise ModelFileError(f"{shown(path)} could not be loaded as {kind}: {type(error).__name__}: {first}") from error
    return Parts(network, sha256=_digest(path), notes=[note])


def _is_state(path: Path) -> bool:
    try:
        read_state(path)
    except ModelFileError:
        return False
    return True


def _pickled(path: Path) -> tuple[nn.Module, str]:
    loaded = torch.load(path, map_location="cpu", weights_only=False)
    if not isinstance(loaded, nn.Module):
        raise ModelFileError(
            f"{shown(path)} holds {type(loaded).__name__}, no network; pass it as weights of torchvision:NAME or "
            "FILE.py:factory"
        )
    return loaded, "pickled module: its code was run on loading"


def _scripted(path: Path) -> tuple[nn.Module, str]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.load(path, map_location="cpu"), "TorchScript: gradient and black-box methods only, no layers"


def _exported(path: Path) -> tuple[nn.Module, str]:
    program = torch.export.load(path)
    network = torch.export.unflatten(program)
    note = "torch.export file, unflattened so that layers can be captured"
    return FixedBatch(network, fixed_batch(network)), note


class FixedBatch(nn.Module):
    """A network that takes one batch size only, fed in batches of that size; the last one is filled up.

    fixed_batch: the size, by which explainers arrange their batches themselves; None where any will do.
    """

    def __init__(self, network: nn.Module, size: int | None) -> None:
        super().__init__()
        self.network, self.fixed_batch = network, size

    def forward(self, images: Tensor) -> Any:
        """(N, …) → what the network gives for N images."""
        size = self.fixed_batch
        if size is None or len(images) == size:
            return self.network(images)
        if len(images) > size:
            return torch.cat([self(part) for part in images.split(size)])
        filled = torch.cat([images, images[-1:].expand(size - len(images), *images.shape[1:])])
        return self.network(filled)[: len(images)]


def _digest(path: Path) -> str:
    return content_hash(path).hex()
