"""What decides the results of a run, and its manifest."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import torch

from explainers import __version__
from explainers.methods import method
from explainers.models import LoadedModel
from explainers.passes.own_code import own_code
from explainers.passes.probe import probe
from explainers.run.explain.options import MethodCall, RunOptions
from explainers.run.same_facts import same_wherever
from explainers.storage.run_folder import PROBE

# Options of what is made anew at the end of each run, and of what failed, which is tried again anyway.
NOT_OF_MAPS = ("contact_sheet", "compare", "figures", "max_pixels", "skip_unsupported")


def facts_of(loaded: LoadedModel, methods: list[MethodCall], options: RunOptions) -> dict[str, Any]:
    """What must be equal for results of two runs to belong together: network, preprocessing, methods, options."""
    assert loaded.preprocessing is not None
    return {
        "explainers": __version__,
        **same_wherever(
            {
                "model": {"spec": loaded.spec, "weights": loaded.weights, "sha256": loaded.sha256},
                "preprocessing": loaded.preprocessing.describe(),
            }
        ),
        "classes": loaded.class_names,
        "methods": {call.title: {"name": call.name, **call.options} for call in methods},
        **own_code({call.title: method(call.name) for call in methods}),
        "options": {key: value for key, value in options.to_dict().items() if key not in NOT_OF_MAPS},
        PROBE: probe(loaded, loaded.preprocessing.input_size(), options.output),
    }


def manifest_of(loaded: LoadedModel, calls: list[MethodCall], options: RunOptions, images: int) -> dict[str, Any]:
    """Everything needed to repeat a run."""
    return {
        "explainers": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": str(loaded.device),
        "model": {
            "spec": loaded.spec,
            "weights": loaded.weights,
            "sha256": loaded.sha256,
            "classes": None if loaded.class_names is None else len(loaded.class_names),
            "notes": list(loaded.notes),
        },
        "preprocessing": loaded.preprocessing.describe() if loaded.preprocessing else None,
        "methods": [{"name": call.name, "label": call.title, "options": call.options} for call in calls],
        "options": options.to_dict(),
        "images": images,
        **({"typed": list(loaded.typed)} if loaded.typed else {}),
    }
