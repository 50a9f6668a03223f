"""The contract of every method: images and targets in, heat maps out, the network left as found."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, overload

import torch
from torch import Tensor

from explainers.core.batches import Explained, in_batches, input_by_input
from explainers.core.image_by_image import told_of_network
from explainers.core.option_types import refusing_unfit_options
from explainers.core.rounding import NONE, SLACK, Flatness, without_rounding
from explainers.core.targets import NOT, SeenTargets, as_indices, is_per_image, resolve_targets
from explainers.errors import OutputError, TargetError, refuse
from explainers.network.guard import alone, exact, preserved
from explainers.network.input import checked_images, fixed_batch, run
from explainers.network.inputs import ALL, Bound, BoundFunction, Inputs, Key, are_several, bound
from explainers.network.output import Negative, Output, scores_of
from explainers.network.unwrapping import as_network, check_one_input
from explainers.passes.activation import Reading
from explainers.passes.predictor import Predictor
from explainers.passes.steady import tell_steadiness
from explainers.targets import Function, holds_targets, settle
from explainers.targets.chosen import NotClasses
from explainers.targets.target_scores import TargetScores

NAMED_AXES = {1: "signals (N, C, L)", 2: "images (N, C, H, W)", 3: "volumes (N, C, D, H, W)"}
KINDS = 64  # of targets whose layers an explainer remembers

Keywords = Mapping[str, Any] | None


def told(maps: Tensor, reading: Reading) -> Explained:
    """Maps with what turned scores into the f(x) that they show, in the details of each image."""
    return Explained(maps, details=tuple({"activation": str(reading)} for _ in range(len(maps))))


class Explainer(ABC):
    """A method bound to a network. Call it on a batch; nothing is kept between calls.

    Args:
        model: a torch.nn.Module, a LoadedModel, or (black-box methods) any callable from images to scores.
        output: from what the model returns to scores (N, classes); see `explainers.network.output.scores_of`.

    Class attributes:
        name: registry key and command-line name; reference: the paper; needs: subset of {"gradients", "layer"}, empty
        for black-box methods; packages: what it imports beside those that every method does; signed: whether maps can
        be negative; class_blind: whether all targets have one map; per_output: attributes that keep what was found of
        the network for its scores; axes: how many axes of positions it takes: one (a signal), two (an image), three (a
        volume).
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    packages: ClassVar[tuple[str, ...]] = ()
    signed: ClassVar[bool] = False
    class_blind: ClassVar[bool] = False
    per_output: ClassVar[tuple[str, ...]] = ()
    axes: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "__init__" in vars(cls):
            setattr(cls, "__init__", refusing_unfit_options(cls.__init__))  # noqa: B010

    @refusing_unfit_options
    def __init__(self, model: Any, *, output: Output | None = None) -> None:
        self.network = as_network(model, several=True)
        self.output = output
        self.layers: tuple[str, ...] = ()
        self._of_kind: dict[tuple[frozenset[Any], str], Any] = {}
        self._of_input: dict[Key, tuple[Any, Explainer]] = {}
        self._flatness = Flatness()

    @overload
    def __call__(
        self, images: Any, targets: Any = None, *, explain: Literal["all"], forward_kwargs: Keywords = None
    ) -> dict[Key, Tensor]: ...

    @overload
    def __call__(
        self, images: Any, targets: Any = None, *, explain: Key | None = None, forward_kwargs: Keywords = None
    ) -> Tensor: ...

    def __call__(
        self, images: Any, targets: Any = None, *, explain: Key | None = None, forward_kwargs: Keywords = None
    ) -> Any:
        """Heat maps of a batch.

        Args:
            images: (N, C, H, W), as the network takes them, on the network's device; (N, C, D, H, W) of volumes and
                (N, C, L) of signals, whose maps are (N, D, H, W) and (N, L). Of a network of several inputs all of
                them, as a tuple by position or a mapping by name: tensors with a row for each image, or one row for
                all; anything else is passed as it is.
            targets: None (the predicted class), an int, (N,) or (N, K) class indices, a function from scores
                (N, classes) to (N, K) indices, or "not": the other class of a network with one score. Or target objects
                (`explainers.targets`): one for all, a list of N, or N lists of K; ints and None may be among them, and
                functions from what the network returned for one image to one number.
            explain: of several inputs the one that is explained, by its name or position, which may be left out where
                one alone is an image; "all" for each of them.
            forward_kwargs: keyword arguments of forward; tensors among them as those of the inputs.

        Returns:
            (N, H, W) float32 raw values on the images' device; (N, K, H, W) for (N, K) targets. A list of L layers adds
            a dimension in front of H, `channels=None` adds C there. With explain="all" the maps of each input, by name
            or position.

        Raises:
            ImageError, TargetError, OutputError, LayerError, UnsupportedError, OptionError.
        """
        made: Any = self.explain(images, targets, explain=explain, forward_kwargs=forward_kwargs)
        return {key: each.maps for key, each in made.items()} if isinstance(made, dict) else made.maps

    @overload
    def explain(
        self, images: Any, targets: Any = None, *, explain: Literal["all"], forward_kwargs: Keywords = None
    ) -> dict[Key, Explained]: ...

    @overload
    def explain(
        self, images: Any, targets: Any = None, *, explain: Key | None = None, forward_kwargs: Keywords = None
    ) -> Explained: ...

    def explain(
        self, images: Any, targets: Any = None, *, explain: Key | None = None, forward_kwargs: Keywords = None
    ) -> Any:
        """The same with what the method knows about its maps: standard errors, masks used."""
        if are_several(images) or explain is not None or forward_kwargs:
            made = input_by_input(self, images, targets, explain, forward_kwargs)
            return made if explain == ALL and ALL not in images else next(iter(made.values()))
        check_one_input(self.network)
        if isinstance(targets, str):
            return self._named(images, targets)
        device = getattr(images, "device", None)
        with torch.inference_mode(False):
            images = checked_images(images, self.network)
        with told_of_network(self.network, images):
            return self._of_images(images, targets, device)

    def _of_images(self, images: Tensor, targets: Any, device: torch.device | None) -> Explained:
        if images.ndim - 2 not in self.axes:
            raise refuse(
                self.name, f"it takes {NAMED_AXES[images.ndim - 2]}, and this is defined on images", "grad-cam"
            )
        tell_steadiness(self.network, images, len(images), stacklevel=4)
        size = fixed_batch(self.network)
        if size is not None and len(images) != size:
            return in_batches(self.explain, images, targets, size)
        if holds_targets(targets):
            return self._of_objects(images, targets, device)
        if callable(targets) and not isinstance(targets, SeenTargets):
            return self._of_function(images, targets, device)
        return self._of_classes(images, targets, device)

    def _of_function(self, images: Tensor, function: Any, device: torch.device | None) -> Explained:
        """A function chooses classes of the scores, or is a number of the user's own."""
        try:
            return self._of_classes(images, function, device)
        except (NotClasses, OutputError) as error:
            no_classes = error
        try:
            return self._of_objects(images, Function(function), device)
        except (TargetError, OutputError) as error:
            kind = type(error)
            raise kind(f"{error}. As a function that chooses classes: {no_classes}") from no_classes

    def _of_classes(self, images: Tensor, targets: Any, device: torch.device | None) -> Explained:
        chosen_later = (targets is None or callable(targets)) and not isinstance(targets, SeenTargets)
        seen = SeenTargets(targets) if chosen_later else targets
        with alone(self), preserved(self.network), exact(images, gradients=True):
            made = self.compute(images, seen)
            if isinstance(targets, SeenTargets) and targets.classes is None:  # a method that asks for no class
                resolve_targets(targets, self.scores(images))
            made = made if isinstance(made, Explained) else Explained(made)
            classes = seen.classes if isinstance(seen, SeenTargets) else as_indices(seen)
            of_scores = self.signed or "gradients" in self.needs
            if of_scores and not self.class_blind and classes is not None and bool(made.maps.any()):
                made = replace(made, maps=self._of_no_rounding(images, classes, made.maps))

        def finished(values: Tensor | None) -> Tensor | None:
            if values is None:
                return None
            values = values.detach().to(device=device, dtype=torch.float32)
            return values[:, 0] if is_per_image(targets) else values

        maps = finished(made.maps)
        assert maps is not None
        return Explained(maps, finished(made.standard_error), made.details)

    def _of_no_rounding(self, images: Tensor, classes: Tensor, maps: Tensor) -> Tensor:
        """The maps, with 0 for those that are rounding, because no image moves the scores of these classes."""
        moved = self._flatness.moves(self.network, images, self.output, self.scores_in)
        # Of a thousand classes some score alike on any two images; columns of target objects are others in each call.
        of_objects = isinstance(self.output, TargetScores)
        moves = float((moved if of_objects or len(moved) == 1 else moved[classes.to(moved.device, torch.int64)]).min())
        if moves > SLACK:
            return maps

        def again(others: Tensor) -> Tensor:
            made = self.compute(others, classes)
            return made.maps if isinstance(made, Explained) else made

        found = without_rounding(maps.detach(), images, again)
        if found is None and moves <= NONE and "gradients" in self.needs:
            raise refuse(
                self.name,
                "its scores do not move with the image, so that gradients of them are rounding",
                "another target (occlusion and rise give a map that is the same everywhere)",
            )
        return maps if found is None else found

    def _of_objects(self, images: Tensor, targets: Any, device: torch.device | None) -> Explained:
        settled = settle(self.network, images, targets, self.output)
        _, columns = settled.columns()
        watch = hasattr(self, "activation")
        other = self.for_output(settled.scores(self.network, images, getattr(self, "activation", None), watch=watch))
        made = other._of_classes(images, columns[:, 0] if settled.per_image else columns, device)
        self.layers = other.layers
        return made

    def negative(self) -> Explainer:
        """The same method for the other class of a network with one score: of −s, whose probability is 1 − p."""
        return self.for_output(Negative(self.output))

    def for_output(self, output: Output) -> Explainer:
        """The same method for other scores of what the network returns; passes and their batch sizes are shared."""
        other = copy.copy(self)
        other.output = output
        for name, value in vars(self).items():  # what has scores of its own
            if isinstance(value, (Explainer, Predictor)):
                setattr(other, name, value.for_output(output))
        other._of_input = {}
        if not isinstance(output, Negative):  # whose scores move as far
            other._flatness = Flatness()
        if isinstance(output, TargetScores):  # the layers that these scores depend on
            if len(self._of_kind) > KINDS:  # a new function in every call
                self._of_kind.clear()
            other._flatness = self._of_kind.setdefault((output.kind, "flatness"), other._flatness)
            for name in self.per_output:
                setattr(other, name, self._of_kind.setdefault((output.kind, name), {}))
        return other

    def for_network(self, network: Bound | BoundFunction) -> Explainer:
        """The same method for one input of this network, see `explainers.network.inputs`."""
        other = copy.copy(self)
        other.network, other._of_kind, other._of_input = network, {}, {}
        other._flatness = Flatness()
        for name, value in vars(self).items():
            if isinstance(value, (Explainer, Predictor)):
                setattr(other, name, value.for_network(network))
        for name in self.per_output:
            setattr(other, name, {})
        return other

    def bound_to(self, inputs: Inputs, key: Key) -> Explainer:
        """The same method for one of several inputs; kept while the others are of one kind."""
        kind = inputs.kind()
        found = self._of_input.get(key)
        if found is None or found[0] != kind:
            found = self._of_input[key] = kind, self.for_network(bound(self.network, key))
        return found[1]

    def _named(self, images: Tensor, target: str) -> Explained:
        if target != NOT:
            raise TargetError(
                f"targets={target!r} is no class index; the one name is 'not', of a network with one score"
            )
        other = self.negative()
        made = other.explain(images, 0)
        self.layers = other.layers
        return made

    @classmethod
    def trial(cls, model: Any, images: Tensor, *, output: Output | None = None) -> None:
        """Make one map as cheaply as possible, to see whether the method works on this network."""
        cls(model, output=output)(images[:1])

    @abstractmethod
    def compute(self, images: Tensor, targets: Any) -> Tensor | Explained:
        """Maps (N, K, …, H, W) of checked images, inside the guard, with gradients enabled."""

    def scores(self, images: Tensor) -> Tensor:
        """Scores (N, classes) of a batch, with a graph where gradients are enabled."""
        return self.scores_in(run(self.network, images), len(images))

    def scores_in(self, returned: Any, count: int) -> Tensor:
        """The same of what the network has returned for so many images."""
        return scores_of(returned, count, self.output)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self.network).__name__})"
