"""Whether a command is over photos, volumes, signals or clips, and how the network takes what is none of photos."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from explainers.errors import ImageError, OptionError
from explainers.storage.paths import shown

from .spelling import given
from .values import note, numbers

KINDS = {"photos": "photo", "volumes": "volume", "signals": "signal", "frames": "clip"}
PHOTOS = "photo"
OF_PHOTOS = ("crop", "gray", "bands", "input_bands", "white")  # flags that say nothing of an array
OF_ARRAYS = ("window", "normalize")
BY_AXES = {3: "volume", 1: "signal"}


def kind_asked(arguments: argparse.Namespace, where: str | None) -> str:
    """ "photo", "volume", "signal" or "clip": what --data-kind says, else what lies in a folder; it is noted.

    Args:
        where: a folder or file; None: there is none, and the network will tell (`kind_of_network`).

    Raises:
        OptionError: a folder holds several kinds, or a flag is typed that is made for another kind. ImageError: it
            holds none.
    """
    from explainers.data.recordings import kinds_in

    typed = getattr(arguments, "data_kind", None)
    kind = KINDS[typed] if typed else PHOTOS
    if typed is None and where is not None and Path(where).exists():
        found = kinds_in(where)
        if len(found) > 1:
            named = [name for name, each in KINDS.items() if each in found]
            raise OptionError(
                f"{shown(where)} holds {' and '.join(named)}; say which are meant (--data-kind {named[0]}, …)"
            )
        if not found and Path(where).is_dir():
            _nothing_below(Path(where))
        kind = found.pop() if found else PHOTOS
    arguments.kind = kind
    _check_flags(arguments, kind)
    return kind


def _nothing_below(folder: Path) -> None:
    """See what is wrong with a folder in which no file is of any kind.

    Raises:
        ImageError: always.
    """
    from explainers.data.images import find_images
    from explainers.data.recordings.find import WHAT

    try:
        find_images(folder)
    except ImageError as error:
        if not str(error).startswith("no images below"):  # it cannot be read
            raise
        raise ImageError(f"{error}, {WHAT['volume']} or {WHAT['signal']}") from error


def files_asked(arguments: argparse.Namespace, where: str) -> list[Any]:
    """The files below a folder that are of the kind that is asked for.

    Raises:
        ImageError: there are none.
    """
    from explainers.data.images import find_images
    from explainers.data.recordings import find_recordings

    kind = getattr(arguments, "kind", PHOTOS)
    return find_images(where) if kind == PHOTOS else find_recordings(where, kind)


def kind_of_network(arguments: argparse.Namespace, loaded: Any) -> str:
    """Likewise where there is no folder: what the network's convolutions go over, where its source does not say."""
    from explainers.network.input import convolution_axes

    axes = convolution_axes(loaded.network) if loaded.preprocessing is None else ()
    kind = BY_AXES[axes[0]] if len(axes) == 1 and axes[0] in BY_AXES else PHOTOS
    _check_flags(arguments, kind)
    return kind


def array_preprocessing(arguments: argparse.Namespace, loaded: Any, kind: str) -> Any:
    """How the network takes an array, by the flags; as many channels as its first convolution has.

    Raises:
        OptionError: a flag that cannot be read or does not fit, or a network that is known to take photos.
    """
    from explainers.core.preprocessing import ArrayPreprocessing, Preprocessing
    from explainers.core.preprocessing.arrays import AXES
    from explainers.network.input import first_channels

    if isinstance(loaded.preprocessing, Preprocessing):
        raise OptionError(
            f"{loaded.spec} takes photos, and these are {kind}s; name a network that takes them (--model), or say "
            "--data-kind photos"
        )
    if isinstance(loaded.preprocessing, ArrayPreprocessing):
        return loaded.preprocessing
    channels = getattr(arguments, "channels", None) or first_channels(loaded.network, AXES[kind])
    made = ArrayPreprocessing(
        kind,
        _lengths(arguments.size),
        numbers(getattr(arguments, "window", None), "--window", "-100,300"),  # type: ignore[arg-type]
        getattr(arguments, "normalize", None),
        numbers(arguments.mean, "--mean"),
        numbers(arguments.std, "--std"),
        channels,
        "flags",
    )
    if made.normalize is None and made.window is None and made.mean is None and kind != "clip":
        note(arguments, f"the network gets the {kind}s' values as stored (--window, --normalize, --mean, --std)")
    return made


def _lengths(text: str | int | None) -> tuple[int, ...] | None:
    """--size of an array: `64,64,32`, `64x64x32`, or one length of a signal."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in str(text).replace("x", ",").split(","))
    except ValueError as error:
        raise OptionError(f"--size {text!r}; expected lengths such as 64,64,32, in the order of the file") from error


def _check_flags(arguments: argparse.Namespace, kind: str) -> None:
    wrong = OF_ARRAYS if kind == PHOTOS else OF_PHOTOS
    for flag in wrong:
        if given(getattr(arguments, flag, None)) and getattr(arguments, flag):
            what = "volumes, signals and clips" if kind == PHOTOS else "photos"
            raise OptionError(f"--{flag.replace('_', '-')} is made for {what}, and these are {kind}s")
    if (where := getattr(arguments, "where", None)) is not None:
        from explainers.run.targets.regions import region_of

        region_of(None, where, kind=kind)  # refuses what means nothing


def batch_size(arguments: argparse.Namespace) -> int:
    """As typed; else 8, of volumes and clips 1, each of which may take as much memory as many photos."""
    usual = 1 if getattr(arguments, "kind", PHOTOS) in ("volume", "clip") else 8
    return usual if arguments.batch_size is None else int(arguments.batch_size)


def check_default(arguments: argparse.Namespace) -> None:
    """See that a network is named where the one for photographs cannot be meant.

    Raises:
        ImageError: it is not.
    """
    kind = getattr(arguments, "kind", PHOTOS)
    if kind not in (None, PHOTOS) and arguments.model is None:
        raise ImageError(f"the network for photographs does not take {kind}s; name one that does (--model)")
