"""`explain methods`."""

from __future__ import annotations

import argparse
from typing import Any

import explainers

from ...arguments import common_arguments
from ...values import print_json

HELP = "list the methods"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What every command has."""
    common_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain methods`."""
    rows: list[dict[str, Any]] = []
    for name in explainers.available():
        cls = explainers.method(name)
        summary = (cls.__doc__ or "").partition("\n")[0]
        rows.append(
            {
                "name": name,
                "needs": sorted(cls.needs),
                "packages": cls.packages,
                "reference": cls.reference,
                "summary": summary,
            }
        )
    if arguments.json:
        print_json(rows)
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        needs = " and ".join(row["needs"]) or "forward passes alone"
        if row["packages"]:
            needs += f", and {' and '.join(row['packages'])}: pip install 'explainers[{row['packages'][0]}]'"
        print(f"{row['name']:<{width}}  {row['summary']}\n{'':<{width}}  {row['reference']}; needs {needs}")
    print(f"{'captum:NAME':<{width}}  any attribution class of captum, such as captum:IntegratedGradients")
    return 0
