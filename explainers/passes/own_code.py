"""What tells a user's function from another: its code, and what of the user's own code and values it uses."""

from __future__ import annotations

import copyreg
import functools
import hashlib
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from explainers.network.output import Negative, Pick
from explainers.passes.own_source import Change, changes_of, files_beside, instructions, name_of, names_in, of_the_user

PLAIN = (bool, int, float, complex, str, bytes, PurePath, torch.dtype, torch.device)
DEEPEST = 100  # steps from a function to what it uses
# Of classes and modules of networks: what Python and torch keep there for themselves.
KEPT = frozenset(
    ("__module__", "__qualname__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__static_attributes__",
     "__annotations__", "__annotate_func__", "__annotations_cache__", "__abstractmethods__", "__parameters__",
     "__orig_bases__", "__slots__", "_abc_impl", "training", "dump_patches", "call_super_init")
)  # fmt: skip
KINDS = (FunctionType, MethodType, functools.partial, type)
MAKERS = ("__init__", "__new__", "__post_init__")
DRAWING = ("Random", "Generator", "RandomState")  # classes of generators, which move with each number
_STARTS: dict[int, dict[Any, Any]] = {}  # of each function or object: what it had when it was first looked at


def function_name(function: Any) -> str:
    """A function's name, and a hash of what decides what it gives.

    That is its code, its defaults, what it has caught of the values around it, and what it names of its module: plain
    values, tensors, functions, classes and modules of the user's, and what these use. What is installed counts by name
    and by the values that it holds. What the function changes itself, such as a list that it appends to, counts as it
    was when this process first looked at it: what is done then is no difference from the next start.
    """
    if isinstance(function, (Pick, Negative)):
        return repr(function)
    return f"{name_of(function)} {_digest(function, _Seen(), 0)[:12]}"


def own_code(things: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The facts that names do not tell of methods or metrics of the user's: for the title of each its code.

    Of a function it is `function_name`, of an object that of its class. Nothing where none is the user's.
    """
    kinds = {title: each if isinstance(each, KINDS) else type(each) for title, each in things.items()}
    found = {title: function_name(each) for title, each in kinds.items() if of_the_user(_inside(each))}
    return {"own_code": found} if found else {}


def _inside(call: Any) -> Any:
    return getattr(call, "func", getattr(call, "__func__", call))


class _Seen:
    """Values that were looked at, kept, or others would get their numbers; and files."""

    def __init__(self) -> None:
        self.values: dict[int, tuple[int, Any]] = {}
        self.files: set[Path] = set()


def _digest(value: Any, seen: _Seen, depth: int) -> str:
    digest = hashlib.sha256()
    for part in _parts(value, seen, depth):
        digest.update(part.encode("utf-8", "backslashreplace") + b"\0")
    return digest.hexdigest()


def _parts(value: Any, seen: _Seen, depth: int) -> Iterator[str]:
    """Texts that two different values do not share."""
    if value is None or isinstance(value, PLAIN):
        yield repr(value)
        return
    if id(value) in seen.values:
        yield f"the value {seen.values[id(value)][0]}"
        return
    if depth > DEEPEST:
        return
    seen.values[id(value)] = len(seen.values), value
    if isinstance(value, (list, tuple, deque)):
        yield f"{type(value).__name__} of {len(value)}"
        for each in value:
            yield from _parts(each, seen, depth + 1)
    elif isinstance(value, Mapping):
        for key, each in list(value.items()):
            yield from _parts(key, seen, depth + 1)
            yield from _parts(each, seen, depth + 1)
    elif isinstance(value, (set, frozenset)):
        yield repr(sorted(_digest(each, _Seen(), depth + 1) for each in value))
    elif isinstance(value, Tensor):
        yield from _tensor(value)
    elif type(value).__module__ == "numpy" and hasattr(value, "tobytes"):  # not imported here: methods need torch alone
        yield from _numbers(value)
    elif isinstance(value, functools.partial):
        yield from _parts((value.func, value.args, value.keywords), seen, depth + 1)
    elif isinstance(value, MethodType):
        yield from _parts((value.__func__, value.__self__), seen, depth + 1)
    else:
        yield from _code(value, seen, depth)


def _code(value: Any, seen: _Seen, depth: int) -> Iterator[str]:
    """Of functions, classes, modules and objects of classes."""
    yield name_of(value)
    own = of_the_user(value)
    if isinstance(value, ModuleType):
        if own:
            yield Path(str(value.__file__)).read_text(encoding="utf-8", errors="backslashreplace")
            for each in list(vars(value).values()):
                if isinstance(each, (ModuleType, FunctionType, type)):
                    yield from _parts(each, seen, depth + 1)
    elif isinstance(value, FunctionType):
        yield from _function(value, own, seen, depth)
    elif isinstance(value, type):
        if own:
            for each in value.__bases__:
                yield from _parts(each, seen, depth + 1)
            yield from _named(dict(vars(value)), seen, depth)
    elif isinstance(value, (property, staticmethod, classmethod)):
        inside = (value.fget, value.fset) if isinstance(value, property) else value.__func__
        yield from _parts(inside, seen, depth + 1)
    elif hasattr(value, "__wrapped__"):  # of functools.lru_cache and others
        yield from _parts(value.__wrapped__, seen, depth + 1)
    elif isinstance(value, nn.Module):
        yield from _parts(dict(value.state_dict()), seen, depth + 1)
        for module in value.modules():
            yield from _object(module, seen, depth)
    elif own:
        yield from _object(value, seen, depth)
    elif callable(value) and name_of(type(value)).startswith("explainers."):  # what it found of a network is no option
        options = {name: each for name, each in vars(value).items() if name[0] != "_" and name != "layers"}
        yield from _named(options, seen, depth)
    elif not isinstance(value, BuiltinFunctionType):
        moves = _moves(value) or callable(value)  # which may note what it was called with
        yield from _start(value, None, lambda: _installed(value, _Seen() if moves else seen, depth), moves)


def _function(value: FunctionType, own: bool, seen: _Seen, depth: int) -> Iterator[str]:
    """Of a function, and of one of a library that was put around a user's."""
    changed = changes_of(value) if own else set()

    def of(name: str, content: Any, changes: set[Change] = changed, owner: Any = value) -> Iterator[str]:
        yield name
        yield from _changed(owner, name, content, changes, seen, depth)

    if own:
        yield from instructions(value.__code__)
        yield from _parts((value.__defaults__, value.__kwdefaults__), seen, depth + 1)
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
        try:
            yield from of(name, cell.cell_contents)
        except ValueError:  # nothing in it yet
            continue
    steps = {step for base, step in changed if base == value.__name__}
    for name, content in _there(value, dict(vars(value)), steps):
        yield from of(name, content, {(name, None)} if name in steps else set())
    if not own:
        return
    names = names_in(value.__code__)
    for name in names:
        content = value.__globals__.get(name)
        if name in value.__globals__:
            yield from of(name, content)
        if isinstance(content, ModuleType) and of_the_user(content):
            for inner in names:
                if inner in vars(content):
                    its = {(inner, None)} if (name, inner) in changed else set()
                    yield from of(inner, vars(content)[inner], its, content)
    inside = [name for name in names if name not in value.__globals__]  # where it is imported within the function
    yield from files_beside(Path(value.__code__.co_filename).parent, inside, seen.files)


def _object(value: Any, seen: _Seen, depth: int) -> Iterator[str]:
    """The class of an object and its attributes; of a network's module what its state does not hold."""
    yield from _parts(type(value), seen, depth + 1)
    attributes = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        attributes |= {name: getattr(value, name) for name in _slots(kind) if hasattr(value, name)}
    if isinstance(value, nn.Module):
        attributes = {name: each for name, each in attributes.items() if name[0] != "_"}
    its = set(_changed_attributes(type(value)))
    for name, content in _there(value, attributes, its):
        yield name
        yield from _changed(value, name, content, {(name, None)} if name in its else set(), seen, depth)


def _there(owner: Any, attributes: dict[str, Any], changed: set[Any]) -> list[tuple[str, Any]]:
    """Its attributes by their names, without those that it has set itself since it was first looked at."""
    first = _first(owner, "attributes", set(attributes))
    return [(name, attributes[name]) for name in sorted(attributes.keys() - KEPT - (changed - first))]


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _changed_attributes(kind: type) -> Iterator[str]:
    """Attributes that methods of a class change of its objects."""
    for owner in kind.__mro__:
        for name, method in list(vars(owner).items()):
            if isinstance(method, FunctionType) and name not in MAKERS and of_the_user(method):
                first = method.__code__.co_varnames[:1]
                yield from (step for base, step in changes_of(method) if (base,) == first and isinstance(step, str))


def _named(attributes: dict[str, Any], seen: _Seen, depth: int) -> Iterator[str]:
    for name in sorted(attributes.keys() - KEPT):
        yield name
        yield from _parts(attributes[name], seen, depth + 1)


def _changed(owner: Any, name: str, content: Any, changed: set[Change], seen: _Seen, depth: int) -> Iterator[str]:
    """A value that its owner may change: what the owner sets counts as it was at first, what it adds does not."""
    steps = {step for base, step in changed if base == name}
    attributes = not isinstance(content, (Mapping, list, tuple, deque, set, Tensor, *PLAIN)) and content is not None
    if not steps or (attributes and of_the_user(content)):  # whose own methods say what they change
        yield from _parts(content, seen, depth + 1)
    elif isinstance(content, Mapping):
        keys = _first(owner, name, list(content))
        for key in keys:
            yield repr(key) if isinstance(key, PLAIN) else ""
            each = content.get(key, "gone")
            if key in steps:
                yield from _start(owner, (name, key), functools.partial(_parts, each, _Seen(), depth + 1), True)
            else:
                yield from _parts(each, seen, depth + 1)
    elif isinstance(content, (list, deque)) and steps == {None}:
        yield from _parts(list(content)[: _first(owner, name, len(content))], seen, depth + 1)
    elif isinstance(content, set):
        yield from _parts(content & _first(owner, name, set(content)), seen, depth + 1)
    else:
        yield from _start(owner, name, lambda: _parts(content, _Seen(), depth + 1), True)


def _start(owner: Any, name: Any, parts: Callable[[], Iterator[str]], moves: bool) -> Iterator[str]:
    """The texts of a value that moves by itself as they were at first."""
    yield from _first(owner, ("texts", name), list(parts())) if moves else parts()


def _first(owner: Any, name: Any, now: Any) -> Any:
    """What was noted of an owner's value when this process first looked at it; that of now, if it is now."""
    if id(owner) not in _STARTS:
        try:
            weakref.finalize(owner, _STARTS.pop, id(owner), None).atexit = False
        except TypeError:  # takes no weak reference, so its number could be another's later
            return now
        _STARTS[id(owner)] = {}
    return _STARTS[id(owner)].setdefault(name, now)


def _moves(value: Any) -> bool:
    return hasattr(value, "__next__") or type(value).__name__ in DRAWING


def _installed(value: Any, seen: _Seen, depth: int) -> Iterator[str]:
    """What an object of Python's or of a library's holds, as its pickle would."""
    try:
        reduce = copyreg.dispatch_table.get(type(value))
        told = reduce(value) if reduce is not None else value.__reduce_ex__(4)
    except Exception:  # a lock, an open file: nothing that could be told
        return
    if isinstance(told, tuple):
        for each in told:
            yield from _parts(list(each) if hasattr(each, "__next__") else each, seen, depth + 1)


def _tensor(value: Tensor) -> Iterator[str]:
    yield f"{tuple(value.shape)} {value.dtype}"
    if value.device.type == "meta":
        return
    value = value.detach().cpu()
    value = value.dequantize() if value.is_quantized else value.to_dense() if value.layout != torch.strided else value
    raw = value.resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)
    yield hashlib.sha256(bytes(raw.tolist()) if raw.numel() < 64 else raw.numpy().tobytes()).hexdigest()


def _numbers(array: Any) -> Iterator[str]:
    """Of an array or a number of NumPy."""
    if array.dtype.hasobject:  # whose bytes are addresses
        yield repr(array.tolist())
    yield f"{array.shape} {array.dtype} {'' if array.dtype.hasobject else hashlib.sha256(array.tobytes()).hexdigest()}"
