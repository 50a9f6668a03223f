"""What reaches the terminal: JSON alone under --json, and no escape sequences of file names."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from explainers.cli.main import main

from explainers.errors import counted

LOUD = """
import os
from torch import nn

class Loud(nn.Sequential):
    def forward(self, x):
        print("printed", x.shape)
        os.system("echo by a child")
        os.write(1, b"by C")
        return super().forward(x)

def make():
    print("made")
    return Loud(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
"""


@pytest.fixture
def loud(tmp_path):
    (tmp_path / "loud.py").write_text(LOUD)
    return f"{tmp_path / 'loud.py'}:make"


def commands(images, loud, out):
    common = ["--model", loud, "--size", "32x32", "--json", "-q"]
    yield ["run", str(images), *common, "--out", str(out / "run"), "-m", "saliency"]
    yield ["evaluate", str(images), *common, "--out", str(out / "eval"), "-m", "saliency", "--metric", "sparseness"]
    yield ["layers", *common[:2], "--size", "32x32", "--json"]
    yield ["doctor", *common[:2], "--size", "32x32", "--json"]


def test_json_is_alone_on_stdout(images, loud, tmp_path, capsys):
    for command in commands(images, loud, tmp_path):
        assert main(command) in (0, 2)  # 2: doctor found fault with this installation
        out, error = capsys.readouterr()
        assert isinstance(json.loads(out), dict), command
        assert "made\n" in error
    main(["run", str(images), "--model", loud, "--size", "32x32", "--out", str(tmp_path / "o"), "-m", "saliency"])
    assert "made\n" in capsys.readouterr().out


def test_json_is_alone_in_a_process_of_its_own_too(images, loud, tmp_path):
    command = next(commands(images, loud, tmp_path))
    code = "import sys; from explainers.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["explained"] == 3
    assert "by a child" in done.stderr
    assert "by C" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["{bad}"],
        ["{images}", "--model", "{bad}"],
        ["{images}", "--model", "torchvision:resnet18", "--weights", "{bad}.pt"],
        ["{images}", "--model", "{bad}.py:make"],
        ["{images}", "--model", "{bad}.pt"],
        ["{images}", "--model", "{net}:make", "--labels", "{bad}.txt"],
        ["{images}", "--model", "torchvision:\x1b[31mx"],
        ["evaluate", "{images}", "-m", "saliency", "--metric", "sparseness", "--maps", "{bad}"],
    ],
)
def test_errors_do_not_steer_the_terminal(images, net, tmp_path, capsys, arguments):
    names = {"bad": tmp_path / "no\x1b[2J\x07\u202e", "images": images, "net": net}
    assert main([argument.format(**names) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert "\\x1b[" in error
    assert all(letter.isprintable() for letter in error.replace("\n", ""))


def test_a_number_stands_with_its_noun():
    assert [counted(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [counted(number, "map is", "maps are") for number in (1, 3)] == ["1 map is", "3 maps are"]
