"""One function a command: from arguments to the library's calls, and their results to the terminal."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import explainers
from explainers.errors import ExplainersError, ImageError, OptionError

from ..model_and_methods import FLAGS, loaded_model, method_call
from ..progress import Progress
from ..values import given, note, printable, target

DEMO = ("cam", "grad-cam", "layer-cam", "guided-backprop", "guided-grad-cam", "smooth-grad", "rise")
DEMO_OPTIONS: dict[str, dict[str, Any]] = {"rise": {"masks": 512, "precision": "auto"}}  # seconds, not minutes
PACKAGES = ("torch", "torchvision", "numpy", "opencv-python", "opencv-python-headless", "pillow", "timm", "captum")


def run(arguments: argparse.Namespace) -> int:
    """`explain run FOLDER`."""
    loaded = loaded_model(arguments)
    calls = [method_call(spec, arguments) for spec in arguments.method or ["grad-cam"]]
    for flag in FLAGS:
        if given(getattr(arguments, flag)) and not any(flag in call.options for call in calls):
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
    from explainers.run import RunOptions, run as explain_folder

    given = {key: getattr(arguments, key, None) for key in ("top_k", "cmap", "opacity", "scale", "max_pixels")}
    options = RunOptions(
        target=target(getattr(arguments, "target", None)),
        contact_sheet=arguments.contact_sheet or 0,
        overlays=not arguments.no_overlays,
        maps=not arguments.no_maps,
        skip_unsupported=getattr(arguments, "skip_unsupported", False),
        **{key: value for key, value in given.items() if value is not None},
    )
    for text in loaded.notes:
        note(arguments, text)
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
        note(arguments, f"left out {title}: {reason}")
    for name, reason in summary.failed:
        print(f"explain: failed: {printable(name)}: {printable(reason)}", file=sys.stderr)
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
        print(f"pictures  {printable(str(summary.out / 'overlays'))}")
    for sheet in summary.sheets[:3]:
        print(f"sheet     {printable(str(sheet))}")
    print(f"table     {printable(str(summary.out / 'results.csv'))}")


def _diagnosis(arguments: argparse.Namespace) -> Any:
    import torch

    loaded = loaded_model(arguments)
    size, channels = (224, 224), 3
    if loaded.preprocessing is not None:
        height, width = loaded.preprocessing.resized_size(256, 256)
        size, channels = loaded.preprocessing.crop or (height, width), loaded.preprocessing.channels
    if arguments.image:
        from explainers.data.images.files import read_image

        if loaded.preprocessing is None:
            raise ImageError(f"how {loaded.spec} takes a photo is not known; give --size, --crop, --mean, --std")
        images = loaded.preprocessing(read_image(arguments.image).pixels)[None]
    else:
        images = torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(0))
    return explainers.diagnose(loaded, images.to(loaded.device))


def _installation() -> tuple[dict[str, str], list[str]]:
    import torch

    from explainers.data.images.files import opencv
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
