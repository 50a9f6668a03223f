"""How far a run is: a bar on a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import sys
import time
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
