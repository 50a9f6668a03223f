"""Magnetograms of the Sun and the flares that followed, as prepared for Deep Flare Net: `defn:PATH`.

The layout is the one that the published code of the Lambda attention branch network (Iida et al. 2022,
keio-smilab21/LambdaAttentionBranchNetworks, `data/magnetogram.py` and `datasets/magnetogram/`) reads, for each year
2010 … 2017:

    PATH/2010.npy   (N, 512, 512) uint8, gray magnetograms
    PATH/2010.csv   header `image,flag,year`, then N rows in the order of the array, such as
                    2010-06/hmi.M_720s.20100601_015825.magnetogram.png,0,2010

PATH may also be the folder that holds the folder `magnetogram`. `flag` is 0 … 3, and the published code takes 2 and 3
as a flare. Assumed, as nothing there says it: that 0, 1, 2, 3 stand for O, C, M, X (the published task is M or larger),
and that any other height and width may be resized to 512. The published code adds one black image of no flare to train;
here that is the training's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import DataSet, Split, register_data_set
from explainers.data.label_table import read_labels
from explainers.data.sets.splits import folder_of
from explainers.errors import DataError, ImageError
from explainers.storage.paths import shown

if TYPE_CHECKING:
    import numpy as np

YEARS = {"train": range(2010, 2016), "val": range(2016, 2017), "test": range(2017, 2018)}
COLUMNS = ("image", "flag")
CLASSES = {"0": 0, "1": 0, "2": 1, "3": 1}  # O, C, M, X
PREPROCESSING = Preprocessing((512, 512), mean=(0.3625,), std=(0.2234,), channels=1, source="defn")


class YearSplit(Split):
    """Magnetograms of some years; an array stays on disk, and an image is read from it when it is asked for.

    Args:
        rows: for each image its name, its class, its array's file and its row there.
    """

    def __init__(self, rows: Sequence[tuple[str, int, Path, int]]) -> None:
        self.names, self.labels = tuple(row[0] for row in rows), tuple(row[1] for row in rows)
        self._places = tuple(row[2:] for row in rows)

    def pixels(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8, three equal channels; ImageError where the array's file can no longer be read."""
        import numpy as np

        path, row = self._places[index]
        try:
            gray = np.asarray(_opened(path)[row])
        except (OSError, ValueError, IndexError) as error:
            raise ImageError(f"cannot read {shown(self.names[index])}, row {row} of {shown(path)}: {error}") from error
        return np.repeat(gray[:, :, None], 3, axis=2)


@register_data_set("defn", "defn:PATH (a folder with 2010.npy, 2010.csv … 2017.npy, 2017.csv)")
def magnetograms(rest: str) -> DataSet:
    """Years 2010 … 2015 to train, 2016 to validate, 2017 to test; O and C are no flare, M and X are one.

    Raises:
        DataError: a file is missing, or not as this module's text has it.
    """
    root = folder_of(rest, "defn")
    if not (root / "2010.csv").exists() and (root / "magnetogram").is_dir():
        root = root / "magnetogram"
    splits = {name: _split(root, years) for name, years in YEARS.items()}
    return DataSet(
        f"defn:{rest}",
        ("no-flare", "flare"),
        PREPROCESSING,
        splits["train"],
        splits["val"],
        splits["test"],
        notes=("split by years: 2010–2015 train, 2016 val, 2017 test",),
    )


def _split(root: Path, years: range) -> YearSplit:
    rows: list[tuple[str, int, Path, int]] = []
    for year in years:
        array, table = root / f"{year}.npy", root / f"{year}.csv"
        labels = read_labels(table, COLUMNS, CLASSES.get, "0, 1, 2 or 3 (O, C, M, X)")
        count = _count(array)
        if count != len(labels):
            raise DataError(
                f"{shown(array)} has {count} images and {shown(table)} {len(labels)} rows; expected one row per image, "
                "in the array's order"
            )
        rows += [(name, label, array, row) for row, (name, label) in enumerate(labels.items())]
    return YearSplit(rows)


def _count(array: Path) -> int:
    """How many images an array holds."""
    try:
        shape, kind = (opened := _opened(array)).shape, opened.dtype
    except FileNotFoundError as error:
        raise DataError(f"no file {shown(array)}; expected (N, 512, 512) uint8 for each year 2010 … 2017") from error
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{shown(array)} cannot be read as an array of numbers: {error}") from error
    if len(shape) != 3 or 0 in shape or str(kind) != "uint8":
        raise DataError(f"{shown(array)} holds {kind} of shape {shape}; expected uint8 of shape (N, 512, 512)")
    return int(shape[0])


def _opened(array: Path) -> np.ndarray:
    """Mapped, not loaded: the years to train with are 12 GB."""
    import numpy as np

    opened: np.ndarray = np.load(array, mmap_mode="r", allow_pickle=False)
    return opened
