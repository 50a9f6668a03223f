"""What tells functions of a user's from each other: all that decides what they give, and nothing else."""

import functools
import importlib
import sys

import pytest
import torch

from explainers.models.factory import function_from
from explainers.network.output import Negative
from explainers.passes.own_code import function_name

AIM = """
import numpy
import helper
from helper import twice
K = {k}
TABLE = [1, {{"a": (2, {k})}}]
class Scale:
    def __init__(self, by): self.by = by
    def __call__(self, y): return self.by * y
def inner(y): return K * y
def by_constant(y): return K * y
def by_table(y): return TABLE[1]["a"][1] * y
def by_helper_here(y): return inner(y)
def by_module(y): return helper.FACTOR * y
def by_import(y): return twice(y)
def by_default(y, k={k}): return k * y
def nested(y): return (lambda z: K * z)(y)
by_object = Scale({k})
unmoved = abs
def alone(y): return numpy.abs(y)
"""


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the functions of a file are called, for values of its constant and of the one beside it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def of(k=1, factor=1):
        (tmp_path / "aim.py").write_text(AIM.format(k=k))
        (tmp_path / "helper.py").write_text(f"FACTOR = {factor}\ndef twice(y): return FACTOR * 2 * y\n")
        sys.modules.pop("helper", None)
        importlib.invalidate_caches()
        sys.dont_write_bytecode = True
        found = [line.split()[1].split("(")[0] for line in AIM.splitlines() if line.startswith("def ")]
        return {name: function_name(function_from(f"{tmp_path / 'aim.py'}:{name}")) for name in (*found, "by_object")}

    before = sys.dont_write_bytecode
    yield of
    sys.dont_write_bytecode = before
    sys.modules.pop("helper", None)


def test_a_constant_a_helper_and_a_file_beside_it_change_the_functions_that_use_them(names):
    first, again, other, beside = names(), names(), names(k=2), names(factor=2)
    assert first == again
    unchanged = {"by_module", "by_import", "alone"}
    assert {name for name in first if first[name] == other[name]} == unchanged
    assert {name for name in first if first[name] != beside[name]} == {"by_module", "by_import"}


def test_values_that_a_function_has_caught_tell_it_from_another():
    def made(caught):
        return lambda y: y * caught

    one, two = torch.ones(2), torch.zeros(2)
    network = torch.nn.Linear(2, 2)
    for a, b in ((1, 2), (one, two), ([1, [2]], [1, [3]]), ({"a": one}, {"a": two}), ({1, 2}, {1, 3})):
        assert function_name(made(a)) == function_name(made(a))
        assert function_name(made(a)) != function_name(made(b))
    assert function_name(functools.partial(made, 1)) != function_name(functools.partial(made, 2))
    before = function_name(made(network))
    with torch.no_grad():
        network.weight.add_(1)
    assert function_name(made(network)) != before
    own: list = []
    own.append(own)  # holds itself
    assert function_name(made(own)) == function_name(made(own))
    assert function_name(Negative()) == repr(Negative())


@pytest.mark.parametrize("place", range(4))
def test_no_value_is_passed_by_for_another_that_was_looked_at_before(place):
    def made(factors, networks):
        functions = [lambda y, factor=factor: factor * y for factor in factors]
        return lambda y: [*(each(y) for each in functions), *networks]

    zeros = [0, 0, 0, 0]
    networks = [torch.nn.Conv2d(1, 1, 1) for _ in zeros]
    before = function_name(made(zeros, networks))
    assert function_name(made([int(each == place) for each in range(4)], networks)) != before
    with torch.no_grad():
        networks[place].weight.add_(1)
    assert function_name(made(zeros, networks)) != before
