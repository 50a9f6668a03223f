"""Attention Lattice Adapter: a side network beside a frozen vision transformer makes the map, a small branch perceives.

Begin with `network.py`. `encoder.py` reads the transformers of open_clip, timm and torchvision layer by layer, and the
small ones of our own beside this room (`../vision_transformer.py`), `side_network.py` makes the masks.
"""

from explainers.baselines.networks.ala.network import ALA
from explainers.baselines.networks.vision_transformer import VisionTransformer, vision_transformer

__all__ = ["ALA", "VisionTransformer", "vision_transformer"]
