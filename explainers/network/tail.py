"""The part of a network behind a layer, run alone on changed outputs of that layer."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import LayerError
from explainers.network.branches.operations import Operations
from explainers.network.capture import exchanged_output
from explainers.network.guard import GLOBAL_SWITCHES, in_own_thread
from explainers.network.layers import Layer, layer_tensor

Scored = Callable[[Any, int], Tensor]  # (what the network returned, how many images) → scores (N, classes)
DRAWN: dict[str, Any] = {"device": "cpu", "dtype": torch.float32}  # whatever torch's defaults are
EQUAL = 1e-4  # what the short way may differ from the long one, relative to the largest score


class Tail:
    """Scores of one image for changed outputs of a layer.

    What the network has finished computing when the layer begins is kept from one pass and played back, so that only
    what lies behind the layer is computed again. That is compared with whole passes through the network, on two
    changed outputs; where it differs (a network that does not come by the same way twice, or changes what was kept),
    or cannot run, every pass goes through the whole network. Works on a copy of it that shares its weights, or on the
    network itself where it cannot be copied.

    Args:
        network: in evaluation mode.
        layer: whose output is replaced.
        image: (1, C, H, W).
        scored: picks the scores.

    Attributes:
        output: (1, …) the layer's own output; short: whether the front is skipped.
    """

    def __init__(self, network: nn.Module, layer: Layer, image: Tensor, scored: Scored) -> None:
        self.network, self.copied = copied(network)
        self.layer, self.image, self.scored = layer, image, scored
        self.module = self.network if layer.operation is not None else self.network.get_submodule(layer.name)
        self.values: Tensor | None = None
        if layer.operation is not None:  # no module's output, which nothing can be played back in front of
            self.output, self.short = self._record_operation(), False
            return
        self.output = self._record()
        self.short = self.copied and self._shorten()

    def __call__(self, values: Tensor) -> Tensor:
        """Scores (n, classes) for the layer's outputs (n, …)."""
        self.values, self.met = values, False
        image = self.image.expand(len(values), *self.image.shape[1:])
        with _without_fused_layers(), self._exchanged():
            returned = self.network(image if self.short else image.clone())
        if not self.met:
            raise self._unseen()
        return self.scored(returned, len(values))

    def _exchanged(self) -> AbstractContextManager[Any]:
        if self.layer.operation is None:
            return exchanged_output(self.module, self._instead)

        def met(number: int, _: str, __: list[Tensor], gave: Tensor) -> Tensor | None:
            return self._instead(0, gave) if number == self.layer.operation else None

        return Operations(self.network, met)

    def _record_operation(self) -> Tensor:
        seen: list[Tensor] = []

        def met(number: int, _: str, __: list[Tensor], gave: Tensor) -> None:
            if number == self.layer.operation:
                seen.append(gave.clone())

        with _without_fused_layers(), Operations(self.network, met):
            self.network(self.image.clone())
        if not seen:
            raise self._unseen()
        return seen[0]

    def _instead(self, run: int, tensor: Tensor) -> Tensor | None:
        if run != self.layer.call or self.values is None:
            return None
        if len(tensor) != len(self.values):
            raise LayerError(
                f'layer "{self.layer.label}" does not give one row per image: the network takes its batch apart; '
                "use another layer, or score-cam"
            )
        self.met = True
        return self.values.clone()

    def _record(self) -> Tensor:
        """The layer's output; and in `done`, what each module that had finished before the layer began returned."""
        path = self.layer.name.split(".")
        around = {"", *(".".join(path[:end]) for end in range(1, len(path)))}
        self.done: dict[str, Any] = {}
        calls: dict[str, int] = {}
        seen: list[Tensor] = []
        handles = []
        begun = itertools.count()

        def begins(*_: Any) -> None:
            if next(begun) == self.layer.call:
                self.begun = True

        def ends(name: str) -> Callable[[nn.Module, Any, Any], None]:
            def note(_: nn.Module, __: Any, returned: Any) -> None:
                calls[name] = calls.get(name, 0) + 1
                if name == self.layer.name:
                    tensor = layer_tensor(returned)
                    if calls[name] - 1 == self.layer.call and tensor is not None:
                        seen.append(tensor.clone())
                        self.returned = returned
                elif not self.begun and name.rpartition(".")[0] in around and name not in around:
                    self.done[name] = returned

            return note

        self.begun, self.returned = False, None
        handles.append(self.module.register_forward_pre_hook(in_own_thread(begins)))
        for name, module in self.network.named_modules():
            if name and not isinstance(module, torch.jit.ScriptModule):
                handles.append(module.register_forward_hook(in_own_thread(ends(name))))
        try:
            with _without_fused_layers():
                self.network(self.image.clone())
        finally:
            for handle in handles:
                handle.remove()
        if not seen:
            raise self._unseen()
        self.done = {name: value for name, value in self.done.items() if calls[name] == 1 and _playable(value)}
        self.once = calls[self.layer.name] == 1 and _playable(self.returned)
        return seen[0]

    def _unseen(self) -> LayerError:
        return LayerError(
            f'layer "{self.layer.label}" was not seen in this forward pass, though it was in the first; '
            "use a layer that always runs"
        )

    def _shorten(self) -> bool:
        """Play back what was recorded, if that gives the scores of the whole network."""
        noise = torch.rand(2, *self.output.shape[1:], generator=torch.Generator().manual_seed(0), **DRAWN).to(
            self.output
        )
        trial = self.output * noise.round()
        self.short = False
        wanted = self(trial)
        modules = {name: self.network.get_submodule(name) for name in self.done}
        if self.once:  # nor need the layer itself be computed, to be replaced
            modules[self.layer.name] = self.module
        own = [(module, module.__dict__.get("forward")) for module in modules.values()]
        for name, returned in self.done.items():
            modules[name].forward = self._playback(returned)  # type: ignore[method-assign]
        if self.once:
            self.module.forward = self._playback(self.returned)  # type: ignore[method-assign]
        self.short = True
        try:
            found = self(trial)
            if float((found - wanted).abs().max()) <= EQUAL * float(wanted.abs().max()):
                return True
        except RuntimeError:  # such as an operation in place on what is played back
            pass
        for module, forward in own:
            del module.forward  # the class's own is underneath
            if forward is not None:  # it had one before
                module.forward = forward
        self.done = {}
        return False

    def _playback(self, returned: Any) -> Callable[..., Any]:
        def forward(*_: Any, **__: Any) -> Any:
            assert self.values is not None
            return _expanded(returned, len(self.values))

        return forward


def copied(network: nn.Module) -> tuple[nn.Module, bool]:
    """A copy in evaluation mode with the same weights, or the network itself where that cannot be copied (scripted)."""
    shared: dict[int, Any] = {id(value): value for value in network.parameters()}
    try:
        twin = copy.deepcopy(network, shared)
    except (RuntimeError, TypeError, AttributeError):
        return network, False
    for module in twin.modules():
        module.training = False
    return twin, True


@contextmanager
def _without_fused_layers() -> Iterator[None]:
    """torch's own transformer layers run without their hooks where no gradient is recorded, unless told not to."""
    with GLOBAL_SWITCHES:
        before = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(before)


def _playable(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return type(value) in (tuple, list) and all(_playable(item) for item in value)
    return isinstance(value, Tensor) and value.ndim > 0


def _expanded(value: Any, count: int) -> Any:
    """The outputs of one image as those of `count` equal ones, without copying them."""
    if isinstance(value, (tuple, list)):
        return type(value)(_expanded(item, count) for item in value)
    if len(value) == 1:
        return value.expand(count, *value.shape[1:]) if count > 1 else value.clone()
    return value.repeat(count, *[1] * (value.ndim - 1))
