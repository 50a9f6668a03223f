"""Does saliency guided training with a bias image make LABN's attention more faithful? Trains, scores, compares.

    python examples/labn_study.py                     # three seeds, about an hour on two cores
    python examples/labn_study.py --seeds 1 --images 30 --epochs 5 --train 1500    # a first look, some minutes

Everything is measured on generated magnetograms, whose class is decided by the strength of the inversion line. Start
the same command again after an interruption and it goes on. It writes `table.md`, `values.csv`, `curves.png` and
`maps.png` into --out.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from study import Line, batches, cell, write_sheet

import explainers
from explainers.baselines import AdamW, Cosine, CrossEntropy, Flip, SaliencyGuided, Settings, train
from explainers.baselines.training.batches import Examples
from explainers.data.data_set import DataSet
from explainers.data.sets import data_set
from explainers.evaluation.measuring.fillings import Baseline
from explainers.evaluation.statistics import sign_flip_test
from explainers.render.charts import curve_chart, save_figure
from explainers.storage.atomic import write_bytes

FLARE = 1
PATCHES = (1, 2, 4, 8, 16)
BRANCHES = (CrossEntropy(), CrossEntropy("attention_logits"))
GUIDED = (*BRANCHES, SaliencyGuided(weight=0.5, keep=0.1, fill="bias"))


@dataclass(frozen=True)
class Variant:
    """A network of the study and how it is trained."""

    network: str
    losses: tuple[Any, ...] | None = None
    bias_samples: int = 0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A line of the table: a method on a network, and what the slides have for it on the DeFN magnetograms.

    paper: insertion, deletion and IDs of single pixels, and PID of patches of 16, 32, 64 and 128 pixels of 512, which
    is what 2, 4, 8 and 16 are of 64.
    """

    variant: str
    method: str
    options: dict[str, Any] = field(default_factory=dict)
    paper: tuple[float | None, ...] = ()


VARIANTS = {
    "plain": Variant("plain"),
    "abn": Variant("abn"),
    "lambda": Variant("lambda-resnet", options={"scope": 7}),
    "labn": Variant("labn"),
    "full": Variant("labn", GUIDED, 1),
    "no-kl": Variant("labn", BRANCHES, 1),
    "no-bias": Variant("labn", GUIDED, 0),
}
ROWS = {
    "RISE": Row("labn", "rise", {"masks": 512, "precision": "auto"}, (0.562, 0.327, 0.235, 0.261, 0.296, 0.379, 0.461)),
    "Lambda attention": Row("lambda", "lambda-attention", {}, (0.600, 0.226, 0.374, 0.414, 0.403, 0.378, 0.291)),
    "LABN": Row("labn", "attention", {}, (None, None, 0.044, 0.311, 0.489, 0.523, 0.556)),
    "LABN + SGT + bias image": Row("full", "attention", {}, (0.742, 0.099, 0.506, 0.748, 0.755, 0.757, 0.756)),
    "  without L_KL": Row("no-kl", "attention", {}, (None, None, 0.124, 0.446, 0.405, 0.388, 0.382)),
    "  without bias image": Row("no-bias", "attention", {}, (None, None, 0.460, 0.774, 0.792, 0.808, 0.807)),
    "ABN": Row("abn", "attention"),
    "Grad-CAM on LABN": Row("labn", "grad-cam"),
    "Grad-CAM on LABN + SGT + bias image": Row("full", "grad-cam"),
    "Grad-CAM on Lambda ResNet": Row("lambda", "grad-cam"),
    "Grad-CAM on ResNet": Row("plain", "grad-cam"),
}
PAPER_COLUMNS = ("insertion", "deletion", "pid@1", "pid@2", "pid@4", "pid@8", "pid@16")
PAPER_BASELINE = "black"
WHAT = {
    "black": "What the slides criticise for scoring: a black pixel is the strongest negative field.",
    "zero": "The mean gray, which is a pixel without field.",
    "bias": "The bias image, the pixel-wise mean of the training images: what saliency guided training fills with.",
}


def trained(options: argparse.Namespace, name: str, seed: int, data: DataSet) -> tuple[Path, float]:
    """The folder of a network's training, trained now or before, and its test accuracy."""
    variant = VARIANTS[name]
    settings = Settings(
        losses=variant.losses,
        bias_samples=variant.bias_samples,
        optimizer=AdamW(lr=1e-3, weight_decay=0.05),
        schedule=Cosine(),
        epochs=options.epochs,
        augment=(Flip(), Flip(vertical=True)),
        seed=seed,
    )
    run = train(variant.network, data, options.out / "runs" / f"{name}-{seed}", settings, options=variant.options)
    print(f"{name:<8} seed {seed}: test accuracy {run.result['test']['accuracy']:.3f}, {run.result['seconds']:.0f} s")
    return run.folder, run.result["test"]["accuracy"]


def flares(data: DataSet, count: int) -> list[int]:
    """The first flares among the test images."""
    assert data.test is not None
    return [index for index, label in enumerate(data.test.labels) if label == FLARE][:count]


def metrics(baseline: Baseline) -> dict[str, Any]:
    """Insertion, deletion and PID towards one baseline, and the overlap with the inversion line."""
    create, shared = explainers.create_metric, {"baseline": baseline, "tolerance": 0.005}
    return {
        "insertion": create("insertion", **shared),
        "deletion": create("deletion", **shared),
        "pid": create("pid", patch=PATCHES, **shared),
        "miou": create("miou"),
    }


@dataclass(frozen=True)
class Removed:
    """What removed pixels become: the name of it, and what metrics take."""

    name: str
    baseline: Baseline


def removed(data: DataSet, name: str) -> Removed:
    """One of WHAT; the bias image is (C, H, W), as the networks take it."""
    return Removed(name, Examples(data.train, data.preprocessing).mean_image() if name == "bias" else name)


def scored(options: argparse.Namespace, name: str, seed: int, data: DataSet, pixels: Removed) -> explainers.Result:
    """All rows of the table that look at one trained network."""
    loaded = explainers.load_model(options.out / "runs" / f"{name}-{seed}", device="cpu")
    chosen = {title: (row.method, row.options) for title, row in ROWS.items() if row.variant == name}
    return explainers.evaluate(
        loaded,
        batches(data, flares(data, options.images)),
        chosen,
        metrics(pixels.baseline),
        FLARE,
        out=options.out / "scores" / f"{name}-{seed}-{pixels.name}",
        figures=False,
    )


def values_of(results: Sequence[explainers.Result], title: str, score: str) -> np.ndarray:
    """(seeds, images) of a row of the table."""
    found = [result.values(score)[title] for result in results]
    images = [name for name in found[0] if all(name in values for values in found)]  # a constant map has no score
    return np.array([[values[name] for name in images] for values in found])


def table(options: argparse.Namespace, results: dict[str, dict[str, list[explainers.Result]]]) -> list[str]:
    """A table for each baseline, and the papers' beside them."""
    scores = ["insertion", "deletion", *(f"pid@{patch}" for patch in PATCHES), "miou"]
    lines = []
    for baseline, by_variant in results.items():
        lines += [
            f"## Removed pixels are {baseline}",
            "",
            WHAT[baseline],
            "",
            "| method | " + " | ".join(scores) + " |",
        ]
        lines += ["|---|" + "---|" * len(scores)]
        for title, row in ROWS.items():
            cells = [cell(values_of(by_variant[row.variant], title, score)) for score in scores]
            lines.append(f"| {title.strip()} | " + " | ".join(cells) + " |")
            if row.paper and baseline == PAPER_BASELINE:
                theirs = dict(zip(PAPER_COLUMNS, row.paper, strict=True))
                shown = ["" if theirs.get(score) is None else f"*{theirs[score]:.3f}*" for score in scores]
                lines.append("| *the slides, DeFN, 512 px* | " + " | ".join(shown) + " |")
        lines += ["", *contrasts(by_variant), ""]
    return lines


def contrasts(by_variant: dict[str, list[explainers.Result]]) -> list[str]:
    """The full method against each other row of LABN, per image and seed by seed."""
    full = "LABN + SGT + bias image"
    lines = [f"{full}, less the other, paired by image: difference [95 %], p of a sign-flip test; by seed", ""]
    for other in ("LABN", "  without L_KL", "  without bias image"):
        for score in ("pid@1", "pid@4", "pid@16", "miou"):
            first = values_of(by_variant["full"], full, score)
            second = values_of(by_variant[ROWS[other].variant], other, score)
            p = sign_flip_test(first.mean(axis=0), second.mean(axis=0))
            seeds = ", ".join(f"{value:+.3f}" for value in (first - second).mean(axis=1))
            lines.append(f"- {score} less {other.strip()}: {cell(first - second)}, p {p:.2g}; {seeds}")
    return lines


def write_values(path: Path, results: dict[str, dict[str, list[explainers.Result]]]) -> None:
    """Every value: baseline, network, seed, method, score, image."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("baseline", "network", "seed", "method", "score", "image", "value"))
        for baseline, by_variant in results.items():
            for name, seeds in by_variant.items():
                for seed, result in enumerate(seeds):
                    for row in result.rows:
                        facts = (row["explainer"].strip(), row["score"], row["image"], row["value"])
                        writer.writerow((baseline, name, seed, *facts))


def write_curves(path: Path, by_variant: dict[str, list[explainers.Result]]) -> None:
    """Mean deletion and insertion curves of the first seed."""
    for score in ("insertion", "deletion"):
        curves = {
            title.strip(): by_variant[row.variant][0].curves(score)[title]
            for title, row in ROWS.items()
            if not title.startswith("Grad-CAM")
        }
        save_figure(curve_chart(curves, title=score), path.with_name(f"{path.stem}-{score}.png"))


def write_maps(options: argparse.Namespace, data: DataSet, path: Path, count: int = 5) -> None:
    """A line of maps for each row of the table, the first seed's, below the images and their inversion lines."""
    batch = next(iter(batches(data, flares(data, count))))
    photos = [data.test.pixels(data.test.names.index(name)) for name in batch["names"]]  # type: ignore[union-attr]
    lines: list[Line] = [("inversion line", [mask.float().numpy() for mask in batch["masks"]])]
    for row in ROWS.values():
        loaded = explainers.load_model(options.out / "runs" / f"{row.variant}-0", device="cpu")
        maps = explainers.create(row.method, loaded, **row.options)(batch["images"], FLARE)
        lines.append((f"{row.method} of {row.variant}", [one.numpy() for one in maps]))
    write_sheet(path, photos, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("labn-study"))
    parser.add_argument("--size", type=int, default=64, help="side of the images (default %(default)s)")
    parser.add_argument("--train", type=int, default=3000, help="training images (default %(default)s)")
    parser.add_argument("--val", type=int, default=500, help="validation images (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="default %(default)s")
    parser.add_argument("--images", type=int, default=100, help="test images with a flare (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network (default %(default)s)")
    parser.add_argument("--baseline", action="append", choices=tuple(WHAT), help="may be repeated; all by default")
    options = parser.parse_args()
    data = data_set(
        f"magnetogram:size={options.size},train={options.train},val={options.val},test={3 * options.images}"
    )
    accuracies = {name: [trained(options, name, seed, data)[1] for seed in range(options.seeds)] for name in VARIANTS}
    results = {
        pixels.name: {
            name: [scored(options, name, seed, data, pixels) for seed in range(options.seeds)]
            for name in dict.fromkeys(row.variant for row in ROWS.values())
        }
        for pixels in (removed(data, name) for name in options.baseline or tuple(WHAT))
    }
    lines = [f"Measured on generated magnetograms of {options.size} px: {options.images} test images with a flare, "]
    lines[0] += f"{options.seeds} training{'s' * (options.seeds > 1)} of each network; intervals over images."
    lines += ["", "| network | test accuracy by seed |", "|---|---|"]
    lines += [f"| {name} | {', '.join(f'{value:.3f}' for value in values)} |" for name, values in accuracies.items()]
    lines += ["", *table(options, results)]
    write_bytes(options.out / "table.md", ("\n".join(lines) + "\n").encode())
    write_values(options.out / "values.csv", results)
    write_curves(options.out / "curves.png", next(iter(results.values())))
    write_maps(options, data, options.out / "maps.png")
    print(f"table  {options.out / 'table.md'}")


if __name__ == "__main__":
    main()
