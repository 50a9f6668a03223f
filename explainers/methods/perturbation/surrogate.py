"""LIME and KernelSHAP: a linear model of the score over segments of the image, by captum, fed in full batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from explainers.core.explainer import Explained, told
from explainers.core.maps import as_tensor, grid_labels, is_constant
from explainers.core.perturbation_explainer import PerturbationExplainer
from explainers.core.registry import register
from explainers.errors import DependencyError, OptionError
from explainers.methods.global_seeds import seeded
from explainers.network.output import Output
from explainers.passes.activation import Reading
from explainers.passes.substrate import substrate_of

Segments = int | Tensor | Callable[[Tensor], Tensor]
RIDGE = 1.0  # of LIME; the authors' code for images
BATCH = 256  # perturbed images that captum hands over at a time; the Predictor divides them
MOST_AT_ONCE = 2**26  # numbers in those of a volume or signal


class SegmentExplainer(PerturbationExplainer):
    """One value per segment: the coefficient of "this segment is there" in a model of the score.

    Args:
        segments: cells a side of a grid, blocks in a volume; or labels (*axes) or (N, *axes) of any segmentation; or a
            function from an image (C, *axes) to labels (*axes), such as a superpixel algorithm.
        samples: how many perturbed images, per image and target class; more than there are segments, ten times as many
            or more. Where they leave open what a segment adds, a warning says so.
        substrate: what takes the place of a segment: "zero" (after normalisation), "mean", "blur" or an image.
        seed: of the samples, the same for every image.
    """

    captum_class: ClassVar[str]
    exact: ClassVar[bool] = False  # whether one segment alone has what it adds to the substrate
    packages = ("captum", "sklearn")
    signed = True

    def __init__(
        self,
        model: Any,
        *,
        output: Output | None = None,
        activation: str | None = "auto",
        segments: Segments = 7,
        samples: int = 1000,
        substrate: str | Tensor = "zero",
        seed: int = 0,
        **passes: Any,
    ) -> None:
        super().__init__(model, output=output, activation=activation, **passes)
        if samples < 2 or (isinstance(segments, int) and segments < 1):
            raise OptionError(f"samples={samples}, segments={segments}; expected samples ≥ 2 and segments ≥ 1")
        self.segments, self.samples, self.substrate, self.seed = segments, samples, substrate, seed

    @classmethod
    def trial(cls, model: Any, images: Tensor, *, output: Output | None = None) -> None:
        """A few samples: as many as tell the segments of a volume apart."""
        cls(model, output=output, samples=16, segments=2)(images[:1])

    def compute(self, images: Tensor, targets: Any) -> Explained:
        """Image by image and class by class, each with the same samples."""
        reading, classes = self.clean(images, targets)
        substrates = substrate_of(images, self.substrate)
        maps = []
        for row, (image, substrate, wanted) in enumerate(zip(images, substrates, classes, strict=True)):
            labels = self._labels(images, row)
            maps.append(
                torch.stack([self._values(image, substrate, int(target), labels, reading) for target in wanted])
            )
        return told(torch.stack(maps), reading)

    def _values(self, image: Tensor, substrate: Tensor, target: int, labels: Tensor, reading: Reading) -> Tensor:
        """(*axes) for one class."""

        seen: list[Tensor] = []

        def watched(images: Tensor) -> Tensor:
            answers = reading(self.predictor(images))
            seen.append(answers[:, target].detach())
            return answers

        if self.exact and not labels.any():  # captum's weights of subsets are 0 / 0 for one segment
            with_it, without = watched(torch.stack([image, substrate]))[:, target]
            return (with_it - without).detach().expand(labels.shape)
        fitted = self._fitted(watched)
        fitted.interpretable_model = _Watched(fitted.interpretable_model, self._told_apart)
        with seeded(self.seed), image.device:  # captum draws on torch's default device
            values = fitted.attribute(
                image[None],
                baselines=substrate[None],
                target=target,
                feature_mask=labels[None, None],
                n_samples=self.samples,
                perturbations_per_eval=min(self._at_once(image), self.samples),
            )
        moved = not is_constant(torch.cat(seen))
        return values[0, 0].detach() if moved else torch.zeros_like(values[0, 0])  # else a map of rounding

    def _told_apart(self, there: Tensor) -> None:
        """Say so where samples (n, segments) of which segments are there fit more than one linear model.

        For one, as many of them have to be independent as there are segments, and one for the score without any.
        """
        design = torch.cat([torch.ones_like(there[:, :1]), there], dim=1).double()
        independent = int(torch.linalg.matrix_rank(design.T @ design, hermitian=True))
        segments = there.shape[1]
        if independent <= segments:
            warnings.warn(
                f"{self.name}: samples={self.samples} leave open what each of {segments} segments adds, and the map is "
                f"one answer of many: {independent} of them are independent, and it takes {segments + 1}; take "
                f"samples={10 * segments} or more, or fewer segments",
                stacklevel=2,
            )

    @staticmethod
    def _at_once(image: Tensor) -> int:
        return BATCH if image.ndim == 3 else max(1, min(BATCH, MOST_AT_ONCE // image.numel()))

    def _labels(self, images: Tensor, row: int) -> Tensor:
        image = images[row]
        size = tuple(image.shape[1:])
        if isinstance(self.segments, int):
            labels = grid_labels(size, self.segments)
        elif isinstance(self.segments, Tensor):
            labels = self.segments if self.segments.ndim == len(size) else self.segments[row]
        else:
            labels = as_tensor(self.segments(image))
        if labels.shape != size or labels.is_floating_point():
            raise OptionError(
                f"segments of shape {tuple(labels.shape)} and {labels.dtype}; expected integer labels {size}"
            )
        return labels.unique(return_inverse=True)[1].to(image.device)

    def _fitted(self, watched: Callable[[Tensor], Tensor]) -> Any:
        """captum's attribution of a function from images to scores."""
        return self._captum()(watched)

    def _captum(self) -> Any:
        try:
            import captum.attr
        except ImportError as error:
            raise DependencyError(f"{self.name} needs captum: pip install 'explainers[captum]'") from error
        try:
            import sklearn  # noqa: F401
        except ImportError as error:
            raise DependencyError(f"{self.name} needs scikit-learn: pip install 'explainers[captum]'") from error
        return getattr(captum.attr, self.captum_class)


class _Watched:
    """captum's linear model, whose samples are looked at before it is fitted."""

    def __init__(self, model: Any, look: Callable[[Tensor], None]) -> None:
        self.model, self.look = model, look

    def fit(self, samples: Any) -> Any:
        """captum's fit to batches of (segments that are there, score, weight)."""
        self.look(torch.cat([there for there, *_ in samples]))
        return self.model.fit(samples)

    def representation(self) -> Tensor:
        """The coefficients."""
        values: Tensor = self.model.representation()
        return values


@register
class LIME(SegmentExplainer):
    """A linear model of the score around the image, samples nearer to the image counting more.

    Ridge regression with α = 1, as in the authors' code for images, so that the map of a class scales with its
    probability. captum's Lasso with α = 0.01 is empty wherever the probability moves by less than some hundredths.
    Samples are weighed by captum's kernel: exponential in the cosine distance, of width 1.

    Source: Ribeiro et al. 2016, on a grid of 7 × 7 segments unless told otherwise.
    """

    name = "lime"
    reference = "Ribeiro et al. 2016"
    captum_class = "Lime"

    def _fitted(self, watched: Callable[[Tensor], Tensor]) -> Any:
        lime = self._captum()
        from captum._utils.models.linear_model import SkLearnRidge

        return lime(watched, interpretable_model=SkLearnRidge(alpha=RIDGE))


@register
class KernelSHAP(SegmentExplainer):
    """Shapley values of the segments, as the weighted linear regression that estimates them.

    Source: Lundberg and Lee 2017, theorem 2, on a grid of 7 × 7 segments unless told otherwise.
    """

    name = "kernel-shap"
    reference = "Lundberg and Lee 2017"
    captum_class = "KernelShap"
    exact = True
