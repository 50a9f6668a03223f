"""Attention rollout: how much of each patch has flowed into the class token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from explainers.core.layer_explainer import LayerExplainer
from explainers.core.maps import upsample
from explainers.core.registry import register
from explainers.core.targets import resolve_targets
from explainers.errors import refuse
from explainers.network.capture import Capture
from explainers.network.gradients import gradients_of
from explainers.network.guard import GLOBAL_SWITCHES
from explainers.network.input import another, fixed_batch
from explainers.network.inputs import is_bound
from explainers.network.layers import Layer, made_of

INSTEAD = "grad-cam or hires-cam, which read token layers too"


@register
class AttentionRollout(LayerExplainer):
    """Product over blocks of ½ (mean-head attention + identity), the class token's row, as a map of patches.

    The attention matrices are seen where they are computed, at the softmax itself, so any implementation will do (fused
    attention runs in its plain form meanwhile). Does not see the class.

    Source: Abnar and Zuidema 2020, eq. 1.
    """

    name = "attention-rollout"
    reference = "Abnar and Zuidema 2020"
    needs = frozenset({"layer"})
    class_blind = True
    axes = (2,)

    def compute(self, images: Tensor, targets: Any) -> Tensor:
        """One forward pass; before the first one of a size, those that find the tokens and what reads them."""
        key = (*images.shape[1:], made_of(self.network))
        if key not in self._found:
            self._found[key] = (self._token_layer(images),)
        (tokens,) = self._found[key]
        with torch.no_grad(), _plain_attention(), _Softmaxes() as seen:
            scores = self.scores(images)
        layout = tokens.layout
        length = layout.prefix + layout.grid[0] * layout.grid[1]
        outputs = self._own(images, seen.outputs) if is_bound(self.network) else seen.outputs
        blocks = [matrix for value in outputs if (matrix := _attention(value, len(images))) is not None]
        if not blocks or any(matrix.shape[-1] != length for matrix in blocks):
            found = sorted({tuple(value.shape) for value in seen.outputs})
            raise refuse(
                self.name,
                f"its attention is not among all {length} tokens in every block (softmax shapes {found[:4]}: "
                "windows, changing resolution, or no softmax at all)",
                INSTEAD,
            )
        rollout = torch.eye(length, device=images.device, dtype=blocks[0].dtype)
        for matrix in blocks:
            rollout = 0.5 * (matrix + torch.eye(length, device=images.device, dtype=matrix.dtype)) @ rollout
        maps = layout.spatial(rollout[:, 0, :, None])
        maps = upsample(maps, images.shape[2:])
        return maps.expand(-1, resolve_targets(targets, scores).shape[1], -1, -1)

    def _own(self, images: Tensor, outputs: list[Tensor]) -> list[Tensor]:
        """The softmaxes that the explained one of several inputs has a part in."""
        with torch.no_grad(), _plain_attention(), _Softmaxes() as other:
            self.scores(another(images))
        pairs = zip(outputs, other.outputs, strict=False)
        return [one for one, two in pairs if one.shape != two.shape or not torch.equal(one, two)]

    def _token_layer(self, images: Tensor) -> Layer:
        """The last layer of tokens; its class token must be what the scores read."""
        if self.layer is not None:
            raise refuse(self.name, "it multiplies all blocks, so there is no layer= to choose", INSTEAD)
        tokens = [layer for layer in self.survey(images).every if layer.layout.kind == "tokens" and layer.fed]
        if not tokens:
            raise refuse(self.name, "it has no tokens, so it is no vision transformer", "grad-cam or cam")
        last = tokens[-1]
        if last.layout.prefix == 0 or last.reaches:
            raise refuse(self.name, "its scores do not come from a class token alone", INSTEAD)
        if not self._reads_first(images, last):
            raise refuse(self.name, "its scores do not come from the first of its tokens, the class token", INSTEAD)
        return last

    def _reads_first(self, images: Tensor, last: Layer) -> bool:
        """Whether the scores depend on the first token of the last layer; True where they have no gradient."""
        few = images[: fixed_batch(self.network) or 1]
        with torch.enable_grad():
            with Capture([last], count=len(few)) as capture:
                scores = self.scores(few)
            if not scores.requires_grad:
                return True
            total = (scores * torch.linspace(1, 2, scores.shape[1], device=scores.device, dtype=scores.dtype)).sum()
            (gradient,) = gradients_of(total, capture.tensors)
        return gradient is None or not bool(gradient.any()) or bool(gradient[:, 0].any())


class _Softmaxes(TorchDispatchMode):
    """Keeps the output of every softmax over the last dimension of three- and four-dimensional tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten._softmax, torch.ops.aten._safe_softmax) and result.ndim in (3, 4):
            self.outputs.append(result)
        return result


class _plain_attention:
    """Attention step by step instead of in one fused kernel that never forms the matrix."""

    def __enter__(self) -> None:
        GLOBAL_SWITCHES.acquire()
        self.fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        self.kernel = sdpa_kernel(SDPBackend.MATH)
        self.kernel.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.kernel.__exit__(*error)
        torch.backends.mha.set_fastpath_enabled(self.fast)
        GLOBAL_SWITCHES.release()


def _attention(value: Tensor, count: int) -> Tensor | None:
    """(N, T, T) mean over heads of (N, heads, T, T) or (N·heads, T, T); None for anything else."""
    if value.shape[-1] != value.shape[-2] or len(value) % count:
        return None
    matrix = value if value.ndim == 4 else value.unflatten(0, (count, -1))
    return matrix.mean(dim=1) if len(matrix) == count else None
