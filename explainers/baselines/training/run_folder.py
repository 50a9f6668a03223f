"""The folder of a training: what was asked for, how far it is, what came out."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explainers.errors import ModelFileError, OptionError
from explainers.storage.atomic import write_bytes, write_json
from explainers.storage.csv_text import csv_text
from explainers.storage.fingerprint import differences
from explainers.storage.owner import CONFIG
from explainers.storage.run_folder import REPORT, Contents, RunFolder
from explainers.storage.sought import not_written

FORMAT = 1
PARTS = {  # what a configuration must have
    "": ("network", "data", "class_names", "preprocessing", "settings"),
    "network": ("name", "channels", "classes", "options"),
    "data": ("spec",),
    "settings": ("epochs",),
}
LAST, BEST, LOG, RESULT, EPOCHS = (
    "last.safetensors",
    "best.safetensors",
    "log.csv",
    "result.json",
    "epochs",
)
WATCHED = "watch"  # pictures of maps while it trains
CONTENTS = Contents(
    "train",
    files=("preview-*.png", RESULT, LAST, BEST, LOG, CONFIG),
    folders=(EPOCHS, "tensorboard", WATCHED, REPORT),
)
# What may differ between two starts and leave the same weights: versions, the data's place, which weights are kept.
UNCOUNTED = (("", "versions"), ("data", "spec"), ("settings", "keep_every"))


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
    if not is_run(folder):
        raise ModelFileError(not_written(folder, ("train",)))
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
        ModelFileError: there is none, or a file of it is damaged.
    """
    config = read_config(folder)
    result = _json(folder / RESULT) if (folder / RESULT).is_file() else {}
    rows: list[dict[str, Any]] = []
    if (folder / LOG).is_file():
        try:
            with (folder / LOG).open(encoding="utf-8", newline="") as file:
                table = csv.DictReader(file)
                if "epoch" not in (table.fieldnames or ()):
                    raise ValueError("it has no column epoch")
                rows = [{key: float(value) for key, value in row.items() if value} for row in table]
        except (OSError, ValueError, TypeError, csv.Error) as error:
            raise ModelFileError(
                f"{folder / LOG} is damaged ({error}); remove it: a training that goes on writes it again, and one "
                "that is finished is used without it"
            ) from error
    return Run(folder, config, tuple(rows), result)


def open_run(
    folder: Path,
    config: Mapping[str, Any],
    *,
    overwrite: bool,
    extend: bool = False,
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Start a folder, or go on in one that was started with the same configuration.

    Args:
        defaults: options of the network, for trainings begun when only those that were asked for were written down.
        overwrite: start anew; what is not the training's own stays.
        extend: more epochs than before make the same training go on.

    Raises:
        OptionError: it holds a whole epoch of another training, or files that are no training's.
    """
    own = RunFolder(folder, CONTENTS)
    if is_run(folder) and not overwrite:
        before = read_config(folder)
        before["network"]["options"] = {**(defaults or {}), **before["network"]["options"]}
        differing = sorted(differences(before, json.loads(json.dumps(config)), but=UNCOUNTED))
        if not differing:
            # The same images, which may have moved, and the same weights, of which others may be kept from now on.
            now = {**before, "data": config["data"], "settings": config["settings"]}
            if now != before:
                write_json(folder / CONFIG, now)
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
    elif not is_run(folder) and folder.exists() and (not folder.is_dir() or own.holds_others()):
        raise OptionError(f"{folder} is not empty and holds no training; choose another folder")
    own.clear()
    write_json(folder / CONFIG, config)


def written(folder: Path) -> list[str]:
    """Names within the folder of what a training leaves: weights, log, kept epochs, pictures and maps of its watch."""
    found = [folder / name for name in (LAST, BEST, LOG)]
    found += sorted((folder / EPOCHS).glob("*.safetensors"))
    found += sorted((folder / WATCHED).rglob("*.*"))
    return [path.relative_to(folder).as_posix() for path in found if path.is_file() and not path.name.startswith(".")]


def write_log(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """One line for each epoch, all or nothing."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    write_bytes(path, csv_text(columns, history).encode())


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ModelFileError(f"{path} is no JSON object")
    return values
