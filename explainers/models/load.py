"""From a model spec to a network that can be explained."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from explainers.core.option_types import check_seed
from explainers.core.preprocessing import Preprocessing
from explainers.errors import ModelFileError, OptionError
from explainers.models.class_list import read_class_names
from explainers.models.efficientnet_lite import from_photographs
from explainers.models.embedded import embedded_model
from explainers.models.factory import from_factory
from explainers.models.given_preprocessing import as_preprocessing, brought_by
from explainers.models.hub_folder import from_hf, snapshot
from explainers.models.libraries import from_open_clip, from_timm, from_torchvision
from explainers.models.loaded import LoadedModel, choose_device, state_hash
from explainers.models.network_files import from_file
from explainers.models.source import FOLDER_SOURCES, Parts, Request
from explainers.network.input import fixed_batch
from explainers.network.output import class_scores

SPELLINGS = (
    "photographs, embedded, torchvision:NAME, timm:NAME, hf:NAME, open_clip:NAME, FILE.py:factory, pkg.mod:factory, "
    "FILE.onnx, the folder of a training or of a model of the Hugging Face Hub, or a model file with trust_model_file "
    "(--trust-model-file)"
)
SOURCES: dict[str, Callable[[Request], Parts]] = {
    "torchvision": from_torchvision,
    "timm": from_timm,
    "hf": from_hf,
    "open_clip": from_open_clip,
}
FILES = (".onnx", ".pt", ".pth", ".pt2", ".ts", ".jit", ".bin", ".ckpt", ".safetensors", ".pkl")


def load_model(
    spec: str | PathLike[str],
    *,
    weights: str | PathLike[str] | None = None,
    device: str = "auto",
    trust_model_file: bool = False,
    preprocessing: Any = None,
    labels: Sequence[str] | str | PathLike[str] | None = None,
    seed: int = 0,
) -> LoadedModel:
    """Load a network by name or file, in evaluation mode, with its preprocessing and class names where they are known.

    Args:
        spec: "photographs" (1,000 classes), "embedded" (digits), "torchvision:NAME", "timm:NAME", "hf:NAME",
            "open_clip:NAME", "FILE.py:factory", "pkg.mod:factory", the folder of a training
            (`explainers.baselines.train`), one of a model of transformers or timm as the Hugging Face Hub has it, or
            a file.
        weights: None (random, or none needed), "DEFAULT", a name that the library knows, or a file of weights
            (safetensors, or a state dict, read as data).
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        trust_model_file: allow pickled modules, TorchScript and torch.export files, which run code when loaded.
        preprocessing: instead of the one that the source knows, in any form that `as_preprocessing` understands.
        labels: class names, or a file with one a line or a JSON list.
        seed: of weights that are drawn at random, so that the same call gives the same network; generators of torch,
            NumPy and Python are as before afterwards.

    Raises:
        ModelFileError: unknown spec, unreadable or unfitting file, or one that runs code, without trust.
        DependencyError: the library for this spec is missing or broken.
        OptionError: no such device, a file of labels that is none, or another number of labels than classes.
    """
    check_seed(seed)
    chosen, own = choose_device(device), as_preprocessing(preprocessing)
    text = str(spec)
    names = None if labels is None else _labels(labels)
    with _seeded(seed):
        parts = _parts(Request(text, None if weights is None else str(weights), names, trust_model_file))
    network = parts.network
    if isinstance(network, nn.Module):
        network = network.to(chosen)
        for module in network.modules():
            module.training = False  # exported modules refuse .eval()
    hashed = parts.sha256 or (state_hash(network) if isinstance(network, nn.Module) else "")
    loaded = LoadedModel(
        network,
        own or parts.preprocessing or brought_by(network),
        names or parts.class_names,
        text,
        None if weights is None else str(weights),
        chosen,
        hashed,
        tuple(parts.notes),
    )
    return loaded if names is None else check_class_names(loaded)


def check_class_names(loaded: LoadedModel) -> LoadedModel:
    """The same, where it has a name for each class, told by a pass of one image of zeros.

    A network whose way from a photo is not known yet, or that cannot take zeros, is not looked at.

    Raises:
        OptionError: more or fewer names than classes.
    """
    names, steps, network = loaded.class_names, loaded.preprocessing, loaded.network
    if names is None or steps is None:
        return loaded
    try:
        zeros = torch.zeros(fixed_batch(network) or 1, *steps.input_size(), device=loaded.device)
        classes = class_scores(network, zeros).shape[1]
    except Exception:  # whatever it is, it will be told where images are explained
        return loaded
    if len(names) != classes and not (classes == 1 and len(names) == 2):  # one score tells two classes apart
        raise OptionError(f"{len(names)} labels for {classes} classes: give a name for each class, in their order")
    return loaded


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The generators that networks draw their weights from: seeded inside, as before afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        try:
            torch.random.default_generator.manual_seed(seed)
            if torch.cuda.is_initialized():
                torch.cuda.manual_seed_all(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _parts(request: Request) -> Parts:
    spec = request.name
    prefix, colon, rest = spec.partition(":")
    if spec in OWN:
        return OWN[spec](request)
    if Path(spec).is_dir():
        return _from_folder(request)
    if colon and prefix in SOURCES:
        if not rest:
            raise ModelFileError(f"model {spec!r} names no network; expected {prefix}:NAME")
        return SOURCES[prefix](Request(rest, request.weights, request.labels, request.trust))
    if Path(spec).suffix.lower() in FILES or Path(spec).is_file():
        if spec.endswith(".py"):
            raise ModelFileError(f"{spec} is Python code: name the function that makes the network, {spec}:FUNCTION")
        if request.weights is not None:
            raise ModelFileError(f"{spec} holds its weights; drop weights, or name a network for them ({SPELLINGS})")
        return from_file(request)
    if colon and rest:
        return from_factory(request)
    raise ModelFileError(f"model {spec!r} is not understood; expected {SPELLINGS}")


def _embedded(request: Request) -> Parts:
    if request.weights is not None:
        raise ModelFileError("the embedded model brings its weights; drop weights")
    made = embedded_model()
    return Parts(
        made["network"], Preprocessing(**made["preprocessing"]), tuple(made["class_names"]), sha256=made["sha256"]
    )


OWN: dict[str, Callable[[Request], Parts]] = {"photographs": from_photographs, "embedded": _embedded}


def _from_folder(request: Request) -> Parts:
    folder = snapshot(Path(request.name))
    request = replace(request, name=str(folder))
    for source in FOLDER_SOURCES.values():
        if (folder / source.marker).is_file():
            return source.load(request)
    if not FOLDER_SOURCES:
        raise ModelFileError(f"{folder} is a folder; where it is one of a training, load it with explainers.load_model")
    known = " or ".join(f"{source.what} in it (no {source.marker})" for source in FOLDER_SOURCES.values())
    raise ModelFileError(f"{folder} is a folder without {known}; expected {SPELLINGS}")


def _labels(labels: Sequence[str] | str | PathLike[str]) -> tuple[str, ...]:
    return read_class_names(labels) if isinstance(labels, (str, PathLike)) else tuple(labels)
