"""Class scores at positions of networks that predict a set of masks: MaskFormer, Mask2Former, EoMT, DETR with masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

PARTS = (("class_queries_logits", "masks_queries_logits"), ("logits", "pred_masks"))  # as transformers calls them


def class_map(returned: Any) -> Tensor | None:
    """(N, classes, h, w): over the queries the sum of the class's probability times the mask's at each position.

    Each query has logits of classes, of which the last is "no object", and the logits of a mask. The class of the
    largest sum is what `post_process_semantic_segmentation` of transformers gives at a position.

    Source: Cheng et al. 2021, section 3.4, semantic inference.

    Returns:
        None where a network returned something else.
    """
    for names in PARTS:
        classes, masks = (_part(returned, name) for name in names)
        if isinstance(classes, Tensor) and isinstance(masks, Tensor) and classes.ndim == 3 and masks.ndim == 4:
            return torch.einsum("nqc,nqhw->nchw", classes.softmax(dim=-1)[..., :-1], masks.sigmoid())
    return None


def _part(returned: Any, name: str) -> Any:
    return returned.get(name) if isinstance(returned, Mapping) else getattr(returned, name, None)
