"""A training's log for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from explainers.errors import DependencyError


class Board:
    """Writes one scalar for each number of each epoch.

    Raises:
        DependencyError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise DependencyError("logging for TensorBoard needs it: pip install 'explainers[tensorboard]'") from error
        self.writer: Any = SummaryWriter(str(folder))

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()

    def picture(self, name: str, pixels: Any, epoch: int) -> None:
        """(H, W, 3) uint8 under a name."""
        self.writer.add_image(name, pixels, epoch, dataformats="HWC")

    def write(self, row: Mapping[str, Any]) -> None:
        """`train_loss` of the row becomes `train/loss`, and so on."""
        for name, value in row.items():
            if name != "epoch" and value is not None:
                self.writer.add_scalar(
                    name.replace("_", "/", 1) if name.startswith(("train_", "val_")) else name, value, row["epoch"]
                )
