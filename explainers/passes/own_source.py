"""What the text of a function tells: what it does, what it changes of the values around it, what it imports."""

from __future__ import annotations

import ast
import inspect
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch

OF_A_FILE = "explainers_user_"  # how the names of modules begin that are files of the user's
Change = tuple[str, Any]  # a name, and the key or attribute of it that is changed (None: not said, or all of it)

_INSTALLED = tuple(
    Path(path).resolve()
    for path in (
        *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")),
        str(Path(torch.__file__).parents[1]),
        str(Path(__file__).parents[1]),
    )
)
CHANGING = frozenset(
    ("append", "appendleft", "extend", "extendleft", "insert", "add", "update", "setdefault", "pop", "popitem",
     "popleft", "remove", "discard", "clear", "sort", "reverse", "subtract", "move_to_end")
)  # fmt: skip


def changes_of(function: Any) -> set[Change]:
    """What a function changes itself, as far as its text says so.

    That is names that it declares global or nonlocal and sets, and what it sets, deletes or adds to by the name of
    something that is not its own: `COUNT += 1`, `LOG.append(x)`, `CACHE[key] = x`, `STATE["n"] += 1`, `self.n += 1`.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, ValueError, SyntaxError, RecursionError):  # no text, or a lambda amid a call
        return set()
    nodes = list(ast.walk(tree))
    outer = {name for node in nodes if isinstance(node, (ast.Global, ast.Nonlocal)) for name in node.names}
    found: set[Change] = set()
    for node in nodes:
        if isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)) and not isinstance(node.ctx, ast.Load):
            found |= {place for place in _place(node) if not isinstance(node, ast.Name) or place[0] in outer}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method = node.func.attr
            if method in CHANGING or (method.endswith("_") and not method.endswith("__")):  # torch's in-place ones
                found |= set(_place(node.func.value))
    return found


def _place(node: ast.AST) -> Iterator[Change]:
    """The name at the bottom of `name[key].attribute…`, and the first step from it."""
    step: Any = None
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        if isinstance(node, ast.Attribute):
            step = node.attr
        else:
            step = node.slice.value if isinstance(node.slice, ast.Constant) else None
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id, step


def files_beside(folder: Path, names: Iterator[str] | list[str], read: set[Path]) -> Iterator[str]:
    """Texts of the modules of these names that lie in a folder, and of those that they import from there.

    Args:
        read: files that were read before. Grows.
    """
    for name in names:
        stem = folder.joinpath(*name.lstrip(".").split("."))
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path in read or not path.is_file():
                continue
            read.add(path)
            text = path.read_text(encoding="utf-8", errors="backslashreplace")
            yield text
            yield from files_beside(folder, list(_imported(text)), read)


def _imported(text: str) -> Iterator[str]:
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from [node.module] if node.module else [each.name for each in node.names]


def instructions(code: CodeType) -> Iterator[str]:
    """What a function does, whatever its comments and its place in the file are."""
    yield f"{code.co_code!r} {code.co_names} {code.co_varnames} {code.co_freevars} {code.co_cellvars} {code.co_flags}"
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from instructions(each)
        else:
            yield repr(sorted(map(repr, each)) if isinstance(each, frozenset) else each)


def names_in(code: CodeType) -> list[str]:
    """Of the module, that a function and those within it use."""
    found = list(code.co_names)
    for each in code.co_consts:
        if isinstance(each, CodeType):
            found += names_in(each)
    return list(dict.fromkeys(found))


def name_of(value: Any) -> str:
    """Module and name; of a file of the user's its own name, wherever it lies."""
    module = str(getattr(value, "__module__", ""))
    if module.startswith(OF_A_FILE) and module in sys.modules:
        module = Path(str(sys.modules[module].__file__)).stem
    return f"{module}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def of_the_user(value: Any) -> bool:
    """Neither of Python, nor installed, nor of this package."""
    kind = value if isinstance(value, (type, FunctionType, ModuleType)) else type(value)
    try:
        file = inspect.getfile(kind)
    except (TypeError, OSError):  # built in, or typed at a prompt, where classes have no file
        return isinstance(kind, FunctionType) or getattr(kind, "__module__", "") == "__main__"
    path = Path(file).resolve()
    return not any(path.is_relative_to(folder) for folder in _INSTALLED)
