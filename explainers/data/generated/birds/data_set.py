"""The images as a data set for training: `birds[:KEY=VALUE,…]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet, Split, register_data_set, settings_of
from explainers.data.generated.birds.image import SPLITS, Bird, bird, check_settings
from explainers.data.generated.birds.kinds import class_names
from explainers.data.generated.birds.sentence import bird_sentence
from explainers.errors import DataError, OptionError

if TYPE_CHECKING:
    import numpy as np

MEAN, STD = (
    (0.462, 0.480, 0.438),
    (0.227, 0.203, 0.272),
)  # of pixels / 255, measured on 1,000 training images at 96 pixels


class BirdSplit(Split):
    """Images of one split, made when they are asked for."""

    mask_names = ("bird", "parts")

    def __init__(self, count: int, *, split: str, seed: int, size: int, classes: int) -> None:
        self._split, self._seed, self._size, self._classes = split, seed, size, classes
        kinds = class_names(classes)
        self.labels = [index % classes for index in range(count)]
        self.names = [f"{index:05d}-{kinds[label]}.png" for index, label in enumerate(self.labels)]

    def pixels(self, index: int) -> np.ndarray:
        """(S, S, 3) uint8 RGB."""
        return self._made(index).pixels.permute(1, 2, 0).contiguous().numpy()

    def mask(self, index: int) -> np.ndarray:
        """(S, S) bool, the bird without its reflection."""
        return self._made(index).bird.numpy()

    def named_mask(self, index: int, name: str) -> np.ndarray | None:
        """(S, S) bool, of "bird" or "parts": beak and tail, which decide the class."""
        return self._made(index).parts.numpy() if name == "parts" else super().named_mask(index, name)

    def sentence(self, index: int) -> str:
        """A sentence about the parts of the bird, such as "a green bird with a red hooked beak and …"."""
        return bird_sentence(self._checked(index), split=self._split, seed=self._seed, classes=self._classes)

    def _checked(self, index: int) -> int:
        return range(len(self))[index]

    def _made(self, index: int) -> Bird:
        return bird(self._checked(index), split=self._split, seed=self._seed, size=self._size, classes=self._classes)


@register_data_set("birds", "birds[:KEY=VALUE,…]")
def bird_set(rest: str) -> DataSet:
    """The data set `birds:size=96,classes=20,train=4000,val=500,test=500,seed=0`.

    Raises:
        DataError: an unknown setting, or one out of its range.
    """
    defaults: dict[str, int | float] = {"size": 96, "classes": 20, "train": 4000, "val": 500, "test": 500, "seed": 0}
    settings = {key: int(value) for key, value in settings_of(rest, defaults, "birds").items()}
    size, classes, seed = (settings[key] for key in ("size", "classes", "seed"))
    try:
        check_settings("train", size, classes)
    except OptionError as error:
        raise DataError(f"birds:{rest}: {error}") from error
    for split in SPLITS:
        if settings[split] < (split != "test"):
            raise DataError(f"birds:{rest}: {split}={settings[split]}; expected at least {int(split != 'test')}")
    splits = {split: BirdSplit(settings[split], split=split, seed=seed, size=size, classes=classes) for split in SPLITS}
    return DataSet(
        spec="birds" + (f":{rest}" if rest else ""),
        class_names=class_names(classes),
        preprocessing=Preprocessing(mean=MEAN, std=STD, source="birds"),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"] if settings["test"] else None,
        masks=True,
    )
