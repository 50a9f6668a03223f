"""Maps of a few images while a network trains: a film strip that grows by a column each epoch."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from explainers.core.image_by_image import reason_of
from explainers.core.maps import CONSTANT, is_constant
from explainers.core.preprocessing import Preprocessing
from explainers.data.data_set import Split
from explainers.data.images import write_image
from explainers.data.sets.export import in_turn
from explainers.errors import OptionError
from explainers.evaluation.drifting.methods import titled_methods
from explainers.network.input import first_parameter
from explainers.render import contact_sheet, overlay, scale_of
from explainers.render.sheet import AnyCell
from explainers.storage.atomic import write_bytes

COLUMNS = 12  # epochs that a strip shows
CELL = 96  # pixels
MAPS = "maps"


class MapWatch:
    """Explains the same images after each epoch of a training, any training: call it with the network and the epoch.

    The maps of each epoch lie in `out`/maps, so that a strip goes on where an interrupted training does.
    `film-METHOD.png` shows images below each other and up to twelve epochs side by side, evenly spaced, the last one
    always. The network and torch's generators are left as found: a training ends with the same weights as without.

    Args:
        images: (N, C, H, W) as the network takes them. methods: as for `explainers.evaluation.drift`. out: a folder.
        targets: (N,) the classes that are explained, or None: those that the network predicts at that moment.
        preprocessing: of the images, to show them in their colours; None: each is stretched to black and white.
        names: of the images, for captions.

    Cost: a map of each method per image and epoch, and the drawing, some tenths of a second; `seconds` has their sum.

    >>> watch = MapWatch(images, ["grad-cam"], "film")  # doctest: +SKIP
    >>> for epoch in range(1, 31):  # doctest: +SKIP
    ...     train_one_epoch(network)
    ...     watch(network, epoch)
    """

    def __init__(
        self,
        images: Tensor,
        methods: Mapping[str, Any] | Sequence[Any] = ("grad-cam",),
        out: str | PathLike[str] = "watch",
        *,
        targets: Any = None,
        preprocessing: Preprocessing | None = None,
        names: Sequence[str] = (),
    ) -> None:
        if not isinstance(images, Tensor) or images.ndim != 4 or len(images) == 0:
            given = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise OptionError(f"images to watch are {given}; expected a tensor (N, C, H, W) of at least one image")
        self.images, self.targets, self.out = images.detach().cpu().clone(), targets, Path(out)
        self.methods = titled_methods(methods)
        self.names = [str(name) for name in names] or [str(row) for row in range(len(images))]
        self.pictures = [_picture(image, preprocessing) for image in self.images]
        self.seconds = 0.0
        self.failed: dict[int, str] = {}

    def __call__(self, network: nn.Module, epoch: int) -> np.ndarray | None:
        """Explain, keep and draw; returns the strip of all methods (H, W, 3) uint8, None where there is no map.

        Raises:
            UnsupportedError and others: at the first epoch of all, if a method cannot explain this network. Later on a
            training is not ended for the sake of a picture: the reason is kept in `failed`.
        """
        start = time.perf_counter()
        try:
            maps = self._maps(network)
        except Exception as error:
            if not any((self.out / MAPS).glob("*.npz")):
                raise
            self.failed[epoch] = reason_of(error)
            return None
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **maps)  # type: ignore[arg-type]
        write_bytes(self.out / MAPS / f"{epoch:06d}.npz", buffer.getvalue())
        strip = self._draw()
        self.seconds += time.perf_counter() - start
        return strip

    @property
    def epochs(self) -> list[int]:
        """Of which there are maps, in order."""
        return sorted(int(path.stem) for path in (self.out / MAPS).glob("*.npz") if path.stem.isdecimal())

    def maps(self, epoch: int) -> dict[str, np.ndarray]:
        """method → (N, H, W) float32 of an epoch."""
        with np.load(self.out / MAPS / f"{epoch:06d}.npz") as file:
            return {method.title: file[f"m{number}"] for number, method in enumerate(self.methods)}

    def _maps(self, network: nn.Module) -> dict[str, np.ndarray]:
        parameter = first_parameter(network)
        images = self.images if parameter is None else self.images.to(parameter.device)
        made = {}
        for number, method in enumerate(self.methods):
            found = method.bound(network, 0)(images, self.targets)
            made[f"m{number}"] = torch.as_tensor(found, device="cpu").detach().float().numpy()
        return made

    def _draw(self) -> np.ndarray:
        epochs = self.epochs
        shown = [epochs[each] for each in np.unique(np.linspace(0, len(epochs) - 1, COLUMNS).round().astype(int))]
        kept = {epoch: self.maps(epoch) for epoch in shown}
        strips = []
        for method in self.methods:
            rows = []
            for number, picture in enumerate(self.pictures):
                line: list[AnyCell] = [
                    ("\n".join(self.names[number].rsplit("/", 1)), picture)
                ]  # the folder, often the class, above
                for epoch in shown:
                    one = kept[epoch][method.title][number]
                    finite = bool(np.isfinite(one).all())
                    drawn = overlay(picture, one) if finite else np.full_like(picture, 255)
                    nothing = f"\n{CONSTANT}" if finite and is_constant(torch.from_numpy(one)) else ""
                    said = f"epoch {epoch}{nothing}" if finite else f"epoch {epoch}\nnot finite"
                    line.append((said, drawn, scale_of(one) if finite else None))
                rows.append(line)
            strips.append(contact_sheet(rows, cell=CELL))
            write_image(self.out / f"film-{method.title.replace('/', '-')}.png", strips[-1])
        return np.concatenate(strips)


def watched(split: Split, preprocessing: Preprocessing, count: int) -> dict[str, Any]:
    """What `MapWatch` needs of a split: images (the classes in turn), their classes, names and preprocessing."""
    if count < 1:
        raise OptionError(f"{count} images to watch; expected at least 1")
    rows = in_turn(split, None)[:count]
    return {
        "images": torch.stack([preprocessing(split.pixels(row)) for row in rows]),
        "targets": torch.tensor([int(split.labels[row]) for row in rows], device="cpu"),
        "names": [split.names[row] for row in rows],
        "preprocessing": preprocessing,
    }


def _picture(image: Tensor, preprocessing: Preprocessing | None) -> np.ndarray:
    """(H, W, 3) uint8 of a network's input."""
    values = image.float()
    if preprocessing is not None:
        mean, std = (
            torch.tensor(each, device="cpu")[:, None, None] for each in (preprocessing.mean, preprocessing.std)
        )
        values = values.cpu() * std + mean
    else:
        values = (values - values.min()) / (values.max() - values.min()).clamp(min=1e-12)
    shown = (values.clamp(0, 1) * 255).round().to(torch.uint8)
    three = shown if len(shown) == 3 else shown[:1].expand(3, *shown.shape[1:])
    return np.ascontiguousarray(three.permute(1, 2, 0).numpy())
