"""The metrics, one family a file; importing this package registers them.

Each file has the formulas as functions of tensors and the metrics that use them. They derive from `Metric`
(`evaluation/metric.py`), get a `Subject` and ask for passes by yielding jobs; they never call the network themselves.
Stands on `measuring`, and knows neither the engine nor the results. Begin with `sparseness.py` (no passes) and
`pixel_curves.py` (curves); `localisation/` has the metrics of maps and masks.
"""

from explainers.evaluation.metrics import (
    faded_image,
    localisation,
    patch_curves,
    pixel_curves,
    quantus_adapter,
    randomisation,
    road,
    robustness,
    similarity,
    sparseness,
    threshold_curves,
)

__all__ = [
    "faded_image",
    "localisation",
    "patch_curves",
    "pixel_curves",
    "quantus_adapter",
    "randomisation",
    "road",
    "robustness",
    "similarity",
    "sparseness",
    "threshold_curves",
]
