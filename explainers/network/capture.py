"""Capturing layers in a forward pass, with the gradient starting at the layer instead of at the image."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import LayerError
from explainers.network.branches.operations import Met, Operations
from explainers.network.guard import in_own_thread
from explainers.network.layers import Layer, layer_tensor, with_tensor


class Capture:
    """Keeps the outputs of layers while a network runs inside `with`.

    What is kept is a copy, and the network goes on with a copy of that, so neither an in-place operation behind the
    layer nor one on its input can rewrite what was captured.

    Where gradients are wanted and the caller runs the network without, recording starts at the layer: everything before
    it costs a plain forward pass and no memory, and frozen networks work.

    count: of the images; a layer that gives another number of rows is an error.
    """

    def __init__(self, layers: Sequence[Layer], *, gradients: bool = True, count: int | None = None) -> None:
        self.layers, self.gradients, self.count = layers, gradients, count
        self.kept: dict[int, Tensor] = {}
        self._handles: list[Any] = []
        self._within = ExitStack()

    def __enter__(self) -> Capture:
        wanted: dict[nn.Module, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        joined: dict[nn.Module, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, layer in enumerate(self.layers):
            if layer.operation is None:
                wanted[layer.module][layer.call].append(index)
            else:
                joined[layer.module][layer.operation].append(index)
        self._handles = [
            module.register_forward_hook(in_own_thread(self._hook(runs))) for module, runs in wanted.items()
        ]
        for network, operations in joined.items():
            self._within.enter_context(Operations(network, self._met(operations)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._within.close()
        for handle in self._handles:
            handle.remove()

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

    def _hook(self, wanted: dict[int, list[int]]) -> Callable[[nn.Module, Any, Any], Any]:
        runs = itertools.count()

        def keep(module: nn.Module, _: Any, returned: Any) -> Any:
            indices, tensor = wanted.get(next(runs)), layer_tensor(returned)
            if indices is None or tensor is None:
                return returned
            return with_tensor(returned, self._keep(indices, tensor))

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
