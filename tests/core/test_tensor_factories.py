"""Every tensor that the library makes says where it lies, and of which type: torch's defaults are the user's."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import explainers

PACKAGE = Path(explainers.__file__).parent
ROOMS = ("core", "evaluation", "methods", "network", "passes", "render", "run", "diagnosis.py", "explanation")
FLOATS = {"empty", "eye", "full", "linspace", "logspace", "ones", "rand", "randn", "zeros"}
FACTORIES = FLOATS | {"arange", "as_tensor", "asarray", "randint", "randperm", "scalar_tensor", "tensor"}
FILES = sorted(path for room in ROOMS for path in ([PACKAGE / room] if "." in room else (PACKAGE / room).rglob("*.py")))


def careless(source: str) -> list[str]:
    """Calls of torch's factories without `device=`, or of floats without `dtype=`; `**settings` may have both."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner, name = node.func.value, node.func.attr
        if not (isinstance(owner, ast.Name) and owner.id == "torch" and name in FACTORIES):
            continue
        given = {keyword.arg for keyword in node.keywords}
        if None in given:
            continue
        lacking = {"device"} - given | ({"dtype"} - given if name in FLOATS else set())
        if lacking:
            found.append(f"line {node.lineno}: torch.{name} without {' and '.join(sorted(lacking))}")
    return found


def test_what_is_careless():
    assert careless("torch.zeros(3)") == ["line 1: torch.zeros without device and dtype"]
    assert careless("torch.tensor([1])") == ["line 1: torch.tensor without device"]
    assert careless("torch.zeros(3, device=d, dtype=t); torch.arange(3, device=d); torch.rand(2, **PLAIN)") == []
    assert careless("x.zeros(3); zeros(3); torch.zeros_like(x); torch.from_numpy(x)") == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_tensor_says_where_it_lies(path):
    assert careless(path.read_text(encoding="utf-8")) == []
