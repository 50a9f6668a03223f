"""Photographs in the layouts of the sets that attention networks are published on: birds, dogs and ImageNet.

One file a layout; `lists.py` reads the numbered lists of text, `matlab.py` MATLAB's files and `annotations.py` those of
XML. Each set is refused with what is missing before anything is trained. May import `sets/splits.py`,
`data/data_set.py`, `data/images` and `core`. Begin with `cub200_2011.py`.
"""

from explainers.data.sets.photographs import cub200_2010, cub200_2011, image_net, imagenet_s, stanford_dogs

__all__ = ["cub200_2010", "cub200_2011", "image_net", "imagenet_s", "stanford_dogs"]
