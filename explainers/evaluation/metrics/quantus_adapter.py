"""Metrics of Quantus in the engine: `create_metric("quantus:Sparseness")`; and explainers for Quantus."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from explainers.core.maps import as_tensor
from explainers.core.option_types import refuse_unfit
from explainers.errors import DependencyError, ExplainersError, OptionError, TargetError, UnsupportedError
from explainers.evaluation.measuring.subject import Explain, Measured, Measuring, Subject
from explainers.evaluation.metric import Metric, register_metric_family
from explainers.network.guard import all_others_waiting

DIRECTIONS = {"HIGHER": "higher", "LOWER": "lower"}
OURS = ("display_progressbar", "disable_warnings", "return_aggregate")
ONE_NUMBER = ("return_auc_per_sample", "return_average_correlation")  # options that make one number of several
NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)
OF_THE_BATCH = "compares the images of a batch, so that its values depend on how the images are divided"
NOT_OFFERED = {
    "SmoothMPRT": "explains by Quantus' own gradients, whatever explainer it is given; use quantus:MPRT",
    "ModelParameterRandomisation": "is the old name of quantus:MPRT; use that",
    "SensitivityN": "gives values of all images together, one a number of pixels; use quantus:FaithfulnessEstimate",
    "ROAD": "gives values of all images together, one for each percentage; use road",
    "Focus": "needs mosaics of images, not images; use quantus:RelevanceMassAccuracy",
    "Sufficiency": f"{OF_THE_BATCH}; call Quantus on all images at once",
    "BatchSufficiency": f"{OF_THE_BATCH}; call Quantus on all images at once",
    "Consistency": f"{OF_THE_BATCH}; call Quantus on all images at once",
}


class QuantusMetric(Metric):
    """A metric of Quantus, called once per batch of images with the maps as attributions (N, 1, H, W).

    Where Quantus asks for maps of a network that it has changed, the explained network has those weights meanwhile, so
    that any explainer is asked. What Quantus draws begins with the seed of the evaluation, as after
    `numpy.random.seed(seed)`.

    Args:
        options: of the Quantus class. Metrics with a curve per image need `return_auc_per_sample=True`, and
            quantus:MPRT, which has a value for each layer, `return_average_correlation=True`.
    """

    quantus_name: ClassVar[str]
    reference = "Quantus"
    axes = (2,)

    def __init__(self, **options: Any) -> None:
        known = inspect.signature(_class(self.quantus_name)).parameters
        unknown = sorted(set(options) - set(known))
        if unknown:
            offered = ", ".join(key for key in known if key not in (*OURS, "kwargs"))
            raise OptionError(f"{self.name} has no option {', '.join(unknown)}; its options are {offered}")
        if options.get("return_aggregate"):
            raise OptionError(f"{self.name}: return_aggregate=True leaves no value per image; leave it out")
        self.one_number = [key for key in ONE_NUMBER if key in known]
        self.classes_option = "num_classes" in known
        self.own = {"display_progressbar": False, "disable_warnings": True}
        if "return_aggregate" in known:
            self.own["return_aggregate"] = False
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
        metric = _class(self.quantus_name)(**{**self.own, **self.options})
        kept = [module.training for module in subject.network.modules()]
        try:
            with _drawing_from(chunk.seed, chunk.images.device):
                found = metric(
                    model=subject.network.eval(),
                    x_batch=_copied(chunk.images),
                    y_batch=_copied(chunk.targets),
                    a_batch=_copied(subject.maps[:, None]),
                    s_batch=None if chunk.masks is None else _copied(chunk.masks[:, None]),
                    explain_func=None if subject.explain is None else explain_func(lambda given: _on(subject, given)),
                    channel_first=True,
                    device=str(chunk.images.device),
                )
        except TargetError as error:
            more = "; pass num_classes= of this network" if self.classes_option else ""
            raise OptionError(f"{self.name} asked for a class of its own: {error}{more}") from error
        except ExplainersError:
            raise
        except Exception as error:  # whatever Quantus stumbles over is its own, and should be told as such
            raise UnsupportedError(f"{self.name} failed inside Quantus: {type(error).__name__}: {error}") from error
        finally:
            for module, training in zip(subject.network.modules(), kept, strict=True):
                module.training = training
        return [Measured(value) for value in self._numbers(found, len(chunk))]

    def _numbers(self, found: Any, count: int) -> list[float]:
        """One for each image, which is not what every metric gives."""
        values = None if isinstance(found, dict) else np.asarray(found, dtype=object).reshape(-1)
        if values is None or len(values) != count or not all(isinstance(each, NUMBERS) for each in values):
            what = f"for curves pass {self.one_number[0]}=True" if self.one_number else "it cannot be scored here"
            raise OptionError(f"{self.name} gives no single value per image; {what}")
        return [float(value) for value in values]


def _copied(values: Tensor) -> np.ndarray:
    """For Quantus, some of whose metrics write into what they are given."""
    copied: np.ndarray = np.array(values.cpu())
    return copied


def _on(subject: Subject, given: nn.Module) -> Explain | None:
    """The explainer, on the weights of the network that Quantus hands over: its own, or a copy that it has changed."""
    explain = subject.explain
    if explain is None or given is subject.network:
        return explain

    def moved(images: Tensor, targets: Tensor) -> Tensor:
        with all_others_waiting(), _weights_of(given, subject.network):
            return as_tensor(explain(images, targets)).clone()

    return moved


@contextmanager
def _weights_of(other: nn.Module, network: nn.Module) -> Iterator[None]:
    """A network with the parameters and buffers of another inside; afterwards with its own, to the last bit."""
    mine, theirs = (dict([*each.named_parameters(), *each.named_buffers()]) for each in (network, other))
    if {name: value.shape for name, value in mine.items()} != {name: value.shape for name, value in theirs.items()}:
        raise UnsupportedError("Quantus asks for maps of a network of other parts, which the explainer does not know")
    kept = {name: value.detach().clone() for name, value in mine.items()}
    try:
        with torch.no_grad():
            for name, value in mine.items():
                value.copy_(theirs[name])
        yield
    finally:
        with torch.no_grad():
            for name, value in mine.items():
                value.copy_(kept[name])


@contextmanager
def _drawing_from(seed: int, device: torch.device) -> Iterator[None]:
    """Quantus draws from the global generators: these begin with a seed inside and are what they were afterwards."""
    devices = [device] if device.type == "cuda" else []
    with all_others_waiting(), torch.random.fork_rng(devices=devices):
        state, drawn = np.random.get_state(), random.getstate()
        np.random.seed(seed % 2**32)
        random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)
            random.setstate(drawn)


def explain_func(bind: Callable[[Any], Explain | None]) -> Callable[..., np.ndarray]:
    """An `explain_func` for Quantus: (model, inputs, targets) → attributions (N, 1, H, W).

    Args:
        bind: from the network that Quantus hands over, which it may have changed, to the explainer.
    """

    def explain(model: Any, inputs: Any, targets: Any, device: Any = None, **_: Any) -> np.ndarray:
        network = model.get_model() if hasattr(model, "get_model") else model
        parameter = next(iter(network.parameters()), torch.empty(0, dtype=torch.float32, device="cpu"))
        images = torch.as_tensor(np.asarray(inputs), dtype=parameter.dtype, device=parameter.device)
        explainer = bind(network)
        assert explainer is not None
        maps = explainer(images, torch.as_tensor(np.asarray(targets), device=parameter.device))
        values: np.ndarray = as_tensor(maps).detach().cpu().numpy()
        return values[:, None] if isinstance(maps, Tensor) and maps.ndim == images.ndim - 1 else values

    return explain


def _resolve(name: str) -> type[QuantusMetric]:
    cls = _class(name)
    direction = getattr(getattr(cls, "score_direction", None), "name", "")
    if name in NOT_OFFERED:
        raise UnsupportedError(f"quantus:{name} {NOT_OFFERED[name]}")
    category = getattr(getattr(cls, "evaluation_category", None), "name", "")
    needs = {"classes", "masks"} if category == "LOCALISATION" else {"classes"}
    if category in ("RANDOMISATION", "ROBUSTNESS") or name == "InputInvariance":
        needs.add("explainer")
    body = {
        "name": f"quantus:{name}",
        "quantus_name": name,
        "better": DIRECTIONS.get(direction, ""),
        "needs": frozenset(needs),
        "share": name == "PointingGame",
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
