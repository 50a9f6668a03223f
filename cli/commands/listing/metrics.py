"""`explain metrics`."""

from __future__ import annotations

import argparse
from typing import Any

import explainers

from ...arguments import common_arguments
from ...values import print_json

HELP = "list the metrics"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What every command has."""
    common_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain metrics`."""
    from explainers.evaluation.metric import metric_class, metric_options

    from ...scoring.metric_spec import typed_option

    rows: list[dict[str, Any]] = []
    for name in explainers.available_metrics():
        cls = metric_class(name)
        summary = (cls.__doc__ or "").partition("\n")[0]
        facts = {"better": cls.better, "needs": sorted(cls.needs), "reference": cls.reference, "summary": summary}
        rows.append({"name": name, **facts, "options": metric_options(cls)})
    if arguments.json:
        print_json(rows)
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        better = f"; {row['better']} is better" if row["better"] else ""
        needs = f"; needs {' and '.join(row['needs'])}" if row["needs"] else ""
        print(f"{row['name']:<{width}}  {row['summary']}\n{'':<{width}}  {row['reference']}{better}{needs}")
        defaults: dict[str, Any] = row["options"]
        if defaults:
            print(f"{'':<{width}}  {', '.join(f'{key}={typed_option(value)}' for key, value in defaults.items())}")
    print(f"{'quantus:NAME':<{width}}  any metric of Quantus with a value for each image, such as quantus:Complexity")
    return 0
