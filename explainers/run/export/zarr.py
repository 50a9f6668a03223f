"""The maps of a run as a Zarr store: arrays that xarray, dask and napari read piece by piece, also from afar."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from explainers.run.export.exported import Exported, Maps, check_new, facts_of, finished, library, new_folder, origin
from explainers.storage.journal import Row

KIND = "zarr"
AXES = ("map", "channel", "y", "x")
UNITS = "none: each method has a scale of its own, and maps of two methods are compared by their ranks"


def write_zarr(
    folder: str | PathLike[str], out: str | PathLike[str] | None = None, *, overwrite: bool = False
) -> Exported:
    """Write the maps of a finished `explain run` over photos as a Zarr store (format 3), one map after the other.

    A group for each method holds an array (maps, H, W), or (maps, C, H, W), float32, for each size that its maps have,
    called after it, such as `grad-cam/224x224`; each map is a chunk. The values are those of the run's `maps/`, to the
    bit. The array's attributes are `method`, `units`, and `maps`: for each map in its order the image, target, `box`
    (top, left, bottom, right of the map in the photo, in pixels) and `image_size` (height, width of the photo).

    Args:
        folder: of the run; out: the store's folder (default `maps.zarr` in the folder); overwrite: whether a store that
            an export made is replaced.

    Raises:
        DataError: the folder holds no run that has come to its end, or one without maps of photos. DependencyError:
            zarr is missing. OptionError: there is something already. WriteError: it cannot be written.
    """
    read = finished(folder, ("run",), "Zarr")
    target = read.path / "maps.zarr" if out is None else Path(out)
    check_new(target, KIND, overwrite=overwrite, own=_is_own)
    zarr = library("zarr", "zarr", "Zarr")
    maps = Maps(read)
    rows: dict[str, int] = {}
    for row, _ in maps:
        rows[str(row["method"])] = rows.get(str(row["method"]), 0) + 1
    maps.left_out.clear()
    with new_folder(target, KIND, overwrite=overwrite, own=_is_own) as temporary:
        store = _Store(zarr, temporary, rows, {**origin(read), "model": read.manifest.get("model"), "units": UNITS})
        for row, values, place in maps.loaded():
            store.add(str(row["method"]), values, facts_of(row, **place))
            maps.took(row)
        store.close()
    return maps.exported(target, {"map": store.count, "array": len(store.arrays)})


def _is_own(folder: Path) -> bool:
    """Whether an export made a store; a file of ours would be foreign to Zarr."""
    try:
        return "explainers" in json.loads((folder / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


class _Store:
    """A store as it grows. rows: how many maps of each method there are at most."""

    def __init__(self, zarr: Any, path: Path, rows: dict[str, int], facts: dict[str, Any]) -> None:
        self.zarr, self.rows = zarr, rows
        self.root = zarr.create_group(path, zarr_format=3, attributes=facts)
        self.groups: dict[str, Any] = {}
        self.arrays: dict[tuple[str, tuple[int, ...]], Any] = {}
        self.told: dict[tuple[str, tuple[int, ...]], list[Row]] = {}

    @property
    def count(self) -> int:
        return sum(map(len, self.told.values()))

    def add(self, method: str, values: np.ndarray, facts: dict[str, Any]) -> None:
        """A map behind those of its method and size."""
        key = (method, values.shape)
        if key not in self.arrays:
            self.arrays[key], self.told[key] = self._array(method, values.shape), []
        self.arrays[key][len(self.told[key])] = values
        self.told[key].append(facts)

    def _array(self, method: str, shape: tuple[int, ...]) -> Any:
        if method not in self.groups:
            self.groups[method] = self.root.create_group(self._name(method), attributes={"method": method})
        return self.groups[method].create_array(
            "x".join(map(str, shape)),
            shape=(self.rows[method], *shape),
            chunks=(1, *shape),
            dtype="float32",
            dimension_names=(AXES[0], *AXES[-len(shape) :]),
            config={"write_empty_chunks": True},  # a chunk of zeros that is left out comes back without its signs
        )

    def _name(self, method: str) -> str:
        """The method's title, without what the names of nodes may not have."""
        name = method.replace("/", "_").replace("\\", "_")
        name = f"_{name}" if not name.strip(".") or name.startswith("__") else name
        while name in self.root:
            name += "_"
        return name

    def close(self) -> None:
        """Cut the arrays to what is in them, and say what that is."""
        for (method, shape), array in self.arrays.items():
            told = self.told[method, shape]
            array.resize((len(told), *shape))
            array.update_attributes({"method": method, "units": UNITS, "maps": told})
