"""From the library's words to those of the command line: `--top-k 0` where Python says `top_k=0`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any

from explainers.storage.paths import shown

VALUE = r"(?:\([^()]*\)|\{[^{}]*\}|\[[^\[\]]*\]|'[^']*'|\"[^\"]*\"|[^\s;,:()]+)"
HEAD = re.compile(rf"(?P<name>\b[a-z_]+)=(?P<value>{VALUE})(?P<joint>, | and )?")
ALIASES = {"resize": "size", "bands": "input_bands", "picture": "bands", "targets": "target", "frozen": "freeze"}


def given(value: Any) -> bool:
    """Whether a flag was typed; 0 is a value."""
    return value is not None and value is not False


def printable(text: str) -> str:
    """Text that any terminal takes: undecodable bytes and control characters as escapes."""
    return shown(text)


def error_text(error: BaseException, arguments: argparse.Namespace | None = None) -> str:
    """An error's lines as of what was typed, each of them printable: what it quotes may steer a terminal."""
    return "\n".join(printable(as_typed(line, arguments)) for line in str(error).split("\n"))


def as_typed(text: str, arguments: argparse.Namespace | None = None) -> str:
    """A text that names options as in Python, in the spelling of the command line.

    Of `weights (--weights)` the flag stays alone, and a value that the text begins with is named as it was typed:
    `top_k=0` as `--top-k 0`, `samples=0` as `--option smooth-grad.samples=0`.

    Args:
        arguments: what was typed; None: nobody knows, and only flags that stand in the text are used.
    """
    text = re.sub(r"\b\w+=[^();,.]* \((--[^()]+)\)", r"\1", text)
    text = re.sub(r"\b\w+=, (--[a-z])", r"\1", text)

    def flag_alone(found: re.Match[str]) -> str:
        same = found["name"].replace("_", "-") == found["flag"]
        return f"--{found['flag']}{found['value'] or ''}" if same else found[0]

    shapes = (r" \(--(?P<flag>[a-z-]+)(?P<value>[^()]*)\)", r", --(?P<flag>[a-z-]+)(?P<value>)\b")
    for shape in shapes:
        text = re.sub(r"\b(?P<name>\w+)" + shape, flag_alone, text)
    if arguments is None:
        return text
    owner = re.match(r"[\w:+.-]+: (?=[a-z_]+=)", text)  # road: percent=0
    own = _beginning_as_typed(text[owner.end() :] if owner else text, arguments)
    return own if owner is None or owner[0][:-2] in own.partition(";")[0] else owner[0] + own


def _beginning_as_typed(text: str, arguments: argparse.Namespace) -> str:
    """The values that a text begins with as options: if one of them was typed, the others in the same spelling."""
    known, at = vars(arguments), 0
    heads: list[re.Match[str]] = []
    while found := HEAD.match(text, at):
        heads.append(found)
        at = found.end()
    told = [_typed(head["name"], head["value"].strip("'\""), known) for head in heads]
    if not any(told):
        return text
    spelt = [own or _untyped(head, told, known) for own, head in zip(told, heads, strict=True)]
    joints = [head["joint"] or "" for head in heads]
    kept = [(each, joint) for each, joint in zip(spelt, joints, strict=True) if each]
    beginning = "".join(each + joint for each, joint in kept[:-1]) + kept[-1][0] + joints[-1]
    return beginning + text[at:]


def _untyped(head: re.Match[str], told: list[str], known: dict[str, Any]) -> str:
    """How an option that has its default would be typed, "" for one that is empty."""
    name, value = head["name"], head["value"].strip("'\"")
    own = ALIASES.get(name, name)
    if value in ("{}", "[]", "()", "None"):
        return ""
    if own in known:
        return f"--{own.replace('_', '-')} {value}"
    for beside in told:  # lime.samples=0, pid:patch=0: others behind the same name
        if owner := re.match(r"--[a-z-]+ [\w+-]+[.:](?=[\w-]+=)", beside):
            return f"{owner[0]}{name}={value}"
    if method := _method_with(name, known):
        return f"--option {method}.{name}={value}"
    return head[0].removesuffix(head["joint"] or "")


def _method_with(option: str, known: dict[str, Any]) -> str:
    """The method of a command that has an option of this name, "" where it is none or several."""
    specs = known.get("method") if isinstance(known.get("method"), list) else []
    if not specs:
        return ""
    import explainers
    from explainers.core.registry import options

    names = sorted({spec.partition("@")[0] for spec in specs} & set(explainers.available()))
    having = [name for name in names if option in options(explainers.method(name))]
    return having[0] if len(having) == 1 else ""


def _typed(name: str, value: str, known: dict[str, Any]) -> str:
    """How an option was typed, "" where it was not; where several flags have one of its name, that with the value."""
    flags = [own for own in dict.fromkeys((ALIASES.get(name, name), name)) if given(known.get(own))]
    spelt = [(own, known[own]) for own in flags if not isinstance(known[own], list)]
    spelt += [(own, word) for own, word in _words(known) if _names(name, own, word)]
    if not spelt:
        return ""
    own, typed = next(((own, typed) for own, typed in spelt if value in str(typed)), spelt[0])
    return f"--{own.replace('_', '-')}" + ("" if typed is True else f" {typed}")


def _names(name: str, flag: str, word: str) -> bool:
    """Whether what was typed behind a flag gives an option: KEY=VALUE behind a name, or the layer behind an @."""
    key = re.escape(name).replace("_", "[_-]")
    return bool(re.search(rf"(?:^|[.:,]){key}=", word)) or (name == "layer" and flag == "method" and "@" in word)


def _words(known: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What was typed behind flags that take a text, again for more."""
    for own, value in known.items():
        for word in value if isinstance(value, list) else [value]:
            if isinstance(word, str):
                yield own, word
