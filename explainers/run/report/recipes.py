"""The network that maps are of, and the command and the Python that make a map again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from explainers.core.registry import options as known_options
from explainers.errors import ExplainersError
from explainers.methods import method as method_class
from explainers.passes.own_code import own_code

PHOTO = "\0photo\0"  # where the photo's path goes, quoted as a shell or Python needs it
TARGET = "\0target\0"  # and its class, where each image has its own
PLACE = "\0place\0"  # and where a command writes, so that one can be followed by another
OF_EACH = ("label", "given for each image")
DATA_KINDS = {"volume": "volumes", "signal": "signals", "clip": "frames"}
TYPED = ("given", "flags")  # how the source of a preprocessing begins that was typed
REGION = re.compile(r"Region\((?P<index>\d+|None), (?P<where>'predicted'|None), None\)")
PREPARED = {"size", "crop", "mean", "std", "gray", "channels", "data-kind", "window", "normalize"}
# Flags that Python says, too; the task of detection, boxes, bands and files of functions have no short spelling there.
SAID = PREPARED | {"model", "weights", "trust-model-file", "labels", "activation", "output", "target", "where", "top-k"}
SAID |= {"seed", "max-pixels"}


def recipes_of(facts: Mapping[str, Any], titles: Sequence[str]) -> dict[str, dict[str, str]]:
    """For each method its command and its Python, in which `PHOTO` stands for the image; what cannot be said is left
    out: of a network or of maps that have no name to be loaded by, and of targets that cannot be spelled."""
    model = facts.get("model") or {}
    if not model.get("spec"):
        return {}
    methods = facts.get("methods") or {}
    if not isinstance(methods, Mapping):
        methods = {each.get("label") or each["name"]: {"name": each["name"], **each["options"]} for each in methods}
    found = {}
    for title in titles:
        told = methods.get(title)
        if not isinstance(told, Mapping) or "name" not in told:
            continue
        chosen = _own_options(told)
        if chosen is None:
            continue
        name = str(told["name"])
        both = {"command": _command(name, chosen, facts), "python": _python(name, chosen, facts)}
        made = {kind: text for kind, text in both.items() if text}
        if made:
            found[title] = made
    return found


def _own_options(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """The options that a method was given and that are not its defaults; None of a method that is not ours."""
    try:
        cls = method_class(str(told["name"]))
        known = known_options(cls)
    except ExplainersError:
        return None
    if own_code({"": cls}):  # the command does not know it
        return None
    plain = (str, int, float, bool)
    return {
        key: value
        for key, value in told.items()
        if key in known and key not in ("output", "activation") and isinstance(value, plain) and value != known[key]
    }


def _flags(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed, by flag; True of one without a value."""
    found: dict[str, Any] = {}
    flag = ""
    for word in facts.get("typed") or ():
        if word.startswith("--"):
            flag, joint, value = word[2:].partition("=")
            found[flag] = value if joint else True
        else:
            found[flag] = word
    return found


def _target(facts: Mapping[str, Any]) -> Any:
    """The target of all images, `TARGET` where each has its own."""
    target = (facts.get("options") or {}).get("target", facts.get("targets"))
    return TARGET if target in OF_EACH else target


def _spelled(target: Any) -> bool:
    """Whether a target can be typed; the key of a target object cannot."""
    return target is None or isinstance(target, int) or (isinstance(target, str) and "(" not in target)


def _command(name: str, options: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """ "" where what was done cannot be typed."""
    model, target, typed = facts["model"], _target(facts), [str(word) for word in facts.get("typed") or ()]
    words = ["explain", "run", PHOTO, *typed]
    if not typed:
        region = REGION.fullmatch(str(target))
        if not (region or _spelled(target)) or (facts.get("options") or facts).get("output"):
            return ""
        words += _typed_preprocessing(facts.get("preprocessing"))
        activation = (facts.get("options") or facts).get("activation", "auto")
        words += [] if activation == "auto" else ["--activation", str(activation).lower()]
        if region:
            words += [] if region["index"] == "None" else ["--target", region["index"]]
            words += ["--where", "all" if region["where"] == "None" else region["where"].strip("'")]
        elif target not in (None, TARGET):
            words += ["--target", str(target)]
    given = _flags(facts)
    if "weights" not in given and model.get("weights"):
        words[3:3] = ["--weights", str(model["weights"])]
    if "model" not in given:
        words[3:3] = ["--model", str(model["spec"])]
    words += ["--target", TARGET] if target == TARGET else []
    layer = options.get("layer")
    words += ["-m", name if layer is None else f"{name}@{layer}"]
    for key, value in options.items():
        if key != "layer":
            words += ["--option", f"{name}.{key}={value}"]
    words += ["--out", PLACE]
    return " ".join(word if word in (PHOTO, TARGET, PLACE) else shlex.quote(word) for word in words)


def _python(name: str, options: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """ "" where what was done has no short spelling."""
    typed, target, model = _flags(facts), _target(facts), facts["model"]
    region = REGION.fullmatch(str(target))
    output = typed.get("output") if typed else (facts.get("options") or facts).get("output")
    said = region or "where" not in typed if typed else (region or _spelled(target)) and not output
    if not said or typed.keys() - SAID or ":" in str(output):
        return ""
    given, lines = [repr(str(model["spec"]))], ["import explainers"]
    if model.get("weights"):
        given.append(f"weights={str(model['weights'])!r}")
    given += ["trust_model_file=True"] if "trust-model-file" in typed else []
    given += [f"labels={typed['labels']!r}"] if "labels" in typed else []
    given += [f"seed={typed['seed']}"] if "seed" in typed else []
    told = facts.get("preprocessing")
    if typed.keys() & PREPARED or _typed_preprocessing(told):
        array = "kind" in told  # type: ignore[operator]
        plain = {key: value for key, value in told.items() if key != "source" and value is not None}  # type: ignore[union-attr]
        given.append(f"preprocessing={'ArrayPreprocessing' if array else 'explainers.Preprocessing'}(**{plain!r})")
        lines += ["from explainers.models import ArrayPreprocessing"] * array
    asked = [f"method={name!r}"]
    if region:
        lines.append("from explainers.targets import Region")
        asked.append(f"target=Region({region['index']}, {region['where']})")
    elif target == TARGET:
        asked.append(f"target={TARGET}")
    elif typed.get("target", target) is not None:
        asked.append(f"target={_plain(typed.get('target', target))!r}")
    activation = typed.get("activation") if typed else (facts.get("options") or facts).get("activation", "auto")
    if activation not in (None, "auto", True) or (not typed and activation is None):
        asked.append(f"activation={None if activation in ('none', None) else activation!r}")
    asked += [f"output={_plain(output)!r}"] if output else []
    asked += [f"{key}={value!r}" for key, value in options.items()]
    return "\n".join(
        [
            *lines,
            "",
            f"model = explainers.load_model({', '.join(given)})",
            f"explanation = explainers.explain(model, {PHOTO}, {', '.join(asked)})",
            'explanation.save("map.png")',
            "",
        ]
    )


def _plain(value: Any) -> Any:
    """A number that was typed as one."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d+", value) else value


def _typed_preprocessing(told: Any) -> list[str]:
    """The flags of a preprocessing that does not come with the network."""
    if isinstance(told, Mapping) and "kind" in told:
        return _array_flags(told)
    if not isinstance(told, Mapping) or not str(told.get("source", "")).startswith(TYPED):
        return []

    def side(value: Any) -> str:
        return "x".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

    flags = []
    if told.get("resize") is not None:
        flags += ["--size", side(told["resize"])]
    if told.get("crop") is not None:
        flags += ["--crop", side(told["crop"])]
    for name in ("mean", "std"):
        flags += [f"--{name}", ",".join(f"{value:g}" for value in told[name])]
    return flags


def _array_flags(told: Mapping[str, Any]) -> list[str]:
    """Those of volumes, signals and clips."""
    flags = ["--data-kind", DATA_KINDS[told["kind"]]]
    for name in ("size", "window", "mean", "std"):
        if told.get(name) is not None:
            flags.append(f"--{name}={','.join(f'{value:g}' for value in told[name])}")
    for name in ("normalize", "channels"):
        if told.get(name) is not None:
            flags.append(f"--{name}={told[name]}")
    return flags


def network_facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) lines of a run or an evaluation; values that are not known are empty."""
    model = facts.get("model") or {}
    named = [str(model.get("spec") or model.get("network") or "")]
    if model.get("weights"):
        named.append(f"weights {PurePath(str(model['weights'])).name}")
    classes = model.get("classes") or len(facts.get("classes") or ())
    if isinstance(classes, int) and classes:
        named.append(f"{classes:,} classes")
    if model.get("sha256"):
        named.append(f"SHA-256 {str(model['sha256'])[:12]}…")
    return [("network", ", ".join(filter(None, named))), ("its input", _input(facts.get("preprocessing") or {}))]


def _input(told: Mapping[str, Any]) -> str:
    """How a photo became the network's input."""
    if told.get("kind", "photo") != "photo":
        return ""
    size, crop, longest = told.get("resize"), told.get("crop"), told.get("longest")
    steps = ["a window of the photo"] if told.get("window") else []
    if isinstance(size, int):
        most = f", the longer to {longest} at most" if longest else ""
        steps.append(f"shorter side resized to {size} pixels{most}")
    elif size:
        steps.append(f"resized to {_sides(size)} pixels")
    if crop:
        steps.append(f"the middle {_sides(crop)} pixels")
    return ", then ".join(steps)


def _sides(size: Any) -> str:
    """Width × height of a (height, width)."""
    height, width = (size, size) if isinstance(size, int) else size
    return f"{width} × {height}"
