"""`explain edit-list RUN --out EDIT`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..arguments import common_arguments, device_argument
from ..spelling import printable
from ..values import note, print_json

HELP = "write the attention maps of misread training images as pictures to paint on"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The training, which images, where to."""
    command.add_argument("run", metavar="RUN", help="folder of a training of a network with attention maps")
    command.add_argument("--out", "-o", metavar="EDIT", help="folder of the maps; what was edited there stays")
    command.add_argument("--all", action="store_true", help="images that are read right too")
    command.add_argument("--limit", type=int, metavar="N", help="at most so many images (default all of them)")
    command.add_argument(
        "--from-masks", action="store_true", help="the data set's masks in place of the maps, where there are some"
    )
    command.add_argument(
        "--check", action="store_true", help="write nothing; say what each edited map in --out does to the prediction"
    )
    command.add_argument(
        "--preview", action="store_true", help="draw photo, present map and edited map of each edited image"
    )
    device_argument(command)
    command.add_argument("--trust-model-file", action="store_true", help="allow a backbone that is code, which is run")
    command.add_argument("--overwrite", action="store_true", help="begin anew, unless a map in --out was edited")
    common_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain edit-list RUN --out EDIT`."""
    from explainers.errors import OptionError
    from explainers.run.edit import edit_list, open_training

    from ..terminal.progress import Progress

    if arguments.out is None:
        raise OptionError("explain edit-list needs --out, the folder of the maps to edit")
    asked = [name for name in ("all", "limit", "from_masks", "overwrite") if getattr(arguments, name)]
    if arguments.check and asked:
        raise OptionError(f"--check writes nothing, so there is nothing for --{asked[0].replace('_', '-')} to do")
    if arguments.limit is not None and arguments.limit < 1:
        raise OptionError(f"--limit {arguments.limit}; expected at least one image")
    trained = open_training(
        arguments.run, device=arguments.device or "auto", trust_model_file=arguments.trust_model_file
    )
    for text in trained.notes:
        note(arguments, text)
    if trained.unanswered:
        note(arguments, trained.unanswered)
    if arguments.check:
        return _check(arguments, trained)
    with Progress(quiet=arguments.quiet or arguments.json) as progress:
        found = edit_list(
            trained,
            arguments.out,
            every=arguments.all,
            limit=arguments.limit,
            from_masks=arguments.from_masks,
            overwrite=arguments.overwrite,
            progress=progress.update,
        )
    if found.edited:
        kept = "map was edited before and kept as it is" if len(found.edited) == 1 else "maps were edited and kept"
        note(arguments, f"{len(found.edited)} {kept}")
    if found.without_mask:
        note(arguments, f"images without a mask, listed with the network's map: {len(found.without_mask)}")
    if arguments.json:
        print_json(
            {"out": str(found.folder), "looked_at": found.looked_at, "misread": found.misread, "rows": found.rows}
        )
    else:
        print(f"{found.misread} of {found.looked_at} training images misread; {len(found.rows)} in the list")
        print(f"maps  {printable(str(found.folder / 'maps'))}: paint on them, black for 0, white for 1")
        print(f"table {printable(str(found.folder / 'edit-list.csv'))}")
        run, out = printable(arguments.run), printable(arguments.out)
        if trained.unanswered:
            name = trained.config["network"]["name"]
            print(f"next  explain train {name} --resume-from {run} --edited {out} --out TUNED")
        else:
            print(f"next  explain edit-list {run} --out {out} --check")
    if arguments.preview:
        _preview(arguments, trained)
    return 0


def _check(arguments: argparse.Namespace, trained: Any) -> int:
    """What edited maps would do, and their pictures where asked for."""
    from explainers.run.edit import edited_maps, trial

    edited = edited_maps(arguments.out, trained.data)
    for text in edited.notes:
        note(arguments, text)
    found = list(trial(trained, edited))
    if arguments.json:
        print_json([_plain(change) for change in found])
    else:
        _tell(found)
    if arguments.preview:
        _preview(arguments, trained)
    return 0


def _tell(found: Iterable[Any]) -> None:
    """A line for each edited image, and how many are right."""
    found = list(found)
    width = max(len(printable(change.image)) for change in found)
    for change in found:
        answers = (
            f"{printable(each.predicted)} {each.probability:.3f} (true {each.true_probability:.3f})"
            for each in (change.before, change.after)
        )
        present, edited = answers
        name = printable(change.image)
        print(f"{name:<{width}}  {printable(change.true_class)}: present {present}, edited {edited}")
    right = [sum(getattr(change, when).right for change in found) for when in ("before", "after")]
    print(f"{len(found)} edited maps: {right[0]} images right with the present ones, {right[1]} with the edited ones")


def _plain(change: Any) -> dict[str, Any]:
    return {
        "image": change.image,
        "true_class": change.true_class,
        "present": vars(change.before),
        "edited": vars(change.after),
        "distance": change.distances[0],
    }


def _preview(arguments: argparse.Namespace, trained: Any) -> None:
    from explainers.run.edit import edited_maps, trial, write_preview

    edited = edited_maps(arguments.out, trained.data)
    pages = write_preview(Path(arguments.out), trained, trial(trained, edited), after="with it")
    if not arguments.json:
        for page in pages:
            print(f"drawn {printable(str(page))}")
