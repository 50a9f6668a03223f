"""Every method by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from explainers.core.explainer import Explainer
from explainers.core.name_table import Names, keywords, refuse_unknown, takes_any
from explainers.core.option_types import PASSES
from explainers.passes.predictor import Predictor

METHODS: Names[type[Explainer]] = Names("method")
Method = TypeVar("Method", bound=type[Explainer])


def register(cls: Method) -> Method:
    """Class decorator: makes a method known under its `name`. A name taken twice is an error; the same class defined
    again, as when a cell is run again, takes its own place."""
    METHODS.add(cls.name, cls)
    return cls


def register_family(
    prefix: str, resolve: Callable[[str], type[Explainer]], members: Callable[[], Iterable[str]] = tuple
) -> None:
    """Make `prefix:NAME` known: `resolve(NAME)` gives an Explainer class, `members()` all NAMEs."""
    METHODS.add_family(prefix, resolve, members)


def available() -> tuple[str, ...]:
    """The names of all methods, sorted; `captum:NAME` comes on top for every attribution class of captum."""
    return tuple(METHODS)


def method(name: str) -> type[Explainer]:
    """The class registered under `name`.

    Raises:
        OptionError: nobody is, with the names that come close.
    """
    return METHODS.find(name)


def options(cls: type[Explainer]) -> dict[str, Any]:
    """The keyword options of a method with their defaults; `**passes` stands for those of the Predictor."""
    found = keywords(cls)
    if PASSES in inspect.signature(cls).parameters:
        found |= {key: value for key, value in keywords(Predictor).items() if key != "output"}
    return found


def create(name: str, model: Any, **settings: Any) -> Explainer:
    """An explainer by name: `create("grad-cam", model, layer="layer4")`.

    Raises:
        OptionError: unknown name, an option that this method does not have, or a value that does not fit it.
    """
    cls = method(name)
    if not takes_any(cls, but=PASSES):
        refuse_unknown(name, settings, options(cls))
    return cls(model, **settings)
