"""The command line as a whole: the table of commands, help, bad usage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import explainers.cli.commands
import pytest
import torch
from explainers.cli.commands import COMMANDS
from explainers.cli.main import main
from explainers.cli.parser import parse


@pytest.mark.parametrize(
    ("argv", "lines"),
    [
        (["run"], ["explain run: error: the following arguments are required: FOLDER", "explain run --help shows"]),
        (["--nonsense"], ["explain run: error: no option --nonsense; ", "explain run --help shows"]),
        (
            ["run", "x", "--scale", "huge"],
            ["explain run: error: argument --scale: invalid", "explain run --help shows"],
        ),
        (
            ["photos", "--modle", "x"],
            ["explain run: error: no option --modle; did", "explain run --help shows all opt"],
        ),
        (["evalute", "photos"], ["explain: error: no command, file or folder", "explain --help shows all options"]),
        (
            ["methods", "--meth"],
            ["explain methods: error: no option --meth", "explain methods --help shows all options"],
        ),
    ],
)
def test_bad_usage_is_code_two_and_told_in_a_line_with_the_way_to_the_help(argv, lines, capsys):
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    told = printed.err.splitlines()
    assert len(told) == len(lines)
    assert all(line.startswith(start) for line, start in zip(told, lines, strict=True))


def test_nothing_typed_prints_the_help(capsys):
    assert main([]) == 2
    assert capsys.readouterr().out.startswith("usage: explain ")


def test_the_installed_script_works_from_another_folder_and_help_needs_no_torch(images, tmp_path):
    code = "import sys; from explainers.cli.main import main; main(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "explain demo" in done.stdout
    script = [sys.executable, "-m", "explainers.cli.main", "in/sub", "-o", "out", "-m", "cam", "--model", "embedded"]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/overlays/c.cam.png").exists()


def test_versions_wait_for_no_torch(tmp_path):
    code = "import sys; from explainers.cli.main import main; main(['--version']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"explainers {explainers.__version__}, torch ")


def test_building_the_parser_imports_nothing_heavy(tmp_path):
    heavy = ("torch", "numpy", "PIL", "cv2", "matplotlib", "torchvision", "tqdm", "safetensors")
    code = (
        "import sys\n"
        "from explainers.cli.main import main\n"
        f"codes = [main([name, '--help']) for name in {[*COMMANDS]}]\n"
        f"sys.exit(str([name for name in {heavy} if name in sys.modules] + [code for code in codes if code]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == "[]\n"


def test_every_file_of_commands_stands_in_the_table_and_in_the_help(capsys):
    folder = Path(explainers.cli.commands.__file__).parent
    assert {path.stem.replace("_", "-") for path in folder.rglob("*.py")} - {"--init--"} == set(COMMANDS)
    assert main(["--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert all(f" {name} {command.HELP} " in printed for name, command in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_says_what_it_does_and_what_all_have(name, capsys):
    assert main([name, "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.startswith(f"usage: explain {name} [-h] ")
    assert COMMANDS[name].HELP[1:] in printed
    assert all(flag in printed for flag in ("--json", "--quiet", "--debug"))


@pytest.mark.parametrize("more", [[], ["methods"], ["metrics"], ["networks"], ["doctor"]])
def test_versions_are_printed_with_a_command_and_without(more, capsys):
    assert main(["--version", *more]) == 0
    versions = f"explainers {explainers.__version__}, torch {torch.__version__.partition('+')[0]}, Python "
    assert capsys.readouterr().out.startswith(versions)


def test_flags_may_stand_before_the_folder(images, net, tmp_path, capsys):
    argv = ["--model", f"{net}:make", "--size", "48", "--out", str(tmp_path / "out"), str(images)]
    assert main(argv) == 0
    assert "3 of 3 images explained" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["evalute", "photos"], "no command, file or folder 'evalute'; did you mean evaluate?"),
        (["doctr"], "no command, file or folder 'doctr'; did you mean doctor?"),
        (["photos", "--modle", "x"], "no option --modle; did you mean --model"),
        (["evaluate", "--metrc=pid", "photos"], "no option --metrc; did you mean --metric"),
        (["train", "abn", "--dat", "x"], "no option --dat; did you mean --data"),
        (["photos", "--metric", "pid"], "no option --metric; explain evaluate has it"),
        (["methods", "-x"], "no option -x; explain methods --help lists all"),
        (["--device", "cpu", "evaluate", "photos"], "explain evaluate --device cpu photos"),
        (["photos", "more"], "what is more?"),
        (["--qqq"], "no option --qqq; explain run --help lists all"),
    ],
)
def test_what_there_is_not_is_named_with_what_comes_close(argv, told, capsys):
    assert main(argv) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [["-qm", "cam"], ["-mcam"], ["--target", "-1", "-m=cam"], ["-o=out", "--opacity", "-.5"]]
)
def test_short_flags_and_negative_numbers_are_no_unknown_flags(argv):
    assert parse(["photos", *argv]).command == "run"


def test_a_folder_that_is_called_nearly_like_a_command_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    assert parse(["runs"]).images == "runs"
