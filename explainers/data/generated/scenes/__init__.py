"""Generated scenes with a known answer: shapes of four kinds and six colours on textured grounds.

One image has what several tasks need: the class of each pixel (segmentation), a box and a kind for each shape
(detection), the share of the image that warm colours cover (regression); pairs of images share one shape (similarity).
The kind of a shape follows from its outline alone: colour, size, turn and place say nothing, and strokes in the colours
of the shapes lie about. An image depends on (seed, split, index) and its size alone.

From the ground up: `shapes.py` (outlines and covered pixels), `ground.py` (what is behind them), `scene.py` (an image),
`pairs.py`; they may import `data/generated/random_numbers.py`. Begin with `scene.py`.
"""

from explainers.data.generated.scenes.pairs import Pair, pair
from explainers.data.generated.scenes.scene import Scene, Thing, scene, scenes
from explainers.data.generated.scenes.shapes import COLOURS, KINDS

__all__ = ["COLOURS", "KINDS", "Pair", "Scene", "Thing", "pair", "scene", "scenes"]
