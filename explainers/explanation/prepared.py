"""From photos, volumes, signals and clips as a notebook has them to a network's input, and what is shown of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from explainers.core.preprocessing import AnyPreprocessing, ArrayPreprocessing, Preprocessing, as_column
from explainers.core.preprocessing.arrays import AXES
from explainers.errors import ImageError, OptionError, counted
from explainers.network.input import convolution_axes, first_channels, first_parameter, runs
from explainers.network.inputs import Inputs, Key, chosen, inputs_of
from explainers.network.unwrapping import needs_several

if TYPE_CHECKING:
    import numpy as np

    from explainers.data.recordings import Recording

Box = tuple[float, float, float, float]
PHOTO = "photo"
LAYOUT = {"volume": "(N, C, D, H, W)", "signal": "(N, C, L)", "clip": "(N, C, T, H, W)"}


@dataclass(frozen=True, eq=False)
class Prepared:
    """What goes in, and what is shown of it.

    inputs: (N, C, *axes); pixels, boxes: the photos, and where the input lies in each; names: how each is called, empty
    where nothing says; recordings, arrays: what is no photo, and the way from it to the input.
    """

    inputs: Tensor
    pixels: tuple[np.ndarray, ...] = ()
    boxes: tuple[Box | None, ...] = ()
    recordings: tuple[Recording, ...] = ()
    names: tuple[str, ...] = ()
    arrays: ArrayPreprocessing | None = None

    def only(self, row: int, inputs: Tensor) -> Prepared:
        """One of them, with its input (1, C, *axes)."""
        parts = {name: getattr(self, name)[row : row + 1] for name in ("pixels", "boxes", "recordings", "names")}
        return replace(self, inputs=inputs, **parts)


def prepared(image: Any, preprocessing: AnyPreprocessing | None, network: Any) -> Prepared:
    """Photos, or volumes, signals and clips, whichever the network takes.

    Raises:
        ImageError: what is given cannot be read, or is none that the network takes.
    """
    kind = _kind(image, preprocessing, network)
    if isinstance(image, (list, tuple)) and image and all(isinstance(each, Tensor) for each in image):
        image = _stacked(list(image), "tensors", "one size for all")
    if kind == PHOTO:
        if isinstance(preprocessing, ArrayPreprocessing):
            preprocessing = None
        return _photos(image, preprocessing)
    known = preprocessing if isinstance(preprocessing, ArrayPreprocessing) else None
    if isinstance(image, Tensor):
        return _tensor(image, kind, known)
    return _recordings(image, kind, known, network)


def _kind(image: Any, preprocessing: AnyPreprocessing | None, network: Any) -> str:
    """What the network takes: as its preprocessing says, else its convolutions, else by what is given."""
    from explainers.data.recordings import kind_of_file, kinds_in

    if isinstance(preprocessing, ArrayPreprocessing):
        return preprocessing.kind
    if isinstance(image, Tensor) and image.ndim == 5:
        return "volume"
    first = image[0] if isinstance(image, (list, tuple)) and image else image
    path = Path(first) if isinstance(first, (str, PathLike)) else None
    axes = convolution_axes(network) if preprocessing is None else (2,)
    if axes == (1,):
        return "signal"
    if axes == (3,):
        return "clip" if path is not None and kind_of_file(path) == "clip" else "volume"
    told = PHOTO if path is None or not path.exists() else kind_of_file(path) or PHOTO
    if axes == (2,):
        if told not in (PHOTO, "clip"):
            raise ImageError(
                f"{path} is a {told}, and the network takes photos; pass a photo, choose a network over {told}s, or, "
                f"where it is one, pass preprocessing=explainers.models.ArrayPreprocessing({told!r})"
            )
        return PHOTO
    if isinstance(first, Tensor):
        return _kind_of_tensor(first, network, alone=first is image)
    found = kinds_in(path) if path is not None and told == PHOTO and path.is_file() else set()
    return found.pop() if found else told


def _kind_of_tensor(given: Tensor, network: Any, *, alone: bool) -> str:
    """What a tensor is to a network whose convolutions go over several numbers of axes, or that has none: three axes
    may be signals (N, C, L) or one photo (C, H, W), and it is whichever of the two the network takes.

    Args:
        alone: whether it is no list's first, whose members have no N.

    Raises:
        ImageError: it takes both.
    """
    if given.ndim == 2:
        return "signal"  # (C, L), as no photo is
    if given.ndim != 3 or not alone:
        return PHOTO
    parameter = first_parameter(network)
    values = given if parameter is None else given.to(parameter.device, parameter.dtype)
    signal, photo = runs(network, values[:1]), runs(network, values[None])
    if signal and photo:
        count, channels, length = given.shape
        raise ImageError(
            f"a tensor {tuple(given.shape)} is {counted(count, 'signal')} (N, C, L) = ({count}, {channels}, {length}) "
            f"or one photo (C, H, W), and this network takes both; pass the photo as tensor[None], or say that "
            "they are signals: preprocessing=explainers.models.ArrayPreprocessing('signal')"
        )
    return "signal" if signal else PHOTO


def _photos(image: Any, preprocessing: Preprocessing | None) -> Prepared:
    if isinstance(image, Tensor):
        if image.ndim not in (3, 4):
            raise ImageError(f"expected images (N, C, H, W) or one (C, H, W), got {tuple(image.shape)}; add its axes")
        images = image[None] if image.ndim == 3 else image
        return Prepared(images, tuple(shown(value, preprocessing) for value in images), (None,) * len(images))
    from explainers.data.images.convert import as_photo

    if preprocessing is None:
        raise ImageError(
            "how this network takes a photo is not known: load it with explainers.load_model, pass preprocessing=, "
            "or pass a tensor (N, C, H, W) as the network takes it; where it takes signals or volumes, say so: "
            "preprocessing=explainers.models.ArrayPreprocessing('signal')"
        )
    given = image if isinstance(image, (list, tuple)) else [image]
    photos = [as_photo(value, **preprocessing.reading()) for value in given]
    if not photos:
        raise ImageError("the list of images is empty")
    inputs = _stacked([preprocessing(photo.input) for photo in photos], "images after preprocessing", "a crop or size")
    pixels = tuple(photo.pixels for photo in photos)
    boxes = tuple(preprocessing.box(each.shape[0], each.shape[1]) for each in pixels)
    return Prepared(inputs, pixels, boxes, names=_file_names(given))


def _file_names(given: Sequence[Any]) -> tuple[str, ...]:
    """Of photos: files by their names, or as they were given where two have one name; others by their number."""
    paths = [Path(each) if isinstance(each, (str, PathLike)) else None for each in given]
    short = [None if path is None else path.name for path in paths]
    return tuple(
        f"image {number + 1}" if path is None else (path.name if short.count(path.name) == 1 else str(path))
        for number, path in enumerate(paths)
    )


def _stacked(inputs: list[Tensor], what: str, instead: str) -> Tensor:
    shapes = {tuple(value.shape) for value in inputs}
    if len(shapes) > 1:
        raise ImageError(f"the {what} have different sizes ({sorted(shapes)}); set {instead}")
    return torch.stack(inputs)


def _tensor(given: Tensor, kind: str, known: ArrayPreprocessing | None) -> Prepared:
    """What the network takes as it is: each is shown as it goes in."""
    from explainers.data.recordings import Recording
    from explainers.data.recordings.given import NAMES

    batch = given[None] if given.ndim == AXES[kind] + 1 else given
    if batch.ndim != AXES[kind] + 2:
        raise ImageError(
            f"a tensor goes in as it is, and of {kind}s the network takes {LAYOUT[kind]}, or one without N; got "
            f"{tuple(given.shape)}; add what is missing, such as tensor[None], or pass an array of NumPy"
        )
    values = batch.detach().float().cpu()
    for name in ("std", "mean") if known is not None else ():
        column = getattr(known, name)
        if column is not None:
            wide = torch.tensor(column, device="cpu").reshape(-1, *(1,) * AXES[kind])
            values = values * wide if name == "std" else values + wide
    recordings = tuple(Recording(value.numpy(), axis_names=NAMES[kind]) for value in values)
    names = tuple(_numbered(kind, len(batch), number) for number in range(len(batch)))
    return Prepared(batch, recordings=recordings, names=names, arrays=ArrayPreprocessing(kind))


def _recordings(given: Any, kind: str, known: ArrayPreprocessing | None, network: Any) -> Prepared:
    from explainers.data.recordings import as_recordings

    found = as_recordings(given, kind)
    arrays = known or ArrayPreprocessing(kind, channels=first_channels(network, AXES[kind]), source="values as stored")
    files = any(isinstance(each, (str, PathLike)) for each in (given if isinstance(given, (list, tuple)) else [given]))
    if known is None and files and kind != "clip":
        warnings.warn(
            f"the network gets the {kind}'s values as they are stored; where it takes others, say so: "
            f"preprocessing=explainers.models.ArrayPreprocessing({kind!r}, window=(low, high)), or normalize='z-score'",
            stacklevel=5,
        )
    inputs, names = [], []
    for number, (name, recording) in enumerate(found):
        if recording.notes:
            warnings.warn(f"{name}: {'; '.join(recording.notes)}", stacklevel=5)
        try:
            inputs.append(arrays(recording.values))
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from error
        names.append(Path(name).name if files else _numbered(kind, len(found), number))
    batch = _stacked(inputs, f"{kind}s after preprocessing", "size= of ArrayPreprocessing, or explain them one by one")
    return Prepared(batch, recordings=tuple(each for _, each in found), names=tuple(names), arrays=arrays)


def _numbered(kind: str, count: int, number: int) -> str:
    return kind if count == 1 else f"{kind} {number + 1}"


def shown(image: Tensor, preprocessing: Preprocessing | None) -> np.ndarray:
    """A network input (C, H, W) as a picture: normalisation undone where it is known, else stretched to 0 … 1."""
    value = image.detach().float().cpu()
    bands = None if preprocessing is None else preprocessing.channels_shown()
    if preprocessing is not None and not preprocessing.takes_bands and len(preprocessing.mean) == len(value):
        value = value * as_column(preprocessing.std) + as_column(preprocessing.mean)
    else:
        span = (value.max() - value.min()).clamp(min=1e-12)
        value = (value - value.min()) / span
    value = value[([0, 1, 2] if len(value) >= 3 else [0]) if bands is None else bands].expand(3, -1, -1)
    return (value.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def has_several(network: Any, image: Any, explain: Key | None, keywords: Mapping[str, Any] | None) -> bool:
    """Whether a tuple is of inputs, rather than of photos: the network needs them, or it is said which is explained."""
    asked = explain is not None or keywords is not None
    return isinstance(image, Mapping) or asked or (isinstance(image, tuple) and needs_several(network))


def prepared_inputs(
    network: Any, given: Any, explain: Key | None, keywords: Mapping[str, Any] | None, known: AnyPreprocessing | None
) -> tuple[Inputs, Key, Prepared]:
    """All inputs, with what is explained made into the network's input; which that is; and what is shown of it."""
    named = isinstance(given, Mapping)
    parts = dict(given) if named else dict(enumerate(given if isinstance(given, tuple) else (given,)))
    keys = chosen(network, parts, 0 if len(parts) == 1 and explain is None else explain)
    if len(keys) > 1:
        raise OptionError(f"an explanation is of one input; pass explain={keys[0]!r} or another")
    made = prepared(parts[keys[0]], known, network)
    parameter = first_parameter(network)
    parts[keys[0]] = made.inputs if parameter is None else made.inputs.to(parameter.device)
    inputs, (key,) = inputs_of(network, parts if named else tuple(parts.values()), keys[0], keywords)
    return inputs, key, made
