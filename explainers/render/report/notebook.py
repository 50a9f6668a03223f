"""The widget of a notebook: a piece of HTML that is a picture, and where scripts run the panes of the report.

Notebooks clean what they show of files they do not trust: scripts go, pictures stay. So the picture stands in the HTML
as it is, and the script puts its panes into a shadow root over it, where neither styles nor names meet those of the
page or of other widgets.
"""

from __future__ import annotations

import base64
import html
import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from explainers.core.maps import CONSTANT, is_constant
from explainers.errors import counted
from explainers.render.report.native import native
from explainers.render.report.packing import pack_bits, packed
from explainers.render.report.page import joined, palette, styled
from explainers.render.report.photograph import as_jpeg
from explainers.render.report.sink import in_script
from explainers.render.report.volume import CHANNELS, WidgetMap, WidgetVolume, volume_head, volume_map
from explainers.render.style import Style, limits_of

SCRIPTS = (
    "numbers",
    "unpack",
    "colour",
    "field",
    "slices",
    "joined",
    "outline",
    "laid",
    "view",
    "controls",
    "pane",
    "notebook",
)
STYLES = ("controls", "pane", "notebook")
IMAGES = 4  # shown at most
SIDE = 256  # of maps; larger ones are averaged
LARGEST = 1_000_000  # characters of maps and photos together
REM = 15  # pixels of the report's rem; a notebook has another
IGNORED = "tex2jax_ignore mathjax_ignore"  # a $ in a name begins no formula


@dataclass(frozen=True)
class WidgetImage:
    """An image with its maps. pixels: (H, W, 3) uint8; box: of the maps in it (top, left, bottom, right), None for all
    of it; said: a line above it."""

    name: str
    pixels: np.ndarray
    box: tuple[float, float, float, float] | None = None
    said: str = ""
    maps: list[WidgetMap] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What the widget calls it."""
        return "photo"


def widget(
    images: Sequence[WidgetImage | WidgetVolume], picture: bytes, *, label: str, count: int | None = None
) -> str:
    """HTML that shows images, or volumes, with their maps, and the picture where no script runs.

    Args:
        images: of which the first few are taken (`IMAGES`, `LARGEST`), which is said. Where the slices of the first
            volume, and its first map, are more than that, all of it is the picture, and says so. picture: PNG of the
            same, as it is to be seen without scripts; label: what all of it is, for those who do not see it; count:
            how many images there are, where these are not all.

    Raises:
        OptionError: a map has NaN or infinite values.
    """
    heads: list[dict[str, Any]] = []
    weight, left, too_large = 0, 0, 0
    for image in images[:IMAGES]:
        head = _head(image)
        own = sum(map(len, head.get("photos") or [head["photo"]]))
        for place, each in enumerate(image.maps):
            made = _map(each, head)
            if weight + own + len(made["data"]) > LARGEST:
                left = len(image.maps) - place
                break
            own += len(made["data"])
            head["maps"].append(made)
        if left and (heads or not head["maps"]):
            too_large = 0 if heads else own + len(made["data"])
            left = 0
            break  # an image is shown with all its maps, or not at all, but for the first
        weight += own
        _name_apart(head["maps"])
        head["titles"] = [each["title"] for each in head["maps"]]
        heads.append(head)
        if left:
            break
    total = len(images) if count is None else count
    kind = images[0].kind
    if not heads:
        return still(picture, label) + _told([*_first(min(total, IMAGES), total, kind), _refused(too_large, kind)])
    notes = _first(len(heads), total, kind)
    if left:
        notes.append(f"Not in this widget, which would be too large: {counted(left, 'more map')}.")
    titles = list(dict.fromkeys(title for head in heads for title in head["titles"]))
    data = {
        "kind": kind,
        "images": heads,
        "titles": titles,
        "palette": palette(None),
        "opacity": round(100 * Style().opacity),
        "several": len({each.title for each in images[0].maps}) > 1,
        "label": label,
        "notes": notes,
        "style": _style(),
    }
    for head in heads:
        for each in head["maps"]:
            each["method"] = titles.index(each["title"])
    token = secrets.token_hex(8)
    return (
        f'<div class="{IGNORED}" data-explainers="{token}">{still(picture, label)}{_told(notes)}</div>'
        f'<script>(() => {{ "use strict"; const token = "{token}"; const report = {in_script(data)};\n'
        f"{joined(SCRIPTS)}\n}})();</script>"
    )


def still(picture: bytes, label: str) -> str:
    """A PNG as a tag: JPEG on white, no wider than the page."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85, optimize=True)
    source = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<img src="data:image/jpeg;base64,{source}" alt="{html.escape(label)}" width="{image.width}" '
        'style="max-width:100%;height:auto">'
    )


def _told(notes: Sequence[str]) -> str:
    return "".join(f'<p style="opacity:0.8">{html.escape(note)}</p>' for note in notes)


def _first(shown: int, total: int, kind: str) -> list[str]:
    """That not all are shown."""
    return [f"The first {shown} of {total} {'image' if kind == 'photo' else kind}s are shown."] if shown < total else []


def _refused(size: int, kind: str) -> str:
    """Why there is the picture alone."""
    return (
        f"There is no slider: the slices of this {kind} and a map would take {size / 1e6:.1f} MB of the notebook, more "
        f"than {LARGEST / 1e6:.1f} MB. The report of `explain run` has them."
    )


def _head(image: WidgetImage | WidgetVolume) -> dict[str, Any]:
    own = volume_head(image) if isinstance(image, WidgetVolume) else _image(image)
    return own | {"name": image.name, "said": image.said, "predicted": "", "right": None, "maps": []}


def _map(map_: WidgetMap, head: dict[str, Any]) -> dict[str, Any]:
    own = volume_map(map_, head["slices"]) if "slices" in head else _flat_map(map_)
    return own | {"title": map_.title, "target": map_.said, "said": map_.said}


def _image(image: WidgetImage) -> dict[str, Any]:
    height, width = image.pixels.shape[:2]
    top, left, bottom, right = image.box or (0, 0, height, width)
    photo = base64.b64encode(as_jpeg(image.pixels, 448)).decode("ascii")
    return {
        "photo": f"data:image/jpeg;base64,{photo}",
        "size": [width, height],
        "box": [top / height, left / width, bottom / height, right / width],
    }


def _flat_map(map_: WidgetMap) -> dict[str, Any]:
    notes: list[str] = []
    values = np.asarray(map_.values, np.float32)
    if values.ndim == 3:
        values, notes = np.abs(values).max(axis=0), [CHANNELS]
    low, high = limits_of(values)
    status = CONSTANT if is_constant(torch.from_numpy(values)) else "ok"
    small = native(values)
    factor = SIDE / max(small.shape)
    if factor < 1:
        size = tuple(max(1, round(side * factor)) for side in small.shape)
        small = F.adaptive_avg_pool2d(torch.from_numpy(small)[None, None], size)[0, 0].numpy()
        notes.append(f"means of {values.shape[0]} × {values.shape[1]} values")
    made = packed(small)
    return made.head() | {
        "status": status,
        "note": "; ".join(notes),
        "input": list(values.shape),
        "limits": [low, high],
        "signed": low < 0,
        "data": made.data,
        "mask": None if map_.region is None else pack_bits(map_.region),
    }


def _name_apart(maps: list[dict[str, Any]]) -> None:
    """Titles that differ: those of one method's maps by what each is of, and by numbers where that is the same too."""
    titles = [each["title"] for each in maps]
    for each in maps:
        if titles.count(each["title"]) > 1 and each["said"]:
            each["title"] += f" · {each['said']}"
    seen: dict[str, int] = {}
    for each in maps:
        seen[each["title"]] = seen.get(each["title"], 0) + 1
        if seen[each["title"]] > 1:
            each["title"] += f" ({seen[each['title']]})"


@cache
def _style() -> str:
    return styled(STYLES, rem=REM)
