"""The code of docs/targets.md and docs/segmentation.md runs as it is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
from explainers.cli.parser import parse

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


@pytest.mark.parametrize("name", ["targets", "segmentation"])
def test_code_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    scope: dict[str, object] = {}
    exec(compile(code, name, "exec"), scope)
    assert isinstance(scope["maps"], torch.Tensor)
    assert torch.isfinite(scope["maps"]).all()


@pytest.mark.parametrize("name", ["targets", "segmentation"])
def test_commands_are_understood(name):
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    for line in re.findall(r"^explain (.*)$", text, re.MULTILINE):
        assert parse(shlex.split(line, comments=True)).target is not None or "--where" in line
