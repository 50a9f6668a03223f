"""What tells a user's function from another: its code, and what of the user's own code and values it uses."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sysconfig
from collections.abc import Iterator
from pathlib import Path, PurePath
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor

from explainers.network.output import Negative, Pick

PLAIN = (bool, int, float, complex, str, bytes, PurePath, torch.dtype, torch.device)
DEEPEST = 12  # steps from a function to what it uses
_INSTALLED = tuple(
    Path(path).resolve()
    for path in (
        *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")),
        str(Path(torch.__file__).parents[1]),
        str(Path(__file__).parents[1]),
    )
)


def function_name(function: Any) -> str:
    """A function's name, and a hash of what decides what it gives.

    That is its source, its defaults, what it has caught of the values around it, and what it names of its module: plain
    values, tensors, functions, classes and modules of the user's, and what these use. What is installed counts by name.
    """
    if isinstance(function, (Pick, Negative)):
        return repr(function)
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    digest = hashlib.sha256()
    for part in _parts(function, {}, 0):
        digest.update(part.encode("utf-8", "backslashreplace") + b"\0")
    return f"{name} {digest.hexdigest()[:12]}"


def _parts(value: Any, seen: dict[int, Any], depth: int) -> Iterator[str]:
    """Texts that two different values do not share."""
    if value is None or isinstance(value, PLAIN):
        yield repr(value)
        return
    if id(value) in seen or depth > DEEPEST:
        return
    seen[id(value)] = value  # kept, or another value would get its number
    if isinstance(value, (list, tuple)):
        yield f"{type(value).__name__} of {len(value)}"
        for each in value:
            yield from _parts(each, seen, depth + 1)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _parts(key, seen, depth + 1)
            yield from _parts(each, seen, depth + 1)
    elif isinstance(value, (set, frozenset)):
        yield repr(sorted(repr(each) for each in value if isinstance(each, PLAIN)))
    elif isinstance(value, Tensor):
        yield from _numbers(value.detach().cpu().float().numpy())
    elif type(value).__module__ == "numpy" and hasattr(value, "tobytes"):  # not imported here: methods need torch alone
        yield from _numbers(value)
    elif isinstance(value, (functools.partial, MethodType)):
        inner: tuple[Any, ...]
        if isinstance(value, functools.partial):
            inner = value.func, value.args, value.keywords
        else:
            inner = value.__func__, value.__self__
        yield from _parts(inner, seen, depth + 1)
    else:
        yield from _code(value, seen, depth)


def _code(value: Any, seen: dict[int, Any], depth: int) -> Iterator[str]:
    """Of functions, classes, modules and objects of classes."""
    yield f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    if isinstance(value, torch.nn.Module):
        yield from _parts(dict(value.state_dict()), seen, depth + 1)
    if not _of_the_user(value):
        return
    if isinstance(value, ModuleType):
        yield Path(str(value.__file__)).read_text(encoding="utf-8", errors="backslashreplace")
        for each in vars(value).values():
            if isinstance(each, (ModuleType, FunctionType, type)):
                yield from _parts(each, seen, depth + 1)
    elif isinstance(value, FunctionType):
        yield _source(value)
        yield from _parts((value.__defaults__, value.__kwdefaults__), seen, depth + 1)
        for cell in value.__closure__ or ():
            try:
                yield from _parts(cell.cell_contents, seen, depth + 1)
            except ValueError:  # nothing in it yet
                continue
        for name in _names(value.__code__):
            if name in value.__globals__:
                yield name
                yield from _parts(value.__globals__[name], seen, depth + 1)
    elif isinstance(value, type):
        yield _source(value)
        for each in (*value.__bases__, *vars(value).values()):
            if isinstance(each, (type, FunctionType)):
                yield from _parts(each, seen, depth + 1)
    else:
        yield from _parts((type(value), vars(value) if hasattr(value, "__dict__") else None), seen, depth + 1)


def _names(code: CodeType) -> list[str]:
    """Of the module, that a function and those within it use."""
    found = list(code.co_names)
    for each in code.co_consts:
        if isinstance(each, CodeType):
            found += _names(each)
    return list(dict.fromkeys(found))


def _numbers(array: Any) -> Iterator[str]:
    """Of an array or a number of NumPy."""
    yield f"{array.shape} {array.dtype} {hashlib.sha256(array.tobytes()).hexdigest()}"


def _source(value: Any) -> str:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):  # typed at a prompt
        code = getattr(value, "__code__", None)
        return "" if code is None else f"{code.co_code!r} {[each for each in code.co_consts if not _is_code(each)]!r}"


def _is_code(value: Any) -> bool:
    return isinstance(value, CodeType)


def _of_the_user(value: Any) -> bool:
    """Neither of Python, nor installed, nor of this package."""
    kind = value if isinstance(value, (type, FunctionType, ModuleType)) else type(value)
    try:
        file = inspect.getfile(kind)
    except (TypeError, OSError):  # built in, or typed at a prompt, where classes have no file
        return isinstance(kind, FunctionType) or getattr(kind, "__module__", "") == "__main__"
    path = Path(file).resolve()
    return not any(path.is_relative_to(folder) for folder in _INSTALLED)
