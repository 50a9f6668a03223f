"""Files read by a pool of threads while what was read before is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

File = TypeVar("File")
Item = TypeVar("Item")


def read_ahead(
    pool: ThreadPoolExecutor, files: Iterable[File], read: Callable[[File], Item], ahead: int
) -> Iterator[Item]:
    """What `read` makes of each file, in the order of the files.

    Nothing is read before the first item is asked for. An exception of `read` is raised where its item would come.

    Args:
        ahead: how many files at most are read or being read beyond the item handed out, at least 1; it bounds the
            memory, whatever the number of files.
    """
    rest = iter(files)
    waiting: deque[Future[Item]] = deque(pool.submit(read, file) for file in islice(rest, ahead))
    while waiting:
        item = waiting.popleft().result()
        waiting.extend(pool.submit(read, file) for file in islice(rest, 1))
        yield item
