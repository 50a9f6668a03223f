"""The methods, one small file per method or family; importing this package registers them."""

from explainers.methods import (
    cam,
    captum_adapter,
    eigencam,
    fullgrad,
    gradcam,
    gradient,
    rectified,
    rollout,
    visualbackprop,
)

__all__ = [
    "cam",
    "captum_adapter",
    "eigencam",
    "fullgrad",
    "gradcam",
    "gradient",
    "rectified",
    "rollout",
    "visualbackprop",
]
