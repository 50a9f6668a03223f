"""How a photo is taken by networks that prepare it themselves: torchvision's detectors."""

from __future__ import annotations

from typing import Any

from explainers.core.preprocessing import Preprocessing


def brought_by(network: Any) -> Preprocessing | None:
    """Photos as they are, values of 0 … 1, where a network is one of torchvision's detectors, which resize and
    normalise within; None where nothing is known. Of a detector inside another network nothing is: that may prepare
    photos, too.
    """
    made_by = getattr(getattr(type(network), "forward", None), "__module__", "") or ""
    transform = getattr(network, "transform", None)
    if not made_by.startswith("torchvision.models.detection.") or not hasattr(transform, "image_mean"):
        return None
    return Preprocessing(source=f"{type(network).__name__} of torchvision, which prepares photos itself")
