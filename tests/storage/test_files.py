"""Reading regular files whole: what comes back, what is refused, and what a read reserves."""

from __future__ import annotations

import tracemalloc

import pytest

from explainers.storage.files import read_bytes


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_a_file_comes_back_whole_up_to_the_limit_itself(tmp_path, size):
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    (tmp_path / "a").write_bytes(content)
    assert read_bytes(tmp_path / "a", 1 << 40) == content
    assert read_bytes(tmp_path / "a", size) == content
    if size:
        with pytest.raises(OSError, match=f"it has {size:,} bytes, more than the limit of {size - 1:,}"):
            read_bytes(tmp_path / "a", size - 1)


def test_a_small_file_costs_its_own_size_whatever_the_limit_is(tmp_path):
    (tmp_path / "a").write_bytes(b"small")
    tracemalloc.start()
    try:
        read_bytes(tmp_path / "a", 1 << 32)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
