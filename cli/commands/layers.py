"""`explain layers`."""

from __future__ import annotations

import argparse

from explainers.errors import ExplainersError

from ..arguments import inspection_arguments
from ..values import print_json

HELP = "list a network's layers"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The network, and what to look with."""
    inspection_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain layers`."""
    from ..diagnosing import diagnosed

    diagnosis = diagnosed(arguments)
    if arguments.json:
        print_json({"stages": diagnosis.stages, "layers": diagnosis.candidates})
        return 0
    if not diagnosis.stages:
        raise ExplainersError("; ".join(diagnosis.notes) or f"{diagnosis.network} has no spatial layer")
    stages = {label: -number - 1 for number, (label, _) in enumerate(diagnosis.stages)}
    print("stage  layer (channels × height × width)")
    for label, size in diagnosis.candidates:
        print(f"{stages.get(label, ''):>5}  {label}  {' × '.join(map(str, size))}")
    return 0
