"""The door of `explainers.evaluate`: one call for tensors, data loaders and folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from explainers.core.explainer import Explainer
from explainers.core.image_by_image import no_exit, no_method
from explainers.core.name_table import refuse_unknown
from explainers.core.preprocessing import AnyPreprocessing, Preprocessing, as_column, photographic
from explainers.core.targets import NOT
from explainers.errors import ImageError, OptionError
from explainers.evaluation import Metric, Result
from explainers.evaluation.chunk_maps import Stored
from explainers.evaluation.controls import controls
from explainers.evaluation.engine import Engine
from explainers.evaluation.measuring.batch import Batch
from explainers.evaluation.rows import Row
from explainers.models.given_preprocessing import brought_by
from explainers.models.loaded import named_target
from explainers.network.unwrapping import as_network
from explainers.passes.predictor import Predictor
from explainers.passes.probe import probe
from explainers.run.evaluate import journal
from explainers.run.evaluate.batches import brings_masks, check_labelled, of_loader, targeted
from explainers.run.evaluate.boxes.checks import check_boxes
from explainers.run.evaluate.boxes.controls import with_other_boxes
from explainers.run.evaluate.boxes.source import BoxRows
from explainers.run.evaluate.boxes.truth import truth_of
from explainers.run.evaluate.facts import NOT_OF_VALUES, as_typed, facts_of
from explainers.run.evaluate.figures import watched_object, write_extremes, write_figures
from explainers.run.evaluate.folder import Folder, files_of, folder_batches
from explainers.run.evaluate.inputs import bound_explainers, of_inputs, reader
from explainers.run.evaluate.kept import IMAGES, Keeper, classes_of
from explainers.run.evaluate.options import EvaluationOptions
from explainers.run.evaluate.outputs import CONTENTS, check_made, write_manifest, write_tables
from explainers.run.evaluate.stored_maps import check_references, not_saying
from explainers.run.evaluate.titles import titled_explainers, titled_metrics
from explainers.run.same_facts import same_wherever
from explainers.run.targets import Detected, any_input, impossible_first, output_for, settled_target
from explainers.run.targets.fitting import check_fits
from explainers.run.targets.objects import ImageTargets
from explainers.run.targets.spelled import spelled_target
from explainers.storage.run_folder import PROBE, RunFolder
from explainers.targets import Target

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
    out: str | PathLike[str] | None = None,
    options: EvaluationOptions | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Result:
    """Score explainers by metrics on the same images, beside the controls `random`, `center` and `edges`.

    All perturbed images of all metrics, maps and images go through the network together in full batches; an image is
    looked at unperturbed once, a map is ranked once, and equal perturbed images are one pass.

    Args:
        model: from `load_model`, any network, or any callable from images to scores.
        images: a tensor (N, C, H, W) as the network takes it, (N, C, D, H, W) of volumes or (N, C, L) of signals, whose
            maps and masks are (N, D, H, W) or (N, L); an iterable of batches: tensors, (images, labels),
            (images, labels, masks) or dicts of "images", "labels", "masks", "targets", "names"; a folder; image files.
            Of a network of several inputs a mapping of them, or batches whose images are a tuple or mapping of inputs;
            explain= says which is explained, as for every explainer, image by image.
        explainers: names of methods, explainers, objects of pytorch-grad-cam, torch-cam and captum, callables (images,
            targets) → maps (N, H, W), (method, options); in a mapping, under titles of yours. A folder (a
            `pathlib.Path`) is one of maps made elsewhere, `.npy`, `.npz` or gray pictures named like the images; with
            what stands between name and suffix, as in (folder, ".grad-cam").
        metrics: names (`available_metrics()`) or `create_metric(…)`; in a mapping, under titles of yours.
        targets: the classes whose probability counts: None (the predicted ones), an int, a class name, (N,) classes,
            "label", "not" (the other class of a network with one score), or text as `--target` takes it. Or target
            objects (`explainers.targets`), one for all, or one for each image of a tensor; of files `Detected` too. Or
            a function, from scores (N, classes) to classes, or from what the network returns for an image to a number.
        masks: what a map should show: (N, H, W) bool; with a folder of images, a folder of masks named like them.
        labels: (N,) right classes, for metrics of accuracy; with a folder, image name → class.
        out: a folder for tables and figures; an evaluation that was interrupted goes on there when it is called again.
        options: everything else, see `EvaluationOptions`; settings: single fields of it, such as seed=3 or
            activation="sigmoid".
        progress: called with (units done, of how many or None, name) after each explainer on each batch.

    Raises:
        ImageError: there are no images.
        MapError: maps or masks that do not fit the images.
        TargetError: a class that the network does not have.
        OptionError: an unknown name or option.
        UnsupportedError: a method refuses the network, or every one does.

    >>> evaluate(model, images, ["grad-cam", "rise"], ["insertion", "deletion", "pid"])  # doctest: +SKIP
    """
    options = _options(model, images, options, settings)
    names = getattr(model, "class_names", None)
    titled = titled_metrics(metrics)
    network: Any = as_network(model, several=True)
    brought, files = images, files_of(images, options.preprocessing)
    bound, images = of_inputs(network, images, options, files)
    check_boxes(targets, files, masks, options.boxes, titled)
    _check_masks(titled, brought, masks if options.boxes is None else options.boxes)
    numbered = targets.count if isinstance(targets, Detected) else 0
    chosen = titled_explainers(explainers, model, files, options, numbered)
    if bound is not None:
        network, options, chosen = bound, replace(options, batch_size=1), bound_explainers(chosen, bound)
    if isinstance(targets, str):
        targets = spelled_target(targets, model, options.preprocessing, max_pixels=options.max_pixels)
    classes = targets
    if isinstance(targets, str) and targets != "label":
        classes = (
            settled_target(targets, model, options.preprocessing, options.output, images)
            if bound is None
            else named_target(targets, names, len(names or ()))
        )
    output, boxes = output_for(classes, options.output), None
    if isinstance(classes, str) and classes == NOT:
        chosen, classes = {title: _negative(title, each) for title, each in chosen.items()}, 0
    if files is None:
        given = None if classes == "label" else classes
        source: Iterable[Batch] = of_loader(
            images,
            network,
            options.batch_size,
            targets=given,
            labels=labels,
            masks=masks,
            read=None if bound is None else reader(bound, options),
        )
    else:
        source = folder_batches(files, network, options, masks, labels)
        check_labelled(classes, labels)
        if isinstance(classes, (Target, ImageTargets)):
            asked = classes if isinstance(classes, Target) else classes.anywhere
            check_fits(network, options.preprocessing, asked, output)
        if isinstance(classes, ImageTargets):
            source, classes = replace(source, own=classes), None
        if isinstance(classes, Detected):
            truth = None if options.boxes is None else truth_of(options.boxes, files, names)
            taken = photographic(source.preprocessing)
            boxes = source.boxes = BoxRows(network, options.output, taken, classes, truth, names)
            chosen, classes = with_other_boxes(chosen, boxes), None
        if not (classes is None or isinstance(classes, (int, str, Target)) or callable(classes)):
            raise OptionError(
                "for a folder, targets are None, a class index, a class name, 'label', Detected, one target object "
                "or a function"
            )
    check_references(chosen, targets)
    engine = Engine(
        network,
        {**controls(options.seed), **chosen},
        titled,
        Predictor(network, output=output, precision=options.precision, compile=options.compile),
        options.activation,
        _black(options.preprocessing),
        options.seed,
        options.skip_unsupported,
    )
    facts = facts_of(model, engine, targets, options)
    total = None if files is None else len(engine.explainers) * -(-len(files) // options.batch_size)
    folder, done = None if out is None else RunFolder(Path(out), CONTENTS), set[str]()
    with nullcontext() if folder is None else folder.held(), no_exit():
        if folder is not None:
            facts[PROBE] = None if bound is not None else _probe(network, images, options)
            image = None if bound is not None else any_input(options.preprocessing, images)
            with impossible_first(engine.explainers.values(), classes, model, image, output):
                decide = {key: value for key, value in facts.items() if key not in NOT_OF_VALUES}
                done = folder.begin(same_wherever(decide), journal.whole)
        facts |= not_saying(chosen) | as_typed(model, facts)
        keeper = None
        if folder is not None and isinstance(source, Folder):
            keeper = Keeper(folder.path, source, names, options.maps)
            keeper.begin()
            folder.write_manifest({**facts, **classes_of(names), "status": "running"})
        batches = targeted(source, classes)
        described = None if boxes is None else boxes.tell
        rows, dropped = _rows(engine, batches, folder, keeper, done, _Told(progress, total), described)
        failed = source.rows_without_maps(engine.explainers) if isinstance(source, Folder) else []
        result = Result(rows + failed, titled, dict(engine.refused), options.seed, facts)
        if not rows and not failed and not engine.refused:
            raise ImageError("there are no images to evaluate")
        if folder is not None:
            made = write_tables(folder, result)
            if options.figures and result.scores:
                format = "png" if options.figures is True else options.figures
                made += write_figures(folder.path, result, format)
                if isinstance(source, Folder):
                    objects = watched_object(classes, result.rows)
                    made += write_extremes(folder.path, result, source, {**engine.explainers}, names, objects, format)
            write_manifest(folder, result, dropped, made + [IMAGES] * (keeper is not None), names)
        if chosen and not chosen.keys() - engine.refused.keys():
            raise no_method(engine.refused)
        check_made(rows or (failed if boxes is not None else []), engine.explainers)
        return result


def _probe(network: Any, images: Any, options: EvaluationOptions) -> dict[str, Any] | None:
    """What the network gives for a fixed image, where the size of its input is known before the first batch."""
    if options.preprocessing is not None:
        return probe(network, options.preprocessing.input_size(), options.output)
    if isinstance(images, Tensor) and images.ndim in (3, 4, 5):
        return probe(network, images.shape[1:], options.output)
    return None


def _options(model: Any, images: Any, options: EvaluationOptions | None, settings: dict[str, Any]) -> EvaluationOptions:
    """The options with single settings on top, and the preprocessing that the model brings."""
    known = {field.name: field.default for field in fields(EvaluationOptions)}
    refuse_unknown("evaluate", settings, known)
    options = replace(options or EvaluationOptions(), **settings)
    brought = options.preprocessing or getattr(model, "preprocessing", None)
    if brought is None and isinstance(images, (str, PathLike)):
        brought = brought_by(as_network(model, several=True))
    return replace(options, preprocessing=brought)


def _check_masks(titled: Mapping[str, Metric], images: Any, masks: Any) -> None:
    """Before anything is done, see that metrics that need masks can get some.

    Raises:
        OptionError: they cannot.
    """
    needy = [title for title, metric in titled.items() if "masks" in metric.needs]
    if needy and masks is None and not brings_masks(images):
        verb = "needs" if len(needy) == 1 else "need"
        raise OptionError(f"{', '.join(needy)} {verb} masks of what a map should show: pass masks= (--masks)")


def _negative(title: str, explainer: Any) -> Any:
    """An explainer for the other class of a network with one score.

    Raises:
        OptionError: it is from another package, which knows the score alone.
    """
    if isinstance(explainer, (Explainer, Stored)):
        return explainer.negative() if isinstance(explainer, Explainer) else explainer
    raise OptionError(f"{title}: targets='not' needs one of our methods, or maps from files; this explainer is neither")


def _black(preprocessing: AnyPreprocessing | None) -> Tensor | None:
    """(C,) a black pixel as the network gets it; None where it is not known what black is, as of volumes."""
    if not isinstance(preprocessing, Preprocessing):
        return None
    return (MEAN_OF_BLACK - as_column(preprocessing.mean)[:, 0, 0]) / as_column(preprocessing.std)[:, 0, 0]


class _Told:
    """Counts units for whoever wants to know."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self.progress, self.total, self.count = progress, total, 0

    def __call__(self, name: str) -> None:
        self.count += 1
        if self.progress:
            self.progress(self.count, self.total, name)


def _rows(
    engine: Engine,
    batches: Iterable[Batch],
    folder: RunFolder | None,
    keeper: Keeper | None,
    done: set[str],
    told: _Told,
    described: Callable[[Sequence[Row], Mapping[str, Metric]], None] | None,
) -> tuple[list[Row], list[str]]:
    """All rows, from this run and, with a folder, those before it; and images of which earlier rows are left out."""
    rows: list[Row] = []
    keys: list[str] = []
    for unit in engine.run(batches, done):
        keys += unit.keys
        if unit.rows is not None and described is not None:
            described(unit.rows, engine.metrics)
        if unit.rows is not None and folder is not None:
            kept = {} if keeper is None else keeper.keep(unit)
            for key, own in unit.pieces().items():
                journal.note(folder, key, own, [kept[name] for name in unit.keys[key] if name in kept])
        elif unit.rows is not None:
            rows += [row for own in unit.pieces().values() for row in own]  # in the order of a folder
        told(f"{unit.explainer}, {[*unit.keys.values()][-1][-1]}")
    if folder is None:
        return rows, []
    folder.check(keys)
    return journal.noted(folder, keys), journal.dropped(folder, keys)
