"""From what is typed to values, and from values to what a terminal shows."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

from explainers.errors import OptionError

from .spelling import as_typed, printable

LONGEST = 20  # digits of a size


@contextmanager
def json_alone(asked: bool) -> Iterator[None]:
    """With --json only `print_json` writes to stdout; what a network or a library prints meanwhile goes to stderr."""
    if not asked:
        yield
        return
    own = sys.stdout
    with _other_programs_too(own) as stream, redirect_stdout(sys.stderr):
        token = _JSON.set(stream)
        try:
            yield
        finally:
            _JSON.reset(token)


@contextmanager
def _other_programs_too(stdout: TextIO) -> Iterator[TextIO]:
    """A stream to where stdout led, while file 1, to which C code and child processes write, leads to stderr."""
    try:
        stdout.flush()
        file, error = stdout.fileno(), sys.stderr.fileno()
    except (OSError, ValueError):  # no files, as in a notebook
        yield stdout
        return
    with os.fdopen(os.dup(file), "w", encoding="utf-8") as kept:
        os.dup2(error, file)
        try:
            yield kept
        finally:
            stdout.flush()
            os.dup2(kept.fileno(), file)


_JSON: ContextVar[TextIO | None] = ContextVar("_JSON", default=None)


def print_json(value: Any) -> None:
    """What a command answers under --json."""
    print(json.dumps(value, indent=2), file=_JSON.get() or sys.stdout, flush=True)


def note(arguments: argparse.Namespace, text: str, *, always: bool = False) -> None:
    """A line on stderr, unless --quiet; always: under --quiet too."""
    if always or not arguments.quiet:
        print(f"explain: note: {printable(as_typed(text))}", file=sys.stderr)


def target(text: str | int | None) -> int | str | None:
    """A class by index or name."""
    return number_or_text(text) if isinstance(text, str) else text


def activation(text: str | None) -> str | None:
    """What --activation means; auto where it was not typed."""
    return {None: "auto", "none": None}.get(text, text)


def output(text: str | int | None) -> Any:
    """What --output means: a part of what the network returns, or the user's function; None where it was not typed."""
    if text is None:
        return None
    from explainers.models.factory import function_from
    from explainers.network.output import Pick

    if isinstance(text, str) and ":" in text:
        return function_from(text)
    return Pick(number_or_text(text) if isinstance(text, str) else text)


def known(arguments: argparse.Namespace, find: Callable[[str], Any], name: str) -> Any:
    """What goes by a name, which the file of the network (`--model FILE.py:factory`) may make known.

    Raises:
        OptionError: nothing does, with the names that come close.
    """
    from explainers.models.factory import function_from

    try:
        return find(name)
    except OptionError:
        spec = str(arguments.model or "")
        file = spec.rpartition(":")[0]
        if not file.endswith(".py") or not Path(file).is_file():
            raise
        function_from(spec)
        return find(name)


def number_or_text(text: str) -> int | str:
    """A whole number where it is one."""
    from explainers.core.option_types import whole_number

    number = whole_number(text)
    return text if number is None else number


def values_of(text: str, *, words: bool = False) -> Any:
    """A value, or several that are joined with +.

    Args:
        words: whether text is split too, and not numbers, true, false and none alone.
    """
    one = value_of(text)
    if not isinstance(one, str) or "+" not in one:
        return one
    several = tuple(map(value_of, one.split("+")))
    return several if words or not any(isinstance(each, str) for each in several) else one


def value_of(text: str) -> Any:
    """A value as TOML and Python would read it: number, true/false/none, or text."""
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def size(text: str | int | None, flag: str) -> int | tuple[int, int] | None:
    """Pixels of the shorter side, or height and width."""
    if text is None:
        return None
    parts = str(text).lower().replace("×", "x").split("x")
    if not all(part.isdecimal() and len(part) < LONGEST and int(part) for part in parts) or len(parts) > 2:
        raise OptionError(f"{flag} {text!r}; expected a number, or height x width such as 240x320")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def pair(side: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width; one number stands for both."""
    return (side, side) if isinstance(side, int) else side


def numbers(
    text: str | float | list[float] | None, flag: str, example: str = "0.485,0.456,0.406"
) -> tuple[float, ...] | None:
    """Numbers between commas."""
    if text is None:
        return None
    try:
        parts = text.split(",") if isinstance(text, str) else text if isinstance(text, list) else [text]
        return tuple(float(part) for part in parts)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{flag} {text!r}; expected numbers such as {example}") from error


def whole_numbers(text: str | float | list[float] | None, flag: str, example: str) -> tuple[int, ...] | None:
    """Whole numbers between commas."""
    found = numbers(text, flag, example)
    if found is not None and not all(map(float.is_integer, found)):
        raise OptionError(f"{flag} {text!r}; expected whole numbers such as {example}")
    return None if found is None else tuple(int(each) for each in found)


def pairs(entries: list[str] | None, flag: str, example: str) -> dict[str, Any]:
    """KEY=VALUE given any number of times; several numbers are joined with +."""
    found = {}
    for entry in entries or []:
        key, equals, value = entry.partition("=")
        if not equals:
            raise OptionError(f"{flag} {entry!r}; expected KEY=VALUE, such as {example}")
        found[key.replace("-", "_")] = values_of(value)
    return found


def options_in(rest: str, spec: str, flag: str, example: str) -> dict[str, Any]:
    """KEY=VALUE,… as it stands behind a name and a colon; several values are joined with +.

    Args:
        spec: all that was typed behind the flag, for the error.
    """
    found: dict[str, Any] = {}
    for entry in rest.split(","):
        key, equals, value = entry.partition("=")
        if not equals:
            raise OptionError(f"{flag} {spec!r}; expected NAME:KEY=VALUE,KEY=VALUE, such as {example}")
        found[key.replace("-", "_")] = values_of(value, words=True)
    return found
