"""`--config FILE`: options from a TOML file, held to what could be typed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

import tomllib

from explainers.storage.files import text_of
from explainers.storage.paths import not_there

from .spelling import given


def fill(arguments: argparse.Namespace, path: Path, whole: argparse.ArgumentParser) -> None:
    """Values of a TOML file for what was not typed."""
    try:
        values = tomllib.loads(text_of(path))
    except FileNotFoundError:
        whole.error(f"--config: {not_there(path, 'file')}")
    except (OSError, ValueError, RecursionError) as error:  # a number of 5,000 digits is no ValueError of TOML's own
        whole.error(f"--config {path}: {getattr(error, 'strerror', None) or error}")
    actions = _actions(whole, arguments.command)
    known = vars(arguments).keys() - {"command", "config", "version", "images", "network", "debug"}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            whole.error(f"--config {path}: no option {key!r}; options are {', '.join(sorted(known))}")
        if not given(getattr(arguments, name)):
            setattr(arguments, name, _typed(actions[name], key, value, path, whole))


def _actions(whole: argparse.ArgumentParser, command: str) -> dict[str, argparse.Action]:
    """What a command takes, by the names of its arguments."""
    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    return {action.dest: action for action in commands.choices[command]._actions}


def _typed(action: argparse.Action, key: str, value: Any, path: Path, whole: argparse.ArgumentParser) -> Any:
    """A value of the file as it would be had it been typed."""

    def refuse(expected: str) -> NoReturn:
        whole.error(f"--config {path}: {key} = {value!r}; expected {expected}")

    if isinstance(action.const, bool):
        return value if isinstance(value, bool) else refuse("true or false")
    if action.choices is not None:
        return value if value in action.choices else refuse(f"one of {', '.join(map(str, action.choices))}")
    if isinstance(action, argparse._AppendAction):  # may be given again
        texts = value if isinstance(value, list) else [value]
        return texts if all(isinstance(each, str) for each in texts) else refuse("text, or a list of texts")
    if action.type is not None:
        name = getattr(action.type, "__name__", "a number")
        try:
            return refuse(name) if isinstance(value, (bool, list)) else action.type(str(value))  # type: ignore[operator]
        except (ValueError, argparse.ArgumentTypeError):
            refuse(name)
    several = value if isinstance(value, list) else [value]
    if not all(isinstance(each, (str, int, float)) and not isinstance(each, bool) for each in several):
        refuse("text or numbers")
    return ",".join(map(str, several))
