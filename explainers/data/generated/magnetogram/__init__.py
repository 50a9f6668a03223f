"""Generated line-of-sight solar magnetograms with a known answer: a tight inversion line makes the flare.

Sunspot groups of both polarities lie over a quiet-sun network and noise. The class follows from the strength of the
polarity inversion line alone: groups of the same sizes, fluxes and numbers are in images of every class, side by side
with opposite signs or apart. An image depends on (seed, split, index) and its settings alone, and images of the same
index in two sizes show the same scene.

From the ground up: `field.py` (sources on a grid, the inversion line), `sources.py` (drawn at random), `scene.py` (of a
class), `image.py`, `data_set.py`; each may import those before it, the last one `data/data_set.py` and `core` too.
Begin with `image.py`.
"""

from explainers.data.generated.magnetogram.data_set import MagnetogramSplit, magnetogram_set
from explainers.data.generated.magnetogram.field import inversion_line
from explainers.data.generated.magnetogram.image import Magnetogram, magnetogram, magnetograms, scene_of
from explainers.data.generated.magnetogram.scene import CLASSES, Scene

__all__ = [
    "CLASSES",
    "Magnetogram",
    "MagnetogramSplit",
    "Scene",
    "inversion_line",
    "magnetogram",
    "magnetogram_set",
    "magnetograms",
    "scene_of",
]
