"""`explain methods`."""

from __future__ import annotations

import json

from explainers.cli.main import main

import explainers


def test_methods_are_listed(capsys):
    assert main(["methods"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in explainers.available())
    assert main(["methods", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == list(explainers.available())
    assert all(entry["reference"] and entry["summary"] for entry in listed)
