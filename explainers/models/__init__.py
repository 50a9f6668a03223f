"""From a model spec (a name or a file) to a network, its preprocessing and its class names.

Files are read as data; what would run code asks for trust. `load.py` understands a spec, `libraries.py` asks
torchvision, timm and open_clip, `hub_folder.py` transformers and the Hugging Face Hub, `factory.py` takes the user's
functions, `network_files.py` files, `given_preprocessing.py` the transforms of other packages, and `detectors.py` knows
networks that prepare photos themselves; other rooms make sources known through `source.py`. Stands on
`core.preprocessing`, `network` and `storage`. Begin with `load.py`.
"""

from explainers.core.preprocessing import ArrayPreprocessing, Preprocessing
from explainers.models.given_preprocessing import as_preprocessing
from explainers.models.libraries import torchvision_or_explain
from explainers.models.load import load_model
from explainers.models.loaded import LoadedModel, class_index

__all__ = [
    "ArrayPreprocessing",
    "LoadedModel",
    "Preprocessing",
    "as_preprocessing",
    "class_index",
    "load_model",
    "torchvision_or_explain",
]
