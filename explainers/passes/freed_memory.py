"""What the C library does with memory that passes on a CPU free."""

from __future__ import annotations

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
LARGEST_KEPT, MOST_KEPT = 1 << 28, (1 << 31) - 1  # bytes: of one block; free ones at the end of the heap
USERS_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for what it allocates next; whether that could be set.

    glibc gives large blocks back to the system as soon as they are free. A network's activations are such blocks, so
    every pass gets all its memory anew, page by page; how much time of a ResNet that is stands in
    benchmarks/evaluation.md. Afterwards the process keeps up to 2 GiB of free memory until it ends. The
    `explain` command does this; a program that calls the package decides for itself. Nothing is done where malloc was
    set up by the environment, or is another than glibc's.
    """
    if any(os.environ.get(name) for name in USERS_OWN) or "malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)) and bool(mallopt(M_TRIM_THRESHOLD, MOST_KEPT))
