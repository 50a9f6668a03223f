"""What a heat map is worth: metrics on maps, masks and networks, and one engine that makes all their passes.

`metric.py` is the contract, `metrics/` has one family a file, `measuring/` what they are measured with (curves,
rankings, shared passes). `engine.py` takes images through explainers (`chunk_maps.py`) through metrics to `rows.py`;
`result.py`, `tables/` and `statistics.py` say what came out; `drifting/` compares maps of many
networks. Imports go from the engine and the results to `metrics/`, to `metric.py`, to `measuring/`, never back.
Explainers are any callables, so no method is known here. Begin with `metric.py`.
"""

from explainers.evaluation import metrics
from explainers.evaluation.drifting.drift import drift
from explainers.evaluation.drifting.groups import confidence_groups
from explainers.evaluation.drifting.networks import Checkpoint
from explainers.evaluation.drifting.options import DriftOptions
from explainers.evaluation.drifting.result import Drift
from explainers.evaluation.metric import Metric, available_metrics, create_metric, metric_class
from explainers.evaluation.other_detection import OtherDetection
from explainers.evaluation.result import Result
from explainers.evaluation.tables.summary import Summary

__all__ = [
    "Checkpoint",
    "Drift",
    "DriftOptions",
    "Metric",
    "OtherDetection",
    "Result",
    "Summary",
    "available_metrics",
    "confidence_groups",
    "create_metric",
    "drift",
    "metric_class",
    "metrics",
]
