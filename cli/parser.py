"""What can be typed behind `explain`: the commands of the table, each with its own arguments."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .commands import COMMANDS
from .config import fill
from .spelling import printable

EXAMPLES = """examples:
  explain demo
  explain photos/ --model torchvision:resnet50 --weights DEFAULT --method grad-cam --method guided-grad-cam
  explain run photos/ --model net.py:make --weights net.safetensors --size 256 --crop 224 --target cat
  explain evaluate photos/ --model torchvision:resnet50 --weights DEFAULT -m grad-cam -m rise --metric insertion
  explain train abn --data folder:photos --backbone torchvision:resnet18 --out RUN
  explain evaluate RUN -m attention -m grad-cam
  explain doctor --model timm:convnext_tiny
"""


MAY_BE_EMPTY = ("image_url",)  # what stands before a name
NUMBERS = re.compile(r"-\.?\d")  # how a value begins that is no flag, one number or several


class Parser(argparse.ArgumentParser):
    """Bad usage is told in a line, and the way to all options in another. `-100,300` is a value, as `-100` is."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._negative_number_matcher = NUMBERS

    def error(self, message: str) -> NoReturn:
        """Leave with code 2."""
        way = "" if "--help" in message else f"{self.prog} --help shows all options\n"
        self.exit(2, f"{self.prog}: error: {printable(message)}\n{way}")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the examples' lines, and room for long options."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def parser() -> argparse.ArgumentParser:
    """The whole command line. Importing and printing it needs no torch."""
    top = Parser(
        "explain",
        description="Heat maps for any trained CNN: where did it look?",
        epilog=EXAMPLES,
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="store_true", help="print versions and leave")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(_command(commands, name, command.HELP))
    return top


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + "." * (text[-1] not in ".?!"),
        formatter_class=Formatter,
        allow_abbrev=False,
    )


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments, with `explain FOLDER` read as `explain run FOLDER` and --config filled in.

    Flags may stand before the folder (`explain --model X FOLDER`); what there is not is named with what comes close.
    """
    typed, whole = argv, parser()
    if argv and argv[0] not in COMMANDS and argv[0] not in whole._option_string_actions:
        if not argv[0].startswith("-") and not Path(argv[0]).exists() and (hint := near(argv[0], [*COMMANDS])):
            whole.error(f"no command, file or folder {argv[0]!r}{hint}")
        argv = ["run", *argv]
    if argv and argv[0] in COMMANDS:
        check_flags(argv[0], argv[1:], commands_of(whole))
    arguments, rest = whole.parse_known_args(argv)
    if rest:
        commands_of(whole)[argv[0]].error(f"what is {' '.join(rest)}?{misplaced(typed, [*COMMANDS])}")
    if arguments.command is None and not arguments.version:
        whole.print_help()
        raise SystemExit(2)
    if getattr(arguments, "config", None) is not None:
        check_empty(arguments, whole)
        fill(arguments, Path(arguments.config), whole)
    check_empty(arguments, whole)
    return arguments


def check_empty(arguments: argparse.Namespace, whole: argparse.ArgumentParser) -> None:
    """Leaves with code 2 where something is given as nothing, as by a variable of the shell that is not set."""
    if arguments.command is None:
        return
    command = commands_of(whole)[arguments.command]
    for action in command._actions:
        value = getattr(arguments, action.dest, None)
        if action.dest not in MAY_BE_EMPTY and "" in (value if isinstance(value, list) else [value]):
            command.error(f"{action.option_strings[0] if action.option_strings else action.metavar} is empty")


def commands_of(whole: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of all commands by their names."""
    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    return dict(commands.choices)


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
    return len(word) > 1 and word[0] == "-" and " " not in word and not NUMBERS.match(word)


def misplaced(argv: Sequence[str], commands: Sequence[str]) -> str:
    """The spelling that puts the command first, where one stands behind a flag."""
    found = next((word for word in argv[1:] if word in commands), None)
    if found is None or argv[0] in commands:
        return ""
    rest = list(argv)
    rest.remove(found)
    return f"; the command comes first: explain {' '.join([found, *rest])}"
