"""The door to networks: those of libraries and files, and those that were trained here.

`models` knows nothing of trainings; importing them makes their folders known to it.
"""

from explainers.baselines.training import trained_network
from explainers.models.load import load_model

__all__ = ["load_model", "trained_network"]
