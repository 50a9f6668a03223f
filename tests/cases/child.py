"""Processes of their own, for code that is killed or must not share the tests' process.

They are forked from a server that has imported torch once, so none of them waits for it. What the time or the place of an
import is about (`--version` without torch, the installed script) starts a fresh interpreter instead.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import types
import warnings
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Self

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "torch",
        "torchvision",
        "scipy.stats",
        "matplotlib.figure",
        "explainers.cli.main",
        "explainers.baselines",
        "explainers.run.explain.run",
        "explainers.run.evaluate.evaluate",
        "explainers.run.drift.comparison",
    ]
)


def _start_server() -> None:
    """Elsewhere than in the checkout, whose `explainers` it would import before the installed one."""
    here = os.getcwd()
    os.chdir(tempfile.gettempdir())
    try:
        forkserver.ensure_running()
    finally:
        os.chdir(here)


@dataclass(frozen=True)
class Finished:
    """returncode: as of subprocess, minus the number of a signal that ended it; stdout, stderr: all that it wrote."""

    returncode: int
    stdout: str
    stderr: str


class Child:
    """Python code in a process of its own, as `python -c CODE ARGUMENTS` runs it, or a script's file.

    Args:
        code: source text, or the path of a script; arguments: its sys.argv behind the first; cwd: where it runs.
    """

    def __init__(self, code: str | Path, *arguments: str | Path, cwd: str | Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._written = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        given = (code, [str(each) for each in arguments], os.getcwd() if cwd is None else str(cwd), self._written)
        _start_server()
        self._process = _SERVER.Process(target=_run, args=given)
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    @property
    def ended(self) -> bool:
        return self._process.exitcode is not None

    def send(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    @property
    def stdout(self) -> str:
        """What it has written so far."""
        return self._written[0].read_text() if self._written[0].exists() else ""

    def finished(self) -> Finished:
        """Wait for its end."""
        self._process.join()
        code = self._process.exitcode
        assert code is not None
        return Finished(code, self.stdout, self._written[1].read_text() if self._written[1].exists() else "")


def ran(code: str | Path, *arguments: str | Path, cwd: str | Path | None = None) -> Finished:
    """Code or a script, run to its end."""
    return Child(code, *arguments, cwd=cwd).finished()


def _run(code: str | Path, arguments: list[str], cwd: str, written: list[Path]) -> None:
    import torch

    for path, stream in zip(written, (sys.stdout, sys.stderr), strict=True):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, 1 if stream is sys.stdout else 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    os.chdir(cwd)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    script = isinstance(code, Path)
    if script:
        sys.path.insert(0, str(code.parent))
    sys.argv = [str(code) if script else "-c", *arguments]
    source = code.read_text(encoding="utf-8") if isinstance(code, Path) else code
    sys.modules["__main__"] = module = types.ModuleType("__main__")
    module.__dict__["__file__"] = str(code) if script else None
    exec(compile(source, str(code) if script else "<child>", "exec"), module.__dict__)
