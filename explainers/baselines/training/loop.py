"""The loop over epochs and steps, for every network and loss."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explainers.baselines.losses.loss import Given, Loss, Pass, Step
from explainers.baselines.training.batches import Examples, balanced_weights, batches, on_device
from explainers.baselines.training.checkpoint import load_state, save_state, save_weights
from explainers.baselines.training.given_maps import GivenMaps, Provider
from explainers.baselines.training.judging import judged
from explainers.baselines.training.run_folder import BEST, EPOCHS, LAST, LOG, RESULT, write_log, written
from explainers.baselines.training.settings.plans import Plan, Throughout
from explainers.baselines.training.settings.schedules import best_epoch, exhausted
from explainers.baselines.training.settings.settings import Settings
from explainers.baselines.training.updates import Updates, beginning
from explainers.data.data_set import DataSet
from explainers.errors import ImageError, OptionError, TrainingError
from explainers.models.weight_files import fit_state, read_state
from explainers.storage.atomic import write_json
from explainers.storage.listing import listed

REMEDY = "lower the learning rate, clip gradients or train in float32; epochs that were whole before are kept"
SHOWN = 10  # damaged images that an error names
Progress = Callable[[int, int, int, Mapping[str, float]], None]  # epoch and step from 1, steps, losses by name
Watch = Callable[[Mapping[str, Any]], None]  # an epoch's row of the log


@dataclass
class Training:
    """One training under way: its parts, and the loop over epochs."""

    network: nn.Module
    source: DataSet
    losses: Sequence[Loss]
    settings: Settings
    folder: Path
    device: torch.device
    given: Mapping[str, Provider] = field(default_factory=dict)
    started: bool = False  # from another training's weights, whose scores are kept beside the best ones

    def __post_init__(self) -> None:
        self.examples = Examples(self.source.train, self.source.preprocessing)
        self.held_out = Examples(self.source.val, self.source.preprocessing)
        self.tested = None if self.source.test is None else Examples(self.source.test, self.source.preprocessing)
        if not (self.folder / LAST).is_file():
            self._check_images()
        self.plan: Plan = self.settings.plan or Throughout()
        self.class_weights = self._class_weights()
        self.fillers = self._fillers()
        kinds = {loss.given for loss in self.losses if loss.given}
        self.maps = {kind: self._given_maps(kind) for kind in sorted(kinds)}
        with seeded(self.settings.seed, -2):
            count = len(self.source.class_names)
            first = self.examples.images([0, len(self.examples) - 1]).to(self.device)
            began = beginning(self.network, first, count)
            self.updates = Updates(self.network, self.losses, self.settings, self.plan, self.device, began)
        self.history: list[dict[str, Any]] = []

    def go(self, progress: Progress | None, watches: Sequence[Watch]) -> None:
        """Every epoch that is left, then the scores of the best one."""
        last = self.folder / LAST
        self.before = self._scores() if self.started else {}
        if last.is_file():
            facts = load_state(last, self.updates.modules(), self.updates.states())
            self.history = facts["history"]
            if facts["scaler"]:
                self.updates.scaler.load_state_dict(facts["scaler"])
            write_log(self.folder / LOG, self.history)
        losses = [row.get("val_loss") for row in self.history]
        while len(losses) < self.settings.epochs and not exhausted(losses, self.settings.patience):
            row = self.epoch(len(losses), losses, progress)
            losses.append(row.get("val_loss"))
            self.history.append(row)
            self._keep(losses)
            for watch in watches:
                watch(row)
        self._finish(losses)

    def _check_images(self) -> None:
        """Before hours go by, see that every image can be read; those that are kept in memory are read for good.

        Raises:
            ImageError: some cannot, with the names of the first.
        """
        splits = [split for split in (self.examples, self.held_out, self.tested) if split is not None]
        damaged = [message for split in splits for message in split.damaged()]
        if damaged:
            more = f", and {len(damaged) - SHOWN} more" if len(damaged) > SHOWN else ""
            told = "; ".join(damaged[:SHOWN])
            count = f"{len(damaged)} images cannot" if len(damaged) > 1 else "an image cannot"
            raise ImageError(f"{count} be read: {told}{more}. Mend or remove them, then start the same command again")

    def epoch(self, epoch: int, losses: Sequence[float | None], progress: Progress | None) -> dict[str, Any]:
        """One pass over the training images, one over the held-out ones where the plan says so; the log's row."""
        start = time.monotonic()
        self.updates.set_rates(self.settings.schedule.scale(losses, self.settings.epochs), self.settings.schedule.floor)
        with seeded(self.settings.seed, epoch) as rng:
            trained = self._trained(epoch, rng, progress)
        row: dict[str, Any] = {"epoch": epoch + 1, "seconds": 0.0, "lr": self.updates.lr}
        row |= {f"train_{name}": value for name, value in trained.items()}
        if self.plan.judged(epoch):
            row |= {f"val_{name}": value for name, value in self._judged(self.held_out, epoch).items()}
            if not math.isfinite(row["val_loss"]):
                raise TrainingError(f"the validation loss is {row['val_loss']} after epoch {epoch + 1}; {REMEDY}")
        row["seconds"] = round(time.monotonic() - start, 3)
        return row

    def _trained(self, epoch: int, rng: torch.Generator, progress: Progress | None) -> dict[str, float]:
        """Mean of each loss over the epoch's images; "loss" is the sum over a batch's updates."""
        labels = torch.cat([self.examples.labels, torch.zeros(self.settings.bias_samples, dtype=torch.long)])
        order = batches(labels, self.settings.batch_size, self.settings.sampling, rng)
        totals: dict[str, float] = {}
        counts: dict[str, int] = {}
        self.network.train()
        with ThreadPoolExecutor(1) as ahead:
            reading = ahead.submit(self._images, order[0])
            for number, indices in enumerate(order):
                images = reading.result()
                if number + 1 < len(order):
                    reading = ahead.submit(self._images, order[number + 1])
                values = self._updated(images, labels[indices], indices, (epoch, number), rng)
                for name, value in values.items():
                    if not math.isfinite(value):
                        where = f"epoch {epoch + 1}, step {number + 1}"
                        raise TrainingError(f"the loss {name!r} is {value} in {where}; {REMEDY}")
                    totals[name] = totals.get(name, 0.0) + value * len(indices)
                    counts[name] = counts.get(name, 0) + len(indices)
                if progress is not None:
                    progress(epoch + 1, number + 1, len(order), {name: totals[name] / counts[name] for name in totals})
        return {name: total / counts[name] for name, total in totals.items()}

    def _updated(
        self, images: Tensor, labels: Tensor, indices: Sequence[int], moment: tuple[int, int], rng: torch.Generator
    ) -> dict[str, float]:
        """Every update that the plan makes of a batch; the losses' values by name."""
        given = {kind: maps.of(indices) for kind, maps in self.maps.items()}
        images, given = self._augmented(images, given, rng)
        given = {kind: Given(each.maps.to(self.device), each.known.to(self.device)) for kind, each in given.items()}
        step = self._step(on_device(images, self.device), labels.to(self.device), rng, moment[0], given)
        values: dict[str, float] = {}
        for stage in self.plan.updates(*moment):
            made = self.updates.update(stage, step)
            values = {**values, **made, "loss": values.get("loss", 0.0) + made["loss"]}
        return values

    def _augmented(
        self, images: Tensor, given: dict[str, Given], rng: torch.Generator
    ) -> tuple[Tensor, dict[str, Given]]:
        """Images changed for training, and the maps over them moved alike."""
        for augmentation in self.settings.augmentations():
            before = rng.get_state()
            images = augmentation(images, rng)
            for kind, each in given.items():
                again = torch.Generator()
                again.set_state(before)
                given[kind] = Given(augmentation.on_maps(each.maps, again), each.known)
        return images, given

    def _step(
        self, images: Tensor, labels: Tensor, rng: torch.Generator, epoch: int, given: Mapping[str, Given]
    ) -> Step:
        """What losses see, but for the forward pass."""
        return Step(
            self.network,
            images,
            labels,
            Pass(torch.empty(0)),
            rng,
            self.class_weights,
            self.fillers,
            epoch,
            self.updates.modules_of_losses(),
            given,
            self.source.preprocessing,
        )

    def _judged(self, examples: Examples, epoch: int) -> dict[str, Any]:
        """Loss and scores on other images."""
        step = self._step(torch.empty(0), torch.empty(0), torch.Generator(), epoch, {})
        return judged(
            self.network,
            examples,
            self.losses,
            step,
            batch_size=self.settings.batch_size,
            classes=len(self.source.class_names),
            device=self.device,
        )

    def _scores(self) -> dict[str, Any]:
        """Of the network as it is, on validation and test images."""
        splits = {"val": self.held_out, "test": self.tested}
        return {name: self._judged(split, 0) for name, split in splits.items() if split is not None}

    def _images(self, indices: Sequence[int]) -> Tensor:
        """The batch, with the bias image behind the last index."""
        count = len(self.examples)
        images = torch.empty(len(indices), *self.examples.shape)
        real = [row for row, index in enumerate(indices) if index < count]
        if real:
            images[real] = self.examples.images([indices[row] for row in real])
        if len(real) < len(indices):
            images[[row for row, index in enumerate(indices) if index >= count]] = self.fillers["bias"]
        return images

    def _keep(self, losses: Sequence[float | None]) -> None:
        """What an epoch leaves. `last` is written behind the weights, so what it counts as done is there."""
        epoch = len(losses)
        facts = {"epoch": epoch, "val_loss": losses[-1]}
        if self.settings.keeps(epoch):
            save_weights(self.folder / EPOCHS / f"{epoch:04d}.safetensors", self.network, facts)
        if self.plan.judged(epoch - 1) and best_epoch(losses) == epoch - 1:
            save_weights(self.folder / BEST, self.network, facts)
        state = {"history": self.history, "scaler": self.updates.scaler.state_dict()}
        save_state(self.folder / LAST, self.updates.modules(), self.updates.states(), state)
        write_log(self.folder / LOG, self.history)

    def _finish(self, losses: Sequence[float | None]) -> None:
        """Scores of the best weights, on the test images where there are some."""
        best = best_epoch(losses)
        fit_state(self.network, read_state(self.folder / BEST)[0], self.folder / BEST)
        result: dict[str, Any] = {
            "best_epoch": best + 1,
            "epochs": len(losses),
            "stopped_early": len(losses) < self.settings.epochs,
            "seconds": round(sum(row["seconds"] for row in self.history), 3),
            "val": {key[4:]: value for key, value in self.history[best].items() if key.startswith("val_")},
        }
        if self.tested is not None:
            result["test"] = self._judged(self.tested, best)
        if self.before:
            result["start"] = self.before
        result["files"] = listed(self.folder, written(self.folder))
        write_json(self.folder / RESULT, result)

    def _given_maps(self, kind: str) -> GivenMaps:
        """Maps from outside that a loss needs.

        Raises:
            TrainingError: nothing brings such. DataError: no image has one.
        """
        providers = {"mask": self._mask, **self.given}
        if kind not in providers:
            wanting = ", ".join(repr(loss.name) for loss in self.losses if loss.given == kind)
            raise TrainingError(f"the loss {wanting} needs {kind} maps of training images, and there are none")
        height, width = self.examples.shape[1:]
        return GivenMaps(kind, providers[kind], self.source.train.names, (height, width))

    def _mask(self, index: int) -> Any:
        """A training image's mask as it lies over the network's input."""
        mask = self.source.train.mask(index)
        return None if mask is None else self.source.preprocessing.fitted(mask, nearest=True)

    def _class_weights(self) -> Tensor | None:
        given, classes = self.settings.class_weights, len(self.source.class_names)
        if given is None:
            return None
        if isinstance(given, str):
            return balanced_weights(self.examples.labels, classes).to(self.device)
        if len(given) != classes or min(given) <= 0:
            raise OptionError(f"class_weights={given}; expected {classes} positive numbers, one for each class")
        return torch.tensor(given, dtype=torch.float32, device=self.device)

    def _fillers(self) -> dict[str, Tensor]:
        """What may stand for removed pixels; the bias image is made only where something asks for it."""
        preprocessing = self.source.preprocessing
        black = -torch.tensor(preprocessing.mean) / torch.tensor(preprocessing.std)
        fillers = {"black": black[:, None, None]}
        if self.settings.bias_samples or any(getattr(loss, "fill", "") == "bias" for loss in self.losses):
            fillers["bias"] = self.examples.mean_image()
        return fillers


@contextmanager
def seeded(seed: int, epoch: int) -> Iterator[torch.Generator]:
    """Randomness of an epoch: torch's own generators are seeded inside and as before afterwards; one more to draw from.

    Torch's CPU generator takes 32 bits of a seed, so both numbers are hashed.
    """
    mixed = int(hashlib.sha256(f"{seed}/{epoch}".encode()).hexdigest()[:8], 16)
    with torch.random.fork_rng():
        torch.manual_seed(mixed)
        yield torch.Generator().manual_seed(mixed)
