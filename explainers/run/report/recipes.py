"""The command and the Python that make a map again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from explainers.core.registry import options as known_options
from explainers.errors import ExplainersError
from explainers.methods import method as method_class

PHOTO = "\0photo\0"  # where the photo's path goes, quoted as a shell or Python needs it
TARGET = "\0target\0"  # and its class, where each image has its own
OF_EACH = ("label", "given for each image")
DATA_KINDS = {"volume": "volumes", "signal": "signals", "clip": "frames"}
TYPED = "given"  # the source of a preprocessing that was typed


def recipes_of(facts: Mapping[str, Any], titles: Sequence[str]) -> dict[str, dict[str, str]]:
    """For each method the command and the Python, in which `PHOTO` stands for the image; none of a network or of maps
    that have no name to be loaded by."""
    model = facts.get("model") or {}
    spec = model.get("spec")
    if not spec:
        return {}
    methods = facts.get("methods") or {}
    if not isinstance(methods, Mapping):
        methods = {each.get("label") or each["name"]: {"name": each["name"], **each["options"]} for each in methods}
    options = facts.get("options") or {}
    target = options.get("target", facts.get("targets"))
    target = TARGET if target in OF_EACH else target
    look = _typed_preprocessing(facts.get("preprocessing"))
    found = {}
    for title in titles:
        told = methods.get(title)
        if not isinstance(told, Mapping) or "name" not in told:
            continue
        chosen = _own_options(told)
        if chosen is not None:
            found[title] = {
                "command": _command(str(told["name"]), chosen, model, target, look),
                "python": _python(str(told["name"]), chosen, model, target, facts.get("preprocessing"), bool(look)),
            }
    return found


def _own_options(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """The options that a method was given and that are not its defaults; None of a method that is not ours."""
    try:
        known = known_options(method_class(str(told["name"])))
    except ExplainersError:
        return None
    plain = (str, int, float, bool)
    return {
        key: value
        for key, value in told.items()
        if key in known and key not in ("output", "activation") and isinstance(value, plain) and value != known[key]
    }


def _typed_preprocessing(told: Any) -> list[str]:
    """The flags of a preprocessing that does not come with the network."""
    if isinstance(told, Mapping) and "kind" in told:
        return _array_flags(told)
    if not isinstance(told, Mapping) or told.get("source") != TYPED:
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


def _command(name: str, options: Mapping[str, Any], model: Mapping[str, Any], target: Any, look: list[str]) -> str:
    layer = options.get("layer")
    words = ["explain", "run", PHOTO, "--model", str(model["spec"])]
    if model.get("weights"):
        words += ["--weights", str(model["weights"])]
    words += [*look, "-m", name if layer is None else f"{name}@{layer}"]
    for key, value in options.items():
        if key != "layer":
            words += ["--option", f"{name}.{key}={value}"]
    if target is not None:
        words += ["--target", str(target)]
    return " ".join(word if word in (PHOTO, TARGET) else shlex.quote(word) for word in words)


def _python(
    name: str, options: Mapping[str, Any], model: Mapping[str, Any], target: Any, preprocessing: Any, typed: bool
) -> str:
    given, imports = [repr(str(model["spec"]))], "import explainers\n"
    if model.get("weights"):
        given.append(f"weights={str(model['weights'])!r}")
    if typed:
        told = {key: value for key, value in preprocessing.items() if key != "source"}
        array = "kind" in told
        given.append(f"preprocessing={'ArrayPreprocessing' if array else 'explainers.Preprocessing'}(**{told!r})")
        imports += "from explainers.models import ArrayPreprocessing\n" * array
    asked = [f"method={name!r}"]
    if target is not None:
        asked.append(f"target={TARGET if target == TARGET else repr(target)}")
    asked += [f"{key}={value!r}" for key, value in options.items()]
    return (
        f"{imports}\n"
        f"model = explainers.load_model({', '.join(given)})\n"
        f"explanation = explainers.explain(model, {PHOTO}, {', '.join(asked)})\n"
        'explanation.save("map.png")\n'
    )
