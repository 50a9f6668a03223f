"""Methods on random small networks, against plain autograd and against answers made by hand.

    python benchmarks/fuzz.py 1000 --seed 60
    python benchmarks/fuzz.py 1000 --seed 60 --methods

Prints the networks that get another layer or another map than `tests/known_networks/random_networks.py` works out, each
with the seed that makes it again, and exits with 1 if there are any: of every layer Grad-CAM, and Guided Backprop, that
may be refused where an activation is written out (how often and why is told at the end) and must be where one is no
ReLU. With --methods all methods that have an answer by hand are tried at the layer that is chosen without being told.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "known_networks"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "known_answers"))
from random_cases import TRIED, outcomes
from random_networks import faults, guided_faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", type=int, nargs="?", default=1000, help="how many networks")
    parser.add_argument("--seed", type=int, default=0, help="of the first network; the next ones follow")
    parser.add_argument("--methods", action="store_true", help="try every method, at one layer")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small tensors: handing them to threads costs more than the work
    warnings.simplefilter("ignore")
    seeds = range(arguments.seed, arguments.seed + arguments.networks)
    start = time.perf_counter()
    wrong = every_method(seeds) if arguments.methods else every_layer(seeds)
    print(f"{wrong} of {arguments.networks} networks wrong, {time.perf_counter() - start:.0f} s")
    return 1 if wrong else 0


def every_layer(seeds: range) -> int:
    """How many networks have something wrong in Grad-CAM of any layer or in Guided Backprop."""
    wrong = 0
    reasons: Counter[str] = Counter()
    for seed in seeds:
        more, refusal = guided_faults(seed)
        found = faults(seed, every=True) + more
        if refusal:
            reasons[re.split(r" \(| and no | was met", refusal.partition(": ")[2])[0]] += 1
        wrong += told(seed, found)
    print(f"guided-backprop refused on {sum(reasons.values())}:")
    for reason, count in reasons.most_common():
        print(f"  {count}: {reason}")
    return wrong


def every_method(seeds: range) -> int:
    """How many networks have something wrong in any method."""
    wrong = 0
    refusals: Counter[str] = Counter()
    for seed in seeds:
        found, refused = outcomes(seed)
        refusals.update(refused)
        wrong += told(seed, found)
    print(f"{len(TRIED)} methods; refused: " + ", ".join(f"{name} {count}" for name, count in refusals.most_common()))
    return wrong


def told(seed: int, found: list[str]) -> bool:
    for fault in found:
        print(f"seed {seed}: {fault}", flush=True)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
