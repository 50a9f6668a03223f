"""What a run does, as plain values that go into its manifest."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from explainers.core.explainer import Explainer
from explainers.core.registry import options as known_options
from explainers.errors import OptionError
from explainers.methods import create, method
from explainers.models import LoadedModel
from explainers.network.output import Output
from explainers.passes.activation import checked_activation
from explainers.passes.own_code import function_name
from explainers.render import Style
from explainers.render.drawing import checked_format
from explainers.render.style import OPACITY
from explainers.run.targets.detected import Detected
from explainers.run.targets.objects import ImageTargets
from explainers.targets import Target

Progress = Callable[[int, int, str], None]  # images done, of how many, name of the last
Passes = Callable[[str, int, int, float], None]  # method, passes done on this image, of how many, per second


@dataclass(frozen=True)
class MethodCall:
    """A method with its options; two calls of one method in a run need different labels."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    @property
    def title(self) -> str:
        """How tables and captions name this call."""
        return self.label or self.name

    @property
    def file_name(self) -> str:
        """The same in letters that any file system takes, without the dot that parts it from the image's name."""
        return re.sub(r"[^A-Za-z0-9+_-]", "-", self.title)

    def bind(self, loaded: LoadedModel, options: RunOptions, passes: Passes | None = None) -> Explainer:
        """The explainer for a network, which tells `passes` how far it is, if it is one of many passes."""
        known, chosen = known_options(method(self.name)), dict(self.options)
        if "activation" in known:
            chosen.setdefault("activation", options.activation)
        if options.output is not None:
            chosen.setdefault("output", options.output)
        if passes is not None and "progress" in known:
            chosen.setdefault("progress", _told(self.title, passes))
        return create(self.name, loaded, **chosen)


@dataclass(frozen=True)
class RunOptions:
    """Everything that decides what a run puts out, beside model, methods and images.

    target: None (the predicted class), an index, a class name, "label" (the true class of each image), or "not" (the
    other class of a network with one score), a target object (`explainers.targets`), or one for each image file
    (`explainers.run.targets.regions`), or `Detected(…)` (what a detection network finds in each image);
    top_k: explain the k best classes instead; activation: "auto", "softmax", "sigmoid" or None, what turns scores into
    probabilities, also for methods that watch them; output: from what the network returns to scores, as everywhere;
    scale: "image" (each map its own) or "common" (one per method over the run); contact_sheet: rows per page, 0 for
    none; compare: a sheet for each image, with the mean of the methods and their disagreement; figures: "png", "svg" or
    "pdf", what sheets are written as; maps, overlays: whether to write them; the rest of the look as in
    `explainers.render.Style`.
    """

    target: int | str | Target | ImageTargets | Detected | None = None
    top_k: int = 1
    activation: str | None = "auto"
    output: Output | None = None
    cmap: str | None = None
    opacity: float = OPACITY
    outline: float | None = None
    scale: str = "image"
    contact_sheet: int = 0
    compare: bool = False
    figures: str = "png"
    overlays: bool = True
    maps: bool = True
    max_pixels: int | None = None
    skip_unsupported: bool = False

    def __post_init__(self) -> None:
        checked_activation(self.activation)
        if self.top_k < 1:
            raise OptionError(f"top_k={self.top_k}; expected at least 1")
        if self.top_k > 1 and self.target is not None:
            raise OptionError("target and top_k cannot be combined: the one names a class, the other takes the best")
        if self.scale not in ("image", "common"):
            raise OptionError(f"scale={self.scale!r}; expected 'image' or 'common'")
        if self.contact_sheet < 0:
            raise OptionError(f"contact_sheet={self.contact_sheet}; expected rows per page, or 0")
        if self.max_pixels is not None and self.max_pixels < 1:
            raise OptionError(f"max_pixels={self.max_pixels}; expected at least 1")
        if self.scale == "common" and not self.maps:
            raise OptionError("scale='common' is computed from the saved maps; keep them")
        if self.compare and not (self.maps and self.overlays):
            raise OptionError("compare (--compare) is drawn from the saved maps and overlays; keep both")
        checked_format(self.figures)
        self.style()  # refuses what it cannot be

    def style(self, limits: tuple[float, float] | None = None) -> Style:
        """The look of overlays."""
        return Style(self.cmap, self.opacity, limits=limits, outline=self.outline)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        own = isinstance(self.target, (Target, ImageTargets, Detected))
        return {
            **asdict(replace(self, output=None, target=None)),
            "target": self.target.key if own else self.target,  # type: ignore[union-attr]
            "output": None if self.output is None else function_name(self.output),
        }


def _told(title: str, passes: Passes) -> Callable[[int, int], None]:
    began = [time.perf_counter()]
    last = [0]

    def progress(done: int, total: int) -> None:
        if done <= last[0]:  # another image
            began[0] = time.perf_counter()
        else:
            passes(title, done, total, done / max(time.perf_counter() - began[0], 1e-9))
        last[0] = done

    return progress
