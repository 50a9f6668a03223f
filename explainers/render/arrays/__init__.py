"""Heat maps on what is no photo.

`volumes.py` cuts slices through the map's maximum, `signals.py` draws curves over bands of colour, `plain.py` draws
slices and curves that a page lays maps over. Begin with `volumes.py`.
"""

from explainers.render.arrays.signals import signal_chart
from explainers.render.arrays.volumes import gray_of, slices_through, walk_through

__all__ = ["gray_of", "signal_chart", "slices_through", "walk_through"]
