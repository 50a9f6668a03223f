"""Finding the spatial layers of any network by watching it run once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import OutputError, UnsupportedError
from explainers.network.as_found.batch_norm_backward import sound_batch_norm
from explainers.network.axes.axis import Axes, image_axes
from explainers.network.axes.trace import Recorded, Trace
from explainers.network.branches.junction import with_junction
from explainers.network.gradients import gradients_of, has_gradient
from explainers.network.guard import in_own_thread
from explainers.network.input import another, fixed_batch, run
from explainers.network.layer_choice import Survey
from explainers.network.layers import DEFINED, Layer, is_pooled, layer_tensor
from explainers.network.layout import Grid, Layout, distortion, layout_of, layout_told
from explainers.network.unwrapping import class_name


def survey(network: Any, images: Tensor, scores: Callable[[Any, int], Tensor]) -> Survey:
    """Run the network once and report its spatial layers.

    Args:
        images: (N, C, *axes), of which the first is used, or all where the network insists on a batch of that size.
        scores: from what the network returns for so many images to (N, classes).

    Raises:
        UnsupportedError: the network is no module, or takes no hooks (TorchScript).

    Cost: one forward and one backward pass of one image; another forward pass where the graph does not lead from the
    image to a layer (a learned prior), two more where parts run without a graph (features under `no_grad`), one more
    where no module joins the branches that the scores are made of.
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
    leaf = images.detach().requires_grad_()
    watch = _Watch(network, leaf)
    with torch.enable_grad():
        returned = watch.run(leaf)
        if watch.unrecorded:
            watch = _Watch(network, leaf, _recorded(network, leaf, scores))
            returned = watch.run(leaf)
        watch.mark_reach(scores(returned, len(images)), leaf)
        watch.mark_fed(images)
    return with_junction(watch.survey(), network, images, scores)


def _recorded(network: nn.Module, leaf: Tensor, scores: Callable[[Any, int], Tensor]) -> _Watch | None:
    """All that the graph says, where parts of the network compute without one."""
    watch = _Watch(network, leaf)
    try:
        with Recorded():
            watch.mark_passed(scores(watch.run(leaf), len(leaf)))
    except RuntimeError:  # such as weights that are averaged in place, which a graph does not allow
        return None
    return watch


class _Watch:
    """Hooks on every module that record the outputs of one forward pass."""

    def __init__(self, network: nn.Module, images: Tensor, recorded: _Watch | None = None) -> None:
        self.network, self.count = network, len(images)
        self.hints = {} if recorded is None else recorded.told  # by name and run, for outputs without a graph
        self.passed: set[tuple[str, int]] = getattr(recorded, "passed", set())
        self.told: dict[tuple[str, int], Axes] = {}
        self.unrecorded = False
        self.trace = Trace(images)
        self.axes: dict[int, Axes | None] = {}  # by identity, of tensors without a graph
        self.still: dict[tuple[str, int], Tensor] = {}  # what no way through the graph leads to from the image
        self.image = tuple(int(side) for side in images.shape[2:])
        self.layers: list[Layer] = []
        self.tensors: list[Tensor] = []  # kept alive, so that identities stay unique
        self.kept: list[Tensor] = []
        self.nodes: list[Any] = []  # of the graph as it was then; what works in place moves a tensor on
        self.grids: list[Grid] = []
        self.calls: Counter[str] = Counter()
        self.ran: dict[str, str] = {}
        self.output_grids: dict[str, Grid] = {}
        self.handles = []
        for name, module in network.named_modules():
            if name and not isinstance(module, torch.jit.ScriptModule):
                self.handles.append(module.register_forward_hook(in_own_thread(self._hook(name))))

    def run(self, images: Tensor) -> Any:
        """What the network returns, watched."""
        try:
            return run(self.network, images)
        finally:
            for handle in self.handles:
                handle.remove()

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def record(module: nn.Module, given: Any, returned: Any) -> None:
            call, self.calls[name] = self.calls[name], self.calls[name] + 1
            tensor = layer_tensor(returned)
            self.ran[name] = type(returned).__name__ if tensor is None else str(tuple(tensor.shape))
            if tensor is None or not tensor.is_floating_point():
                return
            axes = self._axes(module, given, tensor)
            if tensor.grad_fn is None:
                axes = self.hints.get((name, call), axes)
                self.unrecorded |= tensor.ndim in (3, len(self.image) + 2)
            elif axes is not None:
                self.told[name, call] = axes
            layout = self._layout(module, axes, tensor)
            if layout is None or tensor.shape[0] != self.count:
                return
            self.output_grids[name] = layout.grid
            if not layout.sequence:
                self.grids.append(layout.grid)
            strip = layout.sequence and min(layout.grid) == 1 < min(self.image)
            self.layers.append(Layer(name, module, layout, call, pooled=is_pooled(module, tensor), strip=strip))
            self.tensors.append(tensor)
            self.nodes.append(tensor.grad_fn)
            if not self.trace.feeds(tensor):
                self.still[name, call] = tensor.detach().clone()

        return record

    def _layout(self, module: nn.Module, axes: Axes | None, tensor: Tensor) -> Layout | None:
        """Told by what made the tensor; guessed from its shape where that is not known."""
        if axes is not None and not any(each.unknown for each in axes):
            return layout_told(axes, len(self.image))
        told = None if axes is None else layout_told(axes, len(self.image))
        if told is not None:
            return told
        layout = layout_of(tuple(tensor.shape), self.image, self.grids, axes)
        return None if layout is None or self._inside_attention(layout) else _settled(layout, module)

    def _axes(self, module: nn.Module, given: Any, tensor: Tensor) -> Axes | None:
        """From the graph; where nothing was recorded, from the kind of module and from what it was given."""
        if tensor.grad_fn is not None:
            return self.trace.axes(tensor)
        if id(tensor) not in self.axes:
            source = layer_tensor(given)
            alone = not any(True for _ in module.children())
            if tensor.ndim == len(self.image) + 2 and isinstance(module, DEFINED[len(self.image)]):
                self.axes[id(tensor)] = image_axes(tuple(tensor.shape))
            elif alone and source is not None and source.shape == tensor.shape:
                before = self.axes.get(id(source))
                self.axes[id(tensor)] = self.trace.axes(source) if source.grad_fn is not None else before
            if id(tensor) in self.axes:
                self.kept.append(tensor)
        return self.axes.get(id(tensor))

    def _inside_attention(self, layout: Layout) -> bool:
        """(N, heads, T, d) looks like feature maps, but has as many rows or columns as there are tokens."""
        tokens = [layer.layout for layer in self.layers if layer.layout.sequence]
        lengths = {each.prefix + math.prod(each.grid) for each in tokens}
        return not layout.sequence and not lengths.isdisjoint(layout.grid) and distortion(layout.grid, self.image) > 0

    def mark_reach(self, scores: Tensor, images: Tensor) -> None:
        """Which outputs the scores depend on, and for tokens whether through the patches or the prefix alone."""
        live = [index for index, tensor in enumerate(self.tensors) if tensor.requires_grad]
        reaches: dict[int, bool | None] = dict.fromkeys(range(len(self.tensors)))
        if live and scores.requires_grad:
            # The plain sum of a softmax is constant, so the scores are weighed unevenly.
            total = (scores * torch.linspace(1, 2, scores.shape[1], device=scores.device, dtype=scores.dtype)).sum()
            with sound_batch_norm(scores):
                grads = gradients_of(total, [self.tensors[index] for index in live], retain=True)
                # Where not even the image has one, an operation behind all has no gradient, and nothing is known.
                known = any(grad is not None for grad in grads) or has_gradient(total, images)
            for index, grad in zip(live, grads, strict=True) if known else ():
                reaches[index] = False if grad is None else _patches_matter(self.layers[index].layout, grad)
        self.layers = [
            replace(layer, calls=self.calls[layer.name], reaches=reaches[index])
            for index, layer in enumerate(self.layers)
        ]
        self.mark_passed(scores)

    def mark_passed(self, scores: Tensor) -> None:
        """Which outputs the image has a way past, to the scores."""
        narrow = set(self.trace.narrows(scores))
        for index, (layer, node) in enumerate(zip(self.layers, self.nodes, strict=True)):
            if narrow and node is not None and node not in narrow:
                self.passed.add((layer.name, layer.call))
            self.layers[index] = replace(layer, passed=(layer.name, layer.call) in self.passed)

    def mark_fed(self, images: Tensor) -> None:
        """Which outputs change with the image, of those that the graph does not join to it."""
        changed = _changed(self.network, images, self.still) if self.still else set()
        lost = set(self.still) - changed
        self.layers = [replace(layer, fed=(layer.name, layer.call) not in lost) for layer in self.layers]

    def survey(self) -> Survey:
        width = Counter((layer.layout.grid, layer.layout.channels) for layer in self.layers if layer.layout.sequence)
        usual: dict[Grid, int] = {}
        for (grid, channels), _ in width.most_common():
            usual.setdefault(grid, channels)
        groups: dict[int, list[Layer]] = {}
        for layer, tensor in zip(self.layers, self.tensors, strict=True):
            if layer.layout.sequence and (
                isinstance(layer.module, nn.Linear) or usual[layer.layout.grid] != layer.layout.channels
            ):
                continue  # projections inside attention and MLP
            groups[id(tensor)] = [*groups.pop(id(tensor), []), layer]
        return Survey(
            class_name(self.network),
            tuple(self._representative(group) for group in groups.values()),
            tuple(self.layers),
            self.ran,
            {module: name for name, module in self.network.named_modules()},
        )

    def _representative(self, group: list[Layer]) -> Layer:
        once = [layer for layer in group if layer.calls == 1] or group
        depth = min(layer.depth for layer in once)
        chosen = [layer for layer in once if layer.depth == depth][-1]
        parts = chosen.name.split(".")
        around = [name for end in range(1, len(parts)) if self._bounds(name := ".".join(parts[:end]))]
        grids = [self.output_grids.get(name) for name in around]
        whole = any(grid is not None and distortion(grid, self.image) == 0 for grid in grids)
        guessed = not chosen.layout.told
        return replace(
            chosen,
            pooled=any(layer.pooled for layer in group),
            inside=sum(grid != chosen.layout.grid for grid in grids),
            rearranged=guessed and whole and distortion(chosen.layout.grid, self.image) > 0,
        )

    def _bounds(self, name: str) -> bool:
        """Whether a module is a block with one output of its own, rather than a sequence of blocks or a whole model."""
        if name not in self.ran or not self.ran[name].startswith("("):
            return False
        module = self.network.get_submodule(name)
        sequence = type(module) is nn.Sequential and all(any(child.children()) for child in module)
        return not sequence


def _changed(network: nn.Module, images: Tensor, still: dict[tuple[str, int], Tensor]) -> set[tuple[str, int]]:
    """Which runs of which modules give something else for another image."""
    calls: Counter[str] = Counter()
    found: set[tuple[str, int]] = set()

    def compare(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(_: nn.Module, __: Any, returned: Any) -> None:
            key, tensor = (name, calls[name]), layer_tensor(returned)
            calls[name] += 1
            if key in still and tensor is not None and not torch.equal(tensor.detach(), still[key]):
                found.add(key)

        return note

    names = {name for name, _ in still}
    handles = [network.get_submodule(name).register_forward_hook(in_own_thread(compare(name))) for name in names]
    try:
        run(network, another(images))
    finally:
        for handle in handles:
            handle.remove()
    return found


def _settled(layout: Layout, module: nn.Module) -> Layout:
    """Where a guess is tied, linear layers and layer norms alone put channels last, convolutions first."""
    if not layout.tied:
        return layout
    kinds = [type(part) for part in module.modules()]
    first = any(issubclass(kind, (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm)) for kind in kinds)
    last = any(issubclass(kind, (nn.Linear, nn.LayerNorm)) for kind in kinds)
    square = set(layout.grid) == {layout.channels}
    if not square or first == last:
        return layout
    return replace(layout, kind="nhwc" if last else "nchw", tied=False)


def _patches_matter(layout: Layout, grad: Tensor) -> bool | None:
    """False where only the class token of this layer is read, None where no gradient arrives (a head of zeros, a branch
    beside the one that is explained)."""
    if not bool(grad.any()):
        return None
    return not layout.sequence or bool(layout.patches(grad).any())
