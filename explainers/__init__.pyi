"""The public names, and where each lives. The only list of them: `__init__.py` loads from it, type checkers read it."""

from . import errors as errors
from .core.explainer import Explained as Explained, Explainer as Explainer
from .data.images import read_image as read_image
from .diagnosis import Diagnosis as Diagnosis, diagnose as diagnose
from .evaluation import (
    Metric as Metric,
    Result as Result,
    Summary as Summary,
    available_metrics as available_metrics,
    create_metric as create_metric,
)
from .explanation import Explanation as Explanation, compare as compare, explain as explain
from .loading import load_model as load_model
from .methods import available as available, create as create, method as method
from .methods.attention import (
    Attention as Attention,
    AttentionRollout as AttentionRollout,
    LambdaAttention as LambdaAttention,
    VisualBackprop as VisualBackprop,
)
from .methods.cam import (
    CAM as CAM,
    AblationCAM as AblationCAM,
    EigenCAM as EigenCAM,
    GradCAM as GradCAM,
    GradCAMPlusPlus as GradCAMPlusPlus,
    GroupCAM as GroupCAM,
    HiResCAM as HiResCAM,
    LayerCAM as LayerCAM,
    ScoreCAM as ScoreCAM,
    XGradCAM as XGradCAM,
)
from .methods.gradient import (
    Deconvolution as Deconvolution,
    FullGrad as FullGrad,
    GuidedBackprop as GuidedBackprop,
    GuidedBackpropMinus as GuidedBackpropMinus,
    GuidedGradCAM as GuidedGradCAM,
    InputXGradient as InputXGradient,
    Saliency as Saliency,
    SmoothGrad as SmoothGrad,
)
from .methods.perturbation import (
    LIME as LIME,
    RISE as RISE,
    KernelSHAP as KernelSHAP,
    Occlusion as Occlusion,
    RiseEstimate as RiseEstimate,
)
from .models import LoadedModel as LoadedModel, Preprocessing as Preprocessing
from .network.output import class_scores as class_scores
from .passes.freed_memory import keep_freed_memory as keep_freed_memory
from .passes.predictor import Predictor as Predictor
from .run.drift.watching import MapWatch as MapWatch
from .run.evaluate.evaluate import evaluate as evaluate
from .run.evaluate.options import EvaluationOptions as EvaluationOptions
from .run.evaluate.quantus import quantus_explain_func as quantus_explain_func

__version__: str
