"""Procedures that take turns, each side in a process of its own."""

from __future__ import annotations

import multiprocessing
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from explainers import keep_freed_memory

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Procedures = dict[str, Callable[[], Any]]


def clock(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


class Turns:
    """Procedures in a process of their own, so that each side has the allocator that its users have.

    Args:
        make: gives the procedures by their names; keep: whether the process keeps freed memory, as `explain` does.
    """

    def __init__(self, make: Callable[..., Procedures], *arguments: Any, keep: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, make, arguments, keep), daemon=True)

    def __enter__(self) -> Turns:
        self._process.start()
        self.names: list[str] = self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()

    def ask(self, name: str) -> tuple[float, Any]:
        """Seconds and the result."""
        self._pipe.send(name)
        took, found = self._pipe.recv()
        return took, found


def _serve(pipe: Any, make: Callable[..., Procedures], arguments: tuple[Any, ...], keep: bool) -> None:
    warnings.filterwarnings("ignore")
    if keep:
        keep_freed_memory()
    procedures = make(*arguments)
    pipe.send(list(procedures))
    while True:
        call, kept = procedures[pipe.recv()], []
        took = clock(lambda call=call, kept=kept: kept.append(call()))  # type: ignore[misc]
        pipe.send((took, kept[0]))


def take_turns(sides: Sequence[Turns], rounds: int) -> dict[str, tuple[float, Any]]:
    """The median time and the last result of every procedure, after one round that does not count."""
    seen: dict[str, list[tuple[float, Any]]] = {}
    for turn in range(rounds + 1):
        for ask, name in [(side.ask, name) for side in sides for name in side.names]:
            found = ask(name)
            if turn:
                seen.setdefault(name, []).append(found)
    return {name: (statistics.median(took for took, _ in each), each[-1][1]) for name, each in seen.items()}
