"""Grad-CAM of every layer of random small networks against plain autograd.

    python benchmarks/fuzz.py 1000 --seed 60

Prints the networks that get another layer or another map than `tests/known_networks/random_networks.py` works out, each
with the seed that makes it again, and exits with 1 if there are any.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "known_networks"))
from random_networks import faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", type=int, nargs="?", default=1000, help="how many networks")
    parser.add_argument("--seed", type=int, default=0, help="of the first network; the next ones follow")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small tensors: handing them to threads costs more than the work
    warnings.simplefilter("ignore")
    start, wrong = time.perf_counter(), 0
    for seed in range(arguments.seed, arguments.seed + arguments.networks):
        found = faults(seed, every=True)
        wrong += bool(found)
        for fault in found:
            print(f"seed {seed}: {fault}", flush=True)
    print(f"{wrong} of {arguments.networks} networks wrong, {time.perf_counter() - start:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
