"""Explain the trained networks of this folder, and hold the maps against what was planted.

    for seed in 0 1; do python examples/tasks/measure_scenes.py --seed $seed --out measure-$seed; done
    python examples/tasks/explain_tasks.py measure --weights measure-0 measure-1 --out explained/measure

writes table.md (scores of each method beside a random map and a cone in the middle, with intervals over inputs) and
maps.png (the maps of the first network). Inputs on which one of the networks is wrong are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from cases import detect_cases, embed_cases, measure_cases, segment_cases, signal_cases, volume_cases
from explaining import maps_of, scores_of_maps, table
from pictures import write_picture

import explainers


def _both(layer: str) -> dict[str, dict[str, str]]:
    return {"Grad-CAM": {"layer": layer}, "HiResCAM": {"layer": layer}}


# Script, cases, and options of single methods. Grad-CAM and HiResCAM read the last layer of features, here by its name
# where the choice that is made without it is another one; LayerCAM reads an earlier one, which is what it was made for.
TASKS = {
    "segment": ("segment_scenes", segment_cases, {**_both("down.2"), "LayerCAM": {"layer": "up.1"}}),
    "detect": ("detect_scenes", detect_cases, {**_both("body"), "LayerCAM": {"layer": "body.3"}}),
    "measure": ("measure_scenes", measure_cases, {"LayerCAM": {"layer": "body.2"}}),
    "embed": ("embed_scenes", embed_cases, {**_both("body"), "LayerCAM": {"layer": "body.2"}}),
    "volumes": (
        "classify_volumes",
        volume_cases,
        {"LayerCAM": {"layer": "body.2"}, "Occlusion": {"window": 4, "stride": 4}},
    ),
    "signals": ("classify_signals", signal_cases, {"LayerCAM": {"layer": "body.2"}}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--weights", type=Path, nargs="+", required=True, help="folders that the training wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--count", type=int, default=30, help="inputs (default %(default)s)")
    parser.add_argument("--rows", type=int, default=4, help="of the picture (default %(default)s)")
    options = parser.parse_args()
    script, find, own = TASKS[options.task]
    options.out.mkdir(parents=True, exist_ok=True)
    file = Path(__file__).resolve().parent / f"{script}.py"
    networks = [
        explainers.load_model(f"{file}:make", weights=folder / "weights.safetensors", device="cpu").network
        for folder in options.weights
    ]
    found: dict[str, list[np.ndarray]] = {}
    for number, (network, cases) in enumerate(zip(networks, find(networks, options.count), strict=True)):
        print(options.weights[number], flush=True)
        maps = maps_of(network, cases, own)
        if number == 0:
            write_picture(options.out / "maps.png", cases, maps, range(options.rows))
        for name, each in maps.items():
            found.setdefault(name, []).append(scores_of_maps(each, cases))
    text = table({name: np.stack(values) for name, values in found.items()}, cases.truth)
    (options.out / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
