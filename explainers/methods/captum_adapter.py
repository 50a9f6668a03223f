"""Every attribution class of captum as an explainer: `create("captum:IntegratedGradients", model, n_steps=32)`."""

from __future__ import annotations

import inspect
import math
import warnings
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from explainers.core.layer_explainer import LayerExplainer, LayerOption
from explainers.core.maps import grid_labels, reduce_channels
from explainers.core.option_types import refuse_unfit
from explainers.core.registry import register_family
from explainers.core.targets import resolve_targets
from explainers.errors import ExplainersError, OptionError, UnsupportedError, refuse
from explainers.methods.captum_library import NOT_OFFERED, captum_attr, captum_names
from explainers.methods.global_seeds import seeded
from explainers.methods.gradient.rectified import Deconvolution, GuidedBackprop
from explainers.network.as_found.batch_norm_backward import sound_batch_norm
from explainers.network.guard import in_own_thread
from explainers.network.input import run
from explainers.network.layers import Layer
from explainers.network.output import Output, scores_of
from explainers.network.rectifiers import find_rectifiers, watched
from explainers.network.tail import copied

OURS = {"GuidedBackprop": GuidedBackprop, "Deconvolution": Deconvolution}
COMPLETE = (
    "DeepLift",
    "DeepLiftShap",
    "LayerDeepLift",
    "LayerDeepLiftShap",
)  # attributions sum to the change of the score, or a module was passed over
ONE_BY_ONE = ("GradientShap", "DeepLiftShap", "Lime", "KernelShap", "ShapleyValueSampling", "ShapleyValues")


class CaptumExplainer(LayerExplainer):
    """A captum attribution behind the contract of every other method.

    Args:
        layer: for captum's layer attributions alone, as everywhere.
        channels: "sum" (captum's attributions are signed), "max" or None.
        seed: of the random methods, which run image by image so that a map does not depend on the batch.
        options: whatever the captum class takes, at construction or in `attribute`. Where nothing is given, Occlusion's
            window is an eighth of the image at half overlap, and methods that take a `feature_mask` work on a grid of
            8 × 8 cells (8 along each axis) instead of single pixels.

    Raises UnsupportedError where captum would be silently wrong: its rules hang on modules and pass over functional
    ReLUs and reused tensors. Guided Backprop and Deconvolution are compared with ours, DeepLift with its completeness.
    """

    attribution_name: ClassVar[str]
    packages = ("captum",)
    signed = True

    def __init__(
        self,
        model: Any,
        *,
        output: Output | None = None,
        layer: LayerOption = None,
        channels: str | None = "sum",
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(model, output=output, layer=layer)
        if channels not in ("max", "sum", None):
            raise OptionError(f"channels={channels!r}; expected 'max', 'sum' or None")
        self.channels, self.seed, self.options = channels, seed, options
        self._check_options()

    def __reduce__(self) -> tuple[Any, ...]:
        """By captum's name, since the class of each name is made when it is asked for."""
        return _blank, (self.attribution_name,), vars(self)

    @classmethod
    def captum_class(cls) -> Any:
        """The class in captum.attr."""
        return getattr(captum_attr(), cls.attribution_name)

    def compute(self, images: Tensor, targets: Any) -> Tensor:
        """captum's attributions of each target, channels reduced, at the image's size."""
        with torch.no_grad():
            classes = resolve_targets(targets, self.scores(images))
        if "layer" not in self.needs:
            if self.layer is not None:
                raise OptionError(f"{self.name} reads no layer; drop layer=")
            return reduce_channels(self._attributions(images, classes, None), self.channels)
        layers = self.resolve(images)
        maps = []
        for layer in layers:
            if layer.operation is not None:
                raise refuse(
                    self.name,
                    f'layer "{layer.label}" is an operation that joins branches and no module, where captum has no '
                    "hook; make it a module of the network, or name a layer with layer=",
                    "grad-cam or layer-cam",
                )
            if layer.calls > 1:
                raise refuse(
                    self.name,
                    f'layer "{layer.name}" runs {layer.calls} times in a forward pass, and captum cannot tell the runs '
                    "apart",
                    "grad-cam or layer-cam",
                )
            values = self._attributions(images, classes, layer)
            spatial = torch.stack([self.view(layer, value) for value in values.unbind(1)], dim=1)
            maps.append(self.enlarged(reduce_channels(spatial, self.channels), images.shape[1:]))
        return torch.stack(maps, dim=2) if isinstance(self.layer, (list, tuple)) else maps[0]

    def _attributions(self, images: Tensor, classes: Tensor, layer: Layer | None) -> Tensor:
        """(N, K, …) as captum gives them."""
        parts = range(len(images)) if self.attribution_name in ONE_BY_ONE else [slice(None)]
        rows = []
        for part in parts:
            rows_of = slice(part, part + 1) if isinstance(part, int) else part
            per_class = [self._attribute(images[rows_of], column[rows_of], layer) for column in classes.unbind(1)]
            rows.append(torch.stack(per_class, dim=1))
        return torch.cat(rows)

    def _attribute(self, images: Tensor, classes: Tensor, layer: Layer | None) -> Tensor:
        cls = self.captum_class()
        wants_module = next(iter(_parameters(cls.__init__))) == "model"
        if wants_module and not isinstance(self.network, nn.Module):
            raise refuse(self.name, "it is a black box, and captum needs its modules", "rise or occlusion")
        network: Any = self.network
        if wants_module or layer is not None:
            # captum hangs its hooks on modules, where passes of other threads would meet them.
            network, _ = copied(network)
        scored = _Scored(network, self.output) if wants_module else lambda images: self._scored_by(network, images)
        module = [network.get_submodule(layer.name)] if layer else []
        built = {key: value for key, value in self.options.items() if key in _parameters(cls.__init__)}
        call = {key: value for key, value in self.options.items() if key in _parameters(cls.attribute)}
        call = {**_defaults(cls, images), **call}
        if "target" in _parameters(cls.attribute):
            call["target"] = classes
        if self.attribution_name in COMPLETE:
            call["return_convergence_delta"] = True
        try:
            with seeded(self.seed), sound_batch_norm(images), warnings.catch_warnings():
                warnings.filterwarnings(
                    "ignore", module=r"captum\."
                )  # about hooks and gradients that it sets and removes
                attribution = cls(scored, *module, **built)
                result = attribution.attribute(images.clone(), **call)
        except (ExplainersError, torch.OutOfMemoryError, MemoryError):
            raise
        except (AssertionError, RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
            first = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UnsupportedError(
                f"captum's {self.attribution_name} failed on this network: {first} "
                "(a method of our own, such as guided-backprop, grad-cam or saliency, may work)"
            ) from error
        return self._verified(result, images, classes)

    def _scored_by(self, network: Any, images: Tensor) -> Tensor:
        return scores_of(run(network, images), len(images), self.output)

    def _verified(self, result: Any, images: Tensor, classes: Tensor) -> Tensor:
        delta: Tensor | None = None
        if self.attribution_name in COMPLETE:
            result, delta = result
        values = (result[0] if isinstance(result, tuple) else result).detach()
        if delta is not None and bool((delta.abs() > 1e-3 * values.abs().sum() / len(images)).any()):
            raise refuse(
                self.name,
                f"its attributions miss the change of the score by {float(delta.abs().max()):.3g}: captum's rules hang "
                "on modules and passed over a functional or smooth nonlinearity",
                "captum:IntegratedGradients or input-x-gradient",
            )
        if self.attribution_name in OURS:
            method = OURS[self.attribution_name]
            ours = method(self.network, output=self.output, channels=None).attribution(images, classes)[:, 0]
            if float((ours - values).abs().max()) > 1e-4 * float(ours.abs().max()):
                raise refuse(self.name, "captum passes over ReLUs that are not modules of their own", method.name)
        if self.attribution_name == "LRP":
            self._check_modules(images)
        return values

    def _check_modules(self, images: Tensor) -> None:
        """LRP's rules hang on modules: every ReLU of the graph must be the run of one."""
        runs = 0

        def count(*_: Any) -> None:
            nonlocal runs
            runs += 1

        modules = self.network.modules()  # type: ignore[attr-defined]
        handles = [m.register_forward_hook(in_own_thread(count)) for m in modules if isinstance(m, nn.ReLU)]
        try:
            leaf = images[:1].detach().requires_grad_()
            returned, cuts = watched(leaf, partial(run, self.network))
            found = find_rectifiers(self.scores_in(returned, 1), leaf, cuts)
        finally:
            for handle in handles:
                handle.remove()
        if runs != len(found.strict) or found.smooth or found.opaque or found.shifted:
            raise refuse(self.name, "it has nonlinearities that are no ReLU modules", "captum:IntegratedGradients")

    def _check_options(self) -> None:
        cls = self.captum_class()
        known = {*_parameters(cls.__init__), *_parameters(cls.attribute)} - {"model", "forward_func", "layer", "target"}
        known -= {"inputs", "return_convergence_delta"}
        unknown = sorted(set(self.options) - known)
        if unknown:
            raise OptionError(
                f"{self.name} has no option {', '.join(unknown)}; captum's are {', '.join(sorted(known))}"
            )
        for call in (cls.__init__, cls.attribute):
            own = _parameters(call)
            refuse_unfit(self.name, {key: value for key, value in self.options.items() if key in own}, call)
        needed = [
            key
            for key, value in _parameters(cls.attribute).items()
            if value.default is inspect.Parameter.empty
            and value.kind is not inspect.Parameter.VAR_KEYWORD
            and key in known - set(self.options) - {"sliding_window_shapes"}
        ]
        if self.attribution_name == "ShapleyValues" and "feature_mask" not in self.options:
            needed.append("feature_mask")  # every order of the features is tried: a handful at most
        if needed:
            raise OptionError(f"{self.name} needs {', '.join(f'{key}=' for key in needed)}; see captum's documentation")


class _Scored(nn.Module):
    """The network with its output reduced to scores, for captum classes that look for modules."""

    def __init__(self, network: Any, output: Output | None) -> None:
        super().__init__()
        self.network, self.output = network, output
        self.train(network.training)

    def forward(self, images: Tensor) -> Tensor:
        return scores_of(run(self.network, images), len(images), self.output)


def _defaults(cls: Any, images: Tensor) -> dict[str, Any]:
    known = _parameters(cls.attribute)
    channels, sides = images.shape[1], images.shape[2:]
    chosen: dict[str, Any] = {}
    if "sliding_window_shapes" in known:
        window = [math.ceil(side / 8) for side in sides]
        chosen["sliding_window_shapes"] = (channels, *window)
        chosen["strides"] = (channels, *(max(1, side // 2) for side in window))
    elif "feature_mask" in known:
        chosen["feature_mask"] = grid_labels(sides, 8).to(images.device)[None, None].unique(return_inverse=True)[1]
    if "perturbations_per_eval" in known and "layer" not in _parameters(cls.__init__):
        chosen["perturbations_per_eval"] = 8
    return chosen


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    return {key: value for key, value in inspect.signature(function).parameters.items() if key != "self"}


def _blank(name: str) -> CaptumExplainer:
    cls = _resolve(name)
    return cls.__new__(cls)


def _resolve(name: str) -> type[CaptumExplainer]:
    attr = captum_attr()
    if name in NOT_OFFERED:
        raise UnsupportedError(f"captum:{name} {NOT_OFFERED[name]}")
    if name not in captum_names():
        raise OptionError(f"no method captum:{name}; captum's are {', '.join(captum_names())}")
    cls = getattr(attr, name)
    layered = issubclass(cls, attr.LayerAttribution)
    black_box = issubclass(cls, attr.PerturbationAttribution) and not layered
    return type(
        f"Captum{name}",
        (CaptumExplainer,),
        {
            "name": f"captum:{name}",
            "attribution_name": name,
            "reference": "captum",
            "needs": frozenset() if black_box else frozenset({"gradients", "layer"} if layered else {"gradients"}),
            "__doc__": f"captum's {name}.",
        },
    )


register_family("captum", _resolve, captum_names)
