"""What a heat map is worth: metrics on maps, masks and networks, and one engine that makes all their passes."""

from explainers.evaluation import (
    drop,
    likeness,
    overlap,
    perturbation,
    quantus_adapter,
    randomisation,
    road,
    robustness,
)
from explainers.evaluation.metric import Metric, available_metrics, create_metric, metric_class
from explainers.evaluation.result import Result
from explainers.evaluation.summary import Summary

__all__ = [
    "Metric",
    "Result",
    "Summary",
    "available_metrics",
    "create_metric",
    "drop",
    "likeness",
    "metric_class",
    "overlap",
    "perturbation",
    "quantus_adapter",
    "randomisation",
    "road",
    "robustness",
]
