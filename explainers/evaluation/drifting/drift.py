"""The door of `explainers.evaluation.drift`: networks, images, methods in; a table of likenesses out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from explainers.core.image_by_image import no_exit
from explainers.core.name_table import refuse_unknown
from explainers.errors import OptionError
from explainers.evaluation.drifting.finished_units import Keeper, Memory
from explainers.evaluation.drifting.methods import titled_methods
from explainers.evaluation.drifting.network_by_network import RANDOM, RESEEDED, Source, Told, Walk
from explainers.evaluation.drifting.networks import named_checkpoints
from explainers.evaluation.drifting.options import DriftOptions
from explainers.evaluation.drifting.result import Drift
from explainers.evaluation.drifting.table_lines import CHECKPOINT, NETWORK_SEED
from explainers.evaluation.measuring.batch import Batch
from explainers.network.input import checked_images
from explainers.network.unwrapping import as_network


def drift(
    networks: Mapping[str, Any] | Sequence[Any],
    images: Any,
    labels: Any = None,
    methods: Mapping[str, Any] | Sequence[Any] = ("grad-cam",),
    *,
    reference: str | None = None,
    others: Mapping[str, Any] | None = None,
    options: DriftOptions | None = None,
    **settings: Any,
) -> Drift:
    """Whether maps of the same images are the same on other networks: checkpoints, pruned ones, other seeds.

    Each map is compared with that of the reference by every similarity (Spearman, Pearson, SSIM, top-k). Beside the
    networks stand the rows that say what chance makes: the reference with another seed of the method, `others`, and
    random maps; see `Drift.summary`.

    Args:
        networks: name → network, `LoadedModel`, callable from images to scores, or a `Checkpoint`, which is loaded when
            its turn comes and let go before the next: one network is in memory at a time.
        images: (N, C, H, W) as the networks take them, or an iterable of `Batch` that can be gone through again.
        labels: (N,) right classes, for accuracy, loss and the groups A, B and C; batches may bring their own.
        methods: names, (name, options), or functions from a network to a callable (images, targets) → maps; in a
            mapping, under titles of the user's.
        reference: the name of a network (default: the first).
        others: name → network that was trained from another seed: what two trainings differ by.
        options: everything else, see `DriftOptions`; settings: single fields of it, such as target="reference".

    Raises:
        ImageError: there are no images.
        OptionError: an unknown name or option.
        UnsupportedError: a method refuses the reference.

    Whatever loading the reference raises is raised too; what is wrong with another network is in `Drift.failed`.

    Cost: per network a pass and a map of each method for every image; the reference takes three maps.

    >>> found = drift({"before": first, "after": second}, images, labels, ["grad-cam"])  # doctest: +SKIP
    """
    chosen = settled(options, settings)
    source = tensor_source(images, labels, chosen.batch_size) if isinstance(images, Tensor) else lambda model: images
    if labels is not None and not isinstance(images, Tensor):
        raise OptionError("batches bring their own labels; pass labels with a tensor of images")
    return compare(Lineup(networks, reference, others), source, methods, options=chosen, keeper=Memory())


@dataclass(frozen=True)
class Lineup:
    """What is compared: networks by their names, which of them is the reference, and those of other training seeds."""

    networks: Mapping[str, Any] | Sequence[Any]
    reference: str | None = None
    others: Mapping[str, Any] | None = None


def compare(
    lineup: Lineup,
    source: Source,
    methods: Mapping[str, Any] | Sequence[Any],
    *,
    options: DriftOptions,
    keeper: Keeper,
    told: Told = lambda text: None,
) -> Drift:
    """The same with a source of images for each network, and a keeper of what is done."""
    checkpoints = named_checkpoints(lineup.networks)
    first = next(iter(checkpoints)) if lineup.reference is None else lineup.reference
    if first not in checkpoints:
        raise OptionError(f"reference={first!r} is none of the networks; they are {', '.join(checkpoints)}")
    rivals = {} if not lineup.others else named_checkpoints(lineup.others)
    taken = {RESEEDED, RANDOM} & {*checkpoints, *rivals} or set(checkpoints) & set(rivals)
    if taken:
        raise OptionError(f"the name {sorted(taken)[0]!r} is taken; each network needs one of its own")
    titled = titled_methods(methods, output=options.output, activation=options.activation)
    found = Drift(first, [method.title for method in titled], options.seed)
    walk = Walk(titled, source, keeper, options, found, told)
    with no_exit():
        walk.reference(checkpoints[first])
        for kind, group in ((NETWORK_SEED, rivals), (CHECKPOINT, checkpoints)):
            for name, checkpoint in group.items():
                if name != first:
                    walk.other(name, kind, checkpoint)
    found.methods = [title for title in found.methods if title not in found.refused]
    return found


def settled(options: DriftOptions | None, settings: Mapping[str, Any]) -> DriftOptions:
    """The options with single settings on top.

    Raises:
        OptionError: there is no such setting.
    """
    refuse_unknown("drift", dict(settings), {field.name: field.default for field in fields(DriftOptions)})
    return replace(options or DriftOptions(), **settings)


def tensor_source(images: Tensor, labels: Any, size: int) -> Source:
    """Batches of a tensor (N, C, H, W), numbered, with labels where there are some.

    Raises:
        OptionError: labels for another number of images, or no class indices.
    """
    classes = None if labels is None else torch.as_tensor(labels, device="cpu")
    if classes is not None and (classes.shape != images.shape[:1] or classes.is_floating_point()):
        shape = tuple(classes.shape)
        raise OptionError(f"labels are {classes.dtype} of shape {shape}; expected ({len(images)},) classes")

    def batches(model: Any) -> Iterator[Batch]:
        checked = checked_images(images, as_network(model))
        for start in range(0, len(images), size):
            part = checked[start : start + size]
            names = tuple(str(start + row) for row in range(len(part)))
            keys = tuple(hashlib.sha256(each.cpu().contiguous().numpy().tobytes()).hexdigest() for each in part)
            own = None if classes is None else classes[start : start + size]
            yield Batch(names, part, None, own, None, keys)

    return batches
