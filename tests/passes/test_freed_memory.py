"""Memory that is kept for the next pass."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
from child import ran

from explainers.passes.freed_memory import USERS_OWN

LOOP = """
import resource, sys
from explainers.passes.freed_memory import keep_freed_memory
done = keep_freed_memory() if "keep" in sys.argv else None
before = 0
for turn in range(40):
    if turn == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    BLOCK  # 40 MB, more than glibc ever keeps by itself
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
TENSOR = "import torch\n" + LOOP.replace("BLOCK", "torch.ones(10_000_000)")
BYTES = LOOP.replace("BLOCK", "b'x' * 40_000_000")  # malloc's too, where a process is to be without torch
GLIBC = platform.libc_ver()[0] == "glibc"
OWN = any(os.environ.get(name) for name in USERS_OWN) or "malloc" in os.environ.get("GLIBC_TUNABLES", "")


def numbers(printed):
    done, count = printed.split()
    return done, int(count)


def faults(*arguments):
    done = ran(TENSOR, *arguments)
    assert done.returncode == 0, done.stderr
    return numbers(done.stdout)


@pytest.mark.skipif(not GLIBC or OWN, reason="another malloc, or one that is set up")
def test_pages_are_got_once_and_not_for_every_tensor():
    assert faults()[1] > 20 * 40_000_000 / 2**21  # at least one for every large page
    done, count = faults("keep")
    assert done == "True"
    assert count < 10


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_environment_sets_up_stays(name):
    value = "glibc.malloc.trim_threshold=131072" if name == "GLIBC_TUNABLES" else "131072"
    command, given = [sys.executable, "-c", BYTES, "keep"], {"PATH": "/usr/bin:/bin", name: value}
    done, count = numbers(subprocess.run(command, capture_output=True, text=True, check=True, env=given).stdout)
    assert done == "False"
    assert not GLIBC or count > 100
