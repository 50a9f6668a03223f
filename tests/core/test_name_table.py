"""Things known by name."""

from __future__ import annotations

import pytest

from explainers.core.name_table import Names, keywords, refuse_unknown, takes_any
from explainers.errors import DataError, OptionError


def fruit(**more):
    names = Names("fruit", **more)
    for name in ("pear", "apple", "red-currant"):
        names.add(name, name.upper())
    return names


def test_things_are_found_and_listed_sorted():
    names = fruit()
    assert list(names) == ["apple", "pear", "red-currant"]
    assert "pear" in names
    assert "plum" not in names
    assert names.find("pear") == "PEAR"


def test_a_name_taken_twice_is_a_mistake():
    names = fruit()
    with pytest.raises(ValueError, match="two fruits are called 'pear': PEAR and green"):
        names.add("pear", "green")
    names.add_family("nut", str)
    with pytest.raises(ValueError, match="two families of fruits are called 'nut'"):
        names.add_family("nut", str)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("apples", "no fruit 'apples'; did you mean apple? available: apple, pear, red-currant"),
        ("Red_Currant", "no fruit 'Red_Currant'; did you mean red-currant? available: apple, pear, red-currant"),
        ("zzz", "no fruit 'zzz'; available: apple, pear, red-currant"),
        ("nut:pear", "no fruit 'nut:pear'; did you mean pear? available: apple, pear, red-currant"),
    ],
)
def test_a_name_that_is_not_known_brings_those_that_come_close(name, text):
    with pytest.raises(OptionError) as error:
        fruit().find(name)
    assert str(error.value) == text


def test_errors_are_of_the_kind_asked_for_and_names_written_as_asked_for():
    with pytest.raises(DataError, match=r"no fruit 'apples'; did you mean <apple>\? available: <apple>, <pear>, <red-"):
        fruit(error=DataError).find("apples", shown=lambda name: f"<{name}>")


def test_a_family_makes_its_members():
    names = fruit()
    names.add_family("nut", lambda member: f"{member} with a shell")
    assert names.find("nut:hazel") == "hazel with a shell"
    with pytest.raises(OptionError, match=r"available: apple, pear, red-currant, nut:NAME$"):
        names.find("zzz")


def test_keywords_of_a_call():
    def call(a, b=1, *, c, d=2, **more): ...

    assert list(keywords(call)) == ["c", "d"]
    assert keywords(call)["d"] == 2
    assert takes_any(call)
    assert not takes_any(call, but="more")
    refuse_unknown("call", {"c": 0}, keywords(call))
    with pytest.raises(OptionError, match="^call has no option e, f; its options are c, d$"):
        refuse_unknown("call", {"f": 0, "e": 1, "c": 2}, keywords(call))
    with pytest.raises(OptionError, match="^call has no option c; it has none$"):
        refuse_unknown("call", {"c": 0}, {})
