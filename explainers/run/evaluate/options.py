"""How an evaluation goes, beside what is evaluated: rarely changed settings in one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from explainers.core.option_types import check_seed
from explainers.core.preprocessing import AnyPreprocessing
from explainers.errors import OptionError
from explainers.models import as_preprocessing
from explainers.network.output import Output
from explainers.render.drawing import checked_format


@dataclass(frozen=True)
class EvaluationOptions:
    """Settings of an evaluation.

    activation: "auto", "softmax", "sigmoid" or None, from scores to the f(x) that is watched, also by
    methods given by name; output: from what the
    model returns to scores (N, classes); seed: of random maps, noise and statistics; figures: whether to draw into the
    output folder, or as what: "png" (as True), "svg" or "pdf"; maps: whether to keep the maps of image files there, for
    a report; batch_size: images explained at once (passes find their own batch size); preprocessing: from photo to
    network input, where the model does not bring its own, in any form that `as_preprocessing` understands;
    skip_unsupported: leave out methods that cannot be right on this network; max_pixels: larger images are refused,
    None: of more than 100 million pixels, or 500 million values of a volume, signal or clip; precision, compile: of
    perturbation passes, see `Predictor`; boxes: true boxes of the photos, where detections are scored: a table (CSV or
    COCO), or "detected", each detection's own; explain: of several inputs the one that is explained, forward_kwargs:
    of forward, both as for every explainer.
    """

    activation: str | None = "auto"
    output: Output | None = None
    seed: int = 0
    figures: bool | str = True
    maps: bool = True
    batch_size: int = 8
    preprocessing: AnyPreprocessing | None = None
    skip_unsupported: bool = False
    max_pixels: int | None = None
    precision: str | torch.dtype = "float32"
    compile: bool = False
    boxes: str | Path | None = None
    explain: str | int | None = None
    forward_kwargs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "preprocessing", as_preprocessing(self.preprocessing))
        if self.batch_size < 1:
            raise OptionError(f"batch_size={self.batch_size}; expected at least 1")
        if self.max_pixels is not None and self.max_pixels < 1:
            raise OptionError(f"max_pixels={self.max_pixels}; expected at least 1")
        check_seed(self.seed)
        if isinstance(self.figures, str):
            checked_format(self.figures)
