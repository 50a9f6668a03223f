"""Maps that follow the score back to the image.

The plain gradient and its averages (`saliency.py`), other backward rules at rectifiers (`rectified.py`), and the whole
score divided among image and biases (`fullgrad.py`). May import `core`, `network`, and `cam` for Guided Grad-CAM.
Begin with `saliency.py`.
"""

from explainers.methods.gradient.fullgrad import FullGrad
from explainers.methods.gradient.rectified import Deconvolution, GuidedBackprop, GuidedBackpropMinus, GuidedGradCAM
from explainers.methods.gradient.saliency import InputXGradient, Saliency, SmoothGrad

__all__ = [
    "Deconvolution",
    "FullGrad",
    "GuidedBackprop",
    "GuidedBackpropMinus",
    "GuidedGradCAM",
    "InputXGradient",
    "Saliency",
    "SmoothGrad",
]
