"""What `explain run` and `explain demo` share: images through methods, and what came of it to the terminal."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from explainers.errors import counted

from .input_kind import PHOTOS, batch_size
from .scoring.scored_images import true_labels
from .spelling import printable
from .targets import typed_detections, typed_target
from .terminal.progress import Progress
from .terminal.telling import NAMED, exit_code, tell_failures
from .values import activation, note, output


def code_of(summary: Any) -> int:
    """The exit code of a run that came to its end."""
    return exit_code(bool(summary.failed), bool(summary.explained + summary.resumed + len(summary.nothing)))


def run_options(arguments: argparse.Namespace) -> Any:
    """What was typed of a run's options, but for a target that takes the network to be understood.

    Raises:
        OptionError: values that none of them can have.
    """
    from explainers.run import RunOptions

    given = {
        key: getattr(arguments, key, None)
        for key in ("top_k", "cmap", "opacity", "outline", "scale", "figures", "max_pixels")
    }
    return RunOptions(
        target=typed_detections(arguments),
        contact_sheet=arguments.contact_sheet or 0,
        compare=arguments.compare,
        overlays=not arguments.no_overlays,
        maps=not arguments.no_maps,
        activation=activation(getattr(arguments, "activation", None)),
        output=output(getattr(arguments, "output", None)),
        skip_unsupported=getattr(arguments, "skip_unsupported", False),
        **{key: value for key, value in given.items() if value is not None},
    )


def explained_images(
    arguments: argparse.Namespace, images: Any, loaded: Any, calls: list[Any], out: Path, options: Any
) -> Any:
    """Runs the methods on the images and tells what was done, unless JSON is asked for; returns the run's summary.

    Args:
        options: see `run_options`.
    """
    from explainers.run import run as explain_folder

    if options.target is None:
        options = replace(options, target=typed_target(arguments, loaded))
    for text in loaded.notes:
        note(arguments, text)
    kind = getattr(arguments, "kind", PHOTOS)
    unit = "image" if kind == PHOTOS else kind
    with Progress(quiet=arguments.quiet or arguments.json, unit=unit, units=f"{unit}s") as progress:
        summary = explain_folder(
            images,
            loaded,
            calls,
            out,
            labels=true_labels(arguments, loaded),
            options=options,
            batch_size=batch_size(arguments),
            overwrite=arguments.overwrite,
            progress=progress.update,
            passes=progress.passes,
        )
    for title, reason in summary.refused.items():
        note(arguments, f"left out {title}: {reason}")
    from explainers.run.explain.summary import CHANGED

    for name, reason in summary.dropped:
        if reason == CHANGED:
            note(
                arguments,
                f"{printable(name)}, or what is explained of it, has changed since an earlier run, whose "
                "rows of it are no longer in the table",
            )
            continue
        note(arguments, f"{printable(name)} ({reason}) is no longer in the table; an earlier run had it")
    if summary.constant:
        count, (name, title) = len(summary.constant), summary.constant[0]
        maps = counted(count, "map is the same everywhere and shows", "maps are the same everywhere and show")
        more = f" and {count - 1} more" if count > 1 else ""
        note(arguments, f"{maps} nothing (status constant): {title} of {printable(name)}{more}")
        for title, why in summary.because.items():
            note(arguments, f"{title}: {why}")
    for name, reason in summary.nothing[:NAMED]:
        note(arguments, f"nothing to explain in {printable(name)}: {reason}")
    if len(summary.nothing) > NAMED:
        note(arguments, f"nor in {len(summary.nothing) - NAMED} more images (status nothing in the table)")
    tell_failures(summary.failed, images if isinstance(images, (str, Path)) else None)
    if not arguments.json:
        _report(summary, options, unit)
    return summary


def as_json(summary: Any) -> dict[str, Any]:
    """What a run did as plain values."""
    return {**summary.to_dict(), "results": str(summary.out / "results.csv")}


def _report(summary: Any, options: Any, noun: str) -> None:
    resumed = f", {summary.resumed} were done already" if summary.resumed else ""
    failed = f", {len(summary.failed)} failed" if summary.failed else ""
    nothing = f", nothing to explain in {len(summary.nothing)}" if summary.nothing else ""
    told = f"{summary.explained} of {summary.images} {noun}s explained in {summary.seconds:.1f} s"
    print(f"{told}{resumed}{nothing}{failed}")
    if options.overlays and summary.explained + summary.resumed:
        print(f"pictures  {printable(str(summary.out / 'overlays'))}")
    for sheet in summary.sheets[:3]:
        print(f"sheet     {printable(str(sheet))}")
    if options.compare and summary.explained + summary.resumed:
        print(f"compared  {printable(str(summary.out / 'compare'))}")
    print(f"table     {printable(str(summary.out / 'results.csv'))}")
