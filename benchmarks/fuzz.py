"""Grad-CAM of every layer, and Guided Backprop, of random small networks against plain autograd.

    python benchmarks/fuzz.py 1000 --seed 60

Prints the networks that get another layer or another map than `tests/known_networks/random_networks.py` works out, each
with the seed that makes it again, and exits with 1 if there are any. Guided Backprop is tried on networks of ReLUs; it
may be refused, how often and why is told at the end.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "known_networks"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "known_answers"))
from random_networks import faults, guided_faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", type=int, nargs="?", default=1000, help="how many networks")
    parser.add_argument("--seed", type=int, default=0, help="of the first network; the next ones follow")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small tensors: handing them to threads costs more than the work
    warnings.simplefilter("ignore")
    start, wrong = time.perf_counter(), 0
    reasons: Counter[str] = Counter()
    for seed in range(arguments.seed, arguments.seed + arguments.networks):
        more, refusal = guided_faults(seed)
        found = faults(seed, every=True) + more
        if refusal:
            reasons[refusal[:150]] += 1
        wrong += bool(found)
        for fault in found:
            print(f"seed {seed}: {fault}", flush=True)
    print(f"guided-backprop refused on {sum(reasons.values())}:")
    for reason, count in reasons.most_common():
        print(f"  {count}: {reason}")
    print(f"{wrong} of {arguments.networks} networks wrong, {time.perf_counter() - start:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
