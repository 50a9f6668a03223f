"""The folder of a training as a model: the network rebuilt from what was asked for, with its best weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from explainers.baselines.networks.registry import create_network
from explainers.baselines.training.run_folder import BEST, RESULT, read_config, read_run
from explainers.core.preprocessing import Preprocessing
from explainers.errors import ModelFileError
from explainers.models.source import Parts, Request, register_folder_source
from explainers.models.weight_files import fit_state, read_state
from explainers.storage.owner import CONFIG

LIBRARIES = ("torchvision", "timm", "open_clip")  # whose networks a file may name without running anybody's code


@register_folder_source("a training", CONFIG)
def trained_network(request: Request) -> Parts:
    """The best weights of a training, with the preprocessing and the classes that it had.

    Raises:
        ModelFileError: damaged, no epoch finished yet, code without trust, or other weights were asked for.
    """
    folder = Path(request.name)
    if request.weights is not None:
        raise ModelFileError(f"the training in {folder} brings its weights; drop weights")
    network, path, notes = rebuilt(folder, trust=request.trust)
    config = read_config(folder)
    notes += fit_state(network, read_state(path)[0], path)
    return Parts(network, Preprocessing(**config["preprocessing"]), tuple(config["class_names"]), notes)


def rebuilt(folder: Path, *, trust: bool = False) -> tuple[nn.Module, Path, list[str]]:
    """The network of a training without its weights, the file of the best ones, and notes.

    Args:
        trust: allow a backbone that the configuration names as Python code, which is run.

    Raises:
        ModelFileError: damaged, no epoch finished yet, or code without trust.
    """
    config = read_config(folder)
    network = config["network"]
    check_trust(folder, config, trust=trust)
    if not (folder / BEST).is_file():
        raise ModelFileError(f"the training in {folder} has not finished an epoch; start the same command again")
    with torch.random.fork_rng():  # fresh weights are drawn and thrown away
        made = create_network(
            network["name"], channels=network["channels"], classes=network["classes"], **network["options"]
        )
    notes = []
    if not (folder / RESULT).is_file():
        run = read_run(folder)
        notes.append(f"the training is not over: best of {len(run.history)} epochs so far")
    return made, folder / BEST, notes


def check_trust(folder: Path, config: Mapping[str, Any], *, trust: bool) -> None:
    """Whether making the network of a training may run what its configuration names.

    Raises:
        ModelFileError: it names code, without trust.
    """
    backbone = str(config["network"]["options"].get("backbone", ""))
    prefix, colon, _ = backbone.partition(":")
    if colon and prefix not in LIBRARIES and not trust:
        raise ModelFileError(
            f"{folder / CONFIG} names the backbone {backbone!r}, and making it runs code: pass trust_model_file "
            "(--trust-model-file) if you trust where it comes from"
        )
