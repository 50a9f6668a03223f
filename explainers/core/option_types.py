"""Whether an option's value is of the kind that its declaration names, for methods and metrics alike."""

from __future__ import annotations

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

from explainers.core.name_table import keywords
from explainers.errors import OptionError
from explainers.passes.predictor import Predictor

PASSES = "passes"  # the name under which methods hand on the options of their Predictor
WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    str: "text",
    bool: "true or false",
    type(None): "None",
}


LARGEST_SEED = 2**32 - 1  # that NumPy's global generator takes
MOST_DIGITS = 4000  # of a number; Python reads no text of more
SEVERAL = "several values"
NAMED_BETTER = ("layer",)  # refused where it is looked up, with the layers that there are


def refusing_unfit_options(init: Callable[..., None]) -> Callable[..., None]:
    """An `__init__` that looks at the types of its keyword options before anything is done with them.

    It stands before the `__init__` of every method and metric, so that a class, `create`, the command and a run refuse
    a value in the same words.
    """

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **options: Any) -> None:
        own = {key: value for key, value in options.items() if key in keywords(init)}
        refuse_unfit(self.name, own, init)
        if PASSES in inspect.signature(init).parameters:
            refuse_unfit(self.name, {key: options[key] for key in options.keys() - own.keys()}, Predictor.__init__)
        init(self, *args, **options)

    return checked


def refuse_unfit(name: str, given: dict[str, Any], call: Callable[..., Any]) -> None:
    """Nothing, where every value is of the kind that `call` declares for its parameter of that name.

    Raises:
        OptionError: one is not.
    """
    hints = _hints(call)
    parameters = inspect.signature(call).parameters
    for key, value in given.items():
        if key in NAMED_BETTER:
            continue
        hint = hints.get(key, Any)
        default = parameters[key].default if key in parameters else inspect.Parameter.empty
        if value is not default and not fits(value, hint):
            raise OptionError(f"{name}: {key}={value!r}; expected {_words(hint)}")
        if key == "seed" and value is not None:
            check_seed(value)


def check_seed(seed: Any) -> None:
    """Nothing, where it is a seed that every generator takes.

    Raises:
        OptionError: it is none.
    """
    if not fits(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise OptionError(f"seed={seed!r}; expected a whole number from 0 to {LARGEST_SEED}")


def whole_number(text: str) -> int | None:
    """The number that a text is, with or without a minus, None where it is none: `²` and `--5` are words."""
    digits = text.removeprefix("-")
    return int(text) if digits.isdecimal() and len(digits) <= MOST_DIGITS else None


def takes(call: Callable[..., Any], key: str, value: Any) -> bool:
    """Whether a value is of the kind that `call` declares for its parameter `key`."""
    return fits(value, _hints(call).get(key, Any))


@functools.cache
def _hints(call: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(call)
    except (NameError, TypeError, AttributeError):  # names that are there for type checkers alone
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a declared type. What cannot be looked at from outside fits."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if hint is Any:
        return True
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if origin is tuple or _is_sequence(origin):
        return _is_list(value) and _members_fit(_listed(value), parts, fixed=origin is tuple and ... not in parts)
    if hint is Callable or origin is typing.get_origin(Callable[[], None]):
        return callable(value)
    return isinstance(value, hint) if isinstance(hint, type) and origin is None else True


def _is_sequence(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Sequence)


def _is_list(value: Any) -> bool:
    return hasattr(value, "__len__") and hasattr(value, "__getitem__") and not isinstance(value, (str, bytes, dict))


def _listed(value: Any) -> list[Any]:
    return list(value.tolist() if hasattr(value, "tolist") else value)


def _members_fit(values: list[Any], parts: tuple[Any, ...], *, fixed: bool) -> bool:
    if fixed:
        return len(values) == len(parts) and all(map(fits, values, parts))
    return not parts or all(fits(value, parts[0]) for value in values)


def _words(hint: Any) -> str:
    """A declared type as a user would say it."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(sorted(dict.fromkeys(map(_words, parts)), key=lambda words: words.startswith(SEVERAL)))
    if origin is tuple and ... not in parts:
        return f"({', '.join(map(_words, parts))})"
    if origin is tuple or _is_sequence(origin):
        return f"{SEVERAL}, each {_words(parts[0])}" if parts else SEVERAL
    if callable(hint) and not isinstance(hint, type):
        return "a function"
    return WORDS.get(hint) or f"a {getattr(hint, '__name__', hint)}"
