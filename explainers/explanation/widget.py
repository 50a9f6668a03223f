"""Explanations as notebooks show them: the widget where HTML is trusted, the picture elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from explainers.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from explainers.explanation.result import Explanation
    from explainers.render.report import WidgetImage, WidgetMap, WidgetVolume


HEAVIEST = 400_000  # bytes of the PNG beside a widget


def png(figure: Figure) -> bytes:
    """A figure as notebooks show it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=72, bbox_inches="tight")
    return buffer.getvalue()


def lighter(picture: bytes, most: int = HEAVIEST) -> bytes:
    """A PNG that is too large for a file full of outputs in 256 colours, and if need be smaller.

    Args:
        picture: PNG; most: bytes.
    """
    from PIL import Image

    if len(picture) <= most:
        return picture
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    while True:
        buffer = io.BytesIO()
        image.quantize(256).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= most or min(image.size) < 2:
            return buffer.getvalue()
        share = 0.9 * (most / buffer.tell()) ** 0.5
        image = image.resize([max(1, round(side * share)) for side in image.size], Image.Resampling.LANCZOS)


def bundle(explanations: Sequence[Explanation], picture: Callable[[], bytes], text: str) -> dict[str, Any]:
    """What IPython asks for: HTML, PNG and text of explanations of the same images by one or several methods.

    Args:
        picture: makes the PNG; text: in a line.

    Returns:
        Text alone, with the reason, where there is no picture of the maps.
    """
    try:
        made = picture()
        return {"text/html": html_of(explanations, made), "image/png": lighter(made), "text/plain": text}
    except OptionError as error:
        return {"text/plain": f"{text}\nno picture: {error}"}


def html_of(explanations: Sequence[Explanation], picture: bytes) -> str:
    """The widget; of signals the picture alone.

    Args:
        explanations: of the same images, by one or several methods; picture: PNG, for where no script runs.

    Raises:
        OptionError: there are maps that cannot be drawn.
    """
    from explainers.render.report import IMAGES, still, widget

    count = len(explanations[0])
    methods = ", ".join(dict.fromkeys(each.method for each in explanations))
    if explanations[0].axes == 1:
        more = f'<p style="opacity:0.8">The first {IMAGES} of {count} are shown.</p>' if count > IMAGES else ""
        return still(picture, f"Heat maps by {methods}") + more
    images = [_image(explanations, index) for index in range(min(count, IMAGES))]
    return widget(images, picture, label=f"Heat maps by {methods} of {images[0].said or images[0].name}", count=count)


def with_widget(figure: Figure, explanations: Sequence[Explanation], shown: Callable[[], Figure]) -> Figure:
    """A figure that notebooks show as the widget; for everything else it is the figure that it was.

    Args:
        shown: makes the figure of the images that the widget has, for where no script runs.
    """
    figure._repr_mimebundle_ = partial(_bundle_of, repr(figure), explanations, shown)  # type: ignore[attr-defined]
    return figure


def _bundle_of(text: str, explanations: Sequence[Explanation], shown: Callable[[], Figure], **_: Any) -> dict[str, Any]:
    return bundle(explanations, lambda: png(shown()), text)


def _image(explanations: Sequence[Explanation], index: int) -> WidgetImage | WidgetVolume:
    first = explanations[0]
    targets = {tuple(each.targets[index].flatten().tolist()) for each in explanations}
    one = targets.pop() if len(targets) == 1 else ()
    said = first.label(index, one[0]) if len(one) == 1 else ""
    maps = [_map(each, index, k) for each in explanations for k in range(each.targets[index].numel())]
    return first.on_widget(index, said, maps)


def _map(explanation: Explanation, index: int, k: int) -> WidgetMap:
    from explainers.render.report import WidgetMap

    target = int(explanation.targets[index].flatten()[k])
    region = explanation.region(index, k)
    said = explanation.label(index, target)
    return WidgetMap(explanation.method, explanation.map(index, k), said, region)
