"""What is explained, as text: `cat`, `cat - dog`, `like:cat.jpg`, `value:0`, `own.py:function`. Read here alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

from torch import Tensor

from explainers.core.option_types import whole_number
from explainers.core.targets import NOT
from explainers.errors import TargetError
from explainers.models.factory import function_from
from explainers.models.loaded import class_index
from explainers.targets import Difference, Similarity, Target, Value
from explainers.targets.chosen import Chosen
from explainers.targets.class_targets import NEXT

LABEL = "label"  # the true class of each image
PREDICTED = "predicted"
LIKE, VALUE = "like:", "value:"
MINUS = " - "
FUNCTION = re.compile(r".+\.py:\w+|\w+(\.\w+)+:\w+")
FACTOR = re.compile(r"(?P<factor>\d+(\.\d*)?|\.\d+) (?P<name>.+)")
SPELLINGS = (
    'a class (index or name), label, not, "cat - dog", "cat - next", "cat - 0.5 dog", like:REFERENCE.jpg, value:0, '
    "value:0:lowered, FILE.py:function"
)


def target_of(
    text: str, class_names: Sequence[str] | None, embed: Callable[[str], Tensor] | None = None
) -> int | str | Target | None:
    """What a text means as a target.

    A class whose name is the text wins over everything else. A class name stays text, for `named_target`.

    Args:
        embed: from the file behind `like:` to an image (C, H, W) as the network takes it.

    Returns:
        An index, a name, "label", "not", None for "predicted", or a target object.

    Raises:
        TargetError: it means nothing, or several things.
    """
    text = text.strip()
    if _is_class(text, class_names):
        return text
    if text in (LABEL, NOT):
        return text
    if text == PREDICTED:
        return None
    if (number := whole_number(text)) is not None:
        return number
    if text.startswith(LIKE):
        return _similarity(text, embed)
    if text.startswith(VALUE):
        return _value(text, class_names)
    if FUNCTION.fullmatch(text):
        return _function(text)
    if MINUS in text:
        return _difference(text, class_names)
    if text.endswith(".py"):
        raise TargetError(f"target={text!r}: expected a function or target of that file, such as {text}:NAME")
    if class_names:
        return text  # no class; whose name comes close is told by who looks it up
    raise TargetError(
        f"target={text!r}: the class names of this network are not known; pass an index, or one of {SPELLINGS}"
    )


def _is_class(text: str, class_names: Sequence[str] | None) -> bool:
    if not class_names:
        return False
    try:
        class_index(text, class_names)
    except TargetError as error:
        return "classes are called" in str(error)  # which is said when it is looked up
    return True


def _similarity(text: str, embed: Callable[[str], Tensor] | None) -> Similarity:
    path = text.removeprefix(LIKE)
    if not path:
        raise TargetError(f"target={text!r}: expected {LIKE} and an image file, such as like:cat.jpg")
    if embed is None:
        raise TargetError(f"target={text!r}: it is not known here how the network takes a photo")
    return Similarity(embed(path), PurePath(path).name)


def _value(text: str, class_names: Sequence[str] | None) -> Value:
    which, _, how = text.removeprefix(VALUE).partition(":")
    if how not in ("", "lowered", "raised"):
        raise TargetError(f"target={text!r}: expected value:INDEX or value:INDEX:lowered")
    if (number := whole_number(which)) is not None and number >= 0:
        return Value(number, lowered=how == "lowered")
    if not class_names or not which:
        raise TargetError(f"target={text!r}: expected the index of a value, such as value:0")
    try:
        return Value(class_index(which, class_names), lowered=how == "lowered")
    except TargetError as error:
        raise TargetError(f"target={text!r}: {error}; expected the index of a value, such as value:0") from error


def _function(text: str) -> Target:
    found = function_from(text)
    if isinstance(found, Target):
        return found
    if isinstance(found, type) and issubclass(found, Target):
        try:
            return found()
        except Exception as error:
            raise TargetError(f"target={text!r}: {type(error).__name__}: {error}") from error
    return Chosen(found, text.rpartition(":")[2])


def _difference(text: str, class_names: Sequence[str] | None) -> Difference:
    """The one way in which the text is two classes, since names may have " - " in them."""
    ways, reasons = [], []
    for left, right in _split(text):
        try:
            found = FACTOR.fullmatch(right)
            whole = found is None or _is_class(right, class_names)
            name = right if found is None or whole else found["name"]
            gamma = 1.0 if found is None or whole else float(found["factor"])
            first = None if left == PREDICTED and not _is_class(left, class_names) else _class(left, class_names)
            other: Any = NEXT if name == NEXT and not _is_class(name, class_names) else _class(name, class_names)
        except TargetError as error:
            reasons.append(str(error))
        else:
            ways.append(Difference(first, other, gamma))
    if len(ways) > 1:
        told = ", ".join(f'"{way.label()}"' for way in ways)
        raise TargetError(f"target={text!r} can be read in {len(ways)} ways: {told}; give indices")
    if not ways:
        raise TargetError(f"target={text!r} is no class and no difference of two: {reasons[0]}")
    return ways[0]


def _split(text: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(f"(?={MINUS})", text):
        left, right = text[: found.start()].strip(), text[found.start() + len(MINUS) :].strip()
        if left and right:
            yield left, right


def _class(name: str, class_names: Sequence[str] | None) -> int:
    if _is_class(name, class_names):
        assert class_names is not None
        return class_index(name, class_names)
    if (number := whole_number(name)) is not None and number >= 0:
        return number
    if not class_names:
        raise TargetError(f"{name!r}: the class names of this network are not known; give the index")
    return class_index(name, class_names)
