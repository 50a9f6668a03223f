"""`explain report OUT`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import common_arguments

HELP = "make the page that shows what explain run, evaluate, train or drift has left in a folder"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The folder, and what the page is."""
    command.add_argument("folder", metavar="OUT", help="the folder that the command wrote; it need not be finished")
    command.add_argument(
        "--single-file", action="store_true", help="one HTML file with all in it, up to 25 MB, to send to somebody"
    )
    command.add_argument(
        "--out",
        "-o",
        metavar="PATH",
        help="where to write: a folder, or the file (default OUT/report, OUT/report.html)",
    )
    command.add_argument("--side", type=int, metavar="N", help="pixels of the longer side of photos (default 448)")
    command.add_argument("--open", action="store_true", help="open it in the browser")
    common_arguments(command)


def act(arguments: argparse.Namespace) -> int:
    """`explain report OUT`."""
    from explainers.run.report.report import SIDE, ReportOptions, make_report

    from ..reporting import told
    from ..terminal.progress import Progress
    from ..values import print_json

    side = SIDE if arguments.side is None else arguments.side
    options = ReportOptions(arguments.single_file, None if arguments.out is None else Path(arguments.out), side)
    with Progress(quiet=arguments.quiet or arguments.json, unit="image", units="images") as progress:
        page = make_report(arguments.folder, options, lambda done, total: progress.update(done, total, ""))
    told(arguments, page)
    if arguments.json:
        print_json({"report": str(page)})
    return 0
