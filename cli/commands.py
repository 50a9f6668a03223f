"""One function a command: from arguments to the library's calls, and their results to the terminal."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import explainers
from explainers.errors import ExplainersError, ImageError, OptionError

from .progress import Progress

FLAGS = ("masks", "tolerance", "seed", "precision", "compile")  # for every method that has such an option
SCORED = ("insertion", "deletion")
DEMO = ("cam", "grad-cam", "layer-cam", "guided-backprop", "guided-grad-cam", "smooth-grad", "rise")
DEMO_OPTIONS: dict[str, dict[str, Any]] = {"rise": {"masks": 512, "precision": "auto"}}  # seconds, not minutes
PACKAGES = ("torch", "torchvision", "numpy", "opencv-python", "opencv-python-headless", "pillow", "timm", "captum")


def run(arguments: argparse.Namespace) -> int:
    """`explain run FOLDER`."""
    loaded = _loaded(arguments)
    calls = [_call(spec, arguments) for spec in arguments.method or ["grad-cam"]]
    for flag in FLAGS:
        if _given(getattr(arguments, flag)) and not any(flag in call.options for call in calls):
            raise OptionError(f"--{flag}: none of the methods {', '.join(call.title for call in calls)} has it")
    out = Path(arguments.out or "explained")
    return _run(arguments, arguments.images, loaded, calls, out)


def demo(arguments: argparse.Namespace) -> int:
    """`explain demo`."""
    from explainers.data.samples import sample_images
    from explainers.models import load_model
    from explainers.run import MethodCall

    loaded = load_model("embedded", device=arguments.device or "auto")
    calls = [MethodCall(name, DEMO_OPTIONS.get(name, {})) for name in arguments.method or DEMO]
    if arguments.contact_sheet is None:
        arguments.contact_sheet = 12
    return _run(arguments, sample_images(), loaded, calls, Path(arguments.out or "explain-demo"))


def evaluate(arguments: argparse.Namespace) -> int:
    """`explain evaluate FOLDER`."""
    loaded = _loaded(arguments)
    for note in loaded.notes:
        _note(arguments, note)
    out = Path(arguments.out or "evaluated")
    if arguments.overwrite:
        from explainers.run.scores import clear

        clear(out)
    images, labels = _images(arguments, loaded, out)
    chosen = _scored(arguments, images)
    with Progress(quiet=arguments.quiet or arguments.json, unit="batch", units="batches of maps") as progress:
        result = explainers.evaluate(
            loaded,
            images,
            chosen,
            [_metric(spec) for spec in arguments.metric or SCORED],
            _target(arguments.target),
            arguments.masks,
            labels=labels,
            activation={None: "softmax", "none": None}.get(arguments.activation, arguments.activation),
            seed=arguments.seed or 0,
            out=out,
            figures=not arguments.no_figures,
            batch_size=8 if arguments.batch_size is None else arguments.batch_size,
            skip_unsupported=arguments.skip_unsupported,
            precision=arguments.precision or "float32",
            compile=arguments.compile,
            progress=progress.update,
            **({} if arguments.max_pixels is None else {"max_pixels": arguments.max_pixels}),
        )
    failed = dict.fromkeys((row["image"], row["reason"]) for row in result.rows if row["status"] != "ok")
    for image, reason in failed:
        print(f"explain: failed: {_printable(image)}: {_printable(reason)}", file=sys.stderr)
    if arguments.json:
        print(json.dumps({"scores": result.summary().rows(), "refused": result.refused, "out": str(out)}, indent=2))
    else:
        width = max(80, shutil.get_terminal_size((160, 24)).columns)
        print("\n".join(_printable(line) for line in result.summary().text(width).split("\n")))
        print(f"\ntables and figures  {_printable(str(out))}")
    return 1 if failed else 0


def _images(arguments: argparse.Namespace, loaded: Any, out: Path) -> tuple[str | Path, dict[str, int] | None]:
    """The folder to evaluate on; `digits:N` makes one, whose masks are the default."""
    kind, colon, count = arguments.images.partition(":")
    if kind != "digits" or not colon:
        return arguments.images, None
    if not count.isdigit() or not int(count):
        raise OptionError(f"{arguments.images!r}; expected digits:N with N images of at least 1")
    from explainers.data.digits import CLASSES, write_digits

    labels = write_digits(out / "digits", int(count))
    arguments.masks = arguments.masks or str(out / "digits" / "masks")
    return out / "digits" / "images", labels if loaded.class_names == CLASSES else None


def _scored(arguments: argparse.Namespace, images: Any) -> dict[str, Any]:
    """Methods and folders of maps by their titles."""
    from explainers.run.scores import found_maps

    specs = arguments.method or ([] if arguments.maps else ["grad-cam"])
    arguments.skip_unsupported = arguments.skip_unsupported or "all" in specs
    specs = [name for spec in specs for name in (explainers.available() if spec == "all" else [spec])]
    arguments.method = arguments.method and specs
    chosen: dict[str, Any] = {}
    ours = {**vars(arguments), "masks": None}  # here --masks is a folder
    for call in [_call(spec, argparse.Namespace(**ours)) for spec in dict.fromkeys(specs)]:
        chosen[call.title] = (call.name, call.options)
    for entry in arguments.maps or []:
        title, equals, folder = entry.partition("=")
        path = Path(folder if equals else entry)
        chosen.update(found_maps(path, images, title if equals else ""))
    return chosen


def _metric(spec: str) -> Any:
    """A metric from `NAME` or `NAME:KEY=VALUE,…`; lists are joined with +."""
    family = "quantus:" if spec.startswith("quantus:") else ""
    name, colon, rest = spec[len(family) :].partition(":")
    options = {}
    for entry in rest.split(",") if colon else []:
        key, equals, value = entry.partition("=")
        if not equals:
            raise OptionError(
                f"--metric {spec!r}; expected NAME:KEY=VALUE,KEY=VALUE, such as pid:patch=16+32,baseline=zero"
            )
        parts = value.split("+")
        options[key.replace("-", "_")] = _value(value) if len(parts) == 1 else tuple(map(_value, parts))
    return explainers.create_metric(family + name, **options)


def metrics(arguments: argparse.Namespace) -> int:
    """`explain metrics`."""
    from explainers.evaluation.metric import metric_class, metric_options

    rows: list[dict[str, Any]] = []
    for name in explainers.available_metrics():
        cls = metric_class(name)
        summary = (cls.__doc__ or "").partition("\n")[0]
        facts = {"better": cls.better, "needs": sorted(cls.needs), "reference": cls.reference, "summary": summary}
        rows.append({"name": name, **facts, "options": metric_options(cls)})
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        better = f"; {row['better']} is better" if row["better"] else ""
        needs = f"; needs {' and '.join(row['needs'])}" if row["needs"] else ""
        print(f"{row['name']:<{width}}  {row['summary']}\n{'':<{width}}  {row['reference']}{better}{needs}")
        defaults: dict[str, Any] = row["options"]
        if defaults:
            print(f"{'':<{width}}  {', '.join(f'{key}={_shown(value)}' for key, value in defaults.items())}")
    return 0


def _shown(value: Any) -> str:
    """A value as --metric takes it."""
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()


def _printable_lines(text: str) -> str:
    return "\n".join(_printable(line) for line in text.split("\n"))


def methods(arguments: argparse.Namespace) -> int:
    """`explain methods`."""
    rows = []
    for name in explainers.available():
        cls = explainers.method(name)
        summary = (cls.__doc__ or "").partition("\n")[0]
        rows.append({"name": name, "needs": sorted(cls.needs), "reference": cls.reference, "summary": summary})
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        needs = " and ".join(row["needs"]) or "forward passes alone"
        print(f"{row['name']:<{width}}  {row['summary']}\n{'':<{width}}  {row['reference']}; needs {needs}")
    print(f"{'captum:NAME':<{width}}  any attribution class of captum, such as captum:IntegratedGradients")
    return 0


def layers(arguments: argparse.Namespace) -> int:
    """`explain layers --model SPEC`."""
    diagnosis = _diagnosis(arguments)
    if arguments.json:
        print(json.dumps({"stages": diagnosis.stages, "layers": diagnosis.candidates}, indent=2))
        return 0
    if not diagnosis.stages:
        raise ExplainersError("; ".join(diagnosis.notes) or f"{diagnosis.network} has no spatial layer")
    stages = {label: -number - 1 for number, (label, _) in enumerate(diagnosis.stages)}
    print("stage  layer (channels × height × width)")
    for label, size in diagnosis.candidates:
        print(f"{stages.get(label, ''):>5}  {label}  {' × '.join(map(str, size))}")
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """`explain doctor`."""
    facts, problems = _installation()
    diagnosis = _diagnosis(arguments) if arguments.model else None
    if arguments.json:
        print(json.dumps({**facts, "problems": problems, "model": diagnosis and diagnosis.to_dict()}, indent=2))
    else:
        for name, value in facts.items():
            print(f"{name:<24} {value}")
        for problem in problems:
            print(f"problem                  {problem}")
        if diagnosis is not None:
            print(f"\n{diagnosis}")
    return 2 if problems else 0


def versions() -> int:
    """`explain --version`."""
    import torch

    print(f"explainers {explainers.__version__}, torch {torch.__version__}, Python {platform.python_version()}")
    return 0


def _run(arguments: argparse.Namespace, images: Any, loaded: Any, calls: list[Any], out: Path) -> int:
    from explainers.run import RunOptions
    from explainers.run import run as explain_folder

    given = {key: getattr(arguments, key, None) for key in ("top_k", "cmap", "opacity", "scale", "max_pixels")}
    options = RunOptions(
        target=_target(getattr(arguments, "target", None)),
        contact_sheet=arguments.contact_sheet or 0,
        overlays=not arguments.no_overlays,
        maps=not arguments.no_maps,
        skip_unsupported=getattr(arguments, "skip_unsupported", False),
        **{key: value for key, value in given.items() if value is not None},
    )
    for note in loaded.notes:
        _note(arguments, note)
    with Progress(quiet=arguments.quiet or arguments.json) as progress:
        summary = explain_folder(
            images,
            loaded,
            calls,
            out,
            options=options,
            batch_size=8 if arguments.batch_size is None else arguments.batch_size,
            overwrite=arguments.overwrite,
            progress=progress.update,
            passes=progress.passes,
        )
    for title, reason in summary.refused.items():
        _note(arguments, f"left out {title}: {reason}")
    for name, reason in summary.failed:
        print(f"explain: failed: {_printable(name)}: {_printable(reason)}", file=sys.stderr)
    if arguments.json:
        print(json.dumps({**summary.to_dict(), "results": str(out / "results.csv")}, indent=2))
    else:
        _report(summary, options)
    return 1 if summary.failed else 0


def _report(summary: Any, options: Any) -> None:
    resumed = f", {summary.resumed} were done already" if summary.resumed else ""
    failed = f", {len(summary.failed)} failed" if summary.failed else ""
    print(f"{summary.explained} of {summary.images} images explained in {summary.seconds:.1f} s{resumed}{failed}")
    if options.overlays:
        print(f"pictures  {_printable(str(summary.out / 'overlays'))}")
    for sheet in summary.sheets[:3]:
        print(f"sheet     {_printable(str(sheet))}")
    print(f"table     {_printable(str(summary.out / 'results.csv'))}")


def _loaded(arguments: argparse.Namespace) -> Any:
    """The network, with preprocessing flags on top of what its source knows."""
    from explainers.models import Preprocessing, load_model

    loaded = load_model(
        arguments.model or "embedded",
        weights=arguments.weights,
        device=arguments.device or "auto",
        trust_model_file=arguments.trust_model_file,
        labels=getattr(arguments, "labels", None),
    )
    if arguments.model is None:
        _note(arguments, "no --model: the embedded digit classifier is explained")
    channels = 1 if arguments.gray else None
    changes: dict[str, Any] = {
        "resize": _size(arguments.size, "--size"),
        "crop": _pair(_size(arguments.crop, "--crop")),
        "mean": _numbers(arguments.mean, "--mean"),
        "std": _numbers(arguments.std, "--std"),
        "channels": channels,
    }
    changes = {key: value for key, value in changes.items() if value is not None}
    if not changes:
        return loaded
    known = loaded.preprocessing
    if channels == 1:
        changes.setdefault("mean", (0.0,) if known is None else known.mean[:1])
        changes.setdefault("std", (1.0,) if known is None else known.std[:1])
    source = "flags" if known is None else f"{known.source}, with flags {', '.join(sorted(changes))}"
    made = Preprocessing(**changes, source=source) if known is None else replace(known, **changes, source=source)
    return replace(loaded, preprocessing=made)


def _call(spec: str, arguments: argparse.Namespace) -> Any:
    """A method from `NAME` or `NAME@LAYER`, with the options given for it."""
    from explainers.core.registry import options as known_options
    from explainers.run import MethodCall

    name, at, layer = spec.partition("@")
    cls = explainers.method(name)
    chosen: dict[str, Any] = {}
    if not at and "layer" in known_options(cls) and "layer" in cls.needs:
        layer = arguments.layer or ""
    if layer:
        chosen["layer"] = int(layer) if layer[1:].isdigit() and layer[0] == "-" else layer
    for flag in FLAGS:
        value = getattr(arguments, flag)
        if _given(value) and flag in known_options(cls):
            chosen[flag] = value
    for entry in arguments.option or []:
        key, equals, value = entry.partition("=")
        method, dot, option = key.rpartition(".")
        if not equals or not dot:
            raise OptionError(f"--option {entry!r}; expected METHOD.KEY=VALUE, such as smooth-grad.samples=25")
        if method not in [one.partition("@")[0] for one in arguments.method or ["grad-cam"]]:
            raise OptionError(f"--option {entry!r}: {method} is not among the methods of this run")
        if method == name:
            chosen[option] = _value(value)
    return MethodCall(name, chosen, spec)


def _given(value: Any) -> bool:
    """Whether a flag was typed; 0 is a value."""
    return value is not None and value is not False


def _diagnosis(arguments: argparse.Namespace) -> Any:
    import torch

    loaded = _loaded(arguments)
    size, channels = (224, 224), 3
    if loaded.preprocessing is not None:
        height, width = loaded.preprocessing.resized_size(256, 256)
        size, channels = loaded.preprocessing.crop or (height, width), loaded.preprocessing.channels
    if arguments.image:
        from explainers.data.images import read_image

        if loaded.preprocessing is None:
            raise ImageError(f"how {loaded.spec} takes a photo is not known; give --size, --crop, --mean, --std")
        images = loaded.preprocessing(read_image(arguments.image).pixels)[None]
    else:
        images = torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(0))
    return explainers.diagnose(loaded, images.to(loaded.device))


def _installation() -> tuple[dict[str, str], list[str]]:
    import torch

    from explainers.data.images import opencv
    from explainers.models import torchvision_or_explain

    facts = {"explainers": explainers.__version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    facts["CUDA"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "no device"
    problems = []
    for check in (torchvision_or_explain, opencv):
        try:
            check()
        except ExplainersError as error:
            problems.append(str(error))
    both = [facts[name] != "not installed" for name in ("opencv-python", "opencv-python-headless")]
    if all(both):
        problems.append("opencv-python and opencv-python-headless overwrite each other: pip uninstall one of them")
    return facts, problems


def _note(arguments: argparse.Namespace, text: str) -> None:
    if not arguments.quiet:
        print(f"explain: note: {text}", file=sys.stderr)


def _printable(text: str) -> str:
    """Text that any terminal takes: undecodable bytes and control characters as escapes."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in plain)


def _target(text: str | int | None) -> int | str | None:
    return _number_or_text(text) if isinstance(text, str) else text


def _number_or_text(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdigit() else text


def _value(text: str) -> Any:
    """A value as TOML and Python would read it: number, true/false/none, or text."""
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _size(text: str | int | None, flag: str) -> int | tuple[int, int] | None:
    if text is None:
        return None
    parts = str(text).lower().replace("×", "x").split("x")
    if not all(part.isdigit() and int(part) for part in parts) or len(parts) > 2:
        raise OptionError(f"{flag} {text!r}; expected a number, or height x width such as 240x320")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def _pair(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    return (size, size) if isinstance(size, int) else size


def _numbers(text: str | list[float] | None, flag: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in (text.split(",") if isinstance(text, str) else text))
    except (TypeError, ValueError) as error:
        raise OptionError(f"{flag} {text!r}; expected numbers such as 0.485,0.456,0.406") from error
