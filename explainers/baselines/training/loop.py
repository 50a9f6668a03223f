"""The loop over epochs and steps, for every network and loss."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explainers.baselines.losses.loss import Loss, Pass, Step, forward
from explainers.baselines.training.accuracy import classification_scores, top_accuracy
from explainers.baselines.training.batches import Examples, balanced_weights, batches
from explainers.baselines.training.checkpoint import load_state, save_state, save_weights
from explainers.baselines.training.plans import Stage, frozen
from explainers.baselines.training.run_folder import BEST, EPOCHS, LAST, LOG, RESULT, write_log
from explainers.baselines.training.schedules import best_epoch, exhausted
from explainers.baselines.training.settings import Settings
from explainers.data.data_set import DataSet
from explainers.errors import ImageError, OptionError, TrainingError
from explainers.models.weight_files import fit_state, read_state
from explainers.network.guard import preserved
from explainers.storage.atomic import write_json
from explainers.storage.listing import listed

REMEDY = "lower the learning rate, clip gradients or train in float32; epochs that were whole before are kept"
TOP = 5  # classes of which one has to be right, where there are more
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

    def __post_init__(self) -> None:
        self.examples = Examples(self.source.train, self.source.preprocessing)
        self.held_out = Examples(self.source.val, self.source.preprocessing)
        self.tested = None if self.source.test is None else Examples(self.source.test, self.source.preprocessing)
        if not (self.folder / LAST).is_file():
            self._check_images()
        self.optimizer = self.settings.optimizer.make(self.network)
        self.base = [group["lr"] for group in self.optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.settings.precision == "float16")
        self.class_weights = self._class_weights()
        self.fillers = self._fillers()
        self.history: list[dict[str, Any]] = []

    def go(self, progress: Progress | None, watches: Sequence[Watch]) -> None:
        """Every epoch that is left, then the scores of the best one."""
        last = self.folder / LAST
        if last.is_file():
            facts = load_state(last, self.network, self.optimizer)
            self.history = facts["history"]
            if facts["scaler"]:
                self.scaler.load_state_dict(facts["scaler"])
            write_log(self.folder / LOG, self.history)
        losses = [row["val_loss"] for row in self.history]
        while len(losses) < self.settings.epochs and not exhausted(losses, self.settings.patience):
            row = self.epoch(len(losses), losses, progress)
            losses.append(row["val_loss"])
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

    def epoch(self, epoch: int, losses: Sequence[float], progress: Progress | None) -> dict[str, Any]:
        """One pass over the training images and one over the held-out ones; the log's row."""
        start = time.monotonic()
        scale = self.settings.schedule.scale(losses, self.settings.epochs)
        for group, lr in zip(self.optimizer.param_groups, self.base, strict=True):
            group["lr"] = max(lr * scale, min(lr, self.settings.schedule.floor))
        with seeded(self.settings.seed, epoch) as rng:
            trained = self._trained(epoch, rng, progress)
        row: dict[str, Any] = {"epoch": epoch + 1, "seconds": 0.0, "lr": self.optimizer.param_groups[0]["lr"]}
        row |= {f"train_{name}": value for name, value in trained.items()}
        row |= {f"val_{name}": value for name, value in self._judged(self.held_out).items()}
        if not math.isfinite(row["val_loss"]):
            raise TrainingError(f"the validation loss is {row['val_loss']} after epoch {epoch + 1}; {REMEDY}")
        row["seconds"] = round(time.monotonic() - start, 3)
        return row

    def _trained(self, epoch: int, rng: torch.Generator, progress: Progress | None) -> dict[str, float]:
        """Mean of each loss over the epoch's images."""
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
                values = self._step(images, labels[indices], self.settings.plan.stage(epoch, number), rng)
                for name, value in values.items():
                    if not math.isfinite(value):
                        where = f"epoch {epoch + 1}, step {number + 1}"
                        raise TrainingError(f"the loss {name!r} is {value} in {where}; {REMEDY}")
                    totals[name] = totals.get(name, 0.0) + value * len(indices)
                    counts[name] = counts.get(name, 0) + len(indices)
                if progress is not None:
                    progress(epoch + 1, number + 1, len(order), {name: totals[name] / counts[name] for name in totals})
        return {name: total / counts[name] for name, total in totals.items()}

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

    def _step(self, images: Tensor, labels: Tensor, stage: Stage, rng: torch.Generator) -> dict[str, float]:
        """One update; the losses' values by name, their weighted sum as "loss"."""
        for augmentation in self.settings.augmentations():
            images = augmentation(images, rng)
        images, labels = images.to(self.device), labels.to(self.device)
        wanted = [loss for loss in self.losses if stage.losses is None or loss.name in stage.losses]
        self.optimizer.zero_grad(set_to_none=True)
        with frozen(self.network, stage.frozen):
            with self._autocast():
                made = forward(self.network, images)
                step = Step(self.network, images, labels, made, rng, self.class_weights, self.fillers)
                values = {loss.name: loss(step) for loss in wanted}
                total = torch.stack([loss.weight * values[loss.name].float() for loss in wanted]).sum()
            if not total.requires_grad:
                raise TrainingError(f"no part that learns has a say in the losses {', '.join(values)}; freeze less")
            self.scaler.scale(total).backward()
            if self.settings.clip is not None:
                self.scaler.unscale_(self.optimizer)
                nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return {"loss": total.item(), **{name: value.item() for name, value in values.items()}}

    @torch.no_grad()
    def _judged(self, examples: Examples) -> dict[str, Any]:
        """Validation loss and scores on other images, with the network in evaluation mode and in full precision."""
        parts = []
        with preserved(self.network):
            for start in range(0, len(examples), self.settings.batch_size):
                rows = range(start, min(start + self.settings.batch_size, len(examples)))
                parts.append(forward(self.network, examples.images(rows).to(self.device)))
        attention = [part.attention_logits.cpu() for part in parts if part.attention_logits is not None]
        made = Pass(torch.cat([part.logits.cpu() for part in parts]), torch.cat(attention) if attention else None)
        weights = None if self.class_weights is None else self.class_weights.cpu()
        step = Step(self.network, torch.empty(0), examples.labels, made, torch.Generator(), weights)
        terms = [loss.weight * float(loss(step)) for loss in self.losses if loss.validated]
        classes = len(self.source.class_names)
        found = classification_scores(made.logits.argmax(1), examples.labels, classes)
        if classes > TOP:
            found[f"top{TOP}_accuracy"] = top_accuracy(made.logits, examples.labels, TOP)
        return {"loss": sum(terms), **{name: value for name, value in found.items() if value is not None}}

    def _keep(self, losses: Sequence[float]) -> None:
        """What an epoch leaves. `last` is written behind the weights, so what it counts as done is there."""
        epoch = len(losses)
        facts = {"epoch": epoch, "val_loss": losses[-1]}
        if self.settings.keeps(epoch):
            save_weights(self.folder / EPOCHS / f"{epoch:04d}.safetensors", self.network, facts)
        if best_epoch(losses) == epoch - 1:
            save_weights(self.folder / BEST, self.network, facts)
        state = {"history": self.history, "scaler": self.scaler.state_dict()}
        save_state(self.folder / LAST, self.network, self.optimizer, state)
        write_log(self.folder / LOG, self.history)

    def _finish(self, losses: Sequence[float]) -> None:
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
            result["test"] = self._judged(self.tested)
        result["files"] = listed(self.folder, [name for name in (LAST, BEST, LOG) if (self.folder / name).is_file()])
        write_json(self.folder / RESULT, result)

    def _autocast(self) -> Any:
        kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(self.settings.precision)
        return torch.autocast(self.device.type, dtype=kind, enabled=kind is not None)

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
