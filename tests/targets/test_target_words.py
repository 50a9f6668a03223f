"""Targets as text: what each spelling means, and what is said of one that means nothing."""

from __future__ import annotations

import pytest
import torch

from explainers.errors import ModelFileError, TargetError
from explainers.models.target_words import target_of
from explainers.targets import Difference, Value
from explainers.targets.chosen import Chosen

NAMES = ("cat", "dog", "cat-fish", "salt - pepper", "next", "tabby, tabby cat", "0.5 dog", "value:0", "7")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("cat", "cat"),
        ("CAT-FISH", "CAT-FISH"),
        ("salt - pepper", "salt - pepper"),  # a class's name wins
        ("value:0", "value:0"),
        ("7", "7"),
        ("next", "next"),
        ("3", 3),
        ("label", "label"),
        ("not", "not"),
        ("predicted", None),
        ("cat - dog", Difference(0, 1)),
        ("cat - cat-fish", Difference(0, 2)),
        ("cat-fish - cat", Difference(2, 0)),
        ("salt - pepper - cat", Difference(3, 0)),
        ("cat - salt - pepper", Difference(0, 3)),
        ("cat - 0.25 dog", Difference(0, 1, 0.25)),
        ("cat - 2 dog", Difference(0, 1, 2)),
        ("cat - 0.5 dog", Difference(0, 6)),  # a class is called like that
        ("cat - next", Difference(0, 4)),  # likewise
        ("predicted - dog", Difference(None, 1)),
        ("0 - 1", Difference(0, 1)),
        ("tabby - dog", Difference(5, 1)),
        ("value:1", Value(1)),
        ("value:1:lowered", Value(1, lowered=True)),
        ("value:dog:lowered", Value(1, lowered=True)),
        ("horse", "horse"),  # told to be none where it is looked up
    ],
)
def test_spellings(text, wanted):
    assert target_of(text, NAMES) == wanted


def test_without_names_classes_are_indices():
    assert target_of("3 - next", None) == Difference(3)
    assert target_of("3 - 0.5 1", None) == Difference(3, 1, 0.5)
    for text in ("cat", "cat - dog", "3 - dog"):
        with pytest.raises(TargetError, match="not known"):
            target_of(text, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat - horse", "no class 'horse'"),
        ("horse - cat", "no class 'horse'"),
        ("cat - cat", "minus itself"),
        ("like:", "expected like: and an image file"),
        ("value:", "index of a value"),
        ("value:x", "no class 'x'.*; expected the index of a value"),
        ("own.py", "such as own.py:NAME"),
        ("value:1:up", "value:INDEX:lowered"),
    ],
)
def test_what_means_nothing_is_refused_by_name(text, said):
    with pytest.raises(TargetError, match=said):
        target_of(text, NAMES)
    with pytest.raises(TargetError, match="2 ways"):
        target_of("a - b - c", ("a", "b - c", "a - b", "c"))


def test_functions_targets_and_references(tmp_path):
    (tmp_path / "own.py").write_text(
        "from explainers.targets import Difference, ClassScore\n"
        "def peak(y):\n    return y.max()\n"
        "fixed = Difference(1, 2)\n"
        "text = 'no function'\n"
    )
    found = target_of(f"{tmp_path}/own.py:peak", NAMES)
    assert isinstance(found, Chosen)  # of a class or a number
    assert float(found(torch.tensor([1.0, 4.0]))) == 4
    assert found.label() == "peak"
    assert target_of(f"{tmp_path}/own.py:fixed", NAMES) == Difference(1, 2)
    assert target_of(f"{tmp_path}/own.py:ClassScore", NAMES).index is None
    with pytest.raises(ModelFileError, match="no callable 'text'"):
        target_of(f"{tmp_path}/own.py:text", NAMES)
    like = target_of("like:a/b.png", NAMES, lambda path: torch.full((3, 2, 2), float(len(path))))
    assert like.label() == "like b.png"
    assert float(like.reference.max()) == 7
