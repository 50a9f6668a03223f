"""Facts that decide a result, without what tells only where something lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from explainers.models.loaded import spec_name


def same_wherever(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts without where the network's file or folder lies, and where its preprocessing is known from."""
    model, steps = facts["model"], facts["preprocessing"]
    spec = None if model.get("spec") is None else spec_name(model["spec"])
    kept = {key: value for key, value in model.items() if key != "weights" or not model.get("sha256")}
    told = None if steps is None else {key: value for key, value in steps.items() if key != "source"}
    return {**facts, "model": {**kept, "spec": spec}, "preprocessing": told}
