"""How far a run or a training is: a bar on a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

EVERY = 30.0  # seconds between lines where there is no terminal


class Progress:
    """Shows progress on stderr while a run goes on inside `with`."""

    def __init__(self, *, quiet: bool, unit: str = "image", units: str = "images") -> None:
        self.quiet, self.unit, self.units = quiet, unit, units
        self.bar: Any = None
        self.done = ""
        self.last = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, done: int, total: int | None, name: str) -> None:
        """Called after each image, or whatever is counted."""
        if self.quiet:
            return
        self.done = f"{done} of {total} {self.units}" if total else f"{done} {self.units}"
        if sys.stderr.isatty():
            bar = self._bar()
            bar.total = total
            bar.update(done - bar.n)
        else:
            self._line(self.done)

    def passes(self, method: str, done: int, total: int, per_second: float) -> None:
        """Called after each batch of a method that passes many changed images through the network."""
        if self.quiet:
            return
        text = f"{method} {done}/{total} passes, {per_second:.0f}/s"
        if sys.stderr.isatty():
            self._bar().set_postfix_str(text)
        else:
            self._line(f"{self.done}, then {text}" if self.done else text)

    def _bar(self) -> Any:
        if self.bar is None:
            from tqdm import tqdm

            self.bar = tqdm(unit=self.unit, file=sys.stderr, dynamic_ncols=True)
        return self.bar

    def _line(self, text: str) -> None:
        if time.monotonic() - self.last > EVERY:
            self.last = time.monotonic()
            print(f"explain: {text}", file=sys.stderr)


class TrainingProgress(Progress):
    """The losses by their names beside the bar."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(quiet=quiet, unit="step", units="steps")

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Called after each epoch: a line of its own, above the bar on a terminal."""
        if self.quiet:
            return
        judged = "not validated"
        if "val_loss" in row:
            judged = f"validation loss {row['val_loss']:.4f}, accuracy {row['val_accuracy']:.3f}"
        text = f"epoch {row['epoch']}: loss {row['train_loss']:.4f}, {judged}, {row['seconds']:.1f} s"
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        else:
            print(f"explain: {text}", file=sys.stderr)

    def step(self, epoch: int, step: int, steps: int, losses: Mapping[str, float]) -> None:
        """Called after each step."""
        if self.quiet:
            return
        text = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
        if not sys.stderr.isatty():
            self._line(f"epoch {epoch}, step {step} of {steps}, {text}")
            return
        bar = self._bar()
        if step == 1 or bar.total is None:
            bar.reset(total=steps)
            bar.set_description(f"epoch {epoch}")
        bar.set_postfix_str(text)
        bar.update(step - bar.n)
