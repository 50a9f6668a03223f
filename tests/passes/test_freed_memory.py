"""Memory that is kept for the next pass."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

LOOP = """
import resource, sys, torch
from explainers.passes.freed_memory import keep_freed_memory
done = keep_freed_memory() if "keep" in sys.argv else None
before = 0
for turn in range(40):
    if turn == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(10_000_000)  # 40 MB, more than glibc ever keeps by itself
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
GLIBC = platform.libc_ver()[0] == "glibc"


def faults(*arguments, **environment):
    command = [sys.executable, "-c", LOOP, *arguments]
    clean = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", **environment}
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=clean).stdout
    done, count = printed.split()
    return done, int(count)


@pytest.mark.skipif(not GLIBC, reason="another malloc")
def test_pages_are_got_once_and_not_for_every_tensor():
    assert faults()[1] > 20 * 40_000_000 / 2**21  # at least one for every large page
    done, count = faults("keep")
    assert done == "True"
    assert count < 10


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_environment_sets_up_stays(name):
    value = "glibc.malloc.trim_threshold=131072" if name == "GLIBC_TUNABLES" else "131072"
    done, count = faults("keep", **{name: value})
    assert done == "False"
    assert not GLIBC or count > 100
