"""The network and the methods that arguments name."""

from __future__ import annotations

import argparse
import warnings
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import explainers
from explainers.errors import DependencyError, LayerError, OptionError, UnsupportedError

from .spelling import given
from .terminal.telling import downloads_as_notes
from .values import known, note, number_or_text, numbers, pair, size, values_of, whole_numbers

DEFAULT = "photographs"
DEFAULTS = {  # what is explained where no --model is given
    "photographs": "EfficientNet-Lite0, trained on ImageNet's 1,000 classes, is explained (--model photographs)",
    "embedded": "the embedded digit classifier is explained (--model embedded)",
}
# Flags that decide a map, whatever its method.
DECIDING = (
    "model", "weights", "trust_model_file", "seed", "size", "crop", "mean", "std", "gray", "bands", "channels",
    "input_bands", "white", "data_kind", "window", "normalize", "labels", "activation", "output", "target", "where",
    "top_k", "task", "detections", "min_score", "max_pixels",
)  # fmt: skip
MOST_CHANNELS = 10_000  # of an input; the longest spectra of satellites have some hundreds
FLAGS = ("masks", "tolerance", "seed", "precision", "compile", "roi")  # for every method that has such an option


def loaded_model(arguments: argparse.Namespace, default: str = DEFAULT) -> Any:
    """The network, with preprocessing flags on top of what its source knows.

    default: the network where --model is not given, which a note says.
    """
    from .input_kind import PHOTOS, array_preprocessing, check_default, kind_of_network

    kind = getattr(arguments, "kind", PHOTOS)
    check_default(arguments)
    of_three = str(arguments.size).lower().replace("x", ",").count(",") == 2  # lengths, if the network is over volumes
    if kind == PHOTOS or (kind is None and not of_three):
        _preprocessing_flags(arguments)  # what cannot be read is said before anything is loaded
    for entry in getattr(arguments, "option", None) or []:
        _method_option(entry)
    loaded = load_typed(arguments, arguments.model or default, arguments.weights)
    loaded = replace(loaded, typed=words_of(arguments))
    if arguments.model is None:
        note(arguments, f"no --model: {DEFAULTS[default]}")
    kind = kind_of_network(arguments, loaded) if kind is None else kind
    if kind != PHOTOS:
        return _named(arguments, replace(loaded, preprocessing=array_preprocessing(arguments, loaded, kind)))
    preprocessing = preprocessed(arguments, loaded.preprocessing)
    if preprocessing is not None and loaded.preprocessing is None:
        preprocessing = _of_its_channels(arguments, loaded, preprocessing)
    return _named(arguments, replace(loaded, preprocessing=preprocessing))


def words_of(arguments: argparse.Namespace) -> tuple[str, ...]:
    """What was typed that decides a map, but for its method: a report makes the command of one image of it."""
    words: list[str] = []
    for name in DECIDING:
        value = getattr(arguments, name, None)
        if not given(value) or (name == "target" and value == "label"):  # a class for each image
            continue
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        else:
            words += [f"{flag}={value}"] if str(value).startswith("-") else [flag, str(value)]
    return tuple(words)


def _named(arguments: argparse.Namespace, loaded: Any) -> Any:
    """The same, where it has a name for each class."""
    from explainers.models.load import check_class_names

    return loaded if getattr(arguments, "labels", None) is None else check_class_names(loaded)


def load_typed(arguments: argparse.Namespace, spec: str, weights: str | None) -> Any:
    """A network, with the flags that say how any is loaded."""
    from explainers import load_model

    with downloads_as_notes(arguments):
        return load_model(
            spec,
            weights=weights,
            device=arguments.device or "auto",
            trust_model_file=arguments.trust_model_file,
            labels=getattr(arguments, "labels", None),
            seed=getattr(arguments, "seed", None) or 0,
        )


def preprocessed(arguments: argparse.Namespace, known: Any) -> Any:
    """The preprocessing flags on top of what is known, which may be nothing.

    --size alone is the size of the network's input: a crop that is known belongs to the resize that it replaces.

    Raises:
        OptionError: a flag that cannot be read, or a crop larger than what it is cut from.
    """
    from explainers.core.preprocessing import Preprocessing

    changes = _preprocessing_flags(arguments)
    if not changes:
        return known
    channels = changes.get("channels")
    if "resize" in changes and "crop" not in changes and known is not None and known.crop is not None:
        changes["crop"] = pair(changes["resize"])
    if channels == 1:
        changes.setdefault("mean", (0.0,) if known is None else known.mean[:1])
        changes.setdefault("std", (1.0,) if known is None else known.std[:1])
    elif channels is not None and (known is None or known.channels != channels):
        changes.setdefault("mean", (0.0,) * channels)  # of photos' colours nothing follows for bands
        changes.setdefault("std", (1.0,) * channels)
    source = "flags" if known is None else f"{known.source}, with flags {', '.join(sorted(changes))}"
    if known is not None and "resize" in changes:
        known = replace(known, longest=None, multiple=1)  # limits of the sides that it replaces
    made = Preprocessing(**changes, source=source) if known is None else replace(known, **changes, source=source)
    if changes.keys() & {"resize", "crop"}:
        _check_crop(made)
    return made


def _preprocessing_flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of a Preprocessing that were typed.

    Raises:
        OptionError: a flag that cannot be read.
    """
    bands = whole_numbers(getattr(arguments, "input_bands", None), "--input-bands", "1,2,3,8")
    means = numbers(arguments.mean, "--mean")
    flags: dict[str, Any] = {
        "resize": size(arguments.size, "--size"),
        "crop": pair(size(arguments.crop, "--crop")),
        "mean": means,
        "std": numbers(arguments.std, "--std"),
        "channels": _channels(arguments, bands, means),
        "bands": bands,
        "picture": whole_numbers(getattr(arguments, "bands", None), "--bands", "4,3,2"),
        "white": getattr(arguments, "white", None),
    }
    return {key: value for key, value in flags.items() if value is not None}


def _check_crop(preprocessing: Any) -> None:
    """A crop that is larger than the resized photo would be filled with black.

    Raises:
        OptionError: it is.
    """
    resize, crop = preprocessing.resize, preprocessing.crop
    sides = pair(resize)
    if crop is not None and sides is not None and (crop[0] > sides[0] or crop[1] > sides[1]):
        asked = "x".join(map(str, sides)) if isinstance(resize, tuple) else resize
        raise OptionError(
            f"--size {asked} and --crop {crop[0]}x{crop[1]}: the crop is larger than what it is cut from, and the rest "
            "would be black; give a smaller --crop or a larger --size"
        )


def _of_its_channels(arguments: argparse.Namespace, loaded: Any, preprocessing: Any) -> Any:
    """The preprocessing for as many channels as the network's first convolution takes, where no flag says how many."""
    from explainers.network.input import input_channels

    if any(given(getattr(arguments, flag, None)) for flag in ("gray", "channels", "input_bands", "mean", "std")):
        return preprocessing
    channels = input_channels(loaded.network, preprocessing.input_size()[1:])
    if channels == preprocessing.channels:
        return preprocessing
    what = "gray" if channels == 1 else "the bands of a TIFF file"
    note(arguments, f"{loaded.spec} takes {channels} channels: {what} (--channels)")
    return replace(preprocessing, channels=channels)


def _channels(
    arguments: argparse.Namespace, bands: tuple[int, ...] | None, means: tuple[float, ...] | None
) -> int | None:
    """How many channels the network takes, by the flags that say so; None where none does."""
    named = getattr(arguments, "channels", None)
    flags: dict[str, int | None] = {
        "--gray": 1 if arguments.gray else None,
        "--channels": named,
        "--input-bands": len(bands) if bands else None,
    }
    if means is not None and len(means) not in (1, 3):
        flags["--mean"] = len(means)
    if named is not None and named > MOST_CHANNELS:
        raise OptionError(f"--channels {named}; expected at most {MOST_CHANNELS:,}")
    said = {flag: count for flag, count in flags.items() if count is not None}
    if len(set(said.values())) > 1:
        told = ", ".join(f"{flag} says {count}" for flag, count in said.items())
        raise OptionError(f"the network takes one number of channels: {told}")
    return next(iter(said.values()), None)


def whole_specs(arguments: argparse.Namespace, specs: list[str]) -> list[str]:
    """The methods asked for, with every one that can run here in the place of `all`; those it adds may be refused."""
    for spec in specs:
        if spec != "all":
            known(arguments, explainers.method, spec.partition("@")[0])  # there is one, or nothing else is said
    if "all" not in specs:
        return list(dict.fromkeys(specs))
    every = []
    for name in explainers.available():
        missing = [package for package in explainers.method(name).packages if find_spec(package) is None]
        if missing:
            note(arguments, f"left out {name}: it needs {' and '.join(missing)}")
        else:
            every.append(name)
    specs = list(dict.fromkeys(name for spec in specs for name in (every if spec == "all" else [spec])))
    arguments.skip_unsupported, arguments.method = True, specs
    return specs


def method_call(spec: str, arguments: argparse.Namespace) -> Any:
    """A method from `NAME` or `NAME@LAYER`, with the options given for it."""
    from explainers.core.registry import options as known_options
    from explainers.run import MethodCall

    name, at, layer = spec.partition("@")
    cls = explainers.method(name)
    chosen: dict[str, Any] = {}
    if not at and "layer" in known_options(cls) and "layer" in cls.needs:
        layer = arguments.layer or ""
    if layer:
        chosen["layer"] = number_or_text(layer) if layer[0] == "-" else layer
    for flag in FLAGS:
        value = typed_roi(arguments.roi) if flag == "roi" else getattr(arguments, flag)
        if given(value) and flag in known_options(cls):
            chosen[flag] = value
    for entry in arguments.option or []:
        method, option, value = _method_option(entry)
        if method not in [one.partition("@")[0] for one in arguments.method or ["grad-cam"]]:
            raise OptionError(f"--option {entry!r}: {method} is not among the methods of this run")
        if method == name:
            chosen[option] = value
    _check_values(name, chosen)
    return MethodCall(name, chosen, spec)


def _check_values(name: str, chosen: dict[str, Any]) -> None:
    """See, before any network is loaded, that the values of a method's options are some that it can have.

    Raises:
        OptionError: one is not; what depends on the network is left for it.
    """
    from torch import nn

    plain = {key: value for key, value in chosen.items() if key not in ("precision", "compile")}
    with warnings.catch_warnings(), suppress(UnsupportedError, DependencyError, LayerError):
        warnings.simplefilter("ignore")  # the method itself says it, once
        explainers.create(name, nn.Identity(), **plain)


def typed_roi(text: str | None) -> tuple[tuple[int, int], ...] | None:
    """(start, stop) of each axis, from `10:50,0:64,0:64`.

    Raises:
        OptionError: it is none.
    """
    if text is None:
        return None
    try:
        spans = [tuple(int(end) for end in part.split(":")) for part in text.split(",")]
    except ValueError:
        spans = [()]
    if any(len(span) != 2 for span in spans):
        raise OptionError(f"--roi {text!r}; expected a range of each axis, such as 10:50,0:64,0:64")
    return tuple((span[0], span[1]) for span in spans)


def _method_option(entry: str) -> tuple[str, str, Any]:
    """Method, option and value of an --option."""
    key, equals, value = entry.partition("=")
    method, dot, option = key.rpartition(".")
    if not equals or not dot:
        raise OptionError(f"--option {entry!r}; expected METHOD.KEY=VALUE, such as smooth-grad.samples=25")
    return method, option, values_of(value)
