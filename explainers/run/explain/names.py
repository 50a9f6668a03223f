"""What the output files of each image are called."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from explainers.data.images import ImageFile
from explainers.data.images.find import stem_of
from explainers.errors import OptionError

LONGEST = 150  # bytes of a name of which outputs are called


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
        base = _shortened(base)
        while _folded(base) in taken or (base == name and names[_folded(name)] > 1):
            base = f"{base}~{_hash(base)}"
        taken.add(_folded(base))
        found[file.name] = base
    return found


def _shortened(base: str) -> str:
    """With room for a method and a class behind it: file systems end names at 255 bytes."""
    folder, slash, last = base.rpartition("/")
    encoded = last.encode("utf-8", "surrogateescape")
    if len(encoded) <= LONGEST:
        return base
    return f"{folder}{slash}{encoded[:LONGEST].decode('utf-8', 'ignore')}~{_hash(base)}"


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _stem(name: str) -> str:
    return stem_of(name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
