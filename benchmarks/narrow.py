"""What adaptive steps pass over: on made curves with narrow features, and how often curves of networks have any.

    python benchmarks/narrow.py                                   # made curves, a minute
    python benchmarks/narrow.py --network digits
    python benchmarks/narrow.py --network scenes --weights scenes.pt
    python benchmarks/narrow.py --network photographs --folder PHOTOGRAPHS

A network's curves are looked at at `--steps` equal steps, which stand for the truth; tables are in docs/metrics.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import find_peaks, peak_widths
from trained import Trained, embedded, of_scenes, photographs

from explainers import create_metric, evaluate
from explainers.evaluation.intervals import largest_mean

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "known_networks"))
from made_curves import SIDE, STEPS, LookedUp, smooth_curves, with_boxes

HEIGHT = 0.25  # of what is counted as a feature of a network's curve
WIDTHS = ((0, 0.02), (0.02, 0.05), (0.05, 0.1))
GROUPS = (25, 100)


def made(count: int, seed: int) -> list[str]:
    """Smooth curves, each with a box of one width: what is missed, and what rows and tables say of it."""
    heads = ["width", "passes", "missed", "mean error", "probes say", "error ≤ 2 `area_error`"]
    heads += ["≤ 2 `area_error` + `widest_gap`", *(f"mean of {group} within limit" for group in GROUPS)]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    order = torch.linspace(1, 0, STEPS).view(1, SIDE, SIDE)
    for width in (0, 0.02, 0.05, 0.1):
        rng = np.random.default_rng(seed)
        curves = smooth_curves(count, rng)
        curves, boxes = with_boxes(curves, width, rng) if width else (curves, np.zeros_like(curves, bool))
        network = LookedUp(curves)
        maps = {"given": lambda images, _: order.expand(len(images), -1, -1)}
        found = evaluate(network, network.images(), maps, [create_metric("deletion")], 0)
        rows = [row for row in found.rows if row["explainer"] == "given"]
        errors = column(rows, "value") - np.trapezoid(curves, dx=1 / STEPS, axis=1)
        own, gap = column(rows, "area_error"), column(rows, "widest_gap")
        looks = [np.round(row["curve"].shares * STEPS).astype(int) for row in rows]
        missed = sum(not box[seen].any() for box, seen in zip(boxes, looks, strict=True)) if width else 0
        cells = [
            f"{width or 'none'}",
            f"{np.mean([len(seen) for seen in looks]):.1f}",
            f"{missed} of {count}",
            f"{errors.mean():+.4f}",
            f"{-column(rows, 'probed_error').mean():+.4f}",
            f"{np.mean(np.abs(errors) <= 2 * own):.3f}",
            f"{np.mean(np.abs(errors) <= 2 * own + gap):.3f}",
            *(within(rows, errors, group) for group in GROUPS),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def within(rows: Sequence[dict[str, Any]], errors: np.ndarray, group: int) -> str:
    """How many means over so many curves are off by no more than the limit, and the mean limit."""
    held, limits = [], []
    for first in range(0, len(rows) - group + 1, group):
        part = slice(first, first + group)
        probes = column(rows[part], "probes")
        limits.append(largest_mean(float(column(rows[part], "probed_size") @ probes), int(probes.sum())))
        held.append(abs(errors[part].mean()) <= limits[-1])
    return f"{sum(held)} of {len(held)} ({np.mean(limits):.3f})"


def column(rows: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], float)


def real(trained: Trained, steps: int) -> list[str]:
    """A network's curves: their narrow features, and what adaptive steps made of them."""
    metrics = {}
    for name in ("insertion", "deletion"):
        metrics[f"dense {name}"] = create_metric(name, baseline="zero", steps=steps)
        metrics[name] = create_metric(name, baseline="zero")
    rows = trained.rows(trained.explainers(), metrics)
    dense = {key_of(row): row for row in rows if row["score"].startswith("dense")}
    quick = [row for row in rows if not row["score"].startswith("dense")]
    counts, passed, curves_with = np.zeros(len(WIDTHS), int), np.zeros(len(WIDTHS), int), 0
    errors = []
    for row in quick:
        true = dense[key_of(row)]
        errors.append(row["value"] - true["value"])
        looks = np.round(row["curve"].shares * steps)
        features = narrow_features(true["curve"].values, steps)
        curves_with += bool(features)
        for width, left, right in features:
            place = next(number for number, (low, high) in enumerate(WIDTHS) if low < width <= high)
            counts[place] += 1
            passed[place] += not ((looks >= left) & (looks <= right)).any()
    sizes, own = np.abs(errors), column(quick, "area_error")
    probes = column(quick, "probes")
    limit = largest_mean(float(column(quick, "probed_size") @ probes), int(probes.sum()))
    cells = [
        trained.about,
        f"{len(quick)}, {steps}",
        f"{curves_with}",
        *(f"{count}, {missed}" for count, missed in zip(counts, passed, strict=True)),
        f"{np.mean([len(row['curve'].shares) for row in quick]):.1f}",
        f"{np.mean(errors):+.4f}, {sizes.mean():.4f}, {sizes.max():.4f}",
        f"{np.mean(sizes <= 2 * own):.3f}",
        f"{-column(quick, 'probed_error').mean():+.4f}, {limit:.4f}",
    ]
    heads = ["network", "curves, equal steps", "with a narrow feature", *(f"{low} … {high}" for low, high in WIDTHS)]
    heads += ["passes", "error: mean, mean size, largest", "error ≤ 2 `area_error`", "probes say, limit"]
    return [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), f"| {' | '.join(cells)} |"]


def key_of(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["image"], row["explainer"], row["metric"]


def narrow_features(values: np.ndarray, steps: int) -> list[tuple[float, float, float]]:
    """Peaks and dips of at least HEIGHT above or below both sides: (width at half height, its left and right end)."""
    found = []
    for turned in (values, -values):
        peaks, facts = find_peaks(turned, prominence=HEIGHT)
        widths, _, left, right = peak_widths(
            turned, peaks, 0.5, (facts["prominences"], facts["left_bases"], facts["right_bases"])
        )
        found += [(w / steps, a, b) for w, a, b in zip(widths, left, right, strict=True) if w / steps <= WIDTHS[-1][1]]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", choices=("digits", "scenes", "photographs"), help="instead of made curves")
    parser.add_argument("--weights", type=Path, help="of the scenes' network, see scenes.py")
    parser.add_argument("--folder", type=Path, help="of photographs")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--precision", default="float32", help="of scenes and photographs; auto is quicker")
    parser.add_argument("--steps", type=int, default=512)
    parser.add_argument("--curves", type=int, default=400, help="of each width")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.network == "scenes":
        lines = real(of_scenes(options.images, options.weights, precision=options.precision), options.steps)
    elif options.network == "photographs":
        lines = real(photographs(options.images, options.folder, precision=options.precision), options.steps)
    elif options.network == "digits":
        lines = real(embedded(options.images), options.steps)
    else:
        lines = made(options.curves, options.seed)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
