"""Finding the spatial layers of any network by watching it run once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import OutputError, UnsupportedError
from explainers.network.batch_norm_backward import sound_batch_norm
from explainers.network.gradients import gradients_of
from explainers.network.guard import in_own_thread
from explainers.network.input import fixed_batch, run
from explainers.network.layer_choice import Survey
from explainers.network.layers import Layer, layer_tensor
from explainers.network.layout import Layout, distortion, layout_of
from explainers.network.unwrapping import class_name


def survey(network: Any, images: Tensor, scores: Callable[[Any, int], Tensor]) -> Survey:
    """Run the network once and report its spatial layers.

    Args:
        images: (N, C, H, W), of which the first is used, or all where the network insists on a batch of that size.
        scores: from what the network returns for so many images to (N, classes).

    Raises:
        UnsupportedError: the network is no module, or takes no hooks (TorchScript).

    Cost: one forward and one backward pass of one image.
    """
    if not isinstance(network, nn.Module):
        raise UnsupportedError(
            f"{class_name(network)} is a black box: its layers cannot be seen. "
            "Pass the torch.nn.Module itself, or use a method that needs no layer (rise, occlusion)"
        )
    if isinstance(network, torch.jit.ScriptModule):
        raise UnsupportedError(
            f"{class_name(network)} is a TorchScript module: its layers cannot be captured. "
            "Explain the original module, or use a gradient method that needs no layer (saliency, guided-backprop)"
        )
    if fixed_batch(network) is not None:
        return _observed(network, images, scores)
    try:
        return _observed(network, images[:1], scores)
    except (RuntimeError, OutputError):  # some networks hold something for every image of the batch
        if len(images) == 1:
            raise
        return _observed(network, images, scores)


def _observed(network: nn.Module, images: Tensor, scores: Callable[[Any, int], Tensor]) -> Survey:
    watch = _Watch(network, images)
    with torch.enable_grad():
        try:
            result = scores(run(network, images.detach().requires_grad_()), len(images))
        finally:
            watch.remove()
        watch.mark_reach(result)
    return watch.survey()


class _Watch:
    """Hooks on every module that record the outputs of one forward pass."""

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        self.network, self.count = network, len(images)
        self.image = (int(images.shape[2]), int(images.shape[3]))
        self.layers: list[Layer] = []
        self.tensors: list[Tensor] = []  # kept alive, so that identities stay unique
        self.grids: list[tuple[int, int]] = []
        self.calls: Counter[str] = Counter()
        self.ran: dict[str, str] = {}
        self.output_grids: dict[str, tuple[int, int]] = {}
        self.handles = []
        for name, module in network.named_modules():
            if name and not isinstance(module, torch.jit.ScriptModule):
                self.handles.append(module.register_forward_hook(in_own_thread(self._hook(name))))

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def record(module: nn.Module, _: Any, returned: Any) -> None:
            call, self.calls[name] = self.calls[name], self.calls[name] + 1
            tensor = layer_tensor(returned)
            self.ran[name] = type(returned).__name__ if tensor is None else str(tuple(tensor.shape))
            if tensor is None or not tensor.is_floating_point():
                return
            layout = layout_of(tuple(tensor.shape), self.image, self.grids)
            if layout is None or tensor.shape[0] != self.count or self._inside_attention(layout):
                return
            layout = _settled(layout, module)
            self.output_grids[name] = layout.grid
            if layout.kind != "tokens":
                self.grids.append(layout.grid)
            self.layers.append(Layer(name, module, layout, call, pooled=_is_pooling(module)))
            self.tensors.append(tensor)

        return record

    def _inside_attention(self, layout: Layout) -> bool:
        """(N, heads, T, d) looks like feature maps, but has as many rows or columns as there are tokens."""
        tokens = [layer.layout for layer in self.layers if layer.layout.kind == "tokens"]
        lengths = {token.prefix + token.grid[0] * token.grid[1] for token in tokens}
        return (
            layout.kind != "tokens" and not lengths.isdisjoint(layout.grid) and distortion(layout.grid, self.image) > 0
        )

    def mark_reach(self, scores: Tensor) -> None:
        """Which outputs the scores depend on, and for tokens whether through the patches or the prefix alone."""
        live = [index for index, tensor in enumerate(self.tensors) if tensor.requires_grad]
        reaches: dict[int, bool | None] = dict.fromkeys(range(len(self.tensors)))
        if live and scores.requires_grad:
            # The plain sum of a softmax is constant, so the scores are weighed unevenly.
            weights = torch.linspace(1, 2, scores.shape[1], device=scores.device, dtype=scores.dtype)
            total = (scores * weights).sum()
            with sound_batch_norm(scores):
                grads = gradients_of(total, [self.tensors[index] for index in live])
            for index, grad in zip(live, grads, strict=True):
                reaches[index] = False if grad is None else _patches_matter(self.layers[index].layout, grad)
        self.layers = [
            replace(layer, calls=self.calls[layer.name], reaches=reaches[index])
            for index, layer in enumerate(self.layers)
        ]

    def survey(self) -> Survey:
        width = Counter(
            (layer.layout.grid, layer.layout.channels) for layer in self.layers if layer.layout.kind == "tokens"
        )
        usual: dict[tuple[int, int], int] = {}
        for (grid, channels), _ in width.most_common():
            usual.setdefault(grid, channels)
        groups: dict[int, list[Layer]] = {}
        for layer, tensor in zip(self.layers, self.tensors, strict=True):
            if layer.layout.kind == "tokens" and (
                isinstance(layer.module, nn.Linear) or usual[layer.layout.grid] != layer.layout.channels
            ):
                continue  # projections inside attention and MLP
            groups[id(tensor)] = [*groups.pop(id(tensor), []), layer]
        return Survey(
            class_name(self.network),
            tuple(self._representative(group) for group in groups.values()),
            tuple(self.layers),
            self.ran,
            frozenset(name for name, _ in self.network.named_modules()),
        )

    def _representative(self, group: list[Layer]) -> Layer:
        once = [layer for layer in group if layer.calls == 1] or group
        depth = min(layer.depth for layer in once)
        chosen = [layer for layer in once if layer.depth == depth][-1]
        parts = chosen.name.split(".")
        around = [name for end in range(1, len(parts)) if self._bounds(name := ".".join(parts[:end]))]
        grids = [self.output_grids.get(name) for name in around]
        whole = any(grid is not None and distortion(grid, self.image) == 0 for grid in grids)
        return replace(
            chosen,
            pooled=any(layer.pooled for layer in group),
            inside=sum(grid != chosen.layout.grid for grid in grids),
            rearranged=whole and distortion(chosen.layout.grid, self.image) > 0,
        )

    def _bounds(self, name: str) -> bool:
        """Whether a module is a block with one output of its own, rather than a sequence of blocks or a whole model."""
        if name not in self.ran or not self.ran[name].startswith("("):
            return False
        module = self.network.get_submodule(name)
        sequence = type(module) is nn.Sequential and all(any(child.children()) for child in module)
        return not sequence


def _settled(layout: Layout, module: nn.Module) -> Layout:
    """A (N, a, a, a) output reads both ways; a module of linear layers and layer norms alone puts channels last."""
    if layout.kind != "nchw" or layout.grid != (layout.channels, layout.channels):
        return layout
    kinds = [type(part) for part in module.modules()]
    first = any(issubclass(kind, (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm)) for kind in kinds)
    last = any(issubclass(kind, (nn.Linear, nn.LayerNorm)) for kind in kinds)
    return replace(layout, kind="nhwc") if last and not first else layout


def _is_pooling(module: nn.Module) -> bool:
    return "pool" in type(module).__name__.lower() and not any(True for _ in module.children())


def _patches_matter(layout: Layout, grad: Tensor) -> bool | None:
    """False where only the class token of this layer is read, None where nothing is (a head of zeros)."""
    if layout.kind != "tokens" or layout.prefix == 0 or bool(grad[:, layout.prefix :].any()):
        return True
    return False if bool(grad[:, : layout.prefix].any()) else None
