"""What is wrong with what was typed is said before a network is loaded, a note is printed or anything is written."""

from __future__ import annotations

import pytest
from explainers.cli.main import main

import explainers.models.load

TYPED = {
    "images": ["{missing}"],
    "empty": ["{empty}"],
    "method": ["{images}", "-m", "grad-cma"],
    "option": ["{images}", "--option", "grad-cam"],
    "truth": ["{images}", "--ground-truth", "{missing}.csv"],
    "size": ["{images}", "--size", "many"],
    "config": ["{images}", "--config", "{missing}.toml"],
    "labels": ["{images}", "--labels", "{missing}.txt"],
    "device": ["{images}", "--device", "sofa"],
    "masks": ["{images}", "-m", "rise", "--tolerance", "2"],
    "value": ["{images}", "-m", "smooth-grad", "--option", "smooth-grad.samples=0"],
    "kind": ["{images}", "-m", "smooth-grad", "--option", "smooth-grad.samples=many"],
    "unknown option": ["{images}", "-m", "saliency", "--option", "saliency.samples=3"],
    "all and another": ["{images}", "-m", "all", "-m", "grad-cma"],
}
RUN = {"top-k": ["{images}", "--top-k", "0"], "opacity": ["{images}", "--scale", "common", "--no-maps"]}
EVALUATE = {
    "metric": ["{images}", "--metric", "insertoin"],
    "metric's option": ["{images}", "--metric", "pid:patch=0"],
    "masks": ["{images}", "--masks", "{missing}"],
    "maps": ["{images}", "--maps", "mine={missing}"],
    "digits, method": ["digits:3", "-m", "grad-cma"],
}
DRIFT = {
    "method": ["--model", "embedded", "--model", "embedded", "--data", "{images}", "-m", "grad-cma"],
    "data": ["--model", "embedded", "--model", "embedded", "--data", "{missing}"],
    "limit": ["--model", "embedded", "--model", "embedded", "--data", "{images}", "--fail-under", "high"],
    "per class": ["--model", "embedded", "--model", "embedded", "--data", "{images}", "--per-class", "1.5,1,1"],
    "groups": ["--model", "embedded", "--model", "embedded", "--data", "{images}", "--group-by", "{missing}.csv:a"],
    "count": ["--model", "embedded", "--model", "embedded", "--data", "{images}", "--images", "few"],
}
CASES = [
    *(("run", typed) for typed in (*TYPED.values(), *RUN.values())),
    *(("evaluate", typed) for typed in (*TYPED.values(), *EVALUATE.values())),
    *(("drift", typed) for typed in DRIFT.values()),
    ("doctor", ["--image", "{missing}.png"]),
    ("layers", ["--image", "{missing}.png"]),
]


@pytest.mark.parametrize(("command", "typed"), CASES, ids=[f"{name} {' '.join(typed)}" for name, typed in CASES])
def test_nothing_is_loaded_said_or_written_before(images, tmp_path, monkeypatch, capsys, command, typed):
    def loaded(request):
        raise AssertionError("a network was loaded")

    monkeypatch.setattr(explainers.models.load, "_parts", loaded)
    (tmp_path / "empty").mkdir()
    names = {"images": images, "missing": tmp_path / "missing", "empty": tmp_path / "empty"}
    out = [] if command in ("doctor", "layers") else ["-o", str(tmp_path / "out")]
    assert main([command, *(word.format(**names) for word in typed), *out]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if "--help" not in line]
    assert len(told) == 1, told
    assert told[0].startswith("explain: error: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["run", "evaluate"])
@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["--target", "5000"], "target 5000 is out of range"),
        (["--layer", "nolayer"], 'no layer "nolayer"'),
        (["-m", "saliency"], "holds a run that differs in"),
    ],
)
def test_what_there_is_not_goes_before_what_differs(images, net, tmp_path, capsys, command, typed, told):
    argv = [command, str(images), "--model", f"{net}:make", "--size", "32", "-o", str(tmp_path / "out"), "-q"]
    argv += ["--metric", "sparseness", "--no-figures"] if command == "evaluate" else []
    assert main(argv) == 0
    capsys.readouterr()
    assert main([*argv, *typed]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert ("differs" in error) == ("differs" in told)
