"""The buffers of a network, to be put back as they were found."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def buffers_of(module: nn.Module) -> list[tuple[str, Tensor | None]]:
    """Those that are None as well: a pass may fill them, as networks do that keep the map of their last images."""
    if isinstance(module, torch.jit.ScriptModule):
        return list(module.named_buffers(recurse=False))
    return [(name, value) for name, value in module._buffers.items() if value is None or isinstance(value, Tensor)]


class Buffer:
    """A copy of one buffer, written back only where something has changed the original.

    Values are compared, since not everything that writes counts as a new version: batch norm in train mode does not,
    nor do the observers of a quantisation, which change the shape of theirs, too.
    """

    def __init__(self, module: nn.Module, name: str, value: Tensor | None) -> None:
        self.module, self.name, self.value = module, name, value
        self.copy = None if value is None else value.detach().clone()
        self.version = -1 if value is None or value.is_inference() else value._version

    def restore(self) -> None:
        """The module has the tensor that it had, with the values that it had."""
        if self.value is not None and self.copy is not None and not self.value.is_inference() and self._changed():
            with torch.no_grad():
                if self.value.shape != self.copy.shape:
                    self.value.resize_(self.copy.shape)
                self.value.copy_(self.copy)
        if getattr(self.module, self.name, None) is not self.value and self.name in self.module._buffers:
            self.module._buffers[self.name] = self.value

    def _changed(self) -> bool:
        assert self.value is not None
        assert self.copy is not None
        if self.value._version != self.version or self.value.shape != self.copy.shape:
            return True
        if self.value.layout != torch.strided or torch.equal(self.value, self.copy):
            return False
        nan = (self.value != self.value) & (self.copy != self.copy)
        return not bool(((self.value == self.copy) | nan).all())
