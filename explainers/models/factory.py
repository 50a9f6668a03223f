"""The user's own networks: a function in Python code that makes one."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from torch import nn

from explainers.errors import ModelFileError
from explainers.models.source import Parts, Request
from explainers.models.weight_files import fit_state, read_state
from explainers.passes.own_source import OF_A_FILE
from explainers.storage.paths import not_there


def from_factory(request: Request) -> Parts:
    """`FILE.py:factory` or `pkg.mod:factory`: calls it without arguments; it gives a network, or a network class."""
    module, factory = _named(request.name)
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


def function_from(spec: str) -> Any:
    """The callable that `FILE.py:function` or `pkg.mod:function` names.

    Raises:
        ModelFileError: there is none.
    """
    return _named(spec)[1]


def _named(spec: str) -> tuple[Any, Any]:
    """The module and the callable in it."""
    where, _, name = spec.rpartition(":")
    module = _module_from(where)
    function = getattr(module, name, None)
    if not callable(function):
        public = sorted(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise ModelFileError(f"{where} has no callable {name!r}; it has {', '.join(public[:12]) or 'none'}")
    return module, function


def _module_from(where: str) -> Any:
    if not where.endswith(".py"):
        try:
            return importlib.import_module(where)
        except ImportError as error:
            raise ModelFileError(f"cannot import {where!r}: {error} (is it installed, or on PYTHONPATH?)") from error
    path = Path(where)
    if not path.is_file():
        raise ModelFileError(not_there(where, "file"))
    name = f"{OF_A_FILE}{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
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
