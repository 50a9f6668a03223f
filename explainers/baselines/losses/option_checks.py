"""What the settings of several losses must be, refused in the same words."""

from __future__ import annotations

import math
from collections.abc import Iterable

from explainers.errors import OptionError


def not_negative(**numbers: float) -> None:
    """Raises OptionError for the first that is negative or no finite number."""
    for name, value in numbers.items():
        if not 0 <= value < math.inf:
            raise OptionError(f"{name}={value}; expected a number of at least 0")


def one_of(known: Iterable[str], **texts: str) -> None:
    """Raises OptionError for the first that is not known."""
    for name, value in texts.items():
        if value not in known:
            raise OptionError(f"{name}={value!r}; expected {' or '.join(map(repr, known))}")
