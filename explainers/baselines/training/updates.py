"""Updates of the weights: a forward pass, the losses of a stage, a step of its optimiser and of the losses' own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from explainers.baselines.losses.loss import Beginning, Companion, Loss, Step, forward
from explainers.baselines.training.settings.plans import Plan, Stage, frozen
from explainers.baselines.training.settings.settings import Settings
from explainers.errors import OptionError, TrainingError

MAIN = Stage.optimizer


class Updates:
    """The optimisers of a training, what its losses keep, and one update by them.

    Attributes:
        optimizers: by the names that stages call them, the first being the network's main one.
        companions: by the names of their losses.
        scaler: of the losses in float16.
    """

    def __init__(
        self,
        network: nn.Module,
        losses: Sequence[Loss],
        settings: Settings,
        plan: Plan,
        device: torch.device,
        beginning: Beginning,
    ) -> None:
        self.network, self.losses, self.settings, self.device = network, losses, settings, device
        names = dict.fromkeys([MAIN, *(stage.optimizer for stage in plan.stages())])
        if strange := sorted(set(settings.optimizers) - set(names)):
            raise OptionError(f"optimizers={strange}: no stage of the plan is trained by one of that name")
        records = {name: settings.optimizers.get(name, settings.optimizer) for name in names}
        self.optimizers = {name: record.make(network) for name, record in records.items()}
        self._base = {name: [group["lr"] for group in each.param_groups] for name, each in self.optimizers.items()}
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
        made = {loss.name: loss.companion(beginning) for loss in losses}
        self.companions: dict[str, Companion] = {name: each for name, each in made.items() if each is not None}
        for each in self.companions.values():
            each.module.to(device)

    @property
    def lr(self) -> float:
        """Of the main optimiser's first group."""
        return float(self.optimizers[MAIN].param_groups[0]["lr"])

    def set_rates(self, scale: float, floor: float) -> None:
        """Every optimiser's learning rates for an epoch; companions keep theirs."""
        for name, optimizer in self.optimizers.items():
            for group, lr in zip(optimizer.param_groups, self._base[name], strict=True):
                group["lr"] = max(lr * scale, min(lr, floor))

    def modules(self) -> dict[str, nn.Module]:
        """All whose state has to be kept, by names for a file."""
        return {"network": self.network, **{f"loss:{name}": each.module for name, each in self.companions.items()}}

    def states(self) -> dict[str, torch.optim.Optimizer]:
        """All optimisers whose state has to be kept, by names for a file."""
        own = {name: each.optimizer for name, each in self.companions.items() if each.optimizer is not None}
        others = {f"optimizer:{name}": each for name, each in self.optimizers.items() if name != MAIN}
        return {MAIN: self.optimizers[MAIN], **others, **{f"optimizer-of-loss:{name}": o for name, o in own.items()}}

    def update(self, stage: Stage, step: Step) -> dict[str, float]:
        """One update; the losses' values by name, their weighted sum as "loss".

        Args:
            step: all of it but the forward pass, which is made here.
        """
        wanted = [loss for loss in self.losses if stage.losses is None or loss.name in stage.losses]
        optimizer = self.optimizers[stage.optimizer]
        kept = [self.companions[loss.name] for loss in wanted if loss.name in self.companions]
        stepping = [optimizer, *(companion.optimizer for companion in kept if companion.optimizer is not None)]
        for each in stepping:
            each.zero_grad(set_to_none=True)
        with frozen(self.network, (*stage.frozen, *frozen_parts(self.network))):
            with self._autocast():
                made = forward(self.network, step.images, stage.attention, step.labels)
                step = replace(step, made=made)
                values = {loss.name: loss(step) for loss in wanted}
                total = torch.stack([loss.weight * values[loss.name].float() for loss in wanted]).sum()
            if not total.requires_grad:
                raise TrainingError(f"no part that learns has a say in the losses {', '.join(values)}; freeze less")
            self.scaler.scale(total).backward()
            if self.settings.clip is not None:
                self.scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
            for each in stepping:
                self.scaler.step(each)
            self.scaler.update()
        return {"loss": total.item(), **{name: value.item() for name, value in values.items()}}

    def modules_of_losses(self) -> Mapping[str, nn.Module]:
        """What losses see of what they keep."""
        return {name: each.module for name, each in self.companions.items()}

    def _autocast(self) -> Any:
        kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(self.settings.precision)
        return torch.autocast(self.device.type, dtype=kind, enabled=kind is not None)


def frozen_parts(network: nn.Module) -> tuple[str, ...]:
    """What a network never learns, such as the encoder that it explains; it says so itself."""
    return tuple(getattr(network, "frozen_parts", ()))


def beginning(network: nn.Module, images: Tensor, classes: int) -> Beginning:
    """What losses see before the first step.

    Args:
        images: (2, C, H, W) to pass through the network, which is left as it was found.
    """
    from explainers.network.guard import preserved

    with torch.no_grad(), preserved(network):
        return Beginning(network, forward(network, images), classes)
