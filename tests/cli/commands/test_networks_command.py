"""`explain networks`."""

from __future__ import annotations

import json

from explainers.cli.main import main

from explainers.baselines import available_networks
from explainers.baselines.networks.registry import network_entry, network_options


def test_networks_lists_all(capsys):
    assert main(["networks"]) == 0
    printed = capsys.readouterr().out
    assert main(["networks", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == list(available_networks())
    for entry in listed:
        assert entry["summary"] == network_entry(entry["name"]).summary != ""
        assert entry["options"] == network_options(entry["name"])
        assert f"{entry['name']:<13}  {entry['summary']}\n" in printed
        assert all(f"{key}={value}" in printed for key, value in entry["options"].items())
