"""The networks that are compared: the epochs of a training, files of weights of one architecture, whole models."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from explainers.baselines.training.checkpoint import NETWORK
from explainers.baselines.training.run_folder import BEST, EPOCHS, LAST, is_run, read_run
from explainers.baselines.training.settings.schedules import best_epoch
from explainers.errors import ModelFileError, OptionError
from explainers.evaluation.drifting.networks import Checkpoint
from explainers.models.loaded import spec_name
from explainers.models.weight_files import fit_state, read_state
from explainers.storage.listing import unlike
from explainers.storage.paths import shown
from explainers.storage.sought import not_written

Load = Callable[..., Any]  # from a specification, and weights, to a LoadedModel
BEST_NAME = "best"


def of_training(folder: Path, load: Load) -> dict[str, Checkpoint]:
    """The weights that a training has kept: every epoch of `keep_every`, the best one and the last, by epoch.

    Raises:
        ModelFileError: there is no training, or it has kept one epoch alone.
    """
    run = read_run(folder)
    if not run.history:
        raise ModelFileError(f"the training in {shown(folder)} has not finished an epoch; start the same command again")
    files: dict[int, Path] = {}
    for path in sorted((folder / EPOCHS).glob("*.safetensors")):
        if path.stem.isdecimal() and len(path.stem) < 20:
            files[int(path.stem)] = path
    best = best_epoch([row["val_loss"] for row in run.history]) + 1
    files.setdefault(len(run.history), folder / LAST)
    files[best] = folder / BEST
    if len(files) < 2:
        raise ModelFileError(
            f"the training in {shown(folder)} has kept the weights of one epoch alone: train with --keep-every N"
        )
    found = {}
    for epoch, path in sorted(files.items()):
        name = f"epoch {epoch}" if epoch != best else f"{BEST_NAME}, epoch {epoch}"
        found[name] = Checkpoint(_epoch_loader(folder, path, load), _identity(path, str(folder)), float(epoch))
    return found


def _epoch_loader(folder: Path, path: Path, load: Load) -> Callable[[], Any]:
    def loaded() -> Any:
        _check_listed(folder, path)
        model = load(str(folder))
        if path.name != BEST:
            state, _ = read_state(path)
            if path.name == LAST:  # which has the optimiser's moments beside them
                state = {key.removeprefix(NETWORK): each for key, each in state.items() if key.startswith(NETWORK)}
            fit_state(model.network, state, path)
        return model

    return loaded


def _check_listed(folder: Path, path: Path) -> None:
    """Weights as the training left them, as far as it has listed them.

    Raises:
        ModelFileError: the file is another one now.
    """
    name, listing = path.resolve().relative_to(folder.resolve()).as_posix(), read_run(folder).result.get("files")
    if isinstance(listing, Mapping) and name in listing and (wrong := unlike(folder, {name: listing[name]})):
        raise ModelFileError(
            f"{shown(path)} {wrong[name]} by the training in {shown(folder)}, so it is not compared; explain verify "
            "says what else has changed"
        )


def of_files(spec: str | None, given: Sequence[str], load: Load) -> dict[str, Checkpoint]:
    """Files of weights, or patterns of them, each in the architecture of one model.

    Args:
        spec: the model; None: that of the training in whose folder the files lie.

    Raises:
        ModelFileError: no such file, or no model for it.
    """
    paths = [path for each in given for path in _expanded(each)]
    numbers = [_number(path) for path in paths]
    ordered = all(number is not None for number in numbers) and len(set(numbers)) == len(numbers)
    found: dict[str, Checkpoint] = {}
    for path, number in zip(paths, numbers, strict=True):
        alike = [each for each in paths if each.name == path.name]
        name = path.name if len(alike) == 1 else shown(path)
        if name in found:
            raise OptionError(f"{shown(path)} is given twice")
        epoch = float(number) if ordered and number is not None else None
        if (folder := _training_of(path)) is not None and spec is None:
            found[name] = Checkpoint(_epoch_loader(folder, path, load), _identity(path, str(folder)), epoch)
        elif spec is not None:
            found[name] = Checkpoint(_file_loader(spec, path, load), _identity(path, spec), epoch)
        else:
            raise ModelFileError(
                f"{shown(path)} holds weights; name the network that they belong to (--model), such as "
                "torchvision:resnet18 or FILE.py:factory"
            )
    return found


def _file_loader(spec: str, path: Path, load: Load) -> Callable[[], Any]:
    return lambda: load(spec, weights=str(path))


def of_models(specs: Sequence[str], load: Load) -> dict[str, Checkpoint]:
    """Whole models, each by its own specification."""
    if twice := [spec for spec in specs if list(specs).count(spec) > 1]:
        raise OptionError(f"--model {twice[0]} is given twice")
    return {spec: Checkpoint(_model_loader(spec, load), _spec_identity(spec)) for spec in specs}


def _model_loader(spec: str, load: Load) -> Callable[[], Any]:
    return lambda: load(spec)


def reference_name(wanted: str | None, found: dict[str, Checkpoint]) -> str:
    """The name of the reference: "best", an epoch, or a name; by default the best of a training, else the first.

    Raises:
        OptionError: it is none of the networks.
    """
    best = [name for name in found if name.partition(",")[0] == BEST_NAME]
    if wanted is None:
        return best[0] if best else next(iter(found))
    if wanted == BEST_NAME and best:
        return best[0]
    if wanted in found:
        return wanted
    if wanted.isdecimal() and len(wanted) < 20:
        of_epoch = [name for name, each in found.items() if each.epoch == int(wanted)]
        if of_epoch:
            return of_epoch[0]
    named = [name for name in found if Path(name).name == Path(wanted).name]
    if len(named) == 1:
        return named[0]
    raise OptionError(f"--reference {wanted}: it is none of the networks; they are {', '.join(found)}")


def _expanded(given: str) -> list[Path]:
    path = Path(given)
    if path.is_file():
        return [path]
    matching = [Path(each) for each in glob.glob(given)] if glob.has_magic(given) else []
    if not matching:
        raise ModelFileError(not_written(path, ("train",), instead="files of weights"))
    return sorted(matching, key=lambda each: (_number(each) is None, _number(each) or 0, str(each)))


def _number(path: Path) -> int | None:
    """The last number in a file's name, which is mostly its epoch."""
    digits = re.findall(r"\d+", path.stem)
    return int(digits[-1]) if digits else None


def _training_of(path: Path) -> Path | None:
    for folder in (path.parent, path.parent.parent):
        if is_run(folder):
            return folder
    return None


def _identity(path: Path, spec: str) -> str:
    """What tells weights from others: the file's content, and what they are put into."""
    digest = hashlib.sha256(spec_name(spec).encode("utf-8", "backslashreplace"))
    if path.is_file():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _spec_identity(spec: str) -> str:
    """Of a whole model: of its file where it is one; a library's is known by its weights once it is loaded."""
    path = Path(spec)
    if path.is_file():
        return _identity(path, spec)
    return _identity(path / BEST, spec) if is_run(path) else ""
