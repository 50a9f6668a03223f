"""Another training as the start of one: what of it stays where nothing else is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from explainers.baselines.networks.registry import network_options
from explainers.baselines.training.run_folder import BEST, is_run, read_config
from explainers.baselines.training.settings.recipes import recipe
from explainers.baselines.training.trained_network import LIBRARIES, check_trust
from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet
from explainers.data.sets import data_set
from explainers.errors import OptionError
from explainers.models.weight_files import fit_state, read_state
from explainers.storage.files import content_hash
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


def take_over(network: nn.Module, start: Path, out: Path, explains: str) -> dict[str, str]:
    """Put another training's weights into a network, or into the part of it that they are of.

    Args:
        explains: the part that is trained by itself, or "".

    Returns:
        What tells these weights from others.

    Raises:
        OptionError: they are what the training is to write itself. ModelFileError: there is no such file, or it is of
        another network.
    """
    if out.resolve() in (start.resolve(), start.resolve().parent):
        raise OptionError(
            f"{shown(out)} is the training to start from, which stays as it is; choose another folder (--out)"
        )
    path = start / BEST if start.is_dir() else start
    state = read_state(path)[0]
    if not explains or any(name.startswith(f"{explains}.") for name in state):
        fit_state(network, state, path)
    else:
        reader = network.get_submodule(explains.rpartition(".")[0])
        fit_state(network.get_submodule(explains), _read(reader, state), path)
    return {"start": content_hash(path).hex()}


def _read(reader: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A trained part's tensors, but for layers that are never run, such as a classifier's last one of other classes."""
    idle: dict[str, Tensor] = {}
    for layer, module in getattr(reader, "unread_layers", dict)().items():
        idle |= {f"{layer}.{name}": value for name, value in module.state_dict().items()}
    return {
        name: idle[name] if name in idle and idle[name].shape != value.shape else value for name, value in state.items()
    }


def begun_with(
    network: str, start: str | PathLike[str] | None, weights: str | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The options of a network that explains a trained one, as far as that one tells them.

    Raises:
        OptionError: nothing says what the trained network is.
    """
    backbone = str(options.get("backbone", ""))
    own_code = ":" in backbone and backbone.partition(":")[0] not in LIBRARIES
    if start is None and weights is None and not own_code:
        wanted = backbone or network_options(network)["backbone"]
        raise OptionError(
            f"{network} keeps its {recipe(network).explains.partition('.')[0]} as it is, so that has to be trained, "
            "and nothing says by what: start from a training of it (start=, --resume-from; explain train plain "
            f"--backbone {wanted} makes one) or a file of its weights (start=), or name the weights of a library's "
            "backbone (weights=, --weights)"
        )
    if start is None or not is_run(Path(start)):
        return {}
    told = read_config(Path(start))["network"]
    known = network_options(told["name"])
    return {"backbone": told["options"].get("backbone", known["backbone"])} if "backbone" in known else {}
