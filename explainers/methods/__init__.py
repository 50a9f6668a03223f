"""The methods, one small file per method or family; importing this package registers them.

`cam/` weighs the channels of a layer, `gradient/` follows the score back to the image, `perturbation/` changes the
image and watches the score, `attention/` reads maps that a network makes on its way; `captum_adapter.py` brings all of
captum's. Each derives from an `Explainer` of `core`. Begin with `cam/gradcam.py`, which reads like its paper.
"""

from explainers.core.registry import available, create, method
from explainers.methods import attention, cam, captum_adapter, gradient, perturbation

__all__ = ["attention", "available", "cam", "captum_adapter", "create", "gradient", "method", "perturbation"]
