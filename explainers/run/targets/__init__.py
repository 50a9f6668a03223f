"""What a run explains of each image, and how its table, captions and files tell of it.

Begin with `wanted.py`, the contract; `classes.py` explains classes, `objects.py` target objects, `detected.py` what a
detection network finds, and `regions.py` makes a target of where something lies in each photo. `class_names.py` goes
from a class's name to its index.
"""

from explainers.models.target_words import LABEL
from explainers.run.targets.class_names import (
    any_input,
    impossible_first,
    noise_for,
    output_for,
    settled_target,
)
from explainers.run.targets.classes import Classes
from explainers.run.targets.detected import Detected, FoundBoxes
from explainers.run.targets.objects import Objects
from explainers.run.targets.wanted import Asked, Part, Told, Wanted

__all__ = [
    "LABEL",
    "Asked",
    "Classes",
    "Detected",
    "FoundBoxes",
    "Objects",
    "Part",
    "Told",
    "Wanted",
    "any_input",
    "impossible_first",
    "noise_for",
    "output_for",
    "settled_target",
]
