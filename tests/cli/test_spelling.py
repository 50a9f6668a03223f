"""Errors of the library in the spelling of the command line."""

from __future__ import annotations

import pytest
from explainers.cli.main import main
from explainers.cli.parser import parse
from explainers.cli.spelling import as_typed, error_text

from explainers.errors import OptionError


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "Pass output=lambda y: y[0] (--output 0) or output=lambda y: y[1] (--output 1)",
            "Pass --output 0 or --output 1",
        ),
        ("start anew with overwrite (--overwrite)", "start anew with --overwrite"),
        ("pass trust_model_file (--trust-model-file) if", "pass --trust-model-file if"),
        (
            "a training of it (start=, --resume-from) or a backbone's (weights=, --weights)",
            "a training of it (--resume-from) or a backbone's (--weights)",
        ),
        (
            "(or leave out rise, or set skip_unsupported, --skip-unsupported)",
            "(or leave out rise, or set --skip-unsupported)",
        ),
        ("frozen='x' (--freeze x): no part", "--freeze x: no part"),
        ("targets=3, but none: pass labels= (--ground-truth)", "targets=3, but none: pass --ground-truth"),
        ("give its preprocessing (--size, --crop)", "give its preprocessing (--size, --crop)"),
        ("choose another output folder (--out)", "choose another output folder (--out)"),
    ],
)
def test_errors_name_flags_where_the_library_names_arguments(text, told):
    assert error_text(OptionError(text)) == told


@pytest.mark.parametrize(
    ("typed", "text", "told"),
    [
        (["--top-k", "0"], "top_k=0; expected at least 1", "--top-k 0; expected at least 1"),
        (["--size", "64", "--crop", "9"], "resize=64, crop=(9, 9); no", "--size 64, --crop 9; no"),
        (["-m", "grad-cam@-9"], "layer=-9: there are -3 … -1", "--method grad-cam@-9: there are -3 … -1"),
        (["--layer", "nolayer"], "layer='nolayer': expected", "--layer nolayer: expected"),
        (["--bands", "4,3"], "picture=(4, 3); expected three", "--bands 4,3; expected three"),
        (
            ["--option", "lime.samples=0"],
            "samples=0, segments=50; expected samples ≥ 2",
            "--option lime.samples=0, --option lime.segments=50; expected samples ≥ 2",
        ),
        ([], "margin=3; expected less", "margin=3; expected less"),  # nobody typed it
        (["--target", "7"], "found target=7 in the text", "found target=7 in the text"),
    ],
)
def test_a_value_at_the_beginning_is_named_as_it_was_typed(typed, text, told):
    assert as_typed(text, parse(["photos", *typed])) == told


def test_a_value_inside_another_is_named_by_the_whole_word():
    typed = parse(["evaluate", "photos", "--size", "64", "--metric", "pid:patch=0+4", "--metric", "road:percent=0"])
    assert as_typed("patch=(0, 4); no", typed) == "--metric pid:patch=0+4; no"
    typed = parse(["train", "plain", "--data", "birds:size=16", "--size", "64"])
    assert as_typed("size=16; expected at least 32", typed) == "--data birds:size=16; expected at least 32"
    assert as_typed("size=64; no", typed) == "--size 64; no"


def test_beside_what_was_typed_others_have_the_same_spelling():
    typed = parse(["train", "plain", "--data", "birds", "--lr", "0"])
    text = "lr=0.0, parts={}, weight_decay=0.01; expected"
    assert as_typed(text, typed) == "--lr 0.0, --weight-decay 0.01; expected"
    assert as_typed(text, parse(["train", "plain", "--data", "birds"])) == text  # nobody typed any of it


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["--top-k", "0"], "--top-k 0; expected"),
        (["--batch-size", "0"], "--batch-size 0; expected"),
        (["--contact-sheet", "-1"], "--contact-sheet -1; expected"),
        (["--opacity", "7"], "--opacity 7.0; expected"),
        (["--std", "0,1,1"], "--std 0,1,1; expected"),
        (["-m", "rise", "--masks", "0"], "--masks 0, --option rise.grid=7: expected"),
        (["-m", "rise", "--tolerance", "2"], "--tolerance 2.0; expected"),
        (["-m", "rise", "--seed", "-1"], "--seed -1; expected"),
        (["-m", "grad-cam@-99"], "--method grad-cam@-99: "),
        (["--layer", "-99"], "--layer -99: "),
        (
            ["-m", "smooth-grad", "--option", "smooth-grad.samples=0"],
            "--option smooth-grad.samples=0, --option smooth-grad.sigma=",
        ),
        (["--device", "sofa"], "--device sofa; expected"),
        (["--mean", "0,0", "--channels", "4"], "says"),
        (["--white", "-1", "--channels", "4"], "--white -1.0; expected"),
    ],
)
def test_no_error_of_a_run_begins_with_pythons_words(images, net, tmp_path, capsys, typed, told):
    size = [] if "--size" in typed else ["--size", "32"]
    assert main([str(images), "--model", f"{net}:make", *size, "-o", str(tmp_path / "out"), *typed]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("explain: error: --") or error.startswith("explain: error: the network"), error
    assert told in error


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["--metric", "pid:patch=0"], "--metric pid:patch=0; expected"),
        (["--metric", "insertion:steps=0"], "--metric insertion:steps=0; expected"),
        (["--metric", "road:percent=200"], "--metric road:percent=200; expected"),
        (["--batch-size", "0"], "--batch-size 0; expected"),
        (["--target", "dog"], "--target dog: the class names"),
    ],
)
def test_no_error_of_an_evaluation_begins_with_pythons_words(images, net, tmp_path, capsys, typed, told):
    argv = ["evaluate", str(images), "--model", f"{net}:make", "--size", "32", "-o", str(tmp_path / "out"), *typed]
    assert main(argv) == 2
    assert f"explain: error: {told}" in capsys.readouterr().err
