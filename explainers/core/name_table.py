"""Things known by name, and what to say of a name that is not."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from explainers.errors import DependencyError, ExplainersError, OptionError

Thing = TypeVar("Thing")


class Names(Generic[Thing]):
    """A table of things of one kind.

    Args:
        kind: what they are, as in "no method 'x'"; error: raised for a name that is not known.
    """

    def __init__(self, kind: str, error: type[ExplainersError] = OptionError) -> None:
        self.kind, self.error = kind, error
        self._things: dict[str, Thing] = {}
        self._definitions: dict[str, Any] = {}
        self._families: dict[str, Callable[[str], Thing]] = {}
        self._members: dict[str, Callable[[], Iterable[str]]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._things))

    def add(self, name: str, thing: Thing, definition: Any = None) -> None:
        """A name taken twice is a mistake in the program; a class or function that is defined again, because its cell
        or file is run again, takes the place of what it was. definition: that class or function, where the thing is
        another."""
        definition = thing if definition is None else definition
        if name in self._things and not _same_definition(self._definitions[name], definition):
            raise ValueError(f"two {self.kind}s are called {name!r}: {self._things[name]} and {thing}")
        self._things[name], self._definitions[name] = thing, definition

    def add_family(
        self, prefix: str, resolve: Callable[[str], Thing], members: Callable[[], Iterable[str]] = tuple
    ) -> None:
        """`prefix:NAME` is resolve(NAME) from then on; members: all its NAMEs, for whoever misses the prefix."""
        if prefix in self._families:
            raise ValueError(f"two families of {self.kind}s are called {prefix!r}")
        self._families[prefix], self._members[prefix] = resolve, members

    def find(self, name: str, shown: Callable[[str], str] = str) -> Thing:
        """What goes by a name; shown: how a name is written in the error.

        Raises:
            ExplainersError: nothing does (of the class given), with the names that come close and all others.
        """
        family, colon, member = name.partition(":")
        if colon and family in self._families:
            return self._families[family](member)
        if name not in self._things:
            close = difflib.get_close_matches(name.lower().replace("_", "-"), self._things, n=3, cutoff=0.5)
            close = [*self._meant(name), *map(shown, close)]
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            known = [*map(shown, self), *(f"{prefix}:NAME" for prefix in sorted(self._families))]
            raise self.error(f"no {self.kind} {name!r}; {hint}available: {', '.join(known)}")
        return self._things[name]

    def _meant(self, name: str) -> list[str]:
        """`prefix:NAME` of every family that has this name, however its words are joined."""
        found = []
        for prefix, members in self._members.items():
            try:
                alike = {_squashed(member): member for member in members()}
            except DependencyError:  # the family's package is not installed
                continue
            near = difflib.get_close_matches(_squashed(name), alike, n=1, cutoff=0.9)
            found += [f"{prefix}:{alike[each]}" for each in near]
        return found


def _same_definition(one: Any, other: Any) -> bool:
    """Whether two classes or functions have one name in one module, or in one file that was loaded as two modules."""
    names = [getattr(each, "__qualname__", None) for each in (one, other)]
    modules = [getattr(each, "__module__", None) for each in (one, other)]
    files = [getattr(sys.modules.get(str(each)), "__file__", None) for each in modules]
    same = modules[0] == modules[1] or (files[0] == files[1] and files[0] is not None)
    return names[0] == names[1] and names[0] is not None and same


def _squashed(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def keywords(call: Callable[..., Any]) -> dict[str, Any]:
    """The keyword-only parameters of a callable with their defaults."""
    parameters = inspect.signature(call).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}


def takes_any(call: Callable[..., Any], but: str = "") -> bool:
    """Whether it takes keywords of any name, by a parameter that is not called `but`."""
    parameters = inspect.signature(call).parameters.values()
    return any(each.kind is inspect.Parameter.VAR_KEYWORD and each.name != but for each in parameters)


def refuse_unknown(name: str, given: dict[str, Any], known: dict[str, Any]) -> None:
    """Nothing, where all options are known ones.

    Raises:
        OptionError: some are not.
    """
    if unknown := sorted(set(given) - set(known)):
        listed = f"its options are {', '.join(known)}" if known else "it has none"
        raise OptionError(f"{name} has no option {', '.join(unknown)}; {listed}")
