"""Maps that a network makes by itself on its way to the scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from explainers.core.explainer import Explainer
from explainers.core.maps import upsample
from explainers.core.registry import register
from explainers.core.targets import resolve_targets
from explainers.errors import LayerError, OutputError, refuse
from explainers.network.axes.trace import Recorded, Trace
from explainers.network.guard import in_own_thread
from explainers.network.input import fixed_batch
from explainers.network.inputs import Binding, fed_runs, is_bound
from explainers.network.layers import made_of
from explainers.network.layout import layout_of, layout_told
from explainers.network.output import Output, scores_of

INSTEAD = "grad-cam, or train a network that explains itself (explain train)"


@register
class Attention(Explainer):
    """The attention map by which a network of the ABN family weighs its features, upsampled; class-blind.

    Works on every network that has, or has inside, a module with `forward_branches(images)`, whose result has `logits`
    and an `attention_map` (N, 1, h, w) in 0 … 1. Of a network whose maps are of a class (GAIN), it is the predicted
    one's, whatever the target. Raises UnsupportedError for others.
    """

    name = "attention"
    reference = "Fukui et al. 2019"
    needs = frozenset({"layer"})
    class_blind = True
    axes = (2,)

    def __init__(self, model: Any, *, output: Output | None = None) -> None:
        super().__init__(model, output=output)
        self._turned = Turned()

    def compute(self, images: Tensor, targets: Any) -> Tensor:
        """One forward pass; of a network that is wrapped into another two, and once for a size one of one image."""
        name, module = self._branching()
        self.layers = (name,) if name else ()
        with torch.no_grad():
            if not name and isinstance(self.network, Binding):
                raise refuse(self.name, "it is run by what it was given besides the images, too", "grad-cam")
            if not name:
                made: Any = module.forward_branches(images.clone())
                scores = scores_of(made.logits, len(images), self.output)
            else:
                scores, seen = _scores_and_input(self, images, name, module)
                made = module.forward_branches(seen)
        maps = made.attention_map
        if name and isinstance(maps, Tensor) and maps.ndim == 4:
            maps = maps.mT if self._turned.of(self, images, name, module) else maps
        if not isinstance(maps, Tensor) or maps.ndim != 4 or maps.shape[:2] != (len(images), 1):
            shape = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
            raise OutputError(f"forward_branches gave an attention_map of {shape}; expected ({len(images)}, 1, h, w)")
        classes = resolve_targets(targets, scores)
        return upsample(maps, images.shape[2:]).expand(-1, classes.shape[1], -1, -1)

    def _branching(self) -> tuple[str, Any]:
        modules = self.network.named_modules() if isinstance(self.network, nn.Module) else ()
        found = [(name, module) for name, module in modules if hasattr(module, "forward_branches")]
        if len(found) != 1:
            several = f"{len(found)} attention branches, and it is not clear whose map is meant"
            raise refuse(self.name, f"it has {several if found else 'no attention branch'}", INSTEAD)
        return found[0]


@register
class LambdaAttention(Explainer):
    """What the content lambda adds at each position: λ_contentᵀ q of one lambda layer, mean over heads and channels.

    A lambda layer is a module with `lambda_content(x)`, as `explainers.baselines.LambdaLayer`, or timm's. Does not see
    the class. Raises UnsupportedError for networks without such layers.

    Args:
        layer: None (the second lambda layer, or the only one), a dotted name, a module, or a negative int (counted from
            the last lambda layer).

    Source: Bello 2021, equation 3; as an explanation Iida et al. 2022, section 5.
    """

    name = "lambda-attention"
    reference = "Bello 2021"
    needs = frozenset({"layer"})
    signed = True
    class_blind = True
    axes = (2,)

    def __init__(self, model: Any, *, output: Output | None = None, layer: str | int | nn.Module | None = None) -> None:
        super().__init__(model, output=output)
        self.layer = layer
        self._turned = Turned()

    def compute(self, images: Tensor, targets: Any) -> Tensor:
        """One forward pass, and once for a size one of one image."""
        name, module = self._chosen()
        self.layers = (name,)
        with torch.no_grad():
            scores, seen = _scores_and_input(self, images, name, module)
            maps = content_of(module)(seen).mean(dim=1, keepdim=True)
        maps = maps.mT if self._turned.of(self, images, name, module) else maps
        classes = resolve_targets(targets, scores)
        return upsample(maps, images.shape[2:]).expand(-1, classes.shape[1], -1, -1)

    def _chosen(self) -> tuple[str, nn.Module]:
        found = _lambda_layers(self.network)
        if not found:
            raise refuse(self.name, "it has no lambda layers", "grad-cam or rise")
        if self.layer is None:
            return found[min(1, len(found) - 1)]
        if isinstance(self.layer, int) and -len(found) <= self.layer < 0:
            return found[self.layer]
        for name, module in found:
            if module is self.layer or name == self.layer:
                return name, module
        names = ", ".join(name for name, _ in found)
        raise LayerError(
            f"layer={self.layer!r} is no lambda layer; there are {names}, or a number from -{len(found)} to -1"
        )


def _scores_and_input(explainer: Explainer, images: Tensor, name: str, module: nn.Module) -> tuple[Tensor, Tensor]:
    """The scores of a forward pass, and what a module inside the network was given in it.

    Raises:
        LayerError: the module ran more or less than once, or not on all images together.
    """
    seen: list[Tensor] = []
    handle = module.register_forward_pre_hook(in_own_thread(lambda _, inputs: seen.append(inputs[0].detach().clone())))
    try:
        scores = explainer.scores(images)
    finally:
        handle.remove()
    if is_bound(explainer.network) and fed_runs(explainer.network, images, module)[1] != [0]:
        raise LayerError(f'"{name}" does not run once on the explained input alone; explain the input that it looks at')
    if len(seen) != 1 or len(seen[0]) != len(images):
        raise LayerError(f'"{name}" ran {len(seen)} times for {len(images)} images; expected once for all of them')
    return scores, seen[0]


class Turned:
    """Whether modules are given the image with its rows and columns exchanged; found once for a size."""

    def __init__(self) -> None:
        self._found: dict[tuple[Any, ...], bool] = {}

    def of(self, explainer: Explainer, images: Tensor, name: str, module: nn.Module) -> bool:
        """Of one module, whatever scores are explained.

        Raises:
            LayerError: what the module is given is the image mirrored, cropped, padded, warped or shuffled.
        """
        key = (*images.shape[1:], name, made_of(explainer.network))
        if key not in self._found:
            self._found[key] = _is_turned(explainer, images, name, module)
        return self._found[key]


def _is_turned(explainer: Explainer, images: Tensor, name: str, module: nn.Module) -> bool:
    """The same by a pass of one image whose graph is followed.

    Raises:
        LayerError: what the module was given is the image mirrored, cropped, padded, warped or shuffled.
    """
    leaf = images[: fixed_batch(explainer.network) or 1].detach().requires_grad_()
    seen: list[Tensor] = []
    handle = module.register_forward_pre_hook(in_own_thread(lambda _, inputs: seen.append(inputs[0])))
    try:
        with torch.enable_grad(), Recorded():
            explainer.scores(leaf)
    except RuntimeError:  # such as weights that are changed in place, which a graph does not allow
        return False
    finally:
        handle.remove()
    axes = Trace(leaf).axes(seen[0])
    if axes is None:
        return False
    sides = tuple(int(side) for side in images.shape[2:])
    unknown = any(each.unknown for each in axes)
    layout = layout_of(tuple(seen[0].shape), sides, [], axes) if unknown else layout_told(axes, len(sides))
    if layout is None or layout.kind not in ("nchw", "ncwh"):
        raise LayerError(
            f'positions in what "{name}" is given cannot be tied to the image (it is cropped, padded, mirrored, warped '
            "or shuffled before); explain that module by itself, on images that are changed so"
        )
    return layout.kind == "ncwh"


def _lambda_layers(network: Any) -> list[tuple[str, nn.Module]]:
    modules = network.named_modules() if isinstance(network, nn.Module) else ()
    return [(name, module) for name, module in modules if hasattr(module, "lambda_content") or _is_timms(module)]


def content_of(module: Any) -> Callable[[Tensor], Tensor]:
    """From a lambda layer's input to the content part of its output, (N, C, h, w)."""
    return _timms_content(module) if _is_timms(module) else module.lambda_content


def _is_timms(module: nn.Module) -> bool:
    return type(module).__name__ == "LambdaLayer" and type(module).__module__.startswith("timm.")


def _timms_content(module: Any) -> Callable[[Tensor], Tensor]:
    """The same of timm's layer, which keeps queries, keys and values in one convolution and has no intra-depth."""

    def content(x: Tensor) -> Tensor:
        heads, key, value = module.num_heads, module.dim_qk, module.dim_v
        queries, keys, values = module.qkv(x).split([heads * key, key, value], dim=1)
        queries = module.norm_q(queries).unflatten(1, (heads, key)).flatten(3)
        lambdas = torch.einsum("nkm,nvm->nkv", keys.flatten(2).softmax(dim=-1), module.norm_v(values).flatten(2))
        return torch.einsum("nhkp,nkv->nhvp", queries, lambdas).flatten(1, 2).unflatten(2, x.shape[2:])

    return content
