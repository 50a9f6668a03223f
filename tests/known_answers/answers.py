"""The right answer of each method on a network of the collection, made without the package; slow and by hand."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import answer_layers as layers
import answer_perturbation as perturbed
import numpy as np
import torch
from answer_layers import Array, upsampled
from answer_rules import gradient, rectified_gradient, smoothed
from answer_whole import chain, full_grad, rollout, visual_backprop
from network_case import CHANNELS, LAYER, PERTURBATION, PLAIN, RECTIFIED, Case, no_maps
from torch import Tensor, nn

RULES = {"guided-backprop": "guided", "guided-backprop-minus": "guided-minus", "deconvolution": "deconvolution"}
FORMULAS = {
    "grad-cam": layers.grad_cam,
    "grad-cam++": layers.grad_cam_plus_plus,
    "xgrad-cam": layers.xgrad_cam,
    "hires-cam": layers.hires_cam,
    "layer-cam": layers.layer_cam,
}
SAMPLES, SIGMA = 3, 0.15  # of SmoothGrad
COMPLETE = 1e-4  # what completeness may miss, relative to the size of its terms


class Answers:
    """What every method must say about these images and targets; images are taken one by one.

    Args:
        case: the network's description; network: its plain form, which is not shared with what is tested.
        images: (N, C, H, W) in the network's precision; targets: (N,), by default the predicted class of each even
            image and the runner-up of each odd one.
    """

    def __init__(self, case: Case, network: nn.Module, images: Tensor, targets: Tensor | None = None) -> None:
        self.case, self.network, self.images = case, network, images
        self.size = tuple(images.shape[2:])
        self._targets = targets

    def scores(self, images: Tensor) -> Tensor:
        return self.case.scores(self.network(images))

    def watched(self, images: Tensor) -> Tensor:
        return self.case.watched(self.scores(images))

    @cached_property
    def targets(self) -> Tensor:
        if self._targets is not None:
            return self._targets
        with torch.no_grad():
            scores = torch.cat([self.scores(image[None].clone()) for image in self.images])
        order = scores.argsort(dim=1, descending=True)
        places = torch.arange(len(scores)) % min(2, scores.shape[1])
        return order.gather(1, places[:, None])[:, 0]

    def expects(self, method: str) -> str:
        """What must come: "map", "refusal", or "either" where refusing is as good as being right."""
        if method in self.case.refused:
            return "either" if method in self.case.either else "refusal"
        if not self.defined(method):
            return "refusal"
        return "either" if method in self.case.either else "map"

    def defined(self, method: str) -> bool:
        """Whether the method means something on the plain network, so that `maps` has the right answer."""
        case = self.case
        if method == "full-grad":
            return self.complete
        works = {
            **dict.fromkeys(PLAIN, True),
            **dict.fromkeys(LAYER | CHANNELS | {"group-cam"}, case.layer is not None),
            **dict.fromkeys(PERTURBATION, True),
            **dict.fromkeys(RECTIFIED, case.rectifiers == "strict"),
            "cam": case.linear is not None,
            "visual-backprop": case.chain or bool(case.walk),
            "attention-rollout": case.attention is not None,
            **dict.fromkeys(("attention", "lambda-attention"), False),
            **dict.fromkeys(self._own[0] if case.own is not no_maps else (), True),
        }
        return works[method]

    def error(self, method: str, maps: Tensor) -> float:
        """Largest deviation of maps (N, H, W) from the answer, relative to its largest magnitude (0: of the maps)."""
        found, wanted = maps.detach().cpu().numpy().astype(float), self.maps(method)
        if found.shape != wanted.shape or not np.isfinite(found).all():
            return float("inf")
        worst = 0.0
        for each, right in zip(found, wanted, strict=True):
            largest = np.abs(right).max()
            deviation = np.abs(each - right).max()
            if method == "eigen-cam" and not self.sign_is_decided:
                deviation = min(deviation, np.abs(each + right).max())
            seen = largest > np.finfo(np.float32).tiny  # what maps can hold
            worst = max(worst, float(deviation / largest if seen else np.abs(each).max()))
        return worst

    def maps(self, method: str) -> Array:
        """(N, H, W) of a method that works on this network; signed methods with their signs."""
        if method in ("saliency", "input-x-gradient"):
            return self._reduced(self.gradients, method)
        if method == "smooth-grad":
            noisy = [smoothed(self.scores, x, t, self.noise, SIGMA, self.case.copies) for x, t in self._pairs()]
            return self._reduced(torch.stack(noisy), method)
        if method in RULES:
            return self._reduced(self.rectified(RULES[method]), method)
        if method == "guided-grad-cam":
            places = torch.from_numpy(self.maps("grad-cam"))[:, None]
            return self._reduced(places * self.rectified("guided").double(), method)
        if method == "full-grad":
            return np.stack([map_ for map_, _ in self._full_grads])
        if method in PERTURBATION or method == "group-cam":
            return np.stack([self._perturbed(method, index) for index in range(len(self.images))])
        return np.stack([upsampled(map_, *self.size) for map_ in self.native(method)])

    def native(self, method: str) -> list[Array]:
        """The map of each image in the layer's own resolution."""
        if method in FORMULAS:
            return [FORMULAS[method](*self._halves(index)) for index in range(len(self.images))]
        if method == "eigen-cam":
            return [map_ for map_, _ in self._eigen]
        if method == "cam":
            return [self._cam(index) for index in range(len(self.images))]
        if method == "visual-backprop":
            return [self._visual_backprop(image) for image in self.images]
        if method == "attention-rollout":
            assert self.case.attention is not None
            assert self.case.grid is not None
            blocks = [self.case.attention(self.network, image[None]) for image in self.images]
            return [rollout([b[0] for b in each], self.case.prefix, self.case.grid) for each in blocks]
        if method in ("attention", "lambda-attention"):
            return [each[method] for each in self._own]
        if method in CHANNELS:
            return [self._by_channel(method, index) for index in range(len(self.images))]
        raise KeyError(f"no answer by hand for {method!r}: write one in answers.py")

    def _perturbed(self, method: str, index: int) -> Array:
        image, target = self.images[index], int(self.targets[index])
        if method in ("lime", "kernel-shap"):
            name = {"lime": "Lime", "kernel-shap": "KernelShap"}[method]
            return perturbed.by_captum(name, self.watched, image, target)
        if method == "group-cam":
            return perturbed.group_cam(self.watched, image, target, *self._halves(index))
        return {"rise": perturbed.rise, "occlusion": perturbed.occlusion}[method](self.watched, image, target)

    def _by_channel(self, method: str, index: int) -> Array:
        image, target, case = self.images[index], int(self.targets[index]), self.case
        if method == "score-cam":
            return perturbed.score_cam(self.watched, image, target, self._halves(index)[0])
        assert case.layer is not None

        def score(returned: Any) -> float:
            return float(case.watched(case.scores(returned).detach())[0, target])

        return perturbed.ablation_cam(self.network, case.layer, image, score, case.spatial)

    @cached_property
    def _own(self) -> list[dict[str, Array]]:
        """What the network shows by itself for each image."""
        with torch.no_grad():
            return [self.case.own(self.network, image[None].clone()) for image in self.images]

    @cached_property
    def noise(self) -> Tensor:
        """SmoothGrad's documented noise: from the seed, the same for every image."""
        generator = torch.Generator().manual_seed(0)
        shape = self.images.shape[1:]
        return torch.stack([torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(SAMPLES)])

    @cached_property
    def gradients(self) -> Tensor:
        """(N, C, H, W)."""
        return torch.stack([gradient(self.scores, x, t, self.case.copies) for x, t in self._pairs()])

    def rectified(self, rule: str) -> Tensor:
        """(N, C, H, W)."""
        return torch.stack([rectified_gradient(self.scores, x, t, rule, self.case.copies) for x, t in self._pairs()])

    @property
    def complete(self) -> bool:
        """Whether bias and input terms add up to the score."""
        return all(missed < COMPLETE for _, missed in self._full_grads)

    @property
    def sign_is_decided(self) -> bool:
        return all(decided for _, decided in self._eigen)

    @cached_property
    def _full_grads(self) -> list[tuple[Array, float]]:
        return [full_grad(self.scores, x, t) for x, t in self._pairs()]

    @cached_property
    def _eigen(self) -> list[tuple[Array, bool]]:
        return [layers.eigen_cam(self._halves(index)[0]) for index in range(len(self.images))]

    @cached_property
    def _all_halves(self) -> dict[int, tuple[Array, Array]]:
        return {}

    def _halves(self, index: int) -> tuple[Array, Array]:
        assert self.case.layer is not None
        if index not in self._all_halves:
            target = int(self.targets[index])
            self._all_halves[index] = layers.halves(
                self.network,
                self.case.layer,
                self.images[index],
                lambda returned: self.case.scores(returned)[0, target],
                self.case.spatial,
            )
        return self._all_halves[index]

    def _cam(self, index: int) -> Array:
        activation, target = self._halves(index)[0], int(self.targets[index])
        if self.case.cap is not None:
            activation = np.clip(activation, 0, self.case.cap)
        if self.case.linear == "":
            return _class_channel(self.network, self.images[index], target)
        weight: Any = self.network.get_submodule(self.case.linear or "").weight
        return layers.cam(activation, weight[target].detach().numpy())

    def _visual_backprop(self, image: Tensor) -> Array:
        assert self.case.layer is not None
        if self.case.chain:
            means, windows = chain(self.network, self.case.layer, image)
            return visual_backprop(means, windows, self.size)
        walk = self.case.walk
        means = layers.means(self.network, [stage.layer for stage in walk], image, self.case.spatial)
        windows = [((s.kernel,) * 2, (s.stride,) * 2, (s.padding,) * 2) for s in walk]
        return visual_backprop(means, windows, self.size)

    def _reduced(self, values: Tensor, method: str) -> Array:
        """(N, C, H, W) to (N, H, W): the sum for input times gradient, else the largest magnitude."""
        if method == "input-x-gradient":
            return (values * self.images).sum(dim=1).numpy().astype(float)
        return values.abs().amax(dim=1).numpy().astype(float)

    def _pairs(self) -> list[tuple[Tensor, int]]:
        return list(zip(self.images, self.targets.tolist(), strict=True))


def _class_channel(network: nn.Module, image: Tensor, target: int) -> Array:
    """SqueezeNet: the channel of the class behind the last convolution and its ReLU."""
    convolution = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)][-1]
    scores = layers.halves(network, convolution, image, lambda _: torch.zeros(()), lambda value: value)[0]
    return np.maximum(scores, 0)[target]
