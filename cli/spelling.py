"""What was probably meant by a command or a flag that there is not."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping, Sequence


def near(word: str, known: Sequence[str], cutoff: float = 0.6) -> str:
    """`did you mean X or Y?` with a leading blank; nothing where nothing comes close."""
    close = difflib.get_close_matches(word, known, n=2, cutoff=cutoff)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def check_flags(name: str, argv: Sequence[str], parsers: Mapping[str, argparse.ArgumentParser]) -> None:
    """Leaves with code 2 where a command is given a flag that it does not have, before anything else is missed.

    Args:
        name: of the command; argv: what was typed behind it; parsers: of all commands.
    """
    known = parsers[name]._option_string_actions
    for word in argv[: argv.index("--")] if "--" in argv else argv:
        flag = word.partition("=")[0]
        if not _is_flag(word) or flag in known or (not flag.startswith("--") and flag[:2] in known):
            continue
        others = [f"explain {other}" for other, each in parsers.items() if flag in each._option_string_actions]
        if others:
            hint = f"; {' and '.join(others)} {'has' if len(others) == 1 else 'have'} it"
        else:
            hint = near(flag, [each for each in known if each.startswith("--")])
        parsers[name].error(f"no option {flag}{hint or f'; explain {name} --help lists all'}")


def _is_flag(word: str) -> bool:
    """As argparse reads it: a number and what holds a blank are values."""
    return len(word) > 1 and word[0] == "-" and " " not in word and not word[1:2].isdigit() and word[1] != "."


def misplaced(argv: Sequence[str], commands: Sequence[str]) -> str:
    """The spelling that puts the command first, where one stands behind a flag."""
    found = next((word for word in argv[1:] if word in commands), None)
    if found is None or argv[0] in commands:
        return ""
    rest = list(argv)
    rest.remove(found)
    return f"; the command comes first: explain {' '.join([found, *rest])}"
