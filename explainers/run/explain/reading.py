"""Images on their way into a run: read ahead, told from those that are done, gathered into batches of one shape."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from explainers.core.image_by_image import reason_of_file
from explainers.data.images import ImageFile
from explainers.data.recordings import content_of
from explainers.errors import ImageError, MapError
from explainers.models import LoadedModel
from explainers.run.explain.options import RunOptions
from explainers.run.explain.summary import RunSummary
from explainers.run.kinds import kind_of
from explainers.run.targets.objects import ImageTargets
from explainers.storage.journal import Row


@dataclass(frozen=True)
class Item:
    """An image on its way: identity, what was read, network input, a target of its own if it has one; or the reason why
    not; or that it is done already. content: SHA-256 of the file, in hex; empty where it cannot be read."""

    file: ImageFile
    key: str
    subject: Any = None
    input: Tensor | None = None
    target: Any = None
    reason: str = ""
    done: bool = False
    content: str = ""

    def noted(self, rows: list[Row]) -> list[Row]:
        """The rows of an image as they are noted: with what tells later whether its file is still the same."""
        return [{**row, "content": self.content} if "source" in row else row for row in rows]


def read(
    file: ImageFile,
    loaded: LoadedModel,
    options: RunOptions,
    done: set[str],
    labels: Mapping[str, int] | None = None,
) -> Item:
    """An image on its way."""
    own = options.target if isinstance(options.target, ImageTargets) else None
    assert loaded.preprocessing is not None
    kind = kind_of(loaded.preprocessing)
    content = content_or_none(file.path, kind.content)
    key = key_of(file, None if labels is None else labels[file.name], own, content)
    told = "" if content is None else content.hex()
    if key in done:
        return Item(file, key, done=True, content=told)
    try:
        subject = kind.read(file.path, options.max_pixels)
        target = None if own is None else own.of(file, subject, loaded.preprocessing)
        return Item(file, key, subject, kind.input(subject), target, content=told)
    except Exception as error:
        return Item(file, key, reason=reason_of_file(error))


def content_or_none(path: Path, content: Callable[[Path], bytes] = content_of) -> bytes | None:
    """SHA-256 of a photo or a recording, None where it cannot be read."""
    try:
        return content(path)
    except (OSError, ImageError):
        return None


def key_of(file: ImageFile, label: int | None, own: ImageTargets | None, content: bytes | None) -> str:
    """Name, content, true class, and what its own target is made of: changed, it is explained again; touched, not."""
    digest = hashlib.sha256(file.name.encode("utf-8", "surrogateescape"))
    if label is not None:
        digest.update(f"\0{label}\0".encode())
    try:
        digest.update(b"unreadable" if content is None else content)
        if own is not None and content is not None:
            digest.update(own.digest(file))
    except (OSError, MapError):  # such as a mask that was removed meanwhile: `of` says so
        digest.update(b"unreadable")
    return digest.hexdigest()


def batches(items: Iterable[Item], size: int, summary: RunSummary) -> Iterator[list[Item]]:
    """Batches of images of one shape; images that failed travel along. At most four batches wait for their like."""
    waiting: dict[tuple[int, ...], list[Item]] = {}
    for item in items:
        if item.done:
            summary.resumed += 1
            continue
        shape = () if item.input is None else tuple(item.input.shape)
        waiting.setdefault(shape, []).append(item)
        if len(waiting[shape]) == size:
            yield waiting.pop(shape)
        elif sum(map(len, waiting.values())) >= 4 * size:
            yield waiting.pop(max(waiting, key=lambda key: len(waiting[key])))
    yield from waiting.values()
