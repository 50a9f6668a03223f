"""Heat maps on what is no photo.

`recorded.py` draws any volume, signal or clip with maps; `volumes.py` cuts planes through a map's maximum, `signals.py`
draws curves over bands of colour, `pictures.py` has what they share, `blocks.py` takes fewer values without losing a
peak, and `plain.py` draws slices and curves that a page lays maps over. Begin with `recorded.py`.
"""

from explainers.render.arrays.blocks import fewer, largest, on_grid
from explainers.render.arrays.pictures import MapRow, figure_of, pixels_of
from explainers.render.arrays.recorded import bare, picture_of, spacing_of, walk, walked

__all__ = [
    "MapRow",
    "bare",
    "fewer",
    "figure_of",
    "largest",
    "on_grid",
    "picture_of",
    "pixels_of",
    "spacing_of",
    "walk",
    "walked",
]
