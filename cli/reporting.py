"""What commands that end with a report share: their flags, and the page with how it is told."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from explainers.errors import ExplainersError

from .spelling import printable
from .terminal.progress import Progress
from .values import note


def report_arguments(group: Any) -> None:
    """Whether a report is made at the end, and opened."""
    group.add_argument("--no-report", action="store_true", help="make no report (a page that shows the results)")
    group.add_argument("--open", action="store_true", help="open the report in the browser")


def report_at_end(arguments: argparse.Namespace, out: Path) -> Path | None:
    """The report of what a command has just done; that it cannot be made spoils nothing, and a note says why."""
    if arguments.no_report:
        return None
    from explainers.run.report.report import make_report

    try:
        with Progress(quiet=arguments.quiet or arguments.json, unit="image", units="images of the report") as progress:
            page = make_report(out, progress=lambda done, total: progress.update(done, total, ""))
    except ExplainersError as error:
        note(arguments, f"no report was made: {error}")
        return None
    told(arguments, page)
    return page


def told(arguments: argparse.Namespace, page: Path) -> None:
    """Say where the page is, and open it where that is asked for."""
    if not arguments.json:
        print(f"report    {printable(str(page))}")
    if arguments.open:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            note(arguments, f"no browser was found; open {page} in one")
