"""Batches of images through all methods; what fails costs the guilty image alone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from explainers.core.explainer import Explained, Explainer
from explainers.core.image_by_image import Failure, in_parts, is_of_the_run, reason_of
from explainers.errors import ExplainersError, LayerError, OptionError, UnsupportedError, WriteError
from explainers.models import LoadedModel
from explainers.run.explain.options import RunOptions
from explainers.run.explain.outputs import FAILED, NOTHING, Finding, Outputs
from explainers.run.explain.reading import Item
from explainers.run.explain.summary import RunSummary
from explainers.run.targets import Told, Wanted
from explainers.storage.atomic import is_of_the_disk
from explainers.storage.journal import Row

Found = tuple[Told, list[Finding]]
UNASKED = Told((), "")


class Worker:
    """Takes batches through all methods."""

    def __init__(
        self,
        loaded: LoadedModel,
        explainers: dict[str, Explainer],
        wanted: Wanted,
        options: RunOptions,
        outputs: Outputs,
        summary: RunSummary,
    ) -> None:
        self.loaded, self.explainers = loaded, wanted.explainers(explainers)
        self.options, self.outputs, self.summary = options, outputs, summary
        self.wanted = wanted
        self.proven: set[str] = set()  # methods that have made a map on this network
        self.failures: list[str] = []  # what the network or a method raised, image by image

    def explain(self, batch: list[Item], pool: ThreadPoolExecutor) -> Iterator[tuple[Item, list[Row]]]:
        """Rows of each image of a batch, when its files are written."""
        good = [item for item in batch if item.input is not None]
        for item in batch:
            if item.input is None:
                yield item, [self._failed(item, item.reason)]
        pending: deque[tuple[Item, Future[list[Row]]]] = deque()
        for item, found in self._findings(good):
            if isinstance(found, Failure):
                yield item, [self._failed(item, found.reason)]
            else:
                pending.append((item, pool.submit(self.outputs.write, item.file, item.subject, *found)))
        for item, future in pending:
            try:
                rows = future.result()
                if rows and rows[0]["status"] == NOTHING:
                    self.summary.nothing.append((item.file.name, rows[0]["reason"]))
                else:
                    self._count(item, rows)
            except Exception as error:  # a picture that cannot be drawn costs its image, whatever it raises
                if is_of_the_run(error) or (isinstance(error, WriteError) and is_of_the_disk(error)):
                    raise  # it would be the same with every other image
                rows = [self._failed(item, reason_of(error))]
            yield item, rows

    def _findings(self, items: list[Item]) -> Iterator[tuple[Item, Found | Failure]]:
        """The maps of a batch, or what each image failed at."""
        for part, found in in_parts(items, self._maps):
            if isinstance(found, Failure):
                self.failures.append(found.reason)
                yield part[0], found
            else:
                yield from zip(part, found, strict=True)

    def _maps(self, items: Sequence[Item]) -> list[Found]:
        images = torch.stack([item.input for item in items if item.input is not None]).to(self.loaded.device)
        asked = self.wanted.of(images, [item.file.name for item in items], [item.target for item in items])
        rows = asked.rows(len(images))  # there may be nothing to explain in the others
        images = images[rows]
        made: list[tuple[str, Explainer, Explained, float]] = []
        for title, explainer in list(self.explainers.items()) if rows else []:
            start = time.perf_counter()
            try:
                explained = explainer.explain(images, asked.targets)
            except (UnsupportedError, LayerError) as error:
                if title in self.proven:
                    raise
                self._refuse(title, error)
                continue
            self.proven.add(title)
            made.append((title, explainer, explained, (time.perf_counter() - start) / len(images)))
        told = asked.told()
        if told is None:  # no method was left that asked
            return [(UNASKED, [])] * len(items)
        found: list[Found] = [(each, []) for each in told]
        for title, explainer, explained, seconds in made:
            maps, errors = explained.maps.cpu(), explained.standard_error
            for place, (row, values) in enumerate(zip(rows, maps, strict=True)):
                finding = Finding(
                    title,
                    explainer.layers,
                    values.numpy(),
                    seconds,
                    None if errors is None else errors[place].cpu().numpy(),
                    explained.details[place] if explained.details else {},
                    getattr(explainer, "activation", None),
                )
                found[row][1].append(finding)
        return found

    def _refuse(self, title: str, error: ExplainersError) -> None:
        """A method that does not work on this network: the run's failure, or a note."""
        if isinstance(error, LayerError):
            raise OptionError(str(error)) from error
        if not self.options.skip_unsupported:
            raise _Refused(f"{error} (or leave out {title}, or set skip_unsupported, --skip-unsupported)") from error
        self.summary.refused[title] = str(error)
        del self.explainers[title]

    def _count(self, item: Item, rows: Sequence[Row]) -> None:
        """An image whose files are written, some of whose maps may have failed."""
        bad = [row for row in rows if row["status"] == FAILED]
        if len(bad) < len(rows):
            self.summary.explained += 1
        if bad:
            named = ", ".join(dict.fromkeys(str(row["method"]) for row in bad))
            self.summary.failed.append((item.file.name, f"{named}: {bad[0]['reason']}"))

    def _failed(self, item: Item, reason: str) -> Row:
        self.summary.failed.append((item.file.name, reason))
        return {"file": item.file.name, "status": FAILED, "reason": reason}


class _Refused(OptionError, UnsupportedError):
    """A refusal that ends the run: the methods asked for do not fit the network."""
