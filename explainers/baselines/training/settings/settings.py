"""How a training goes, in one object of plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from explainers.baselines.losses.loss import Loss
from explainers.baselines.training.settings.augment import AUGMENTATIONS, Augmentation
from explainers.baselines.training.settings.optimizers import AdamW, Optimizer
from explainers.baselines.training.settings.plans import Plan
from explainers.baselines.training.settings.schedules import Plateau, Schedule
from explainers.errors import OptionError

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Settings:
    """Everything about a training but the network and the data.

    losses: terms of the loss, or None for the network's own recipe, without one cross entropy on the logits of every
    branch; more_losses: terms beside those, each in place of the one of its name.
    optimizer, schedule: records of how weights change; optimizers: others by the name that a plan's stage calls them,
        where they are not the same again; plan: what learns when, or None for the network's own recipe.
    epochs: at most so many; patience: stop when so many epochs have not improved the validation loss, or None.
    batch_size: images in a step.
    class_weights: None, "balanced" (inverse frequency, mean 1), or one for each class, in every cross entropy.
    sampling: "natural", or "balanced": every class as often as the others in each batch, rare ones repeated.
    augment: names or objects, applied in their order to training images.
    bias_samples: how often the bias image (the training images' pixel-wise mean) joins each epoch, with label 0; under
        balanced sampling it takes its turn among the images of class 0.
    precision: "float32", or mixed: "bfloat16", "float16" (with loss scaling).
    clip: largest norm of the gradient, or None.
    keep_every: keep the weights of every so many epochs beside the last and the best, or of the epochs in a tuple, or
        None.
    seed: of weights, order, augmentation and whatever losses draw.
    """

    losses: tuple[Loss, ...] | None = None
    more_losses: tuple[Loss, ...] = ()
    optimizer: Optimizer = field(default_factory=AdamW)
    schedule: Schedule = field(default_factory=Plateau)
    optimizers: Mapping[str, Optimizer] = field(default_factory=dict)
    plan: Plan | None = None
    epochs: int = 30
    patience: int | None = None
    batch_size: int = 32
    class_weights: str | tuple[float, ...] | None = None
    sampling: str = "natural"
    augment: tuple[str | Augmentation, ...] = ()
    bias_samples: int = 0
    precision: str = "float32"
    clip: float | None = None
    keep_every: int | tuple[int, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 2), ("bias_samples", 0), ("patience", 1), ("keep_every", 1)):
            value = getattr(self, name)
            if value is None and name in ("patience", "keep_every"):
                continue
            if name == "keep_every" and isinstance(value, tuple) and value:
                value = min(value, key=lambda each: each if type(each) is int else -1)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise OptionError(f"{name}={value!r}; expected a whole number of at least {least}")
        if self.clip is not None and not self.clip > 0:
            raise OptionError(f"clip={self.clip}; expected a positive norm, or None for no clipping")
        if isinstance(self.augment, str):
            raise OptionError(f"augment={self.augment!r}; expected several, such as ({self.augment!r},)")
        for name, known in (("precision", PRECISIONS), ("sampling", ("natural", "balanced"))):
            if getattr(self, name) not in known:
                raise OptionError(f"{name}={getattr(self, name)!r}; expected one of {', '.join(known)}")
        if isinstance(self.class_weights, str) and self.class_weights != "balanced":
            raise OptionError(f"class_weights={self.class_weights!r}; expected 'balanced', numbers or None")
        if unknown := [each for each in self.augment if isinstance(each, str) and each not in AUGMENTATIONS]:
            raise OptionError(f"no augmentation {unknown[0]!r}; there are {', '.join(AUGMENTATIONS)}")
        for loss in (*(self.losses or ()), *self.more_losses):
            if not isinstance(loss, Loss):
                raise OptionError(f"{loss!r} is no loss; derive its class from explainers.baselines.Loss")
        for losses in (self.losses, self.more_losses or None):
            names = [loss.name for loss in losses or ()]
            if losses is not None and (not names or len(set(names)) < len(names)):
                raise OptionError(
                    f"losses {', '.join(names) or 'none'}; expected at least one, each under a name of its own"
                )

    def keeps(self, epoch: int) -> bool:
        """Whether the weights after this epoch, counted from 1, are kept beside the last and the best."""
        every = self.keep_every
        return epoch in every if isinstance(every, tuple) else every is not None and epoch % every == 0

    def augmentations(self) -> tuple[Augmentation, ...]:
        """The objects behind `augment`."""
        return tuple(AUGMENTATIONS[each] if isinstance(each, str) else each for each in self.augment)

    def describe(self) -> dict[str, Any]:
        """Plain values, for a file, and to tell whether two trainings are the same."""
        found = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        for name in ("optimizers", "more_losses"):  # as before there were any, so that older trainings go on
            if not getattr(self, name):
                del found[name]
        return found


def _plain(value: Any) -> Any:
    if callable(getattr(value, "settings", None)):
        return _plain(value.settings())
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
