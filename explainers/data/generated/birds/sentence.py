"""A sentence about each image, for encoders that learn from pairs of images and text."""

from __future__ import annotations

from explainers.data.generated.birds.brush import Draws
from explainers.data.generated.birds.image import check_settings, digest, drawn_scene
from explainers.data.generated.birds.kinds import Part
from explainers.data.generated.birds.plumage import Plumage

BEAKS = {
    "hooked": "hooked",
    "dagger": "dagger-like",
    "curved": "down-curved",
    "conical": "conical",
    "spoon": "spoon-shaped",
}
TAILS = {"forked": "forked", "fan": "fanned", "pointed": "pointed", "square": "square", "racket": "racket-tipped"}
PLACES = {
    "perching": ("on a branch", "perching on a branch"),
    "standing": ("on the ground", "standing on the ground"),
    "wading": ("in the water", "wading in shallow water"),
    "swimming": ("on the water", "swimming on the water"),
    "flying": ("in the air", "flying"),
}


def bird_sentence(index: int, *, split: str = "test", seed: int = 0, classes: int = 20) -> str:
    """What image `index` of a split shows: always its beak and its tail, in some sentences more.

    Such as "a green bird with a red hooked beak and a blue forked tail, perching on a branch". The size of the image
    changes nothing.

    Raises:
        OptionError: a setting out of its range.
    """
    check_settings(split, 32, classes)
    scene = drawn_scene(index, split, seed, classes)
    draws = Draws(digest("sentence", seed, split, index))
    beak = f"{_phrase(scene.kind.beak, BEAKS)} beak"
    tail = f"{_phrase(scene.kind.tail, TAILS)} tail"
    bird = _with_article(_coloured(scene.plumage)) if draws.chance(0.6) else "a bird"
    first, second = (beak, tail) if draws.chance(0.6) else (tail, beak)
    place = draws.one_of(PLACES[scene.manner])
    form = draws.number()
    if form < 0.4:
        return f"{bird} with {first} and {second}"
    if form < 0.8:
        return f"{bird} with {first} and {second}, {place}"
    return f"{first} and {second} on {bird}" if form < 0.9 else f"{bird} {place}, with {first} and {second}"


def _coloured(plumage: Plumage) -> str:
    """A bird by the colours of head and wing, which are most of what is seen of it."""
    return f"{plumage.wing} bird" if plumage.head == plumage.wing else f"{plumage.head}-headed {plumage.wing} bird"


def _phrase(part: Part, words: dict[str, str]) -> str:
    return _with_article(f"{part.colour} {words[part.shape]}")


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeio' else 'a'} {words}"
