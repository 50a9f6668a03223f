"""What tells functions of a user's from each other: all that decides what they give, and nothing else."""

import functools
import importlib
import random
import sys

import pytest
import torch

from explainers.models.factory import function_from
from explainers.network.output import Negative
from explainers.passes.own_code import function_name

AIM = """
import functools, re, types
import numpy
import torch
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
@functools.lru_cache
def cached(y): return K * y
@torch.no_grad()
def without_gradient(y): return K * y
PATTERN, SETTINGS = re.compile("a" * {k}), types.SimpleNamespace(k={k})
def by_pattern(y): return PATTERN.sub("", y)
def by_settings(y): return SETTINGS.k * y
class Layer(torch.nn.Module):
    k = {k}
    def forward(self, y): return self.k * y
HEAD = torch.nn.Sequential(Layer())
def by_layer(y): return HEAD(y)
def by_import_within(y):
    from helper import twice
    return twice(y)
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
    unchanged = {"by_module", "by_import", "by_import_within", "alone"}
    assert {name for name in first if first[name] == other[name]} == unchanged
    assert {name for name in first if first[name] != beside[name]} == {"by_module", "by_import", "by_import_within"}


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


def test_order_whole_numbers_and_comments():
    one, two = torch.zeros(2), torch.ones(2)
    pairs = {(1, 2)}, {(1, 3)}

    def made(caught):
        return lambda y: y * caught

    assert function_name(made([one, two, one])) != function_name(made([one, two, two]))
    assert function_name(made(torch.tensor([2**24]))) != function_name(made(torch.tensor([2**24 + 1])))
    assert function_name(made(torch.eye(2).to_sparse())) != function_name(made(torch.zeros(2, 2).to_sparse()))
    assert function_name(made(pairs[0])) != function_name(made(pairs[1]))
    rng = random.Random(0)
    draws = made(rng)
    before = function_name(draws)
    rng.random()
    assert function_name(draws) == before
    assert function_name(made(random.Random(1))) != before


GROWING = """
import collections, helper
LOG, STATE, SEEN, COUNT, TABLE = [{k}], {{"k": {k}, "n": 0}}, {{{k}}}, 0, [{k}]
def by_list(y): LOG.append(y); return y * LOG[0]
def by_key(y): STATE["n"] += 1; return y * STATE["k"]
def by_any_key(y): STATE[y] = y; return y * STATE["k"]
def by_set(y): SEEN.add(y); return y
def by_global(y):
    global COUNT
    COUNT += 1
    return y * {k}
def by_attribute(y): by_attribute.calls = getattr(by_attribute, "calls", 0) + 1; return y * {k}
def by_module(y): helper.LOG.append(y); return y * {k}
class Counts:
    def __init__(self): self.n, self.k, self.log = 0, {k}, [{k}]
    def __call__(self, y): self.n += 1; self.log.append(y); return y * self.k
by_object = Counts()
def by_helper(y): return by_list(y) * by_object(y)
def made():
    last, n = collections.deque([{k}]), 0
    def inner(y):
        nonlocal n
        n += 1
        last.append(y)
        return y * last[0]
    return inner
by_closure = made()
"""


def test_what_a_function_changes_itself_is_no_other_function(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sys.modules.pop("helper", None)
    (tmp_path / "helper.py").write_text("LOG = []\n")
    names = [f"by_{each}" for each in ("list", "key", "any_key", "set", "global", "attribute", "module", "object")]
    names += ["by_helper", "by_closure"]

    def functions(k, comment=""):
        (tmp_path / "aim.py").write_text(comment + GROWING.format(k=k))
        return {name: function_from(f"{tmp_path / 'aim.py'}:{name}") for name in names}

    for name in names:
        first, again, other = functions(1)[name], functions(1, "# said otherwise\n")[name], functions(2)[name]
        before = function_name(first)
        first(5), first(7)
        assert function_name(first) == before, name
        assert function_name(again) == before, name  # the next start
        assert function_name(other) != before, name
    aim = functions(1)["by_key"]
    before = function_name(aim)
    aim.__globals__["STATE"]["k"] = 3  # which it does not do itself
    assert function_name(aim) != before
    aim = functions(1)["by_list"]
    before = function_name(aim)
    aim.__globals__["LOG"][0] = 3
    assert function_name(aim) != before
    sys.modules.pop("helper", None)


def test_where_a_file_lies_is_no_difference(names, tmp_path):
    before = names()
    (tmp_path / "moved").mkdir()
    for name in ("aim.py", "helper.py"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    sys.modules.pop("helper")
    after = {name: function_name(function_from(f"{tmp_path / 'moved/aim.py'}:{name}")) for name in before}
    assert after == before
    assert before["by_module"].startswith("aim.by_module ")
