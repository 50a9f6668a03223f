"""What tells the classes apart: a beak and a tail, each of a shape and a colour."""

from __future__ import annotations

from typing import NamedTuple

from explainers.errors import OptionError

Colour = tuple[float, float, float]

COLOURS: dict[str, Colour] = {
    "red": (0.80, 0.14, 0.11),
    "yellow": (0.95, 0.77, 0.12),
    "black": (0.10, 0.10, 0.12),
    "ivory": (0.93, 0.89, 0.77),
    "blue": (0.13, 0.38, 0.80),
    "white": (0.95, 0.95, 0.93),
    "rusty": (0.66, 0.28, 0.09),
}


class Part(NamedTuple):
    """A deciding part: its shape, and the name of its colour."""

    colour: str
    shape: str


# In this order any first few differ now in shape, now in colour, so that neither of them is enough.
BEAKS = (
    Part("red", "hooked"),
    Part("yellow", "dagger"),
    Part("yellow", "hooked"),
    Part("red", "dagger"),
    Part("black", "curved"),
    Part("red", "curved"),
    Part("yellow", "conical"),
    Part("black", "conical"),
    Part("ivory", "spoon"),
    Part("black", "spoon"),
)
TAILS = (
    Part("blue", "forked"),
    Part("white", "fan"),
    Part("white", "forked"),
    Part("blue", "fan"),
    Part("rusty", "pointed"),
    Part("blue", "pointed"),
    Part("rusty", "square"),
    Part("white", "square"),
    Part("black", "racket"),
    Part("blue", "racket"),
)
LEAST, MOST = 4, len(BEAKS) * len(TAILS)


class Kind(NamedTuple):
    """A class: its beak and its tail."""

    beak: Part
    tail: Part

    @property
    def name(self) -> str:
        """Such as "red-hooked-blue-forked"."""
        return "-".join((*self.beak, *self.tail))


def kind(label: int) -> Kind:
    """The class with this index, 0 … 99, whatever the number of classes.

    Beaks and tails are paired in growing squares: the first n² classes are all pairs of n beaks and n tails, of which
    neither a beak nor a tail is a class's alone.
    """
    side = int(label**0.5)
    side -= side * side > label
    rest = label - side * side
    return Kind(BEAKS[side], TAILS[rest]) if rest <= side else Kind(BEAKS[rest - side - 1], TAILS[side])


def class_names(classes: int) -> tuple[str, ...]:
    """The names of the first classes.

    Raises:
        OptionError: fewer than 4 classes or more than 100.
    """
    check_classes(classes)
    return tuple(kind(label).name for label in range(classes))


def check_classes(classes: int) -> None:
    """OptionError where there cannot be so many classes."""
    if not LEAST <= classes <= MOST:
        raise OptionError(f"classes={classes}; expected {LEAST} … {MOST}")
