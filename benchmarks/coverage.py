"""How often the 95 % intervals of tables hold the true value: the table in docs/metrics.md, without networks."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np

from explainers.evaluation.intervals import interval_of

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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    repetitions = parser.parse_args().repetitions
    print("| images | " + " | ".join(SHAPES) + " |\n|" + "---|" * (len(SHAPES) + 1))
    for count in COUNTS:
        print(
            f"| {count} | " + " | ".join(f"{coverage(each, count, repetitions):.3f}" for each in SHAPES) + " |",
            flush=True,
        )


if __name__ == "__main__":
    main()
