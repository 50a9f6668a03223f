"""The folder of a training: what was asked for, how far it is, what came out, and the network rebuilt from it."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from explainers.baselines.networks.registry import create_network
from explainers.errors import ModelFileError, OptionError
from explainers.storage.atomic import LOCK, write_bytes, write_json

FORMAT = 1
PARTS = {  # what a configuration must have
    "": ("network", "data", "class_names", "preprocessing", "settings"),
    "network": ("name", "channels", "classes", "options"),
    "data": ("spec",),
    "settings": ("epochs",),
}
CONFIG, LAST, BEST, LOG, RESULT, EPOCHS = (
    "run.json",
    "last.safetensors",
    "best.safetensors",
    "log.csv",
    "result.json",
    "epochs",
)
LIBRARIES = ("torchvision", "timm")  # whose networks a file may name without running anybody's code


@dataclass(frozen=True)
class Run:
    """A training and its outcome.

    folder: where it is; config: what was asked for; history: one row for each epoch, as in its log; result: of the best
    epoch on the test images, empty before the training is over.
    """

    folder: Path
    config: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]] = ()
    result: Mapping[str, Any] = field(default_factory=dict)


def is_run(folder: Path) -> bool:
    """Whether a training has begun there."""
    return (folder / CONFIG).is_file()


def read_config(folder: Path) -> dict[str, Any]:
    """What a training was asked for.

    Raises:
        ModelFileError: there is none, or its file is damaged or of a later format.
    """
    config = _json(folder / CONFIG)
    if config.get("format") != FORMAT:
        raise ModelFileError(
            f"{folder / CONFIG} has format {config.get('format')!r}, expected {FORMAT}; update explainers?"
        )
    missing = [
        f"{part}.{key}" if part else key
        for part, keys in PARTS.items()
        for key in keys
        if not isinstance(found := config.get(part) if part else config, dict) or key not in found
    ]
    if missing:
        raise ModelFileError(f"{folder / CONFIG} is damaged: it has no {', '.join(missing)}")
    return config


def read_run(folder: Path) -> Run:
    """A training as it is now.

    Raises:
        ModelFileError: there is none.
    """
    config = read_config(folder)
    result = _json(folder / RESULT) if (folder / RESULT).is_file() else {}
    rows: list[dict[str, Any]] = []
    if (folder / LOG).is_file():
        with (folder / LOG).open(encoding="utf-8", newline="") as file:
            rows = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
    return Run(folder, config, tuple(rows), result)


def open_run(folder: Path, config: Mapping[str, Any], *, overwrite: bool, extend: bool = False) -> None:
    """Start a folder, or go on in one that was started with the same configuration.

    Args:
        overwrite: start anew; what is not the training's own stays.
        extend: more epochs than before make the same training go on.

    Raises:
        OptionError: it holds a whole epoch of another training, or files that are no training's.
    """
    if is_run(folder) and not overwrite:
        before = read_config(folder)
        differing = sorted(_differences(before, json.loads(json.dumps(config))))
        if not differing:
            if before["data"] != config["data"]:  # the same images, which have moved
                write_json(folder / CONFIG, {**before, "data": config["data"]})
            return
        epochs = [each["settings"]["epochs"] for each in (before, config)]
        if extend and len(differing) == 1 and differing[0].startswith("settings.epochs ") and epochs[0] < epochs[1]:
            (folder / RESULT).unlink(missing_ok=True)
            write_json(folder / CONFIG, config)
            return
        if (folder / LAST).is_file():
            raise OptionError(
                f"{folder} holds a training that differs in {'; '.join(differing)}. Go on with its settings, choose "
                "another folder, or remove it with overwrite (--overwrite)"
            )
    elif not is_run(folder) and folder.exists() and (not folder.is_dir() or _foreign(folder)):
        raise OptionError(f"{folder} is not empty and holds no training; choose another folder")
    if folder.is_dir():
        clear(folder)
    write_json(folder / CONFIG, config)


def clear(folder: Path) -> None:
    """Remove a training, its own files alone; what says that there is one goes last."""
    for name in (EPOCHS, "tensorboard"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in folder.iterdir():
        if _is_torn(path):
            path.unlink(missing_ok=True)
    for name in (RESULT, LAST, BEST, LOG, CONFIG):
        (folder / name).unlink(missing_ok=True)


def _foreign(folder: Path) -> bool:
    """Whether there is anything but what a killed start has left."""
    return any(path.name != LOCK and not _is_torn(path) for path in folder.iterdir())


def _is_torn(path: Path) -> bool:
    """A file that a killed training was writing."""
    names = "|".join(re.escape(name) for name in (CONFIG, LAST, BEST, LOG, RESULT))
    return re.fullmatch(rf"\.({names})\.\d+\.tmp", path.name) is not None


def write_log(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """One line for each epoch, all or nothing."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_bytes(path, text.getvalue().encode())


def rebuilt(folder: Path, *, trust: bool = False) -> tuple[nn.Module, Path, list[str]]:
    """The network of a training without its weights, the file of the best ones, and notes.

    Args:
        trust: allow a backbone that the configuration names as Python code, which is run.

    Raises:
        ModelFileError: damaged, no epoch finished yet, or code without trust.
    """
    config = read_config(folder)
    network = config["network"]
    prefix, colon, _ = str(network["options"].get("backbone", "")).partition(":")
    if colon and prefix not in LIBRARIES and not trust:
        raise ModelFileError(
            f"{folder / CONFIG} names the backbone {network['options']['backbone']!r}, and making it runs code: pass "
            "trust_model_file (--trust-model-file) if you trust where it comes from"
        )
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


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelFileError(f"no training in {path.parent}: {path.name} is missing") from error
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ModelFileError(f"{path} is no JSON object")
    return values


def _differences(before: Any, now: Any, name: str = "") -> list[str]:
    """Where two trees of plain values differ, with both values; versions and the data's place do not count."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [key for key in {**before, **now} if (name, key) not in (("", "versions"), ("data", "spec"))]
        return [
            each
            for key in keys
            for each in _differences(before.get(key), now.get(key), f"{name}.{key}" if name else str(key))
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [
            each
            for index, (old, new) in enumerate(zip(before, now, strict=True))
            for each in _differences(old, new, f"{name}[{index}]")
        ]
    return [] if before == now else [f"{name} ({_short(before)} there, {_short(now)} now)"]


def _short(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return " + ".join(str(each.get("kind", each)) for each in value)
    return repr(value)
