"""From a model spec (a name or a file) to a network and its preprocessing."""

from explainers.models.libraries import torchvision_or_explain
from explainers.models.load import load_model
from explainers.models.loaded import LoadedModel, class_index
from explainers.models.preprocessing import Preprocessing

__all__ = ["LoadedModel", "Preprocessing", "class_index", "load_model", "torchvision_or_explain"]
