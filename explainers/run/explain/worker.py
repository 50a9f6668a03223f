"""Batches of images through all methods; what fails costs the guilty image alone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from explainers.core.explainer import Explained, Explainer
from explainers.core.image_by_image import Failure, in_parts
from explainers.core.targets import SeenTargets
from explainers.errors import ExplainersError, ImageError, LayerError, OptionError, UnsupportedError, WriteError
from explainers.models import LoadedModel
from explainers.network.input import fixed_batch
from explainers.network.output import class_scores
from explainers.passes.activation import Reading, reading_of
from explainers.passes.one_score import Remarks
from explainers.run.explain.options import RunOptions
from explainers.run.explain.outputs import Finding, Outputs
from explainers.run.explain.reading import Item
from explainers.run.explain.summary import RunSummary
from explainers.run.targets import LABEL, output_for
from explainers.storage.atomic import is_of_the_disk
from explainers.storage.journal import Row


class Worker:
    """Takes batches through all methods."""

    def __init__(
        self,
        loaded: LoadedModel,
        explainers: dict[str, Explainer],
        target: int | str | None,
        options: RunOptions,
        outputs: Outputs,
        summary: RunSummary,
    ) -> None:
        self.loaded, self.explainers = loaded, explainers
        self.options, self.outputs, self.summary = options, outputs, summary
        self.output = output_for(target, options.output)
        self.reading: Reading | None = None  # what turns scores into the probabilities of the table
        self.remarks = Remarks()
        self.by_label = target == LABEL
        self.target = 0 if isinstance(target, str) else target  # "not" is the class 0 of −s
        self.proven: set[str] = set()  # methods that have made a map on this network
        self.failures: list[str] = []  # what the network or a method raised, image by image

    def explain(self, batch: list[Item], pool: ThreadPoolExecutor) -> Iterator[tuple[Item, list[Row]]]:
        """Rows of each image of a batch, when its files are written."""
        good = [item for item in batch if item.input is not None]
        for item in batch:
            if item.input is None:
                yield item, [self._failed(item, item.reason)]
        pending: deque[tuple[Item, Future[list[Row]]]] = deque()
        for item, findings in self._findings(good):
            if isinstance(findings, Failure):
                yield item, [self._failed(item, findings.reason)]
            else:
                assert item.photo is not None
                pending.append((item, pool.submit(self.outputs.write, item.file, item.photo, findings)))
        for item, future in pending:
            try:
                rows = future.result()
                self.summary.explained += 1
            except (ImageError, WriteError) as error:
                if isinstance(error, WriteError) and is_of_the_disk(error):
                    raise  # it would be the same with every other image
                rows = [self._failed(item, str(error))]
            yield item, rows

    def _findings(self, items: list[Item]) -> Iterator[tuple[Item, list[Finding] | Failure]]:
        """The maps of a batch, or what each image failed at."""

        def maps(part: Sequence[Item]) -> list[list[Finding]]:
            images = torch.stack([item.input for item in part if item.input is not None])
            return self._maps(images, self._targets([item.file.name for item in part]))

        for part, found in in_parts(items, maps):
            if isinstance(found, Failure):
                self.failures.append(found.reason)
                yield part[0], found
            else:
                yield from zip(part, found, strict=True)

    def _targets(self, names: Sequence[str]) -> int | Tensor | None:
        if not self.by_label:
            return self.target
        assert self.outputs.labels is not None
        return torch.tensor([self.outputs.labels[name] for name in names], device="cpu")

    def _maps(self, images: Tensor, targets: int | Tensor | None) -> list[list[Finding]]:
        images = images.to(self.loaded.device)
        seen = SeenTargets(targets, self.options.top_k)
        if fixed_batch(self.loaded.network) is not None:
            seen(
                class_scores(self.loaded, images, self.output)
            )  # explainers fill the batch up, scores would be of that
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
        if self.reading is None:
            activation = self.options.activation
            self.reading = reading_of(self.loaded, images, seen.scores, activation, self.output, check=False)
        self.remarks(self.reading, seen.scores)
        scores, classes = seen.scores.cpu(), seen.classes.cpu()
        for title, explainer, explained, seconds in made:
            maps, errors = explained.maps.cpu(), explained.standard_error
            for row, (values, chosen) in enumerate(zip(maps, classes, strict=True)):
                finding = Finding(
                    title,
                    explainer.layers,
                    scores[row],
                    self.reading,
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
