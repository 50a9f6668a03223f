"""Every method by its name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from explainers.core.explainer import Explainer
from explainers.core.predictor import Predictor
from explainers.errors import OptionError

PASSES = "passes"  # the name under which methods hand on the options of their Predictor
_methods: dict[str, type[Explainer]] = {}
_families: dict[str, Any] = {}
Method = TypeVar("Method", bound=type[Explainer])


def register(cls: Method) -> Method:
    """Class decorator: makes a method known under its `name`. A name taken twice is an error."""
    if cls.name in _methods:
        raise ValueError(f"two methods are called {cls.name!r}: {_methods[cls.name]} and {cls}")
    _methods[cls.name] = cls
    return cls


def register_family(prefix: str, resolve: Any) -> None:
    """Make `prefix:NAME` known: `resolve(NAME)` gives an Explainer class."""
    if prefix in _families:
        raise ValueError(f"two families of methods are called {prefix!r}")
    _families[prefix] = resolve


def available() -> tuple[str, ...]:
    """The names of all methods, sorted; `captum:NAME` comes on top for every attribution class of captum."""
    return tuple(sorted(_methods))


def method(name: str) -> type[Explainer]:
    """The class registered under `name`.

    Raises:
        OptionError: nobody is, with the names that come close.
    """
    family, colon, member = name.partition(":")
    if colon and family in _families:
        return _families[family](member)
    if name not in _methods:
        close = difflib.get_close_matches(name.lower().replace("_", "-"), _methods, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise OptionError(f"no method {name!r}; {hint}available: {', '.join(available())}, captum:NAME")
    return _methods[name]


def options(cls: type[Explainer]) -> dict[str, Any]:
    """The keyword options of a method with their defaults; `**passes` stands for those of the Predictor."""
    parameters = inspect.signature(cls).parameters
    found = _keywords(parameters)
    if PASSES in parameters:
        found = {
            **found,
            **{k: v for k, v in _keywords(inspect.signature(Predictor).parameters).items() if k != "output"},
        }
    return found


def _keywords(parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    return {key: value.default for key, value in parameters.items() if value.kind is inspect.Parameter.KEYWORD_ONLY}


def create(name: str, model: Any, **settings: Any) -> Explainer:
    """An explainer by name: `create("grad-cam", model, layer="layer4")`.

    Raises:
        OptionError: unknown name, or an option that this method does not have.
    """
    cls = method(name)
    known = inspect.signature(cls).parameters
    free = any(value.kind is inspect.Parameter.VAR_KEYWORD and key != PASSES for key, value in known.items())
    unknown = sorted(set(settings) - set(options(cls)))
    if unknown and not free:
        raise OptionError(f"{name} has no option {', '.join(unknown)}; its options are {', '.join(options(cls))}")
    return cls(model, **settings)
