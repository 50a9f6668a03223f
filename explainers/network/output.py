"""From whatever a network returns to scores (N, classes)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from explainers.errors import OutputError, TargetError
from explainers.network.ends import see_order
from explainers.network.guard import exact, preserved
from explainers.network.input import full_batches, run
from explainers.network.queries import class_map
from explainers.network.unwrapping import as_network

Output = Callable[[Any], Tensor]


@dataclass(frozen=True)
class Negative:
    """The other class of a network with one score: −s instead of s. An `output=`, around the `output=` that gives s."""

    of: Output | None = None

    def __call__(self, returned: Any) -> Any:
        """−s of what the network returned."""
        return -(main_output(returned) if self.of is None else self.of(returned))


@dataclass(frozen=True)
class Pick:
    """An `output=` that takes one part of what a network returns: by position, by key or by name."""

    key: int | str

    def __call__(self, returned: Any) -> Any:
        """The part.

        Raises:
            OutputError: there is no such part.
        """
        try:
            if isinstance(returned, Mapping) or (isinstance(self.key, int) and isinstance(returned, (tuple, list))):
                return returned[self.key]  # type: ignore[index]
            if isinstance(self.key, str):
                return getattr(returned, self.key)
        except (KeyError, IndexError, AttributeError):
            pass
        raise OutputError(f"output {self.key!r}: the network returned {describe(returned)}, which has no such part")


def class_scores(model: Any, images: Tensor, output: Output | None = None) -> Tensor:
    """Scores (N, classes) of images (N, C, *axes) in evaluation mode, without gradient; the network stays as found."""
    network = as_network(model)
    parts = []
    with preserved(network), exact(images, gradients=False):
        for part in full_batches(network, images):
            parts.append(scores_of(run(network, part), len(part), output))
    return torch.cat(parts)[: len(images)]


def scores_of(returned: Any, count: int, output: Output | None = None) -> Tensor:
    """Scores (N, classes) out of what the network returned for `count` images.

    Args:
        returned: a tensor, a tuple or list (its only 2-D tensor), a mapping or dataclass with `logits` or `out`.
        output: takes `returned` and gives the scores instead; for regression, segmentation, several heads.

    Raises:
        OutputError: nothing in it is (N, classes), several tensors are, a score is NaN or infinite, or the smallest is
            that of the likeliest class.
        TargetError: `output` is `Negative`, and there is not one score.
    """
    if isinstance(output, Negative):
        scores = scores_of(returned, count, output.of)
        if scores.shape[1] != 1:
            raise TargetError(
                f"targets='not' is the other class of a network with one score; this one has {scores.shape[1]}: "
                "name the class by its index"
            )
        return -scores
    scores = main_output(returned) if output is None else output(returned)
    dense = isinstance(scores, Tensor) and scores.layout == torch.strided
    if not dense or scores.ndim != 2 or not scores.is_floating_point():
        source = "the network returned" if output is None else "output= gave"
        raise OutputError(
            f"{source} {describe(returned if output is None else scores)}; expected scores of shape (N, classes). "
            f"{_advice(scores if _has_boxes(scores) else returned, count)}"
        )
    if len(scores) != count:
        raise OutputError(
            f"the scores have {len(scores)} rows for {count} image{'s' * (count != 1)}; the network must give one row "
            "per image (does it mix, drop or fold the batch, or bind a second input of another number of images? Then "
            "bind that of one image and explain image by image)"
        )
    if scores.shape[1] == 0:
        raise OutputError("the scores have no classes (shape (N, 0))")
    finite = torch.isfinite(scores.detach()).all(dim=1)
    if not finite.all():
        rows = (~finite).nonzero().flatten().tolist()
        raise OutputError(
            f"the network's scores are NaN or infinite for image {_listed(rows)} of the batch; check its weights and "
            "the normalisation of the images, or use float32 instead of half precision"
        )
    if not hasattr(output, "reading"):  # columns of target objects mean what those say
        see_order(scores)
    return scores


def describe(value: Any) -> str:
    """What a value is, in the words of an error: type, shapes, keys."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}" + ("" if value.is_floating_point() else f" and {value.dtype}")
    if isinstance(value, Mapping):
        return f"{type(value).__name__} with keys " + ", ".join(f"{key!r}: {describe(value[key])}" for key in value)
    if isinstance(value, (tuple, list)):
        first = value[0] if value else None
        each = isinstance(first, Mapping) or hasattr(first, "__dataclass_fields__")  # an entry for each image
        alike = each and len(value) > 1 and {type(item) for item in value} == {type(first)}
        told = [describe(first), f"and {len(value) - 1} more"] if alike else map(describe, value)
        return f"{type(value).__name__} of ({', '.join(told)})"
    fields = getattr(value, "__dict__", {})
    named = ", ".join(f".{name}: {describe(item)}" for name, item in fields.items() if isinstance(item, Tensor))
    return type(value).__name__ + (f" with {named}" if named else "")


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All real numbers in what a network returned, as float tensors, in its order."""
    if isinstance(value, Tensor):
        if value.is_complex():
            value = torch.view_as_real(value)
        yield value.to_dense().double() if value.layout != torch.strided else value.double()
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from tensors_in(each)
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from tensors_in(each)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from tensors_in(vars(value))
    elif isinstance(value, float) or type(value).__module__ == "numpy":
        yield torch.as_tensor(value, dtype=torch.float64, device="cpu")


def main_output(returned: Any) -> Any:
    """What a network returned for its task: a tensor, `logits` or `out` of a mapping, the only scores of a tuple.

    Raises:
        OutputError: several tensors of a tuple could be the scores.
    """
    if isinstance(returned, Tensor):
        return returned
    if isinstance(returned, Mapping):
        return next((returned[key] for key in ("logits", "out") if key in returned), returned)
    if isinstance(getattr(returned, "logits", None), Tensor):
        return returned.logits
    if isinstance(returned, (tuple, list)):
        return _only(returned)
    return returned


def _only(returned: Sequence[Any]) -> Any:
    """The one (N, classes) of a tuple.

    Raises:
        OutputError: there are several, and features would be explained as classes if the first was taken.
    """
    if _has_boxes(returned):
        return returned
    found = dict(_candidates(returned))
    if len({id(item) for item in found.values()}) > 1:
        each = ", ".join(f"{way} of shape {tuple(item.shape)}" for way, item in found.items())
        spelled = " or ".join(f"output=lambda y: {way}{_flag(way)}" for way in found)
        raise OutputError(f"the network returned several tensors that could be the scores: {each}. Pass {spelled}")
    scores = next((item for item in returned if _is_scores(item)), None)
    if scores is not None and any(_ranks(item, scores) for item in returned):
        raise OutputError(
            f"the network returned its best classes in order, {describe(returned)}, so that the first column is "
            "another class for each image; return the scores of all classes instead"
        )
    return returned if scores is None else scores


def _ranks(item: Any, scores: Tensor) -> bool:
    """Whether these are the indices of scores in falling order, as topk and sort give them."""
    if not isinstance(item, Tensor) or item.dtype not in (torch.int64, torch.int32) or item.shape != scores.shape:
        return False
    return scores.shape[1] > 1 and bool((scores.detach().diff(dim=1) <= 0).all())


def _candidates(value: Any, way: str = "y") -> Iterator[tuple[str, Tensor]]:
    """What could be scores (N, classes) in tuples, lists and mappings of any depth, with the way to it."""
    if _is_scores(value):
        yield way, value
    elif isinstance(value, Mapping):
        for key in value:
            yield from _candidates(value[key], f"{way}[{key!r}]")
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            yield from _candidates(item, f"{way}[{index}]")
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from _candidates(getattr(value, name, None), f"{way}.{name}")


def _flag(way: str) -> str:
    """How the command spells a way to scores, where one step is all of it."""
    step = re.fullmatch(r"y\[(\d+)\]", way)
    return f" (--output {step[1]})" if step else ""


def _is_scores(item: Any) -> bool:
    return isinstance(item, Tensor) and item.ndim == 2 and item.is_floating_point()


def _advice(returned: Any, count: int) -> str:
    if _has_boxes(returned):
        return "These are boxes: pass targets=explainers.targets.Box() (--task detection) to explain one of them"
    if class_map(returned) is not None:
        return (
            "These are masks and their classes: pass targets=explainers.targets.Region(class, "
            '"predicted") (--where predicted) to explain a class of them over a region'
        )
    value, access = returned, "y"
    pick = "Pass output= to pick them, for example output=lambda y: "
    inside = [] if isinstance(returned, Tensor) else list(_candidates(returned))
    if inside:
        return pick + " or ".join(
            f"{'output=lambda y: ' * (number > 0)}{way}" for number, (way, _) in enumerate(inside)
        )
    if isinstance(returned, Mapping):
        key = next((key for key in ("logits", "out") if key in returned), next(iter(returned), "logits"))
        value, access = returned.get(key), f"y[{key!r}]"
    elif isinstance(returned, (tuple, list)) and returned:
        value, access = returned[0], "y[0]"
    if isinstance(value, Tensor) and value.layout != torch.strided:
        return f"{pick}{access}.to_dense()"
    if isinstance(value, Tensor) and value.ndim > 2 and value.shape[1:].numel() == max(value.shape[1:]) > 0:
        return f"{pick}{access}.flatten(1)"
    if isinstance(value, Tensor) and value.ndim in (3, 4, 5):
        means = ", ".join(map(str, range(2, value.ndim)))
        doubt = "; of tokens (N, tokens, features) pick one, such as y[:, 0]" if value.ndim == 3 else ""
        return (
            'Pass targets=explainers.targets.Region(class, "predicted") (--where predicted) for a class of a '
            f"segmentation network in a region, or output=lambda y: {access}.mean(({means}{',' * (value.ndim == 3)})) "
            f"for one over all positions{doubt}"
        )
    if isinstance(value, Tensor) and value.ndim == 1 and len(value) > count == 1:  # squeezed
        return f"{pick}{access}.reshape(-1, {len(value)}) for these scores of one image, whose axis it has dropped"
    if isinstance(value, Tensor) and value.ndim == 1:
        return f"{pick}{access}[:, None] for one score per image"
    if isinstance(value, Tensor) and value.ndim == 2 and not value.is_complex():
        return "Whole numbers are decisions, which do not move with the image: return the scores behind them"
    if type(value).__module__.split(".")[0] in ("numpy", "tensorflow", "jax"):
        return f"Pass output= to make a tensor of it, for example output=lambda y: torch.as_tensor({access})"
    return f"{pick}{access}"


def _has_boxes(returned: Any) -> bool:
    """Whether these are detections: torchvision's dictionaries, transformers' outputs, or what an adapter gives."""
    first = returned[0] if isinstance(returned, (tuple, list)) and returned else returned
    names = first if isinstance(first, Mapping) else dir(first) if hasattr(first, "__dataclass_fields__") else ()
    return "pred_boxes" in names or {"boxes", "scores", "labels"} <= set(names)


def _listed(rows: list[int]) -> str:
    return ", ".join(str(row) for row in rows[:8]) + (" …" if len(rows) > 8 else "")
