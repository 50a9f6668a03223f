"""The run itself: read, explain in batches, write, note as done."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path

from explainers.core.image_by_image import every_image, no_exit, no_method
from explainers.core.maps import CONSTANT
from explainers.core.preprocessing import photographic
from explainers.data.images import ImageFile
from explainers.data.images.read_ahead import read_ahead
from explainers.errors import OptionError
from explainers.models import LoadedModel
from explainers.network.input import convolution_axes
from explainers.run.explain.facts import facts_of, manifest_of
from explainers.run.explain.finish import finish
from explainers.run.explain.names import bases
from explainers.run.explain.options import MethodCall, Passes, Progress, RunOptions
from explainers.run.explain.outputs import CONTENTS, Outputs, files_of, is_whole
from explainers.run.explain.reading import Item, batches, read
from explainers.run.explain.summary import CHANGED, RunSummary
from explainers.run.explain.wanted import wanted_of
from explainers.run.explain.worker import Worker
from explainers.run.kinds import kind_of
from explainers.run.targets import Detected, impossible_first, noise_for
from explainers.run.targets.spelled import spelled_target
from explainers.run.true_classes import checked_labels
from explainers.storage.run_folder import PROBE, RunFolder

READERS = 4


def run(
    images: str | PathLike[str] | Sequence[ImageFile],
    loaded: LoadedModel,
    methods: Sequence[MethodCall | str],
    out: str | PathLike[str],
    *,
    labels: Mapping[str, int] | None = None,
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
        labels: image name → true class, for the table and contact sheets, and for target="label".
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
    if isinstance(options.target, str):
        named = spelled_target(options.target, loaded, loaded.preprocessing, max_pixels=options.max_pixels)
        options = replace(options, target=named)
    explainers = {call.title: call.bind(loaded, options, passes) for call in calls}
    assert loaded.preprocessing is not None
    kind = kind_of(loaded.preprocessing)
    if isinstance(options.target, Detected):
        photographic(loaded.preprocessing)  # boxes are said of photos
    files = list(images) if not isinstance(images, (str, PathLike)) else kind.find(images)
    labels = checked_labels(labels, files)
    wanted = wanted_of(loaded, options, files, labels)
    batch_size = min(batch_size, max(1, len(files)))
    folder = RunFolder(out, CONTENTS)
    with folder.held(), no_exit():
        if overwrite:
            folder.clear()
        facts = facts_of(loaded, calls, options)
        with impossible_first(
            explainers.values(), options.target, loaded, noise_for(loaded.preprocessing), options.output
        ):
            done = folder.begin(facts, is_whole)
        summary = RunSummary(out, len(files))
        kept = {row["file"]: row["base"] for row in folder.journal.rows(done)}
        outputs = Outputs(out, bases(files, kept), calls, loaded, options, labels)
        manifest = manifest_of(loaded, calls, options, len(files))
        refused = _refused_before(folder, done, calls)
        folder.write_manifest({**manifest, "refused": refused, "status": "running"})

        worker = Worker(loaded, explainers, wanted, options, outputs, summary)
        keys: list[str] = []  # of the images that there are
        count, noted = 0, set(done)
        with ThreadPoolExecutor(READERS) as pool:
            reader = partial(read, loaded=loaded, options=options, done=done, labels=labels)
            items = _keyed(read_ahead(pool, files, reader, 2 * batch_size), keys)
            for batch in batches(items, batch_size, summary):
                for item, rows in worker.explain(batch, pool):
                    if not rows:  # no method is left
                        raise no_method(summary.refused)
                    folder.note(item.key, item.noted(rows), files_of(rows, options))
                    noted.add(item.key)
                    count += 1
                    if progress:
                        progress(count + summary.resumed, len(files), item.file.name)
                if summary.refused.keys() - refused:
                    refused |= summary.refused
                    folder.write_manifest({**manifest, "refused": refused, "status": "running"})
                if "raised" in facts[PROBE] and worker.failures and not summary.explained + summary.resumed:
                    break  # neither these images nor the probe: it is the network
        summary.refused = refused
        keys = [key for key in keys if key in noted]  # others were read ahead when the run was given up
        folder.check(keys)
        _note_moved(folder, [key for key in keys if key in done], files)
        summary.dropped = _dropped(folder, keys, {file.name for file in files})
        for row in folder.journal.rows(keys):
            if row["status"] == CONSTANT:
                summary.constant.append((row["file"], row["method"]))
                summary.because.setdefault(row["method"], row["reason"])
        made = finish(folder, options, keys, kind, [call.title for call in calls])
        summary.sheets = [path for path in made if path.name.startswith("sheet-")]
        nothing = bool(summary.failed) and not summary.explained + summary.resumed + len(summary.nothing)
        summary.seconds = time.perf_counter() - started
        counts = {"images": len(files), "failed": len(summary.failed), "constant": len(summary.constant)}
        folder.write_manifest(
            {
                **manifest,
                "status": "failed" if nothing else "done",
                "counts": counts,
                "refused": summary.refused,
                "dropped": summary.dropped,
                "f(x)": wanted.activation,
                "seconds": round(summary.seconds, 3),
            },
            [path.relative_to(out).as_posix() for path in made],
        )
        if nothing and worker.failures:
            raise every_image(len(files), worker.failures[0])
        return summary


def _keyed(items: Iterable[Item], keys: list[str]) -> Iterator[Item]:
    """The items, each noted by its key as it passes."""
    for item in items:
        keys.append(item.key)
        yield item


def _refused_before(folder: RunFolder, done: set[str], calls: Sequence[MethodCall]) -> dict[str, str]:
    """Methods of which an earlier start found that the network does not allow them, and why; they have no rows."""
    known = {row.get("method") for row in folder.journal.rows(done)}
    before = folder.manifest().get("refused", {}) if done else {}
    return {call.title: before[call.title] for call in calls if call.title in before and call.title not in known}


def _note_moved(folder: RunFolder, keys: Sequence[str], files: Sequence[ImageFile]) -> None:
    """Note of images that were done by an earlier start where their files lie now."""
    places = {file.name: os.path.realpath(file.path) for file in files}
    moved = []
    for entry in folder.journal.entries(keys):
        rows = [{**row, "source": places[row["file"]]} if "source" in row else row for row in entry["rows"]]
        if rows != entry["rows"]:
            moved.append({**entry, "rows": rows})
    for entry in moved:
        folder.journal.append(entry["id"], entry["rows"], entry["files"])


def _dropped(folder: RunFolder, keys: Sequence[str], names: set[str]) -> list[tuple[str, str]]:
    """Images that were done by an earlier start and are no longer what they were, and why."""
    present = set(keys)
    before = {entry["rows"][0]["file"]: "" for entry in folder.journal.entries() if entry["id"] not in present}
    return [(name, CHANGED if name in names else "no longer there") for name in before]


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
        remedy = "give its preprocessing (--size, --crop, --mean, --std)"
        if set(convolution_axes(loaded.network)) == {3}:  # which photos cannot be put through
            remedy = "it goes over three axes: say what the files are (--data-kind frames, or volumes)"
        raise OptionError(f"how {loaded.spec} takes a photo is not known; {remedy}")
