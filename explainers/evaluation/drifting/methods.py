"""Methods that are bound to one network after the other, with a seed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import explainers
from explainers.core.registry import options as known_options
from explainers.errors import OptionError
from explainers.evaluation.measuring.subject import Explain

SEED = "seed"


@dataclass(frozen=True)
class Method:
    """A method before it has a network: the name of one of ours with its options, or a function of the user's.

    make: from a network, and keyword `seed` where it has one, to a callable (images, targets) → maps (N, H, W).
    """

    title: str
    make: Callable[..., Explain]
    draws: bool
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def bound(self, model: Any, seed: int) -> Explain:
        """The method on a network; `seed` counts where something is drawn."""
        return self.make(model, **({SEED: seed} if self.draws else {}))

    def describe(self) -> Any:
        """What tells it from another one, as far as plain values do."""
        if self.name:
            return {"name": self.name, **{key: repr(value) for key, value in self.options.items()}}
        return f"{getattr(self.make, '__module__', '')}.{getattr(self.make, '__qualname__', type(self.make).__name__)}"


def titled_methods(
    given: Mapping[str, Any] | Sequence[Any], *, output: Any = None, activation: str | None = "auto"
) -> list[Method]:
    """Methods by their titles.

    Args:
        given: names of methods, (name, options), or functions from a network to a callable (images, targets) → maps,
            which may take a keyword `seed`; in a mapping, under titles of the user's. output, activation: as
            everywhere, for those given by name.

    Raises:
        OptionError: an unknown name or option, none at all, or two of one title.
    """
    if isinstance(given, str) or callable(given):
        given = [given]
    pairs = list(given.items()) if isinstance(given, Mapping) else [(_title(each), each) for each in given]
    found = [_method(str(title), each, output, activation) for title, each in pairs]
    titles = [each.title for each in found]
    if not found:
        raise OptionError("no method given; see explainers.available()")
    if twice := [title for title in titles if titles.count(title) > 1]:
        raise OptionError(f"two methods are called {twice[0]!r}; give them titles: {{'title': method, …}}")
    return found


def _title(given: Any) -> str:
    given = given[0] if isinstance(given, (tuple, list)) and given else given
    return given if isinstance(given, str) else str(getattr(given, "__name__", type(given).__name__))


def _method(title: str, given: Any, output: Any, activation: str | None) -> Method:
    name, chosen = (given, {}) if isinstance(given, str) else (None, {})
    if isinstance(given, (tuple, list)) and len(given) == 2 and isinstance(given[0], str):
        name, chosen = given[0], dict(given[1])
    if name is None:
        if not callable(given):
            raise OptionError(
                f"{title}: expected the name of a method, (name, options), or a function from a network to a callable "
                f"(images, targets) → maps; got {type(given).__name__}"
            )
        return Method(title, given, SEED in inspect.signature(given).parameters)
    known = known_options(explainers.method(name))  # by the public door, which knows every method
    more = {} if output is None else {"output": output}
    if "activation" in known:
        more.setdefault("activation", activation)
    draws = SEED in known
    first = int(chosen.get(SEED, 0)) if draws else 0

    def make(model: Any, **seeded: Any) -> Explain:
        own = {SEED: first + seeded[SEED]} if seeded else {}
        made: Explain = explainers.create(name, model, **{**more, **chosen, **own})
        return made

    return Method(title, make, draws, chosen, name)
