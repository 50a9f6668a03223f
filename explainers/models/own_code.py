"""The user's own networks: a factory in Python code, and files that hold a whole network."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import DependencyError, ModelFileError
from explainers.models.source import Parts, Request
from explainers.models.weight_files import fit_state, kind_of, read_state
from explainers.network.input import fixed_batch


def from_factory(request: Request) -> Parts:
    """`FILE.py:factory` or `pkg.mod:factory`: calls it without arguments; it gives a network, or a network class."""
    where, _, name = request.name.rpartition(":")
    module = _module_from(where)
    factory = getattr(module, name, None)
    if not callable(factory):
        public = sorted(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise ModelFileError(f"{where} has no callable {name!r}; it has {', '.join(public[:12]) or 'none'}")
    try:
        network = factory()
    except Exception as error:
        raise ModelFileError(f"{request.name}() raised {type(error).__name__}: {error}") from error
    if not callable(network):
        raise ModelFileError(f"{request.name}() gave {type(network).__name__}; expected a torch.nn.Module")
    notes: list[str] = []
    if request.weights is not None:
        path = Path(request.weights)
        if not isinstance(network, nn.Module):
            raise ModelFileError(f"{request.name}() is no torch.nn.Module, so weights cannot be loaded into it")
        state, notes = read_state(path)
        notes = [*notes, *fit_state(network, state, path)]
    return Parts(network, notes=notes, sha256=None if isinstance(network, nn.Module) else _file_hash(module))


def _module_from(where: str) -> Any:
    if not where.endswith(".py"):
        try:
            return importlib.import_module(where)
        except ImportError as error:
            raise ModelFileError(f"cannot import {where!r}: {error} (is it installed, or on PYTHONPATH?)") from error
    path = Path(where)
    if not path.is_file():
        raise ModelFileError(f"no file {where}")
    name = f"explainers_user_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    sys.path.insert(0, str(path.resolve().parent))  # its own imports, as when it is run
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ModelFileError(f"{where} raised {type(error).__name__} while it was imported: {error}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def _file_hash(module: Any) -> str:
    path = getattr(module, "__file__", None)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""


def from_file(request: Request) -> Parts:
    """A file that holds a whole network: ONNX, or with trust a pickled module, TorchScript or torch.export file."""
    path = Path(request.name)
    kind = kind_of(path)
    if kind == "onnx":
        return Parts(OnnxNetwork(path), sha256=_digest(path), notes=["ONNX: a black box, perturbation methods only"])
    if kind == "safetensors" or (kind == "checkpoint" and not request.trust):
        what = "holds weights without a network" if kind == "safetensors" or _is_state(path) else "is a pickle"
        raise ModelFileError(
            f"{path} {what}: name the network and pass the file as weights (--model torchvision:NAME, timm:NAME or "
            "FILE.py:factory with --weights FILE); a pickled network needs trust_model_file (--trust-model-file), "
            "because loading it runs code"
        )
    if kind == "unknown":
        raise ModelFileError(
            f"{path} is no model file that is known here (ONNX, TorchScript, torch.export, torch.save)"
        )
    if not request.trust:
        raise ModelFileError(
            f"{path} is a {kind} file, and loading it can run code: pass trust_model_file (--trust-model-file) if you "
            "trust where it comes from"
        )
    loaders = {"checkpoint": _pickled, "torchscript": _scripted, "export": _exported}
    try:
        network, note = loaders[kind](path)
    except ModelFileError:
        raise
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        raise ModelFileError(f"{path} could not be loaded as {kind}: {type(error).__name__}: {first}") from error
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
            f"{path} holds {type(loaded).__name__}, no network; pass it as weights of torchvision:NAME or "
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


class OnnxNetwork:
    """An ONNX file as a function from images to scores, through onnxruntime on the CPU."""

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise DependencyError("ONNX files need onnxruntime: pip install 'explainers[onnx]'") from error
        try:
            self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelFileError(f"{path} cannot be read by onnxruntime: {str(error).strip()[:300]}") from error
        inputs = self.session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            shapes = ", ".join(f"{value.name} {value.shape}" for value in inputs)
            raise ModelFileError(f"{path} takes {shapes}; expected one input of images (N, C, H, W)")
        self.input, self.type = inputs[0].name, inputs[0].type
        size = inputs[0].shape[0]
        self.batch = size if isinstance(size, int) and size > 0 else None
        self.__name__ = f"ONNX file {path.name}"

    def __call__(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(N, C, H, W) → the file's outputs."""
        size = self.batch or len(images)
        parts = [self._run(part, size) for part in images.split(size)]
        outputs = tuple(torch.cat(values).to(images.device) for values in zip(*parts, strict=True))
        return outputs[0] if len(outputs) == 1 else outputs

    def _run(self, images: Tensor, size: int) -> list[Tensor]:
        count = len(images)
        filled = torch.cat([images, images[-1:].expand(size - count, *images.shape[1:])]) if count < size else images
        kind = {"tensor(float16)": torch.float16, "tensor(double)": torch.float64}.get(self.type, torch.float32)
        outputs = self.session.run(None, {self.input: filled.detach().to("cpu", kind).numpy()})
        return [torch.from_numpy(value)[:count] for value in outputs]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
