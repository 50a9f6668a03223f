"""What the output files of each image are called."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from explainers.data.images import ImageFile
from explainers.data.images.find import shortened, stem_of, told_apart
from explainers.errors import OptionError


def bases(files: Sequence[ImageFile], kept: Mapping[str, str] | None = None) -> dict[str, str]:
    """The beginning of the names of each image's outputs, by the image's name; no two images share one.

    It is the image's name without its suffix, where no other image could be meant by that, and else the whole name.
    Very long ones are cut and end in a hash.
    Names that differ in case or in the spelling of an accent alone are one file on some systems, and count as equal.

    Args:
        kept: names that outputs of an earlier start have already.

    Raises:
        OptionError: two images have one name.
    """
    names = Counter(_folded(file.name) for file in files)
    stems = Counter(_folded(_stem(file.name)) for file in files)
    found: dict[str, str] = {}
    kept = {file.name: kept[file.name] for file in files if kept and file.name in kept}
    taken = {_folded(base) for base in kept.values()}
    for file in files:
        if file.name in found:
            raise OptionError(f"two images are called {file.name!r}; give each a name of its own")
        if file.name in kept:
            found[file.name] = kept[file.name]
            continue
        stem, name = _stem(file.name), file.name
        others = names[_folded(stem)] - (stem == name)
        base = stem if stems[_folded(stem)] == 1 and not others and _folded(stem) not in taken else name
        base = shortened(base)
        while _folded(base) in taken or (base == name and names[_folded(name)] > 1):
            base = told_apart(base)
        taken.add(_folded(base))
        found[file.name] = base
    return found


def _stem(name: str) -> str:
    return stem_of(name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
