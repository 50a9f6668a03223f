"""Metrics of Quantus in the engine: `create_metric("quantus:Sparseness")`; and explainers for Quantus."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from explainers.core.option_types import refuse_unfit
from explainers.errors import DependencyError, ExplainersError, OptionError, UnsupportedError
from explainers.evaluation.measuring.subject import Explain, Measured, Measuring, Subject
from explainers.evaluation.metric import Metric, register_metric_family

DIRECTIONS = {"HIGHER": "higher", "LOWER": "lower"}
OURS = ("display_progressbar", "disable_warnings", "return_aggregate")


class QuantusMetric(Metric):
    """A metric of Quantus, called once per batch of images with the maps as attributions (N, 1, H, W).

    Args:
        options: of the Quantus class. Metrics with a curve per image need `return_auc_per_sample=True`.
    """

    quantus_name: ClassVar[str]
    reference = "Quantus"

    def __init__(self, **options: Any) -> None:
        known = inspect.signature(_class(self.quantus_name)).parameters
        unknown = sorted(set(options) - set(known))
        if unknown:
            offered = ", ".join(key for key in known if key not in (*OURS, "kwargs"))
            raise OptionError(f"{self.name} has no option {', '.join(unknown)}; its options are {offered}")
        refuse_unfit(self.name, options, _class(self.quantus_name).__init__)
        self.options = options

    def settings(self) -> dict[str, Any]:
        """The options given."""
        return dict(self.options)

    def measure(self, subject: Subject) -> Measuring:
        """What Quantus says of the batch."""
        yield []
        chunk = subject.chunk
        if not isinstance(subject.network, nn.Module):
            raise UnsupportedError(f"{self.name} needs a torch.nn.Module; Quantus knows no black boxes")
        quiet = {"display_progressbar": False, "disable_warnings": True}
        metric = _class(self.quantus_name)(**{**quiet, **self.options})
        kept = [module.training for module in subject.network.modules()]
        try:
            found = metric(
                model=subject.network.eval(),
                x_batch=chunk.images.cpu().numpy(),
                y_batch=chunk.targets.cpu().numpy(),
                a_batch=subject.maps[:, None].cpu().numpy(),
                s_batch=None if chunk.masks is None else chunk.masks[:, None].cpu().numpy(),
                explain_func=None if subject.explain is None else explain_func(lambda _: subject.explain),
                device=str(chunk.images.device),
            )
        except ExplainersError:
            raise
        except Exception as error:  # whatever Quantus stumbles over is its own, and should be told as such
            raise UnsupportedError(f"{self.name} failed inside Quantus: {type(error).__name__}: {error}") from error
        finally:
            for module, training in zip(subject.network.modules(), kept, strict=True):
                module.training = training
        values = np.asarray(found, dtype=object).reshape(-1)
        if len(values) != len(chunk) or any(np.ndim(value) for value in values):
            raise OptionError(
                f"{self.name} gives no single value per image; for curves pass return_auc_per_sample=True, others "
                "cannot be scored here"
            )
        return [Measured(float(value)) for value in values]


def explain_func(bind: Callable[[Any], Explain | None]) -> Callable[..., np.ndarray]:
    """An `explain_func` for Quantus: (model, inputs, targets) → attributions (N, 1, H, W).

    Args:
        bind: from the network that Quantus hands over, which it may have changed, to the explainer.
    """

    def explain(model: Any, inputs: Any, targets: Any, device: Any = None, **_: Any) -> np.ndarray:
        network = model.get_model() if hasattr(model, "get_model") else model
        parameter = next(iter(network.parameters()), torch.empty(0))
        images = torch.as_tensor(np.asarray(inputs), dtype=parameter.dtype, device=parameter.device)
        explainer = bind(network)
        assert explainer is not None
        maps = explainer(images, torch.as_tensor(np.asarray(targets), device=parameter.device))
        values: np.ndarray = torch.as_tensor(maps).detach().cpu().numpy()
        return values[:, None] if isinstance(maps, Tensor) and maps.ndim == 3 else values

    return explain


def _resolve(name: str) -> type[QuantusMetric]:
    cls = _class(name)
    direction = getattr(getattr(cls, "score_direction", None), "name", "")
    signature = inspect.signature(cls).parameters
    needs = {"masks"} if str(getattr(cls, "evaluation_category", "")).endswith("LOCALISATION") else set()
    if "randomisation" in str(getattr(cls, "evaluation_category", "")).lower() or "similarity_func" in signature:
        needs.add("explainer")
    body = {
        "name": f"quantus:{name}",
        "quantus_name": name,
        "better": DIRECTIONS.get(direction, ""),
        "needs": frozenset(needs),
        "__doc__": f"{name} of Quantus.",
    }
    return type(f"Quantus{name}", (QuantusMetric,), body)


def _class(name: str) -> Any:
    quantus = _quantus(name)
    found = getattr(quantus, name, None)
    if not (inspect.isclass(found) and issubclass(found, quantus.Metric)) or found is quantus.Metric:
        raise OptionError(f"Quantus has no metric {name!r}; there are {', '.join(_names())}")
    return found


def _quantus(name: str = "NAME") -> Any:
    try:
        import quantus
    except ImportError as error:
        raise DependencyError(f"quantus:{name} needs Quantus: pip install 'explainers[quantus]'") from error
    return quantus


def _names() -> list[str]:
    """The metrics that Quantus has."""
    quantus = _quantus()
    classes = [each for each in dir(quantus) if inspect.isclass(getattr(quantus, each))]
    return [each for each in classes if issubclass(getattr(quantus, each), quantus.Metric) and each != "Metric"]


register_metric_family("quantus", _resolve, _names)
