"""The networks that are compared: loaded when their turn comes, and looked at before anything is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import OptionError, OutputError, TargetError
from explainers.network.unwrapping import as_network

NAMED = 3  # tensors that an error names


@dataclass(frozen=True)
class Checkpoint:
    """A network that is loaded when its turn comes and let go before the next one is.

    load: gives it: a network, a `LoadedModel`, any callable from images to scores; identity: what tells its weights
    from others', such as the hash of its file (empty: told from the weights); epoch: its place in a training, or None;
    classes: where the reference's classes stand among its scores (None: by the class names of both, where they are
    known, else in the same order).
    """

    load: Callable[[], Any]
    identity: str = ""
    epoch: float | None = None
    classes: Sequence[int] | None = None


@dataclass(frozen=True)
class LastLayer:
    """The weights behind the scores: their name and the Euclidean norm of all of them."""

    name: str
    norm: float


def as_checkpoint(given: Any) -> Checkpoint:
    """What stands for a network in a comparison, as a checkpoint."""
    return given if isinstance(given, Checkpoint) else Checkpoint(lambda: given)


def checked_weights(network: Any) -> None:
    """See that a network can say anything.

    Raises:
        OutputError: parameters or buffers are NaN or infinite, with their names.
    """
    if not isinstance(network, nn.Module):
        return
    tensors = [*network.named_parameters(), *network.named_buffers()]
    broken = [name for name, value in tensors if value.is_floating_point() and not bool(torch.isfinite(value).all())]
    if broken:
        more = f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        raise OutputError(f"weights are NaN or infinite: {', '.join(broken[:NAMED])}{more}")


def last_layer(network: Any) -> LastLayer | None:
    """The last linear layer or convolution by registration, which gives the scores in all usual classifiers; None for a
    black box and where there is none. Of a network that explains itself it is that of the perception branch."""
    if not isinstance(network, nn.Module):
        return None
    found = None
    for name, module in network.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim >= 2 and not isinstance(module, nn.Embedding):
            found = LastLayer(name, float(weight.detach().double().norm()))
    return found


def class_order(given: Sequence[int] | None, model: Any, wanted: Sequence[str] | None, count: int) -> list[int] | None:
    """Where each class of the reference stands among the scores of another network; None: in the same place.

    Args:
        given: as the checkpoint has it; model: the other network; wanted: the reference's class names, or None; count:
            how many classes the reference has.

    Raises:
        OptionError: `given` is no order of so many classes. TargetError: the class names are others.
    """
    if given is not None:
        order = [int(each) for each in given]
        if sorted(order) != list(range(count)):
            raise OptionError(f"classes={given!r}; expected each of 0 … {count - 1} once, the reference's classes")
        return order
    names = getattr(model, "class_names", None)
    if not names or not wanted or tuple(names) == tuple(wanted):
        return None
    missing, strange = [name for name in wanted if name not in names], [name for name in names if name not in wanted]
    if missing or strange or len(set(names)) != len(names):
        told = [f"{what} {', '.join(each[:NAMED])}" for what, each in (("no", missing), ("but", strange)) if each]
        raise TargetError(f"it has other classes than the reference: {' '.join(told) or 'some names twice'}")
    return [tuple(names).index(name) for name in wanted]


def named_checkpoints(networks: Mapping[str, Any] | Sequence[Any]) -> dict[str, Checkpoint]:
    """Checkpoints by their names; a list is numbered.

    Raises:
        OptionError: there is none.
    """
    pairs = networks.items() if isinstance(networks, Mapping) else ((str(n), each) for n, each in enumerate(networks))
    found = {str(name): as_checkpoint(each) for name, each in pairs}
    if not found:
        raise OptionError("there are no networks to compare; pass a mapping from names to networks or Checkpoints")
    for each in found.values():
        if not callable(each.load):
            raise OptionError(f"Checkpoint(load={each.load!r}); expected a function that gives the network")
    return found


def network_of(model: Any) -> Any:
    """What is run for a model.

    Raises:
        OptionError: it is none.
    """
    return as_network(model)
