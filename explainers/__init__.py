"""Heat maps for any trained CNN, and how far to believe them."""

from explainers.core.registry import available, create, method
from explainers.methods.eigencam import EigenCAM
from explainers.methods.gradcam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from explainers.methods.gradient import InputXGradient, Saliency, SmoothGrad
from explainers.methods.rectified import Deconvolution, GuidedBackprop, GuidedBackpropMinus, GuidedGradCAM

__version__ = "0.1.0"

__all__ = [
    "Deconvolution",
    "EigenCAM",
    "GradCAM",
    "GradCAMPlusPlus",
    "GuidedBackprop",
    "GuidedBackpropMinus",
    "GuidedGradCAM",
    "HiResCAM",
    "InputXGradient",
    "LayerCAM",
    "Saliency",
    "SmoothGrad",
    "XGradCAM",
    "available",
    "create",
    "method",
]
