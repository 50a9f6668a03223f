"""A network with what is known about it."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explainers.core.preprocessing import AnyPreprocessing
from explainers.core.targets import NOT
from explainers.errors import OptionError, TargetError


@dataclass(frozen=True)
class LoadedModel:
    """A network in evaluation mode on its device; explainers take it wherever they take a network.

    network: a torch.nn.Module, or a callable for black boxes; preprocessing and class_names: None where unknown;
    spec, weights: as given; sha256: of the weights; notes: what a user should know (random weights, prefixes removed);
    typed: the words of a command line that load it and say what is explained of it, empty where there was none.
    """

    network: Callable[[Tensor], Any]
    preprocessing: AnyPreprocessing | None
    class_names: tuple[str, ...] | None
    spec: str
    weights: str | None
    device: torch.device
    sha256: str
    notes: tuple[str, ...] = ()
    typed: tuple[str, ...] = ()

    @property
    def black_box(self) -> bool:
        """Whether there is nothing but a function from images to scores."""
        return not isinstance(self.network, nn.Module)

    def __call__(self, images: Tensor) -> Any:
        """What the network returns."""
        return self.network(images)


def class_index(name: str, class_names: Sequence[str]) -> int:
    """The index of a class by its name, upper and lower case alike.

    A name that consists of several, such as "tabby, tabby cat", is meant by each of them that no other class has.

    Raises:
        TargetError: no class or several have this name, with the names that come close.
    """
    folded = [value.casefold() for value in class_names]
    found = [index for index, value in enumerate(folded) if value == name.casefold()]
    if not found:
        parts = [[part.strip() for part in value.split(",")] for value in folded]
        found = [index for index, names in enumerate(parts) if name.casefold() in names]
    if len(found) > 1:
        raise TargetError(f"{len(found)} classes are called {name!r} (indices {found}); give the index")
    if not found:
        near = [index for index, value in enumerate(folded) if name.casefold() in value][:5]
        near = near or [folded.index(value) for value in difflib.get_close_matches(name.casefold(), folded, n=5)]
        hint = ", ".join(f"{class_names[index]!r} ({index})" for index in near)
        raise TargetError(
            f"no class {name!r}; " + (f"close are {hint}" if hint else f"there are {len(folded)} classes")
        )
    return found[0]


def named_target(name: str, class_names: Sequence[str] | None, classes: int) -> int | str:
    """The target that a name means, for a network of so many scores: an index, or "not".

    A network with one score has a class without an index: "not". Two names of such a network are those of "not" and of
    the score, in this order.

    Raises:
        TargetError: see `class_index`; or the names are not known.
    """
    if name == NOT and NOT not in (class_names or ()):
        return NOT
    if not class_names:
        raise TargetError(f"target={name!r}: the class names of this network are not known; pass an index")
    index = class_index(name, class_names)
    if classes == 1 and len(class_names) == 2:
        return NOT if index == 0 else 0
    return index


def target_name(target: int | str, class_names: Sequence[str] | None, classes: int) -> str:
    """How tables and captions call a target, the reverse of `named_target`."""
    names = class_names or ()
    if classes == 1 and len(names) == 2:
        return names[0 if target == NOT else 1]
    if target == NOT:
        return f"not {names[0]}" if names else NOT
    index = int(target)
    return names[index] if index < len(names) else str(index)


def spec_name(spec: str) -> str:
    """What a specification names, wherever its file or folder lies: "net.py:make" of "../nets/net.py:make"."""
    path, _, function = spec.rpartition(":")
    if path.endswith(".py"):
        return f"{Path(path).name}:{function}"
    return Path(spec).resolve().name if Path(spec).exists() else spec


def choose_device(device: str) -> torch.device:
    """The device that "auto" | "cpu" | "cuda" | "cuda:N" | "mps" means here.

    Raises:
        OptionError: there is no such device.
    """
    mps = torch.backends.mps.is_available()
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise OptionError(f"device={device!r}; expected auto, cpu, cuda, cuda:N or mps") from error
    if chosen.type not in ("cpu", "cuda", "mps"):
        raise OptionError(f"device={device!r}; expected auto, cpu, cuda, cuda:N or mps")
    if chosen.type == "cuda" and not (chosen.index or 0) < torch.cuda.device_count():
        raise OptionError(f"device={device!r}: torch sees {torch.cuda.device_count()} CUDA devices; use auto or cpu")
    if chosen.type == "mps" and not mps:
        raise OptionError("device='mps': torch sees no Apple GPU; use auto or cpu")
    return chosen


def state_hash(network: nn.Module) -> str:
    """SHA-256 over names, types and values of the state dict."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
