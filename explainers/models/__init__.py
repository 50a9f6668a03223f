"""From a model spec (a name or a file) to a network, its preprocessing and its class names.

Files are read as data; what would run code asks for trust. `load.py` understands a spec, `libraries.py` asks
torchvision, timm, transformers and open_clip, `own_code.py` takes the user's functions and files; other rooms make
sources known through `source.py`. Stands on `core.preprocessing` and `network`. Begin with `load.py`.
"""

from explainers.core.preprocessing import Preprocessing
from explainers.models.libraries import torchvision_or_explain
from explainers.models.load import load_model
from explainers.models.loaded import LoadedModel, class_index

__all__ = ["LoadedModel", "Preprocessing", "class_index", "load_model", "torchvision_or_explain"]
