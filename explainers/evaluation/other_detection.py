"""The control of maps of boxes: the same method's map of another detection of the same image."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from explainers.core.explainer import Explainer
from explainers.errors import OutputError, TargetError
from explainers.evaluation.shared_passes import explained_together
from explainers.targets import Box, Detections, detections
from explainers.targets.detection import box_iou


class OtherDetection:
    """An explainer of boxes that explains another detection: the best one of the image that is not the box.

    Beside the method itself in `evaluate` it is a control. A method whose own maps score no better on their boxes than
    those of other boxes of the same images shows what is seen, and nothing of the one detection. Under a title that
    ends in "another box", tables take it for one.

    Args:
        explainer: bound to a detection network; min_score: of detections that count; overlap: the IoU from which a
            detection is the box itself.

    Raises:
        OutputError: for an image in which there is no other detection. TargetError: a target that is no box.

    Cost: what the explainer costs, and a pass for each batch.

    >>> ours, output = RISE(model), None  # doctest: +SKIP
    >>> explainers = {"rise": ours, "rise, another box": OtherDetection(ours)}  # doctest: +SKIP
    >>> evaluate(model, images, explainers, targets=boxes, masks=box_masks(corners, (h, w)))  # doctest: +SKIP
    """

    def __init__(self, explainer: Explainer, *, min_score: float = 0.3, overlap: float = 0.5) -> None:
        self.explainer, self.min_score, self.overlap = explainer, min_score, overlap

    def __call__(self, images: Tensor, targets: Sequence[Box]) -> Tensor:
        """Maps (N, H, W) of another detection each.

        Args:
            images: (N, C, H, W); targets: the box of each, which is not explained.
        """
        network, output = self.explainer.network, self.explainer.output
        found = detections(network, images, min_score=self.min_score, output=output)
        others = [self._other(each, target) for each, target in zip(found, targets, strict=True)]
        return explained_together(self.explainer, images, others)

    def _other(self, found: Detections, target: Box) -> Box:
        if not isinstance(target, Box) or target.box is None:
            raise TargetError(f"{target!r} is no box of an image, so there is no other one")
        overlaps = box_iou(target.box, found.boxes)
        others = (overlaps < self.overlap).nonzero().flatten().tolist()
        if not others:
            raise OutputError(  # of this image alone
                f"{target.label()}: there is no other detection with a score of {self.min_score:g} or more in this "
                "image, which a control by another box needs; lower min_score, or leave the image or the control out"
            )
        return Box.of(found, others[0])
