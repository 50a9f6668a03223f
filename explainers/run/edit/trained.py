"""A training as something to look into: its best weights, and the images that it learned from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explainers.baselines.networks.attention_network import Branches
from explainers.baselines.training import trained_network  # noqa: F401 - makes load_model know trainings
from explainers.baselines.training.run_folder import read_config
from explainers.baselines.training.train import identity
from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet
from explainers.data.sets import data_set
from explainers.errors import OptionError
from explainers.models import load_model
from explainers.network.guard import preserved
from explainers.storage.paths import shown

BATCH = 32


@dataclass(frozen=True)
class Trained:
    """A training that has finished an epoch.

    folder: its own; config: what it was asked for; network: with the best weights, in evaluation mode; data: with the
    preprocessing that the network was trained with; device: where the network is; sha256: of its weights; notes: what a
    user should know.
    """

    folder: Path
    config: Mapping[str, Any]
    network: nn.Module
    data: DataSet
    device: torch.device
    sha256: str
    notes: tuple[str, ...] = ()

    @property
    def unanswered(self) -> str:
        """Why a trial of edited maps changes no answer, or ""."""
        if getattr(self.network, "scores_follow_map", True):
            return ""
        name = self.config["network"]["name"]
        return (
            f"the scores of {name} do not depend on its map: an edited one in its place changes no probability. What "
            f"can be learnt from it is the map (explain train {name} --resume-from RUN --edited EDIT)"
        )

    @torch.no_grad()
    def branches(self, images: Tensor, attention_map: Tensor | None = None) -> Branches:
        """What the network makes of images (N, C, H, W), on the CPU or not; it is left as it was found.

        Args:
            attention_map: (N, 1, h, w) in place of its own.
        """
        network: Any = self.network
        with preserved(self.network):
            given = {} if attention_map is None else {"attention_map": attention_map.to(self.device)}
            made: Branches = network.forward_branches(images.to(self.device), **given)
            return made

    def inputs(self, indices: Sequence[int]) -> Tensor:
        """(N, C, H, W): training images as the network takes them."""
        return torch.stack([self.data.preprocessing(self.data.train.pixels(index)) for index in indices])

    def batches(self, indices: Sequence[int]) -> Iterator[tuple[Sequence[int], Tensor]]:
        """Training images some at a time: their indices, and what the network takes."""
        for start in range(0, len(indices), BATCH):
            some = indices[start : start + BATCH]
            yield some, self.inputs(some)


def open_training(
    run: str | PathLike[str], *, device: str = "auto", trust_model_file: bool = False, data: DataSet | None = None
) -> Trained:
    """The network of a training with its images.

    Args:
        run: its folder; device: as in `load_model`; trust_model_file: allow a backbone that is code; data: other images
            than it was trained on, with their preprocessing.

    Raises:
        ModelFileError: no training, or none that has finished an epoch. OptionError: its network makes no attention
        map. DataError: its images are no longer there.
    """
    folder = Path(run)
    config = read_config(folder)
    loaded = load_model(str(folder), device=device, trust_model_file=trust_model_file)
    network: Any = loaded.network
    if not hasattr(network, "forward_branches"):
        raise OptionError(
            f"{shown(folder)} is a training of {config['network']['name']}, which makes no attention map that could be "
            "edited; train a network with an attention branch, such as abn"
        )
    notes = list(loaded.notes)
    if data is None:
        data = data_set(config["data"]["spec"])
        data = replace(data, preprocessing=Preprocessing(**config["preprocessing"]))
        if identity(data)["sha256"] != config["data"].get("sha256"):
            notes.append(
                f"{data.spec} holds other images, or other classes of them, than when {shown(folder)} was trained"
            )
    return Trained(folder, config, network, data, loaded.device, loaded.sha256, tuple(notes))
