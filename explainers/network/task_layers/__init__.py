"""Which layer maps are made of where a network does more than classify, and where the image lies in it.

`bottleneck.py` is of segmentation, `trunk.py` of detection; `extent.py` of detectors that add a border to the image.
Begin with `trunk.py`.
"""

from explainers.network.task_layers.bottleneck import bottleneck
from explainers.network.task_layers.extent import extent_of
from explainers.network.task_layers.trunk import trunk

__all__ = ["bottleneck", "extent_of", "trunk"]
