"""OpenCV, imported when it is first needed, and what to do where it cannot be."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from explainers.errors import DependencyError


@lru_cache(maxsize=1)
def opencv() -> Any:
    """The cv2 module.

    Raises:
        DependencyError: it cannot be imported, with the way out.
    """
    try:
        import cv2
    except ImportError as error:
        raise DependencyError(
            f"OpenCV cannot be imported ({error}). On a machine without a display library: "
            "pip uninstall -y opencv-python && pip install opencv-python-headless"
        ) from error
    return cv2
