"""Maps that a network makes by itself on its way to the scores, and what layers attend to whatever the class.

The attention map of the ABN family and lambda layers (`attention.py`), attention of transformers (`rollout.py`), mean
activations carried back to the image (`visualbackprop.py`). May import `core` and `network`. Begin with
`attention.py`.
"""

from explainers.methods.attention.attention import Attention, LambdaAttention
from explainers.methods.attention.rollout import AttentionRollout
from explainers.methods.attention.visualbackprop import VisualBackprop

__all__ = ["Attention", "AttentionRollout", "LambdaAttention", "VisualBackprop"]
