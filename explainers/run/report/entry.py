"""What a report shows of one image, whichever command it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explainers.core.maps import CONSTANT
from explainers.render.style import OPACITY

CURVE = list[list[float]]  # [shares, values]


@dataclass
class MapEntry:
    """A map of an image by a method: where it lies, what it is of, and what was measured of it.

    watched: f(x) of its target; quantity: what that is; path: of the raw map, None where there is none; values: by
    score; curves: by score; box, sure: of a detection, (x0, y0, x1, y1) in pixels of the photo, and its score.
    """

    method: str
    target: str = ""
    watched: float | None = None
    quantity: str = "probability"
    status: str = "ok"
    reason: str = ""
    layer: str = ""
    path: Path | None = None
    values: dict[str, float] = field(default_factory=dict)
    curves: dict[str, CURVE] = field(default_factory=dict)
    box: tuple[float, ...] | None = None
    sure: float | None = None

    @property
    def drawn(self) -> bool:
        """Whether there should be a map to see."""
        return self.path is not None and self.status in ("ok", CONSTANT)


@dataclass
class Entry:
    """An image with its maps.

    source: its file, None where it is not known; right: whether the predicted class is the true one, None where the
    true one is not known; unlike: of the photo as it is now, in words, why it is not the one that was explained;
    mask: a file of what maps should show.
    """

    name: str
    source: Path | None = None
    predicted: str = ""
    probability: float | None = None
    true: str = ""
    right: bool | None = None
    notes: str = ""
    problem: str = ""
    mask: Path | None = None
    maps: list[MapEntry] = field(default_factory=list)
    unlike: Callable[[Any], str] = lambda photo: ""

    def of(self, method: str) -> MapEntry | None:
        """The first map by a method."""
        return next((each for each in self.maps if each.method == method), None)


@dataclass
class Shown:
    """All that a folder has to show.

    title, facts: (name, value) lines at the top; status: empty where the command came to its end, else what is missing;
    entries: its images; methods: titles in order, controls: those that know nothing; scores: name → better;
    curves: score → how its curve changes an image; tables: (caption, lines with a heading first, notes) as the terminal
    shows them; cautions: what speaks against believing the maps; figures: (caption, file); manifest: as text;
    recipes: method → command and Python that make its map; cmap, opacity, common: the look of the run's overlays.
    """

    command: str
    title: str
    status: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    controls: list[str] = field(default_factory=list)
    scores: dict[str, str] = field(default_factory=dict)
    curves: dict[str, dict[str, Any]] = field(default_factory=dict)
    tables: list[tuple[str, list[list[str]], list[str]]] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    figures: list[tuple[str, Path]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    manifest: str = ""
    recipes: dict[str, dict[str, str]] = field(default_factory=dict)
    preprocessing: dict[str, Any] | None = None
    max_pixels: int | None = None
    cmap: str | None = None
    opacity: float = OPACITY
    common: bool = False
