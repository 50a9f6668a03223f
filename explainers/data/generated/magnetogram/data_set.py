"""The images as a data set for training: `magnetogram[:KEY=VALUE,…]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet, Split, register_data_set, settings_of
from explainers.data.generated.magnetogram.image import SPLITS, Magnetogram, check_settings, label_of, magnetogram
from explainers.data.generated.magnetogram.scene import CLASSES
from explainers.errors import DataError, OptionError

if TYPE_CHECKING:
    import numpy as np

MEAN, STD = (0.502,), (0.097,)  # of pixels / 255, measured on 1,000 training images at 96 pixels


class MagnetogramSplit(Split):
    """Images of one split, made when they are asked for."""

    def __init__(self, count: int, *, split: str, seed: int, size: int, grades: int, rate: float) -> None:
        self._settings = {"split": split, "seed": seed, "size": size, "grades": grades, "rate": rate}
        self.labels = [label_of(index, split, seed, grades, rate) for index in range(count)]
        self.names = [f"{index:05d}-{CLASSES[grades][label]}.png" for index, label in enumerate(self.labels)]

    def pixels(self, index: int) -> np.ndarray:
        """(S, S, 3) uint8 with three equal channels."""
        return self._made(index).pixels[0, :, :, None].repeat(1, 1, 3).numpy()

    def mask(self, index: int) -> np.ndarray:
        """(S, S) bool, the inversion lines; empty for class 0."""
        return self._made(index).mask.numpy()

    def _made(self, index: int) -> Magnetogram:
        return magnetogram(range(len(self))[index], **self._settings)  # type: ignore[arg-type]


@register_data_set("magnetogram", "magnetogram[:KEY=VALUE,…]")
def magnetogram_set(rest: str) -> DataSet:
    """The data set `magnetogram:size=64,grades=4,train=4000,val=500,test=500,rate=0.5,seed=0`.

    Raises:
        DataError: an unknown setting, or one out of its range.
    """
    defaults = {"size": 96, "grades": 2, "train": 4000, "val": 500, "test": 500, "rate": 0.5, "seed": 0}
    settings = settings_of(rest, defaults, "magnetogram")
    size, grades, seed, rate = (*(int(settings[key]) for key in ("size", "grades", "seed")), float(settings["rate"]))
    counts = {split: int(settings[split]) for split in SPLITS}
    try:
        check_settings("train", size, grades, rate)
    except OptionError as error:
        raise DataError(f"magnetogram:{rest}: {error}") from error
    for split, count in counts.items():
        if count < (split != "test"):
            raise DataError(f"magnetogram:{rest}: {split}={count}; expected at least {int(split != 'test')}")
    splits = {
        split: MagnetogramSplit(count, split=split, seed=seed, size=size, grades=grades, rate=rate)
        for split, count in counts.items()
    }
    return DataSet(
        spec="magnetogram" + (f":{rest}" if rest else ""),
        class_names=CLASSES[grades],
        # Gray from three equal channels is 0.9999 of them, the sum of the luma weights: within 1e-4 of the value.
        preprocessing=Preprocessing(channels=1, mean=MEAN, std=STD, source="magnetogram"),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"] if counts["test"] else None,
        masks=True,
    )
