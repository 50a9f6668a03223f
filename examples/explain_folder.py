"""Explain a folder from Python: the same run as `explain FOLDER`, with its results at hand.

python examples/explain_folder.py [FOLDER] [OUT]
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

from explainers import load_model
from explainers.data.samples import FOLDER
from explainers.run import MethodCall, RunOptions, run


def main(folder: Path = FOLDER, out: Path = Path("explained")) -> None:
    loaded = load_model("embedded")
    methods = [MethodCall("grad-cam"), MethodCall("smooth-grad", {"samples": 20})]
    summary = run(folder, loaded, methods, out, options=RunOptions(contact_sheet=12))
    seconds = defaultdict(float)
    with (out / "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["status"] == "ok":
                seconds[row["method"]] += float(row["seconds"])
    print(f"{summary.explained} images explained, {len(summary.failed)} failed, pictures in {out / 'overlays'}")
    for method, total in seconds.items():
        print(f"{method}: {1000 * total / summary.images:.0f} ms per image")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
