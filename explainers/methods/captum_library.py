"""captum itself: its attribution classes, and which of them the adapter takes."""

from __future__ import annotations

import inspect
from typing import Any

from explainers.errors import DependencyError

NOT_OFFERED = {
    "FeaturePermutation": "permutes features between the images of a batch; use captum:FeatureAblation",
    "LayerFeaturePermutation": "permutes features between the images of a batch; use captum:LayerFeatureAblation",
    "GuidedGradCam": "is wrong where ReLUs are functions; use guided-grad-cam",
    "NoiseTunnel": "wraps other methods; use smooth-grad, or pass a callable of your own",
    "DataLoaderAttribution": "wraps other methods; call an explainer on each batch",
    "LimeBase": "is a base class; use captum:Lime",
}


def captum_attr() -> Any:
    """`captum.attr`.

    Raises:
        DependencyError: captum is not installed.
    """
    try:
        import captum.attr
    except ImportError as error:
        raise DependencyError("captum:… methods need captum: pip install 'explainers[captum]'") from error
    return captum.attr


def captum_names() -> tuple[str, ...]:
    """The captum classes that the adapter takes."""
    attr = captum_attr()
    return tuple(
        sorted(
            name
            for name, cls in vars(attr).items()
            if inspect.isclass(cls)
            and issubclass(cls, attr.Attribution)
            and not inspect.isabstract(cls)
            and name not in NOT_OFFERED
            and not name.endswith("Attribution")
            and not name.startswith(("Neuron", "LLM"))
        )
    )
