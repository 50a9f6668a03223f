"""How large a report is, how long it takes to be made, and how it opens and scrolls in Chromium.

Generated digits with maps of the embedded classifier; images beyond `--made` are copies of made ones under names of
their own, each with files of its own, so that the page and the browser have as much to do as with any others.

    python benchmarks/report.py 100 1000 5000
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from explainers import load_model
from explainers.data.generated.digits import write_digits
from explainers.run import RunOptions, run
from explainers.run.report.explained import explained as explained_shown
from explainers.run.report.report import READERS, make_report

METHODS = ("grad-cam", "layer-cam", "saliency")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
CHROMIUM = "/usr/bin/chromium"


def main() -> None:
    """Print a line for each number of images."""
    parser = argparse.ArgumentParser()
    parser.add_argument("counts", nargs="+", type=int)
    parser.add_argument("--made", type=int, default=200, help="images that are explained")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp())
    try:
        labels = write_digits(work / "digits", min(arguments.made, max(arguments.counts)))
        out = work / "out"
        loaded = load_model("embedded")
        run(work / "digits" / "images", loaded, METHODS, out, labels=labels, options=RunOptions(overlays=False))
        print("| images | made in | page | files | first picture | page's process | whole browser | slowest jump |")
        print("|---|---|---|---|---|---|---|---|")
        for count in arguments.counts:
            print(line(out, count), flush=True)
    finally:
        shutil.rmtree(work)


def line(out: Path, count: int) -> str:
    """A line of the table."""

    def repeated(folder: Any) -> Any:
        shown = explained_shown(folder)
        entries = shown.entries
        for copy in range(count - len(entries)):
            entries.append(replace(entries[copy], name=f"{copy:05d}-{entries[copy].name}"))
        shown.entries = entries[:count]
        return shown

    READERS["run"] = repeated  # type: ignore[index]
    began = time.perf_counter()
    page = make_report(out)
    made = time.perf_counter() - began
    files = sum(path.stat().st_size for path in page.parent.rglob("*") if path.is_file())
    seen = opened(page)
    size = page.stat().st_size
    return (
        f"| {count:,} | {made:.1f} s | {size / 1e6:.2f} MB | {files / 1e6:.1f} MB | {seen['first']:.2f} s "
        f"| {seen['page']:.0f} MB | {seen['memory']:.0f} MB | {seen['jump']:.0f} ms |"
    )


def opened(page: Path) -> dict[str, float]:
    """Seconds to the first picture with its map, memory, and milliseconds until a jump has no hole."""
    with sync_playwright() as driver:
        folder = tempfile.mkdtemp()
        context = driver.chromium.launch_persistent_context(
            folder, executable_path=CHROMIUM, args=FLAGS, viewport={"width": 1280, "height": 900}
        )
        tab = context.pages[0]
        began = time.perf_counter()
        tab.goto(page.resolve().as_uri(), wait_until="commit")
        tab.wait_for_function(
            "() => { const canvas = document.querySelector('.card canvas.heat');"
            " const photo = document.querySelector('.card img'); return canvas && photo && photo.naturalWidth; }"
        )
        first = time.perf_counter() - began
        jumps = [
            tab.evaluate(
                """async (share) => {
                    scrollTo(0, share * document.documentElement.scrollHeight);
                    const began = performance.now();
                    for (;;) {
                        await new Promise(requestAnimationFrame);
                        const all = document.getElementById('gallery').getBoundingClientRect();
                        const boxes = [...document.querySelectorAll(".item")];
                        const items = boxes.map((each) => each.getBoundingClientRect());
                        const top = Math.min(...items.map((each) => each.top));
                        const bottom = Math.max(...items.map((each) => each.bottom));
                        const whole = bottom >= Math.min(innerHeight, all.bottom) - 20;
                        if ((top <= Math.max(0, all.top) + 1 && whole) || performance.now() - began > 5000) break;
                    }
                    return performance.now() - began;
                }""",
                share / 40,
            )
            for share in range(1, 39)
        ]
        for _ in range(60):
            tab.mouse.wheel(0, 1500)
            tab.wait_for_timeout(15)
        page_memory, memory = resident(folder)
        context.close()
    shutil.rmtree(folder, ignore_errors=True)
    return {"first": first, "page": page_memory, "memory": memory, "jump": max(jumps)}


def resident(folder: str) -> tuple[float, float]:
    """Proportional memory in MB of the browser with this profile: its largest page process, and all of them."""
    parents, commands = {}, {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            commands[process.name] = (process / "cmdline").read_bytes().decode(errors="replace")
            parents[process.name] = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
        except OSError:
            continue
    own = {number for number, command in commands.items() if folder in command}
    while more := {number for number, parent in parents.items() if parent in own} - own:
        own |= more
    sizes, pages = [], []
    for number in own:
        try:
            text = Path(f"/proc/{number}/smaps_rollup").read_text()
        except OSError:
            continue
        size = int(text.split("Pss:")[1].split()[0]) / 1e3
        sizes.append(size)
        if "--type=renderer" in commands[number]:
            pages.append(size)
    return max(pages, default=float("nan")), sum(sizes)


if __name__ == "__main__":
    main()
