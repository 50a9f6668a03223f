"""The methods, one small file per method or family; importing this package registers them."""

from explainers.core.registry import available, create, method
from explainers.methods import (
    ablationcam,
    attention,
    cam,
    captum_adapter,
    eigencam,
    fullgrad,
    gradcam,
    gradient,
    groupcam,
    occlusion,
    rectified,
    rise,
    rollout,
    scorecam,
    surrogate,
    visualbackprop,
)

__all__ = [
    "ablationcam",
    "attention",
    "available",
    "cam",
    "captum_adapter",
    "create",
    "eigencam",
    "fullgrad",
    "gradcam",
    "gradient",
    "groupcam",
    "method",
    "occlusion",
    "rectified",
    "rise",
    "rollout",
    "scorecam",
    "surrogate",
    "visualbackprop",
]
