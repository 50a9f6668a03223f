"""How far a run is: a bar on a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

EVERY = 30.0  # seconds between lines where there is no terminal


class Progress:
    """Shows progress on stderr while a run goes on inside `with`."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.bar: Any = None
        self.last = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, done: int, total: int, name: str) -> None:
        """Called after each image."""
        if self.quiet:
            return
        if sys.stderr.isatty():
            if self.bar is None:
                from tqdm import tqdm

                self.bar = tqdm(total=total, unit="image", file=sys.stderr, dynamic_ncols=True)
            self.bar.update(done - self.bar.n)
        elif time.monotonic() - self.last > EVERY:
            self.last = time.monotonic()
            print(f"explain: {done} of {total} images", file=sys.stderr)
