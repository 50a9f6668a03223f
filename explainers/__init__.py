"""Heat maps for any trained CNN, and how far to believe them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explainers.core.explainer import Explained, Explainer
    from explainers.core.memory import keep_freed_memory
    from explainers.core.output import class_scores
    from explainers.core.predictor import Predictor
    from explainers.data.images import read_image
    from explainers.diagnosis import Diagnosis, diagnose
    from explainers.evaluation import Metric, Result, Summary, available_metrics, create_metric
    from explainers.explanation import Explanation, compare, explain
    from explainers.methods import available, create, method
    from explainers.methods.ablationcam import AblationCAM
    from explainers.methods.attention import Attention, LambdaAttention
    from explainers.methods.cam import CAM
    from explainers.methods.eigencam import EigenCAM
    from explainers.methods.fullgrad import FullGrad
    from explainers.methods.gradcam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
    from explainers.methods.gradient import InputXGradient, Saliency, SmoothGrad
    from explainers.methods.groupcam import GroupCAM
    from explainers.methods.occlusion import Occlusion
    from explainers.methods.rectified import Deconvolution, GuidedBackprop, GuidedBackpropMinus, GuidedGradCAM
    from explainers.methods.rise import RISE, RiseEstimate
    from explainers.methods.rollout import AttentionRollout
    from explainers.methods.scorecam import ScoreCAM
    from explainers.methods.surrogate import LIME, KernelSHAP
    from explainers.methods.visualbackprop import VisualBackprop
    from explainers.models import LoadedModel, Preprocessing, load_model
    from explainers.scoring import evaluate, quantus_explain_func

__version__ = "0.1.0"

# Where each public name lives. They are imported on first use, so that `explain --help` does not wait for torch, and
# nothing but the parts that read files and draw needs more than torch.
_homes = {
    "explainers.core.explainer": ("Explained", "Explainer"),
    "explainers.core.memory": ("keep_freed_memory",),
    "explainers.core.output": ("class_scores",),
    "explainers.core.predictor": ("Predictor",),
    "explainers.data.images": ("read_image",),
    "explainers.diagnosis": ("Diagnosis", "diagnose"),
    "explainers.evaluation": ("Metric", "Result", "Summary", "available_metrics", "create_metric"),
    "explainers.explanation": ("Explanation", "compare", "explain"),
    "explainers.methods": ("available", "create", "method"),
    "explainers.methods.ablationcam": ("AblationCAM",),
    "explainers.methods.attention": ("Attention", "LambdaAttention"),
    "explainers.methods.cam": ("CAM",),
    "explainers.methods.eigencam": ("EigenCAM",),
    "explainers.methods.fullgrad": ("FullGrad",),
    "explainers.methods.gradcam": ("GradCAM", "GradCAMPlusPlus", "HiResCAM", "LayerCAM", "XGradCAM"),
    "explainers.methods.gradient": ("InputXGradient", "Saliency", "SmoothGrad"),
    "explainers.methods.groupcam": ("GroupCAM",),
    "explainers.methods.occlusion": ("Occlusion",),
    "explainers.methods.rectified": ("Deconvolution", "GuidedBackprop", "GuidedBackpropMinus", "GuidedGradCAM"),
    "explainers.methods.rise": ("RISE", "RiseEstimate"),
    "explainers.methods.rollout": ("AttentionRollout",),
    "explainers.methods.scorecam": ("ScoreCAM",),
    "explainers.methods.surrogate": ("LIME", "KernelSHAP"),
    "explainers.methods.visualbackprop": ("VisualBackprop",),
    "explainers.models": ("LoadedModel", "Preprocessing", "load_model"),
    "explainers.scoring": ("evaluate", "quantus_explain_func"),
}
_home = {name: module for module, names in _homes.items() for name in names}

__all__ = [
    "CAM",
    "LIME",
    "RISE",
    "AblationCAM",
    "Attention",
    "AttentionRollout",
    "Deconvolution",
    "Diagnosis",
    "EigenCAM",
    "Explained",
    "Explainer",
    "Explanation",
    "FullGrad",
    "GradCAM",
    "GradCAMPlusPlus",
    "GroupCAM",
    "GuidedBackprop",
    "GuidedBackpropMinus",
    "GuidedGradCAM",
    "HiResCAM",
    "InputXGradient",
    "KernelSHAP",
    "LambdaAttention",
    "LayerCAM",
    "LoadedModel",
    "Metric",
    "Occlusion",
    "Predictor",
    "Preprocessing",
    "Result",
    "RiseEstimate",
    "Saliency",
    "ScoreCAM",
    "SmoothGrad",
    "Summary",
    "VisualBackprop",
    "XGradCAM",
    "available",
    "available_metrics",
    "class_scores",
    "compare",
    "create",
    "create_metric",
    "diagnose",
    "evaluate",
    "explain",
    "keep_freed_memory",
    "load_model",
    "method",
    "quantus_explain_func",
    "read_image",
]


def __getattr__(name: str) -> Any:
    if name not in _home:
        raise AttributeError(f"module 'explainers' has no attribute {name!r}")
    value = getattr(import_module(_home[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "errors", "__version__"])
