"""The metrics, one family a file; importing this package registers them.

Each file has the formulas as functions of tensors and the metrics that use them. They derive from `Metric`
(`evaluation/metric.py`), get a `Subject` and ask for passes by yielding jobs; they never call the network themselves.
Begin with `sparseness.py` (no passes) and `pixel_curves.py` (curves).
"""

from explainers.evaluation.metrics import (
    faded_image,
    likeness,
    overlap,
    perturbation,
    quantus_adapter,
    randomisation,
    road,
    robustness,
)

__all__ = [
    "faded_image",
    "likeness",
    "overlap",
    "perturbation",
    "quantus_adapter",
    "randomisation",
    "road",
    "robustness",
]
