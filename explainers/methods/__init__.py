"""The methods, one small file per method or family; importing this package registers them."""

from explainers.methods import eigencam, gradcam, gradient, rectified

__all__ = ["eigencam", "gradcam", "gradient", "rectified"]
