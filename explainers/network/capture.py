"""Capturing layers in a forward pass, with the gradient starting at the layer instead of at the image."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import LayerError
from explainers.network.branches.operations import Met, Operations
from explainers.network.guard import in_own_thread
from explainers.network.layers import Layer, layer_tensor, with_tensor

Exchange = Callable[[int, Tensor], Tensor | None]  # which run of a module, its output → what goes on instead


@contextmanager
def exchanged_output(module: nn.Module, exchange: Exchange) -> Iterator[None]:
    """Inside, a module's output is exchanged for all that get it: before its other hooks, which may hand it on by
    another way, and behind them, where one of them has changed it."""
    before, behind = itertools.count(), itertools.count()
    given: list[tuple[Tensor, int | None] | None] = [None]

    def exchanged(returned: Any, run: int) -> Any:
        tensor = layer_tensor(returned)
        instead = None if tensor is None else exchange(run, tensor)
        given[0] = None if instead is None else (instead, _version(instead))
        return returned if instead is None else with_tensor(returned, instead)

    def first(_: nn.Module, __: Any, returned: Any) -> Any:
        return exchanged(returned, next(before))

    def last(_: nn.Module, __: Any, returned: Any) -> Any:
        run, tensor = next(behind), layer_tensor(returned)
        sent, version = given[0] or (None, None)
        same = tensor is not None and tensor is sent and version is not None and version == _version(tensor)
        return returned if same else exchanged(returned, run)

    handles = (
        module.register_forward_hook(in_own_thread(first), prepend=True),
        module.register_forward_hook(in_own_thread(last)),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _version(tensor: Tensor) -> int | None:
    """How often it was written to in place; None where that is not counted."""
    return None if tensor.is_inference() else tensor._version


class Capture:
    """Keeps the outputs of layers while a network runs inside `with`.

    What is kept is a copy, and the network goes on with a copy of that, so neither an in-place operation behind the
    layer nor one on its input can rewrite what was captured. Hooks of the network's own, with which backbones of
    transformers and U-Nets of fastai hand features on to their decoders, get that copy too; where one of them changes
    the output, what it gives is captured.

    Where gradients are wanted and the caller runs the network without, recording starts at the layer: everything before
    it costs a plain forward pass and no memory, and frozen networks work.

    count: of the images; a layer that gives another number of rows is an error.
    """

    def __init__(self, layers: Sequence[Layer], *, gradients: bool = True, count: int | None = None) -> None:
        self.layers, self.gradients, self.count = layers, gradients, count
        self.kept: dict[int, Tensor] = {}
        self._within = ExitStack()

    def __enter__(self) -> Capture:
        wanted: dict[nn.Module, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        joined: dict[nn.Module, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, layer in enumerate(self.layers):
            if layer.operation is None:
                wanted[layer.module][layer.call].append(index)
            else:
                joined[layer.module][layer.operation].append(index)
        for module, runs in wanted.items():
            self._within.enter_context(exchanged_output(module, self._keeper(runs)))
        for network, operations in joined.items():
            self._within.enter_context(Operations(network, self._met(operations)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._within.close()

    @property
    def tensors(self) -> list[Tensor]:
        """The captured outputs in the order of `layers`, as nodes of the graph, in the layers' own layout.

        Raises:
            LayerError: a hook did not fire.
        """
        for index, layer in enumerate(self.layers):
            if index not in self.kept:
                raise LayerError(
                    f'layer "{layer.label}" was not seen in this forward pass, though it was in the first; '
                    "a network whose path depends on the image needs a layer that always runs"
                )
        return [self.kept[index] for index in range(len(self.layers))]

    def _keeper(self, wanted: dict[int, list[int]]) -> Exchange:
        def keep(run: int, tensor: Tensor) -> Tensor | None:
            return self._keep(wanted[run], tensor) if run in wanted else None

        return keep

    def _met(self, wanted: dict[int, list[int]]) -> Met:
        def keep(number: int, name: str, _: list[Tensor], returned: Tensor) -> Tensor | None:
            if number not in wanted or not self.layers[wanted[number][0]].name.startswith(f"{name.strip('_')}("):
                return None  # it is missed, and `tensors` says so
            return self._keep(wanted[number], returned)

        return keep

    def _keep(self, indices: list[int], tensor: Tensor) -> Tensor:
        """What the network goes on with."""
        if self.count is not None and len(tensor) != self.count:
            raise LayerError(
                f'layer "{self.layers[indices[0]].label}" gives {len(tensor)} rows for {self.count} images: the '
                "network takes its batch apart; use batches of one image"
            )
        kept = tensor.clone()
        if self.gradients and not kept.requires_grad:
            torch.set_grad_enabled(True)
            kept = kept.detach().requires_grad_()
        self.kept.update(dict.fromkeys(indices, kept))
        return kept.clone()
