"""Functions of a file behind `--target`: whole numbers choose the class, other numbers are explained themselves."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from explainers.cli.main import main
from run_case import folder

from explainers.errors import OutputError
from explainers.targets import Answer, ClassScore, Function
from explainers.targets.chosen import Chosen

SCORES = torch.tensor([[0.5, -1.0, 3.0]])
ANSWER = Answer(SCORES, 1)


@pytest.mark.parametrize(
    "choose",
    [
        lambda scores: scores.argmax(1),
        lambda scores: scores.argmax(1, keepdim=True),
        lambda scores: scores.argmax(1).tolist(),
        lambda scores: scores.numpy().argmax(1),
        lambda scores: np.int64(2),
        lambda scores: 2,
    ],
)
def test_whole_numbers_are_a_class(choose):
    assert Chosen(choose, "f").settle(ANSWER) == ClassScore(2)


def test_other_numbers_are_explained_themselves():
    for function in (lambda one: one[0] - one[1], lambda one: one.max()):
        settled = Chosen(function, "f").settle(ANSWER)
        assert settled == Function(function, "f")
        assert settled.score(ANSWER).tolist() == [function(SCORES[0])]


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda scores: scores.argmax(1) + 7, r"target f: chose tensor\(\[9\]\) of .* the network has classes 0 … 2"),
        (lambda scores: -1, "target f: chose -1 of .* the network has classes 0 … 2; return one of them"),
        (lambda scores: scores.topk(2).indices, r"which is a tensor of shape \(1, 2\).*; return one whole number"),
        (lambda scores: "cat", "chose 'cat' of scores .* return one whole number for each image"),
        (lambda scores: None, "chose None of scores .* return one whole number for each image"),
        (lambda scores: [], r"chose \[\] of scores .* return one whole number for each image"),
        (lambda scores: [True], r"chose \[True\] of scores .* return one whole number for each image"),
        (lambda scores: scores.argmax(1).float(), "IndexError.*of one image.*gave torch.float32.* are whole numbers"),
        (lambda scores: scores.argmax(1) > 0, "of one image.*gave torch.bool for the scores"),
        (lambda scores: scores.wrong, "target f: AttributeError.* As a function that chooses classes: .* fails on the"),
    ],
)
def test_what_is_neither_is_told_in_one_sentence(choose, message):
    with pytest.raises(OutputError, match=message):
        Chosen(choose, "f").settle(ANSWER)


def test_a_run_and_an_evaluation_take_both_and_refuse_a_class_that_is_not_there(tmp_path, capsys):
    images = folder(tmp_path / "in", ("a.png", "b.png"))
    (tmp_path / "f.py").write_text(
        "def least(scores):\n    return scores.argmin(1)\n"
        "def apart(scores):\n    return scores[3] - scores[5]\n"
        "def one(scores):\n    return scores.argmin(1) * 0 + 99\n"
    )
    shared = [str(images), "--model", "embedded", "--device", "cpu", "-m", "saliency", "-q", "--no-report"]

    def rows(command, name, table, *more):
        out = tmp_path / f"{command}-{name}"
        given = [command, *shared, "--target", f"{tmp_path / 'f.py'}:{name}", "--out", str(out), *more]
        code = main(given)
        file = out / table
        return code, list(csv.DictReader(file.open(newline=""))) if file.is_file() else []

    scored = ["--metric", "deletion:steps=2", "--no-figures"]
    code, made = rows("run", "least", "results.csv")
    assert code == 0
    assert all(row["target"].isdigit() and row["target"] != row["predicted"] for row in made)
    code, found = rows("evaluate", "least", "scores.csv", *scored)
    assert code == 0
    assert {row["target"] for row in found} == {row["target"] for row in made}
    code, made = rows("run", "apart", "results.csv")
    assert (code, {row["target"] for row in made}) == (0, {"apart"})
    code, found = rows("evaluate", "apart", "scores.csv", *scored)
    assert (code, {row["target"] for row in found}) == (0, {"apart"})
    capsys.readouterr()
    for command, table, more in (("run", "results.csv", []), ("evaluate", "scores.csv", scored)):
        code, _ = rows(command, "one", table, *more)
        assert code == 2
        assert "target one: chose tensor([99]) of scores (1, 10), and the network has classes 0 … 9" in (
            capsys.readouterr().err
        )
