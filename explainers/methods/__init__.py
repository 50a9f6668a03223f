"""The methods, one small file per method or family; importing this package registers them."""

from explainers.core.registry import available, create, method
from explainers.methods import (
    cam,
    captum_adapter,
    eigencam,
    fullgrad,
    gradcam,
    gradient,
    rectified,
    rise,
    rollout,
    visualbackprop,
)

__all__ = [
    "available",
    "cam",
    "captum_adapter",
    "create",
    "eigencam",
    "fullgrad",
    "gradcam",
    "gradient",
    "method",
    "rectified",
    "rise",
    "rollout",
    "visualbackprop",
]
