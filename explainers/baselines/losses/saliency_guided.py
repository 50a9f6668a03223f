"""Saliency guided training: the prediction must survive when all but the important part of an image is replaced."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.baselines.losses.loss import HEADS, Loss, Step, divergence, forward
from explainers.baselines.losses.registry import register_loss
from explainers.errors import OptionError, TrainingError
from explainers.network.as_found.batch_norm_backward import sound_batch_norm
from explainers.passes.still import still
from explainers.passes.substrate import substrate_of

RANKS = ("auto", "attention", "gradient", "magnitude")
FILLS = ("bias", "black", "mean", "blur", "uniform")


def kept(saliency: Tensor, keep: float, patch: int = 1) -> Tensor:
    """The most important patches of each image.

    Args:
        saliency: (N, H, W), more is more important; keep: share of patches, 0 … 1; patch: side in pixels. A patch is as
            important as its most important pixel; those at the right and lower border may be smaller.

    Returns:
        (N, H, W) bool with exactly round(keep · patches) patches; of equally important ones the first in reading order.
    """
    height, width = saliency.shape[1:]
    patches = F.max_pool2d(saliency[:, None].float(), patch, ceil_mode=True) if patch > 1 else saliency[:, None]
    flat = patches.flatten(1)
    count = round(keep * flat.shape[1])
    chosen = torch.zeros_like(flat, dtype=torch.bool)
    order = flat.argsort(dim=1, descending=True, stable=True)
    chosen.scatter_(1, order[:, :count], True)
    mask = chosen.view(patches.shape)
    if patch > 1:
        mask = mask.repeat_interleave(patch, 2).repeat_interleave(patch, 3)[:, :, :height, :width]
    return mask[:, 0]


def input_gradient(network: nn.Module, images: Tensor, labels: Tensor, *, absolute: bool) -> Tensor:
    """(N, H, W): gradient of the true class's logit with respect to the image, summed over the channels.

    The network runs in evaluation mode for it, since batch norm of a batch would mix what belongs to one image into the
    gradient of another; its modes and statistics are as before afterwards.

    Source: Ismail et al. 2021, algorithm 1.
    """
    modes = [(module, module.training) for module in network.modules()]
    leaf = images.detach().requires_grad_()
    try:
        for module, _ in modes:
            module.training = False
        with torch.enable_grad(), sound_batch_norm(images):
            score = forward(network, leaf).logits.gather(1, labels[:, None]).sum()
            (gradient,) = torch.autograd.grad(score, leaf)
    finally:
        for module, training in modes:
            module.training = training
    combined = gradient.sum(dim=1).float()
    return combined.abs() if absolute else combined


@register_loss("saliency-guided")
@dataclass(frozen=True)
class SaliencyGuided(Loss):
    """KL(f(x) ‖ f(x′)), where x′ keeps the important part of x and replaces the rest by a filler.

    Args:
        weight: of the term (α₂).
        keep: share of the image that stays, or several of which each step draws one.
        patch: side in pixels of what stays or goes together, or several of which each step draws one.
        rank: importance by the network's attention map ("attention"), the true class's input gradient summed over the
            channels, signed ("gradient") or the absolute value of that sum ("magnitude", as its source); "auto" takes
            the map where the network makes one, else "gradient".
        fill: "bias" (the pixel-wise mean of the training images), "black", "mean" (of each image and channel), "blur",
            or "uniform" (noise in each image's range, as Ismail).
        of: whose logits are held together, "logits" or "attention_logits".

    Source: Ismail et al. 2021, equation 1; with attention maps and bias image as in saliency guided training of LABN.
    """

    weight: float = 0.5
    keep: float | tuple[float, ...] = 0.1
    patch: int | tuple[int, ...] = 1
    rank: str = "auto"
    fill: str = "bias"
    of: str = "logits"
    name = "saliency"

    def __post_init__(self) -> None:
        if not _several(self.keep) or not all(0 < share < 1 for share in _several(self.keep)):
            raise OptionError(f"keep={self.keep}; expected shares between 0 and 1")
        if not _several(self.patch) or not all(side >= 1 for side in _several(self.patch)):
            raise OptionError(f"patch={self.patch}; expected sides of at least one pixel")
        if self.weight < 0:
            raise OptionError(f"weight={self.weight}; expected no negative weight")
        for key, known in (("rank", RANKS), ("fill", FILLS), ("of", tuple(HEADS))):
            if getattr(self, key) not in known:
                raise OptionError(f"{key}={getattr(self, key)!r}; expected one of {', '.join(known)}")

    def __call__(self, step: Step) -> Tensor:
        """One more forward pass, and for a ranking by gradient one more with its backward pass."""
        changed = self.masked(step)
        with still(step.network):
            made = forward(step.network, changed)
        return divergence(step.made.scores(self.of).float(), made.scores(self.of).float())

    def masked(self, step: Step) -> Tensor:
        """x′: (N, C, H, W) without a graph."""
        keep, patch = _drawn(self.keep, step.rng), int(_drawn(self.patch, step.rng))
        mask = kept(self.importance(step), keep, patch)[:, None]
        return torch.where(mask, step.images, self.filler(step))

    def importance(self, step: Step) -> Tensor:
        """(N, H, W) by which pixels are ranked."""
        attention_map = step.made.attention_map
        rank = self.rank
        if rank == "auto":
            rank = "gradient" if attention_map is None else "attention"
        if rank != "attention":
            return input_gradient(step.network, step.images, step.labels, absolute=rank == "magnitude")
        if attention_map is None:
            raise TrainingError("rank='attention': this network makes no attention map; use 'gradient' or 'magnitude'")
        size = step.images.shape[2:]
        detached = attention_map.detach().float()
        return F.interpolate(detached, size=size, mode="bilinear", align_corners=False)[:, 0]

    def filler(self, step: Step) -> Tensor:
        """What stands in place of removed pixels, of a shape that fits (N, C, H, W)."""
        images = step.images
        if self.fill in ("blur", "mean"):
            return substrate_of(images, self.fill)
        if self.fill == "uniform":
            low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
            noise = torch.rand(images.shape, generator=step.rng).to(images)
            return low + noise * (high - low)
        if self.fill not in step.fillers:
            raise TrainingError(f"fill={self.fill!r}: this step brings {', '.join(step.fillers) or 'no fillers'}")
        return step.fillers[self.fill].to(images)


def _several(value: float | tuple[float, ...]) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _drawn(value: float | tuple[float, ...], rng: torch.Generator) -> float:
    """One of several, or the only one, for which nothing is drawn."""
    choices = _several(value)
    return choices[0] if len(choices) == 1 else choices[int(torch.randint(len(choices), (), generator=rng))]
