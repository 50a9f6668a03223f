"""`explain networks`."""

from __future__ import annotations

import argparse
from typing import Any

from ...arguments import common_arguments
from ...values import print_json

HELP = "list the networks that can be trained"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What every command has."""
    common_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain networks`."""
    from explainers.baselines.networks.registry import available_networks, network_entry, network_options

    rows: list[dict[str, Any]] = [
        {"name": name, "summary": network_entry(name).summary, "options": network_options(name)}
        for name in available_networks()
    ]
    if arguments.json:
        print_json(rows)
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        options = ", ".join(f"{key}={value}" for key, value in row["options"].items())
        print(f"{row['name']:<{width}}  {row['summary']}\n{'':<{width}}  {options}")
    return 0
