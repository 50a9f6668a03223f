"""CIFAR-10, the files for Python that its authors distribute (Krizhevsky 2009): `cifar10:PATH`.

Those files are pickles, and reading a pickle runs what it says. torchvision reads one only if its MD5 sum is that of
the authors' file, and nobody is known to be able to make another file with a given sum: what runs is what they
published. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet, Split, register_data_set
from explainers.data.sets.splits import folder_of, held_out
from explainers.errors import DataError, DependencyError
from explainers.storage.paths import shown

if TYPE_CHECKING:
    import numpy as np

FOLDER = "cifar-10-batches-py"
ARCHIVE = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
VAL_SHARE = 0.1
# Over the 50,000 training images; they are 32 × 32 already.
PREPROCESSING = Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616), source="cifar10")


class ArraySplit(Split):
    """Images that lie in memory.

    Args:
        names: of the images; pixels: (N, H, W, 3) uint8; labels: the class index of each.
    """

    def __init__(self, names: Sequence[str], pixels: np.ndarray, labels: Sequence[int]) -> None:
        self.names, self.labels, self._pixels = tuple(names), tuple(labels), pixels

    def pixels(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB of an image, a copy."""
        copied: np.ndarray = self._pixels[index].copy()
        return copied


@register_data_set("cifar10", f"cifar10:PATH (the folder that holds {FOLDER})")
def cifar10(rest: str) -> DataSet:
    """A tenth of each class of the 50,000 training images is for validation; the 10,000 test images are the test.

    PATH may also be the folder `cifar-10-batches-py` itself. An image is called by its place in the files, such as
    "train/00017".

    Raises:
        DataError: the files are not there, or not the authors'. DependencyError: torchvision cannot be imported.
    """
    root = folder_of(rest, "cifar10")
    root = root.resolve().parent if root.resolve().name == FOLDER else root
    train, test = _loaded(root, train=True), _loaded(root, train=False)
    names = [f"train/{index:05d}" for index in range(len(train))]
    kept, val = held_out(names, train.targets, VAL_SHARE)
    parts = [
        ArraySplit([names[i] for i in part], train.data[part], [train.targets[i] for i in part]) for part in (kept, val)
    ]
    tests = [f"test/{index:05d}" for index in range(len(test))]
    return DataSet(
        f"cifar10:{rest}",
        tuple(train.classes),
        PREPROCESSING,
        parts[0],
        parts[1],
        ArraySplit(tests, test.data, test.targets),
        notes=(f"{len(val)} of the {len(names)} training images, the same share of each class, are for validation",),
    )


def _loaded(root: Path, *, train: bool) -> Any:
    try:
        from torchvision.datasets import CIFAR10
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        raise DependencyError(
            f"reading CIFAR-10 needs torchvision, which cannot be imported ({str(error).partition(chr(10))[0]}): "
            "pip install --upgrade --force-reinstall torch torchvision"
        ) from error
    try:
        return CIFAR10(str(root), train=train, download=False)
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"{shown(root / FOLDER)} does not hold the files of CIFAR-10, or one is not as distributed (MD5); expected "
            f"data_batch_1 … data_batch_5, test_batch and batches.meta: unpack {ARCHIVE} in {shown(root)}"
        ) from error
