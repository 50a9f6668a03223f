"""Score explainers: one call for tensors, data loaders and folders."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explainers.core.explainer import Explainer
from explainers.data.images.companions import Beside
from explainers.data.images.files import MAX_PIXELS, ImageFile, find_images
from explainers.errors import ImageError, OptionError, TargetError
from explainers.evaluation import Metric, Result, create_metric
from explainers.evaluation.controls import CONTROLS, controls
from explainers.evaluation.engine import Batch, Engine, Row, Stored
from explainers.evaluation.metric import Explain
from explainers.evaluation.metrics.quantus_adapter import explain_func
from explainers.evaluation.other_packages import as_explainer
from explainers.methods import create
from explainers.models import Preprocessing, class_index
from explainers.models.loaded import state_hash
from explainers.network.input import first_parameter
from explainers.network.output import Output
from explainers.network.unwrapping import as_network, class_name
from explainers.passes.predictor import Predictor
from explainers.run.evaluate.batches import Folder, StoredMaps, of_loader
from explainers.run.evaluate.outputs import ScoreJournal, write_extremes, write_figures, write_tables
from explainers.storage.atomic import locked

Progress = Callable[[int, int | None, str], None]  # units done, of how many (None: unknown), what was done last
MEAN_OF_BLACK = 0.0


def evaluate(
    model: Any,
    images: Any,
    explainers: Mapping[str, Any] | Sequence[Any],
    metrics: Mapping[str, Any] | Sequence[Any] = ("insertion", "deletion"),
    targets: Any = None,
    masks: Any = None,
    *,
    labels: Any = None,
    activation: str | None = "softmax",
    output: Output | None = None,
    seed: int = 0,
    out: str | PathLike[str] | None = None,
    figures: bool = True,
    batch_size: int = 8,
    preprocessing: Preprocessing | None = None,
    skip_unsupported: bool = False,
    max_pixels: int = MAX_PIXELS,
    precision: str | torch.dtype = "float32",
    compile: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Score explainers by metrics on the same images, beside the controls `random`, `center` and `edges`.

    All perturbed images of all metrics, maps and images go through the network together in full batches; an image is
    looked at unperturbed once, a map is ranked once, and equal perturbed images are one pass.

    Args:
        model: from `load_model`, any network, or any callable from images to scores.
        images: a tensor (N, C, H, W) as the network takes it; an iterable of batches: tensors, (images, labels),
            (images, labels, masks) or dicts of "images", "labels", "masks", "targets", "names"; a folder; image files.
        explainers: names of methods, explainers, objects of pytorch-grad-cam, torch-cam and captum, callables (images,
            targets) → maps (N, H, W), (method, options); in a mapping, under titles of yours. A folder (a
            `pathlib.Path`) is one of maps made elsewhere, `.npy`, `.npz` or gray pictures named like the images; with
            what stands between name and suffix, as in (folder, ".grad-cam").
        metrics: names (`available_metrics()`) or `create_metric(…)`; in a mapping, under titles of yours.
        targets: the classes whose probability counts: None (the predicted ones), an int, a class name, (N,) classes, or
            "label".
        masks: what a map should show: (N, H, W) bool; with a folder of images, a folder of masks named like them.
        labels: (N,) right classes, for metrics of accuracy; with a folder, image name → class.
        activation: "softmax", "sigmoid" or None: from scores to the probabilities that are watched.
        output: from what the model returns to scores (N, classes).
        seed: of random maps, noise and statistics.
        out: a folder for tables and figures; an evaluation that was interrupted goes on there when it is called again.
        figures: whether to draw there.
        batch_size: images explained at once; passes find their own batch size.
        preprocessing: from photo to network input, where `model` does not bring its own.
        skip_unsupported: leave out methods that cannot be right on this network.
        precision, compile: of the perturbation passes; see `Predictor`.
        progress: called with (units done, of how many or None, name) after each explainer on each batch.

    Raises:
        ImageError: there are no images. MapError: maps or masks that do not fit the images. TargetError: a class that
        the network does not have. OptionError: an unknown name or option. UnsupportedError: a method refuses the
        network.

    >>> evaluate(model, images, ["grad-cam", "rise"], ["insertion", "deletion", "pid"])  # doctest: +SKIP
    """
    if batch_size < 1:
        raise OptionError(f"batch_size={batch_size}; expected at least 1")
    preprocessing = preprocessing or getattr(model, "preprocessing", None)
    titled = titled_metrics(metrics)
    network = as_network(model)
    files = _files(images)
    if any("masks" in metric.needs for metric in titled.values()) and masks is None and not _brings_masks(images):
        needy = [title for title, metric in titled.items() if "masks" in metric.needs]
        raise OptionError(f"{', '.join(needy)} need masks of what a map should show: pass masks= (--masks)")
    chosen = _explainers(explainers, model, files, preprocessing, max_pixels, output)
    classes = _targets(targets, model)
    if files is None:
        source: Iterable[Batch] = of_loader(
            images, network, batch_size, targets=None if classes == "label" else classes, labels=labels, masks=masks
        )
    else:
        source = _folder(files, network, batch_size, preprocessing, max_pixels, masks, labels)
    if not (classes is None or isinstance(classes, (int, str)) or files is None):
        raise OptionError("for a folder, targets are None, a class index, a class name or 'label'")
    engine = Engine(
        network,
        {**controls(seed), **chosen},
        titled,
        Predictor(model, output=output, precision=precision, compile=compile),
        activation,
        _black(preprocessing, network),
        seed,
        skip_unsupported,
    )
    facts = {
        **_facts(model, engine, preprocessing),
        "targets": targets if targets is None or isinstance(targets, (int, str)) else "given for each image",
        "batch_size": batch_size,
        "precision": str(precision).removeprefix("torch."),
        "compile": compile,
    }
    total = None if files is None else len(engine.explainers) * -(-len(files) // batch_size)
    with nullcontext() if out is None else locked(Path(out)):
        rows = _run(engine, _targeted(source, classes), out, facts, total, progress)
        failed = [
            {"image": name, "explainer": title, "metric": "", "status": "failed", "reason": reason}
            for name, reason in (source.failed if isinstance(source, Folder) else ())
            for title in engine.explainers
        ]
        result = Result(rows + failed, titled, dict(engine.refused), seed, facts)
        if not rows and not failed and not engine.refused:
            raise ImageError("there are no images to evaluate")
        if out is not None:
            write_tables(Path(out), result)
            if figures and result.scores:
                write_figures(Path(out), result)
                if isinstance(source, Folder):
                    write_extremes(Path(out), result, source, {**engine.explainers})
        return result


def quantus_explain_func(method: str, **options: Any) -> Callable[..., Any]:
    """A method as an `explain_func` for Quantus, bound anew to whatever network Quantus hands over.

    >>> quantus.MPRT()(model, x, y, explain_func=quantus_explain_func("grad-cam"))  # doctest: +SKIP
    """
    return explain_func(lambda network: create(method, network, **options))


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


def _explainers(
    given: Mapping[str, Any] | Sequence[Any],
    model: Any,
    files: Sequence[ImageFile] | None,
    preprocessing: Preprocessing | None,
    max_pixels: int,
    output: Output | None,
) -> dict[str, Explain | Stored]:
    """Every explainer by its title, ready to be called."""
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
    made: dict[str, Explain | Stored] = {}
    for title, each in pairs:
        if isinstance(each, Path) or (isinstance(each, (tuple, list)) and each and isinstance(each[0], Path)):
            folder, ending = (each, "") if isinstance(each, Path) else each
            made[title] = _stored(folder, ending, files, preprocessing, max_pixels)
        elif isinstance(each, str):
            made[title] = create(each, model, **({} if output is None else {"output": output}))
        elif isinstance(each, (tuple, list)) and len(each) == 2 and isinstance(each[0], str):
            made[title] = create(each[0], model, **{**({} if output is None else {"output": output}), **each[1]})
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
    folder: Path, ending: str, files: Sequence[ImageFile] | None, preprocessing: Preprocessing | None, max_pixels: int
) -> Stored:
    if files is None or preprocessing is None:
        raise OptionError(f"maps in {folder} belong to image files: they need a folder of images and its preprocessing")
    beside = Beside(folder, "map")
    maps = StoredMaps(beside, {file.name: file for file in files}, preprocessing, max_pixels, ending)
    return Stored(maps, maps.digest)


def _files(images: Any) -> list[ImageFile] | None:
    if isinstance(images, (str, PathLike)):
        return find_images(images)
    if isinstance(images, (list, tuple)) and images and all(isinstance(each, ImageFile) for each in images):
        return list(images)
    return None


def _brings_masks(images: Any) -> bool:
    """Batches that may have masks of their own; what does not is found when it comes."""
    return not isinstance(images, (Tensor, str, PathLike)) and not (
        isinstance(images, (list, tuple)) and images and isinstance(images[0], (Tensor, ImageFile))
    )


def _folder(
    files: list[ImageFile],
    network: Any,
    size: int,
    preprocessing: Preprocessing | None,
    max_pixels: int,
    masks: Any,
    labels: Any,
) -> Folder:
    if preprocessing is None:
        raise ImageError(
            "how this network takes a photo is not known: load it with explainers.load_model, pass preprocessing=, or "
            "pass batches of tensors (N, C, H, W) as the network takes them"
        )
    parameter = first_parameter(network)
    device = torch.device("cpu") if parameter is None else parameter.device
    if masks is not None and not isinstance(masks, (str, PathLike)):
        raise OptionError("with a folder of images, masks are a folder too: files named like the images")
    if labels is not None and (not isinstance(labels, Mapping) or {file.name for file in files} - set(labels)):
        raise OptionError("with a folder of images, labels map the name of every image to its class index")
    beside = None if masks is None else Beside(masks, "mask")
    return Folder(files, preprocessing, device, size, max_pixels, beside, labels)


def _targets(targets: Any, model: Any) -> Any:
    """A class name as its index, "label" and anything else as it is."""
    if not isinstance(targets, str) or targets == "label":
        return targets
    names = getattr(model, "class_names", None)
    if not names:
        raise TargetError(f"targets={targets!r}: the class names of this network are not known; pass an index")
    return class_index(targets, names)


def _targeted(batches: Iterable[Batch], classes: Any) -> Iterable[Batch]:
    """Batches with the classes that are watched."""
    for batch in batches:
        if classes == "label" and batch.labels is None:
            raise TargetError(
                "targets='label', but the images have no labels: pass labels= (--ground-truth), or batches "
                "(images, labels)"
            )
        chosen = batch.labels if isinstance(classes, str) else batch.targets if batch.targets is not None else classes
        yield Batch(batch.names, batch.images, chosen, batch.labels, batch.masks, batch.keys)


def _black(preprocessing: Preprocessing | None, network: Any) -> Tensor | None:
    if preprocessing is None:
        return None
    mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
    return (MEAN_OF_BLACK - mean) / std


def _run(
    engine: Engine,
    batches: Iterable[Batch],
    out: str | PathLike[str] | None,
    facts: dict[str, Any],
    total: int | None,
    progress: Progress | None,
) -> list[Row]:
    """All rows, from this run and, with a journal, those before it."""
    journal = None if out is None else ScoreJournal(Path(out))
    done = set() if journal is None else journal.open(facts)
    rows: list[Row] = []
    keys: list[str] = []
    for unit in engine.run(batches, done):
        keys.append(unit.key)
        if unit.rows is not None and journal is not None:
            journal.append(unit.key, unit.rows)
        elif unit.rows is not None:
            rows += unit.rows
        if progress:
            progress(len(keys), total, f"{unit.explainer}, {unit.names[-1]}")
    return rows if journal is None else journal.rows(keys)


def _facts(
    model: Any,
    engine: Engine,
    preprocessing: Preprocessing | None,
) -> dict[str, Any]:
    """Everything that decides the values, as far as it can be told."""
    from explainers import __version__

    network = engine.network
    weights = getattr(model, "sha256", None) or (state_hash(network) if isinstance(network, nn.Module) else None)
    return {
        "explainers": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "model": {"network": class_name(network), "spec": getattr(model, "spec", None), "sha256": weights},
        "preprocessing": preprocessing.describe() if preprocessing else None,
        "methods": {title: _described(each) for title, each in engine.explainers.items()},
        "metrics": {title: {"name": each.name, **each.settings()} for title, each in engine.metrics.items()},
        "activation": engine.activation,
        "seed": engine.seed,
    }


def _described(explainer: Any) -> Any:
    """What tells an explainer from another of its name, as far as plain values do."""
    if isinstance(explainer, Stored):
        return "maps from files"
    if isinstance(explainer, Explainer):
        plain = (str, int, float, bool, type(None), tuple)
        options = {key: value for key, value in vars(explainer).items() if isinstance(value, plain)}
        return {"name": explainer.name, **{k: v for k, v in options.items() if k[0] != "_" and k != "layers"}}
    return f"{getattr(explainer, '__module__', '')}.{getattr(explainer, '__qualname__', type(explainer).__qualname__)}"
