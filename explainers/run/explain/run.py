"""The run itself: read, explain in batches, write, note as done."""

from __future__ import annotations

import hashlib
import platform
import shutil
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainers.core.explainer import Explained, Explainer
from explainers.core.targets import SeenTargets
from explainers.data.images.files import ImageFile, Photo, find_images, read_image
from explainers.errors import (
    DependencyError,
    ExplainersError,
    ImageError,
    LayerError,
    OptionError,
    TargetError,
    UnsupportedError,
    WriteError,
)
from explainers.models import LoadedModel, class_index
from explainers.network.input import fixed_batch
from explainers.network.output import class_scores
from explainers.run.explain.options import MethodCall, Passes, Progress, RunOptions, fingerprint
from explainers.run.explain.outputs import Finding, Outputs, finish
from explainers.storage.atomic import locked, write_json
from explainers.storage.journal import Journal, Row

READERS = 4


@dataclass
class RunSummary:
    """What a run did. failed: (file, reason); refused: method → reason, where skip_unsupported was set."""

    out: Path
    images: int
    explained: int = 0
    resumed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    sheets: list[Path] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**vars(self), "out": str(self.out), "sheets": [str(path) for path in self.sheets]}


@dataclass(frozen=True)
class Item:
    """An image on its way: identity, photo, network input; or the reason why not."""

    file: ImageFile
    key: str
    photo: Photo | None = None
    input: Tensor | None = None
    reason: str = ""


def run(
    images: str | PathLike[str] | Sequence[ImageFile],
    loaded: LoadedModel,
    methods: Sequence[MethodCall | str],
    out: str | PathLike[str],
    *,
    options: RunOptions | None = None,
    batch_size: int = 8,
    overwrite: bool = False,
    progress: Progress | None = None,
    passes: Passes | None = None,
) -> RunSummary:
    """Explain every image of a folder with every method, and write overlays, maps, results.csv and manifest.json.

    A run that was interrupted goes on where it stopped when it is called again with the same arguments. Memory is one
    batch and the images being read and written, whatever the number of images.

    Args:
        images: a folder, a file, or image files.
        loaded: from `load_model`; needs its preprocessing.
        methods: names or calls with options; their titles must differ.
        overwrite: remove what an earlier run left in `out` instead of going on from it.
        progress: called after each image with (done, total, name).
        passes: called within an image after each batch of a method that makes many passes, with (method, passes done,
            of how many, per second).

    Raises:
        UnsupportedError: a method cannot be right on this network, and skip_unsupported is not set.
        OptionError, TargetError, ImageError: an option, class or folder that does not exist; nothing was written.
    """
    started = time.perf_counter()
    options, out = options or RunOptions(), Path(out)
    calls = [MethodCall(call) if isinstance(call, str) else call for call in methods]
    _check(calls, loaded, batch_size)
    explainers = {call.title: call.bind(loaded, passes) for call in calls}
    target = _target(options.target, loaded)
    files = list(images) if not isinstance(images, (str, PathLike)) else find_images(images)
    from explainers import __version__

    with locked(out):
        if overwrite:
            _clear(out)
        journal = Journal(out)
        done = journal.open(fingerprint(loaded, calls, options, __version__))
        summary = RunSummary(out, len(files))
        outputs = Outputs(out, files, calls, loaded, options)
        manifest = _manifest(loaded, calls, options, len(files))
        write_json(out / "manifest.json", {**manifest, "status": "running"}, default=str)

        worker = _Worker(loaded, explainers, target, options, outputs, summary)
        count = 0
        with ThreadPoolExecutor(READERS) as pool:
            items = _prefetched(pool, (file for file in files), loaded, options, done, batch_size)
            for batch in _batches(items, batch_size, summary):
                for item, rows in worker.explain(batch, pool):
                    journal.append(item.key, rows)
                    count += 1
                    if progress:
                        progress(count + summary.resumed, len(files), item.file.name)
        if summary.refused and len(summary.refused) == len(calls):
            raise UnsupportedError(_refusals(summary.refused))
        summary.sheets = finish(out, journal, calls, options)
        summary.seconds = time.perf_counter() - started
        counts = {"images": len(files), "failed": len(summary.failed)}
        write_json(
            out / "manifest.json",
            {
                **manifest,
                "status": "done",
                "counts": counts,
                "refused": summary.refused,
                "seconds": round(summary.seconds, 3),
            },
        )
        return summary


class _Worker:
    """Takes batches through all methods."""

    def __init__(
        self,
        loaded: LoadedModel,
        explainers: dict[str, Explainer],
        target: int | None,
        options: RunOptions,
        outputs: Outputs,
        summary: RunSummary,
    ) -> None:
        self.loaded, self.explainers, self.target = loaded, explainers, target
        self.options, self.outputs, self.summary = options, outputs, summary
        self.proven: set[str] = set()  # methods that have made a map on this network

    def explain(self, batch: list[Item], pool: ThreadPoolExecutor) -> Iterator[tuple[Item, list[Row]]]:
        """Rows of each image of a batch, when its files are written."""
        good = [item for item in batch if item.input is not None]
        for item in batch:
            if item.input is None:
                yield item, [self._failed(item, item.reason)]
        pending: deque[tuple[Item, Future[list[Row]]]] = deque()
        for item, findings in self._findings(good):
            if isinstance(findings, str):
                yield item, [self._failed(item, findings)]
            else:
                assert item.photo is not None
                pending.append((item, pool.submit(self.outputs.write, item.file, item.photo, findings)))
        for item, future in pending:
            try:
                rows = future.result()
                self.summary.explained += 1
            except (ImageError, WriteError) as error:
                rows = [self._failed(item, str(error))]
            yield item, rows

    def _findings(self, items: list[Item]) -> Iterator[tuple[Item, list[Finding] | str]]:
        """The maps of a batch; where it fails it is split, so that only the guilty image does."""
        if not items:
            return
        try:
            found = self._maps(torch.stack([item.input for item in items if item.input is not None]))
        except (ExplainersError, RuntimeError, ValueError, MemoryError) as error:
            if isinstance(error, (TargetError, OptionError, DependencyError)):
                raise  # of the run, not of an image
            if len(items) == 1:
                yield items[0], _reason(error)
                return
            middle = len(items) // 2
            yield from self._findings(items[:middle])
            yield from self._findings(items[middle:])
            return
        yield from zip(items, found, strict=True)

    def _maps(self, images: Tensor) -> list[list[Finding]]:
        images = images.to(self.loaded.device)
        seen = SeenTargets(self.target, self.options.top_k)
        if fixed_batch(self.loaded.network) is not None:
            seen(class_scores(self.loaded, images))  # explainers fill the batch up, scores would be of that
        made: list[tuple[str, Explainer, Explained, float]] = []
        for title, explainer in list(self.explainers.items()):
            start = time.perf_counter()
            try:
                explained = explainer.explain(images, seen if seen.classes is None else seen.classes)
            except (UnsupportedError, LayerError) as error:
                if title in self.proven:
                    raise
                self._refuse(title, error)
                continue
            self.proven.add(title)
            made.append((title, explainer, explained, (time.perf_counter() - start) / len(images)))
        found: list[list[Finding]] = [[] for _ in images]
        if seen.scores is None or seen.classes is None:  # no method was left that asked
            return found
        scores, classes = seen.scores.cpu(), seen.classes.cpu()
        for title, explainer, explained, seconds in made:
            maps, errors = explained.maps.cpu(), explained.standard_error
            for row, (values, chosen) in enumerate(zip(maps, classes, strict=True)):
                finding = Finding(
                    title,
                    explainer.layers,
                    scores[row],
                    chosen.tolist(),
                    values.numpy(),
                    seconds,
                    None if errors is None else errors[row].cpu().numpy(),
                    explained.details[row] if explained.details else {},
                )
                found[row].append(finding)
        return found

    def _refuse(self, title: str, error: ExplainersError) -> None:
        """A method that does not work on this network: the run's failure, or a note."""
        if isinstance(error, LayerError):
            raise OptionError(str(error)) from error
        if not self.options.skip_unsupported:
            raise _Refused(f"{error} (or leave out {title}, or set skip_unsupported, --skip-unsupported)") from error
        self.summary.refused[title] = str(error)
        del self.explainers[title]

    def _failed(self, item: Item, reason: str) -> Row:
        self.summary.failed.append((item.file.name, reason))
        return {"file": item.file.name, "status": "failed", "reason": reason}


class _Refused(OptionError, UnsupportedError):
    """A refusal that ends the run: the methods asked for do not fit the network."""


def _prefetched(
    pool: ThreadPoolExecutor,
    files: Iterator[ImageFile],
    loaded: LoadedModel,
    options: RunOptions,
    done: set[str],
    batch_size: int,
) -> Iterator[Item | None]:
    """Items in order, read ahead by two batches at most; None for those that are done already."""
    waiting: deque[Future[Item | None]] = deque(
        pool.submit(_read, file, loaded, options, done) for file in islice(files, 2 * batch_size)
    )
    while waiting:
        item = waiting.popleft().result()
        waiting.extend(pool.submit(_read, file, loaded, options, done) for file in islice(files, 1))
        yield item


def _read(file: ImageFile, loaded: LoadedModel, options: RunOptions, done: set[str]) -> Item | None:
    key = _key(file)
    if key in done:
        return None
    assert loaded.preprocessing is not None
    try:
        photo = read_image(file.path, max_pixels=options.max_pixels)
        return Item(file, key, photo, loaded.preprocessing(photo.pixels))
    except ImageError as error:
        return Item(file, key, reason=str(error))


def _key(file: ImageFile) -> str:
    """Name and content: a changed image is explained again, a touched one is not."""
    digest = hashlib.sha256(file.name.encode("utf-8", "surrogateescape"))
    try:
        digest.update(hashlib.sha256(file.path.read_bytes()).digest())
    except OSError:
        digest.update(b"unreadable")
    return digest.hexdigest()


def _batches(items: Iterable[Item | None], size: int, summary: RunSummary) -> Iterator[list[Item]]:
    """Batches of images of one shape; images that failed travel along. At most four batches wait for their like."""
    waiting: dict[tuple[int, ...], list[Item]] = {}
    for item in items:
        if item is None:
            summary.resumed += 1
            continue
        shape = () if item.input is None else tuple(item.input.shape)
        waiting.setdefault(shape, []).append(item)
        if len(waiting[shape]) == size:
            yield waiting.pop(shape)
        elif sum(map(len, waiting.values())) >= 4 * size:
            yield waiting.pop(max(waiting, key=lambda key: len(waiting[key])))
    yield from waiting.values()


def _check(calls: list[MethodCall], loaded: LoadedModel, batch_size: int) -> None:
    if not calls:
        raise OptionError("no method given; see explainers.available() or `explain methods`")
    if batch_size < 1:
        raise OptionError(f"batch_size={batch_size}; expected at least 1")
    twice = [title for title, count in Counter(call.file_name for call in calls).items() if count > 1]
    if twice:
        raise OptionError(f"{twice[0]} is asked for twice; give the calls different labels")
    if any(isinstance(call.options.get("layer"), (list, tuple)) for call in calls):
        raise OptionError(
            "in a run each method reads one layer; ask for it once per layer (grad-cam@layer3, grad-cam@-2)"
        )
    if loaded.preprocessing is None:
        raise OptionError(
            f"how {loaded.spec} takes a photo is not known; give its preprocessing (--size, --crop, --mean, --std)"
        )


def _target(target: int | str | None, loaded: LoadedModel) -> int | None:
    if not isinstance(target, str):
        return target
    if loaded.class_names is not None:
        return class_index(target, loaded.class_names)
    raise TargetError(f"target {target!r}: the class names of {loaded.spec} are not known; give an index, or labels")


def _reason(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    return text if isinstance(error, ExplainersError) else f"{type(error).__name__}: {text}"


def _refusals(refused: dict[str, str]) -> str:
    return "no method works on this network:\n" + "\n".join(f"  {name}: {reason}" for name, reason in refused.items())


def _clear(out: Path) -> None:
    """Remove what a run writes, and nothing else."""
    for name in ("overlays", "maps"):
        shutil.rmtree(out / name, ignore_errors=True)
    for path in (out / "journal.jsonl", out / "results.csv", out / "manifest.json", *out.glob("sheet-*.png")):
        path.unlink(missing_ok=True)


def _manifest(loaded: LoadedModel, calls: list[MethodCall], options: RunOptions, images: int) -> dict[str, Any]:
    from explainers import __version__

    return {
        "explainers": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": str(loaded.device),
        "model": {
            "spec": loaded.spec,
            "weights": loaded.weights,
            "sha256": loaded.sha256,
            "classes": None if loaded.class_names is None else len(loaded.class_names),
            "notes": list(loaded.notes),
        },
        "preprocessing": loaded.preprocessing.describe() if loaded.preprocessing else None,
        "methods": [{"name": call.name, "label": call.title, "options": call.options} for call in calls],
        "options": options.to_dict(),
        "images": images,
    }
