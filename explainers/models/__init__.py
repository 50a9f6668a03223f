"""From a model spec (a name or a file) to a network and its preprocessing."""

from explainers.core.preprocessing import Preprocessing
from explainers.models.libraries import torchvision_or_explain
from explainers.models.load import load_model
from explainers.models.loaded import LoadedModel, class_index

__all__ = ["LoadedModel", "Preprocessing", "class_index", "load_model", "torchvision_or_explain"]
