"""Explainers and metrics by their titles, from the many ways in which they can be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from explainers.core.explainer import Explainer
from explainers.core.registry import options as known_options
from explainers.data.images import ImageFile
from explainers.data.images.companions import Beside
from explainers.errors import OptionError
from explainers.evaluation import Metric, create_metric
from explainers.evaluation.chunk_maps import Stored
from explainers.evaluation.controls import CONTROLS
from explainers.evaluation.measuring.subject import Explain
from explainers.evaluation.other_packages import as_explainer
from explainers.methods import create, method
from explainers.run.evaluate.options import EvaluationOptions
from explainers.run.evaluate.stored_maps import StoredMaps


def titled_metrics(metrics: Mapping[str, Any] | Sequence[Any]) -> dict[str, Metric]:
    """Metrics by their titles; one of a kind is called by its name, several also by the settings in which they differ.

    Raises:
        OptionError: an unknown metric, none at all, or one twice.
    """
    if isinstance(metrics, (str, Metric)):
        metrics = [metrics]
    if isinstance(metrics, Mapping):
        titled = {str(title): _metric(given) for title, given in metrics.items()}
    else:
        titled = {}
        for metric in (made := [_metric(given) for given in metrics]):
            alike = [each.settings() for each in made if each.name == metric.name]
            title = metric.name
            if len(alike) > 1:
                own = metric.settings().items()
                differing = [f"{key}={value}" for key, value in own if any(each.get(key) != value for each in alike)]
                title += ":" + ",".join(differing)
            if title in titled:
                raise OptionError(f"the metric {title.strip(':')} is asked for twice")
            titled[title] = metric
    if not titled:
        raise OptionError("no metric given; see explainers.available_metrics()")
    if any("@" in title for title in titled):
        raise OptionError("a metric's title cannot have an @, which stands before its settings")
    return titled


def _metric(given: Any) -> Metric:
    if isinstance(given, Metric):
        return given
    if isinstance(given, str):
        return create_metric(given)
    raise OptionError(f"metrics are names or metric objects, got {type(given).__name__}")


def titled_explainers(
    given: Mapping[str, Any] | Sequence[Any],
    model: Any,
    files: Sequence[ImageFile] | None,
    options: EvaluationOptions,
    detections: int = 0,
) -> dict[str, Explain | Stored]:
    """Every explainer by its title, ready to be called.

    Args:
        detections: how many of each image are scored at most, whose maps in files are numbered.
    """
    if isinstance(given, Mapping):
        pairs = [(str(title), each) for title, each in given.items()]
    else:
        listed = [given] if isinstance(given, (str, Explainer)) or callable(given) else list(given)
        pairs = [(_title(each), each) for each in listed]
    titles = [title for title, _ in pairs]
    for title in titles:
        if title in CONTROLS:
            raise OptionError(f"{title!r} is the name of a control, which is always there; choose another title")
        if titles.count(title) > 1:
            raise OptionError(f"two explainers are called {title!r}; give them titles: {{'title': explainer, …}}")
    output = {} if options.output is None else {"output": options.output}

    def watched(name: str) -> dict[str, Any]:
        """The f(x) of the evaluation for methods that watch one, too."""
        return {"activation": options.activation} if "activation" in known_options(method(name)) else {}

    made: dict[str, Explain | Stored] = {}
    for title, each in pairs:
        if isinstance(each, Path) or (isinstance(each, (tuple, list)) and each and isinstance(each[0], Path)):
            folder, ending = (each, "") if isinstance(each, Path) else each
            made[title] = _stored(folder, ending, files, options, detections)
        elif isinstance(each, str):
            made[title] = create(each, model, **output, **watched(each))
        elif isinstance(each, (tuple, list)) and len(each) == 2 and isinstance(each[0], str):
            made[title] = create(each[0], model, **{**output, **watched(each[0]), **each[1]})
        else:
            made[title] = as_explainer(each, title)
    return made


def _title(given: Any) -> str:
    if isinstance(given, (tuple, list)) and given:
        given = given[0]
    if isinstance(given, Path):
        return given.name
    if isinstance(given, str):
        return given
    return str(getattr(given, "name", None) or getattr(given, "__name__", None) or type(given).__name__)


def _stored(
    folder: Path, ending: str, files: Sequence[ImageFile] | None, options: EvaluationOptions, detections: int
) -> Stored:
    if files is None or options.preprocessing is None:
        raise OptionError(f"maps in {folder} belong to image files: they need a folder of images and its preprocessing")
    beside = Beside(folder, "map")
    names = [file.name for file in files]
    endings = [*(f"{ending}.{number + 1}" for number in range(detections)), ending]
    beside.note_shared(names, endings)
    beside.refuse_foreign(names, endings)
    maps = StoredMaps(beside, {file.name: file for file in files}, options.preprocessing, options.max_pixels, ending)
    return Stored(maps, maps.digest, maps.check)
