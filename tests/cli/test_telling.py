"""What the command says beside its result: warnings, failures, names that come close."""

from __future__ import annotations

import inspect
import json
import warnings

import pytest
import torch
from explainers.cli.main import main
from run_case import rows

import explainers
from explainers.errors import OptionError

NETWORKS = """
import warnings
import torch
from torch import nn

class Warning_(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.parts = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        )
    def forward(self, images):
        warnings.warn(f"an odd\\nthing")
        return self.parts(images)

class Fails(Warning_):
    def forward(self, images):
        raise RuntimeError("no table for this size")

class Two(Warning_):
    def forward(self, images, table):
        return self.parts(images) + table
"""


@pytest.fixture
def made(tmp_path):
    (tmp_path / "nets.py").write_text(NETWORKS)
    return lambda name: ["--model", f"{tmp_path / 'nets.py'}:{name}", "--size", "48", "--device", "cpu"]


def test_a_warning_is_one_note_without_path_and_line(images, made, tmp_path, capsys):
    before = warnings.showwarning
    assert main([str(images), *made("Warning_"), "-o", str(tmp_path / "out")]) == 0
    assert [line for line in capsys.readouterr().err.splitlines() if "odd" in line] == ["explain: note: an odd thing"]
    assert warnings.showwarning is before
    assert main([str(images), *made("Warning_"), "-o", str(tmp_path / "quiet"), "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_one_reason_of_all_images_is_said_once(images, made, tmp_path, capsys):
    assert main([str(images), *made("Fails"), "-o", str(tmp_path / "out"), "-q"]) == 2  # nothing came of it
    told = capsys.readouterr().err
    assert told.count("no table for this size") == 1
    assert "every image (3)" in told


@pytest.mark.parametrize("command", [[], ["evaluate"]])
def test_a_network_of_two_inputs_is_refused_with_a_way_out(command, images, made, tmp_path, capsys):
    assert main([*command, str(images), *made("Two"), "-o", str(tmp_path / "out"), "-q"]) == 2
    told = capsys.readouterr().err
    assert "Two takes (images, table), but explained is what takes one batch of images" in told
    assert "self.network(images, self.table)" in told


def test_doctor_tells_of_a_network_that_fails_and_says_it_once_for_all_methods(made, capsys):
    main(["doctor", *made("Fails")])
    printed = capsys.readouterr().out
    assert "torch " in printed
    assert "note         the network fails on images of shape (1, 3, 48, 48): RuntimeError: no table" in printed
    assert printed.count("no table for this size") == 2  # the note, and the reason of all methods
    main(["doctor", *made("Two")])
    printed = capsys.readouterr().out
    assert "several inputs: forward needs images, table" in printed
    assert "(network, {'images': images, 'table': table}, 'grad-cam', explain='images')" in printed
    assert "return a module whose forward(images) calls this one with table that it holds" in printed


def test_every_method_that_can_run_is_meant_by_all(images, made, tmp_path):
    out = tmp_path / "out"
    argv = [str(images / "a.png"), *made("Warning_"), "-m", "all", "--masks", "20", "-o", str(out), "-q"]
    argv += ["--option", "lime.samples=5", "--option", "kernel-shap.samples=5", "--option", "smooth-grad.samples=2"]
    assert main(argv) == 0
    made_by = {row["method"] for row in rows(out)}
    refused = json.loads((out / "manifest.json").read_text())["refused"]
    assert made_by | set(refused) == set(explainers.available())
    assert "attention" in refused
    assert "rise" in made_by


def test_a_method_of_captum_is_named_where_its_prefix_is_missing():
    pytest.importorskip("captum")
    for spelling in ("integrated-gradients", "IntegratedGradients", "integrated_gradients"):
        with pytest.raises(OptionError, match="did you mean captum:IntegratedGradients"):
            explainers.method(spelling)


def test_methods_that_need_packages_say_so(capsys):
    assert main(["methods"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("needs forward passes alone, and captum and sklearn: pip install 'explainers[captum]'") == 2


@pytest.mark.parametrize(
    ("labels", "code"), [("cat\ndog\n", 2), ("cat\ndog\nbird\nfish\n", 2), ("cat\ndog\nbird\n", 0)]
)
def test_labels_name_each_class(labels, code, images, net, tmp_path, capsys):
    (tmp_path / "labels.txt").write_text(labels)
    argv = [str(images), "--model", f"{net}:make", "--size", "48", "--labels", str(tmp_path / "labels.txt")]
    assert main([*argv, "-o", str(tmp_path / "out")]) == code
    if code:
        assert f"{labels.count(chr(10))} labels for 3 classes" in capsys.readouterr().err


DOWNLOADS = (
    NETWORKS
    + """

def fetched():
    import sys
    sys.stdout.write('Downloading: "https://weights.example/net-1.pth" to /cache/net-1.pth\\n')  # as torch.hub does
    print("of the network's own")
    return Warning_()
"""
)


@pytest.mark.parametrize("quiet", [False, True])
def test_what_torch_says_of_a_download_is_a_note(images, tmp_path, capsys, quiet):
    (tmp_path / "loads.py").write_text(DOWNLOADS)
    argv = ["layers", "--model", f"{tmp_path / 'loads.py'}:fetched", "--size", "48", "--device", "cpu"]
    assert main([*argv, *["-q"] * quiet]) == 0
    printed = capsys.readouterr()
    assert "Downloading" not in printed.out + printed.err
    assert "of the network's own" in printed.out
    told = "explain: note: fetching https://weights.example/net-1.pth to /cache/net-1.pth"
    assert printed.err.splitlines().count(told) == (not quiet)


def test_that_torch_still_says_it_in_these_words():
    source = inspect.getsource(torch.hub.load_state_dict_from_url)
    assert """sys.stdout.write(f'Downloading: "{url}" to {cached_file}\\n')""" in source
