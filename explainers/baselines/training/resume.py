"""Another training as the start of one: what of it stays where nothing else is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from explainers.baselines.networks.registry import network_options
from explainers.baselines.training.run_folder import read_config
from explainers.baselines.training.trained_network import check_trust
from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet
from explainers.data.sets import data_set
from explainers.errors import OptionError
from explainers.storage.paths import shown


@dataclass(frozen=True)
class Resumed:
    """What `train` takes to go on from a training with other settings: `train(network, data, out, options=options,
    start=folder)`.

    folder: of the training; data: with the preprocessing that the weights know; options: of the network; notes: what a
    user should know.
    """

    folder: Path
    data: DataSet
    options: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def resumed(
    run: str | PathLike[str],
    network: str,
    *,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    trust_model_file: bool = False,
) -> Resumed:
    """Data, preprocessing and options of a training, for another one that starts from its weights.

    Args:
        run: folder of the training; network: that is to be trained, which may be another one whose parts are called
            alike; data: other data, which goes through the same preprocessing; options: of the network, which go before
            those of the training; trust_model_file: allow a backbone of the training that is code.

    Raises:
        ModelFileError: no training there, or a backbone that is code without trust. OptionError: an unknown network, or
        data of another number of classes. DataError: data that cannot be read.
    """
    folder = Path(run)
    config = read_config(folder)
    before, known, notes = config["network"], network_options(network), []
    kept = {key: value for key, value in before["options"].items() if key in known}
    if left := sorted(set(before["options"]) - set(kept)):
        notes.append(f"{network} has no option {', '.join(left)}, which {before['name']} of {shown(folder)} had")
    chosen = {**kept, **(options or {})}
    if "backbone" in kept and "backbone" not in (options or {}):
        check_trust(folder, config, trust=trust_model_file)
    found = data_set(data or config["data"]["spec"])
    found = replace(found, preprocessing=Preprocessing(**config["preprocessing"]))
    names = tuple(config["class_names"])
    if len(found.class_names) != len(names):
        raise OptionError(
            f"{shown(folder)} was trained on {len(names)} classes and {shown(found.spec)} has "
            f"{len(found.class_names)}; its weights do not fit"
        )
    if found.class_names != names:
        notes.append(f"the classes are called otherwise than in {shown(folder)}: {', '.join(found.class_names)}")
    return Resumed(folder, found, chosen, tuple(notes))
