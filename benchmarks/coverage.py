"""How often the 95 % intervals of tables hold the true value: the table in docs/metrics.md, without networks."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np

from explainers import create_metric
from explainers.evaluation.intervals import interval_of
from explainers.evaluation.metric import Metric

Draw = Callable[[np.random.Generator, int], np.ndarray]
SHAPES: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, n: rng.normal(size=n), 0.0),
    "uniform": (lambda rng, n: rng.random(n), 0.5),
    "exponential": (lambda rng, n: rng.exponential(size=n), 1.0),
    "lognormal": (lambda rng, n: rng.lognormal(size=n), math.exp(0.5)),
    "70 % zeros": (lambda rng, n: rng.exponential(size=n) * (rng.random(n) < 0.3), 0.3),
    "share 0.5": (lambda rng, n: (rng.random(n) < 0.5).astype(float), 0.5),
    "share 0.05": (lambda rng, n: (rng.random(n) < 0.05).astype(float), 0.05),
}
LEVELS = np.linspace(0, 1, 101)


def hits(rng: np.random.Generator, count: int) -> np.ndarray:
    """(N, 1, 101): thresholds at which a box is met, an interval for each image."""
    begin = rng.beta(1, 3, count)[:, None]
    end = begin + rng.beta(3, 3, count)[:, None]
    return ((begin < LEVELS) & (end > LEVELS)).astype(float)[:, None]


def overlaps(rng: np.random.Generator, count: int) -> np.ndarray:
    """(N, 2, 102): intersection over union by threshold, one hill for each image, which is in one half or the other."""
    height, place = rng.beta(2, 2, count), rng.uniform(0.2, 0.8, count)
    found = np.zeros((count, 2, len(LEVELS) + 1))
    curve = height[:, None] * np.exp(-(((LEVELS - place[:, None]) / 0.3) ** 2))
    found[np.arange(count), rng.integers(2, size=count)] = np.append(curve, np.ones((count, 1)), axis=1)
    return found


NO_MEANS: dict[str, tuple[Draw, Metric]] = {
    "maxboxacc": (hits, create_metric("maxboxacc")),
    "miou, threshold by the other half": (overlaps, create_metric("miou", threshold="validation")),
}
MANY = 40_000  # images, of which the true value is that
COUNTS = (3, 5, 10, 20, 30, 100)


def coverage(shape: str, count: int, repetitions: int, *, resamples: int = 1000, seed: int = 0) -> float:
    """Share of samples of so many images whose interval holds the true mean."""
    draw, wanted = SHAPES[shape]
    rng = np.random.default_rng(seed)
    held = 0
    for repetition in range(repetitions):
        interval = interval_of(draw(rng, count), share=shape.startswith("share"), resamples=resamples, seed=repetition)
        assert interval is not None
        held += interval[0] <= wanted <= interval[1]
    return held / repetitions


def coverage_of_no_mean(shape: str, count: int, repetitions: int, *, resamples: int = 1000, seed: int = 0) -> float:
    """The same of a value that is no mean; samples of which it is not defined do not count."""
    draw, metric = NO_MEANS[shape]
    rng = np.random.default_rng(seed)
    wanted = float(metric.combined(draw(rng, MANY).sum(axis=0)[None], np.array([MANY]))[0])
    held, known = 0, 0
    for repetition in range(repetitions):
        parts = draw(rng, count)
        found = interval_of(parts, metric.combined, share=metric.share, resamples=resamples, seed=repetition)
        assert found is not None
        known += not math.isnan(found[0])
        held += found[0] <= wanted <= found[1]
    return held / known


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    repetitions = parser.parse_args().repetitions
    for shapes, measured in ((SHAPES, coverage), (NO_MEANS, coverage_of_no_mean)):
        print("| images | " + " | ".join(shapes) + " |\n|" + "---|" * (len(shapes) + 1))
        for count in COUNTS:
            print(
                f"| {count} | " + " | ".join(f"{measured(each, count, repetitions):.3f}" for each in shapes) + " |",
                flush=True,
            )


if __name__ == "__main__":
    main()
