"""The regions that maps point out as pre-annotations of Label Studio, for a person to correct."""

from __future__ import annotations

import json
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from explainers.errors import MapError
from explainers.run.export.exported import Exported, Maps, check_new, finished, new_folder, plain
from explainers.run.regions import check_threshold, region_of
from explainers.run.report.maps import read_map
from explainers.storage.journal import Row

KIND = "label-studio"
LOCAL = "/data/local-files/?d="  # where Label Studio serves files of its own machine
NOTHING = "the map points out nothing above the threshold in the photo"
# Run lengths of brushes as thi.ng's rle-pack stores them: words of 8 bits, and lengths in 3, 4, 8 or 16 bits.
WORD, LENGTHS = 8, (3, 4, 8, 16)


def write_label_studio(
    folder: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    threshold: str | float = "otsu",
    largest: bool = False,
    image_url: str = LOCAL,
) -> Exported:
    """Cut the maps of a finished `explain run` at a threshold, as `explain regions` does, and write the regions as
    `tasks.json` for Label Studio, with the labelling interface that it needs as `interface.xml`.

    A photo is a task, a method a prediction (`model_version`), a target a brush with its class as label.

    Args:
        folder: of the run; out: the folder for the two files (default `label-studio` in the folder); overwrite: whether
            one that an export made is replaced; threshold, largest: as of `write_regions`.
        image_url: what stands before the name of a photo where Label Studio finds it.

    Raises:
        DataError: the folder holds no run that has come to its end, or one without maps of photos. OptionError: no such
            threshold, or there is something already. WriteError: it cannot be written.
    """
    check_threshold(threshold)
    read = finished(folder, ("run",), "pre-annotations")
    target = read.path / "label-studio" if out is None else Path(out)
    check_new(target, KIND, overwrite=overwrite)
    maps, tasks, labels, count = Maps(read), dict[str, dict[str, Any]](), dict[str, None](), 0
    for row, path in maps:
        try:
            found = read_map(path)
        except MapError as error:
            maps.leave_out(row, str(error))
            continue
        region = region_of(found, threshold, largest=largest)
        if not region.any():
            maps.leave_out(row, NOTHING)
            continue
        name, label = str(row["file"]), plain(str(row.get("target_name", "")) or f"class {row.get('target', '')}")
        count, labels[label] = count + 1, None
        if name not in tasks:
            address = image_url + quote(name.encode("utf-8", "surrogateescape"))
            tasks[name] = {"data": {"image": address, "file": plain(name)}, "predictions": []}
        _add(tasks[name]["predictions"], row, _brush(region, label, row, count))
        maps.took(row)
    with new_folder(target, KIND, overwrite=overwrite) as temporary:
        (temporary / "tasks.json").write_text(json.dumps(list(tasks.values())), encoding="utf-8")
        (temporary / "interface.xml").write_text(_interface(labels), encoding="utf-8")
    return maps.exported(target, {"region": count, "task": len(tasks)})


def _add(predictions: list[dict[str, Any]], row: Row, brush: dict[str, Any]) -> None:
    """To the prediction of the row's method; a prediction's score is that of its surest brush."""
    method = plain(str(row["method"]))
    of_method = next((each for each in predictions if each["model_version"] == method), None)
    if of_method is None:
        of_method = {"model_version": method, "result": []}
        predictions.append(of_method)
    of_method["result"].append(brush)
    if "score" in brush:
        of_method["score"] = max(of_method.get("score", 0.0), brush["score"])


def _brush(region: np.ndarray, label: str, row: Row, number: int) -> dict[str, Any]:
    height, width = region.shape
    probability = row.get("target_probability")
    sure = isinstance(probability, float) and 0 <= probability <= 1
    return {
        "id": f"region-{number}",
        "from_name": "region",
        "to_name": "image",
        "type": "brushlabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": brush_lengths(region), "brushlabels": [label]},
        **({"score": probability} if sure else {}),
    }


def brush_lengths(region: np.ndarray) -> list[int]:
    """(H, W) bool as Label Studio's bytes of a brush: the run lengths of an RGBA picture, 255 within the region.

    A head gives the number of values (32 bits), the bits of a value less 1 (5), and the bits of four kinds of lengths
    less 1 (4 each); then each run is a 1, its kind (2), its length less 1, and its value.
    """
    bits = [f"{4 * region.size:032b}", f"{WORD - 1:05b}", *(f"{length - 1:04b}" for length in LENGTHS)]
    for length, inside in _runs(region):
        kind = next(index for index, size in enumerate(LENGTHS) if length <= 1 << size)
        bits.append(f"1{kind:02b}{length - 1:0{LENGTHS[kind]}b}{255 if inside else 0:08b}")
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _runs(region: np.ndarray) -> Iterator[tuple[int, bool]]:
    """Lengths in values of RGBA, none above what 16 bits hold, and whether the run is in the region."""
    flat = region.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]])
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        left = 4 * (end - start)
        while left:
            length = min(left, 1 << LENGTHS[-1])
            yield length, bool(flat[start])
            left -= length


def _interface(labels: dict[str, None]) -> str:
    named = "\n".join(f"    <Label value={quoteattr(label)}/>" for label in labels)
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="region" toName="image">\n{named}\n  </BrushLabels>\n</View>\n'
    )
