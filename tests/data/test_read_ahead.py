"""Reading ahead: in order, never further than asked, and with the errors of reading."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from explainers.data.images.read_ahead import read_ahead


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as made:
        yield made


def test_items_come_in_the_order_of_the_files_however_long_each_takes(pool):
    second_is_read = threading.Event()

    def read(file):
        if file == 0:
            assert second_is_read.wait(10)  # the first is ready after the second
        if file == 1:
            second_is_read.set()
        return file * 10

    assert list(read_ahead(pool, range(50), read, 3)) == [file * 10 for file in range(50)]


@pytest.mark.parametrize("ahead", [1, 2, 5, 100])
def test_no_more_files_than_asked_are_read_beyond_the_item_handed_out(pool, ahead):
    begun, lock = [], threading.Lock()

    def read(file):
        with lock:
            begun.append(file)
        return file

    drawn = []
    items = read_ahead(pool, (drawn.append(file) or file for file in range(20)), read, ahead)
    assert drawn == []  # nothing before the first is asked for
    for handed_out, item in enumerate(items, 1):
        assert item == handed_out - 1
        assert len(drawn) == min(handed_out + ahead, 20)
        with lock:
            assert len(begun) <= handed_out + ahead
    assert sorted(begun) == list(range(20))


def test_as_many_files_as_asked_are_being_read_at_once(pool):
    together = threading.Barrier(3, timeout=10)  # breaks unless three are read at the same time

    def read(file):
        together.wait()
        return file

    assert list(read_ahead(pool, range(9), read, 3)) == list(range(9))


def test_an_error_of_reading_is_raised_where_its_item_would_come(pool):
    def read(file):
        if file == 3:
            raise ValueError("file 3 is broken")
        return file

    items = read_ahead(pool, range(9), read, 4)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="file 3 is broken"):
        next(items)
    assert list(items) == []


def test_no_files_give_no_items(pool):
    assert list(read_ahead(pool, [], str, 4)) == []
