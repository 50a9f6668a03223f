"""Heat maps for any trained CNN, and how far to believe them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from explainers.core.explainer import Explainer
from explainers.core.output import class_scores
from explainers.core.registry import available, create, method
from explainers.diagnose import Diagnosis, diagnose
from explainers.methods.cam import CAM
from explainers.methods.eigencam import EigenCAM
from explainers.methods.fullgrad import FullGrad
from explainers.methods.gradcam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from explainers.methods.gradient import InputXGradient, Saliency, SmoothGrad
from explainers.methods.rectified import Deconvolution, GuidedBackprop, GuidedBackpropMinus, GuidedGradCAM
from explainers.methods.rollout import AttentionRollout
from explainers.methods.visualbackprop import VisualBackprop

if TYPE_CHECKING:
    from explainers.explanation import Explanation, compare, explain
    from explainers.models import LoadedModel, Preprocessing, load_model

__version__ = "0.1.0"

# Names that need more than torch are imported when they are first used.
_later = {
    "Explanation": "explainers.explanation",
    "LoadedModel": "explainers.models",
    "Preprocessing": "explainers.models",
    "compare": "explainers.explanation",
    "explain": "explainers.explanation",
    "load_model": "explainers.models",
}

__all__ = [
    "CAM",
    "AttentionRollout",
    "Deconvolution",
    "Diagnosis",
    "EigenCAM",
    "Explainer",
    "Explanation",
    "FullGrad",
    "GradCAM",
    "GradCAMPlusPlus",
    "GuidedBackprop",
    "GuidedBackpropMinus",
    "GuidedGradCAM",
    "HiResCAM",
    "InputXGradient",
    "LayerCAM",
    "LoadedModel",
    "Preprocessing",
    "Saliency",
    "SmoothGrad",
    "VisualBackprop",
    "XGradCAM",
    "available",
    "class_scores",
    "compare",
    "create",
    "diagnose",
    "explain",
    "load_model",
    "method",
]


def __getattr__(name: str) -> Any:
    if name in _later:
        return getattr(import_module(_later[name]), name)
    raise AttributeError(f"module 'explainers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
