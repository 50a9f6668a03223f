"""Colour maps, overlays, contact sheets and figures: arrays in, pictures out, no files.

Knows neither networks nor methods. `overlay.py` lays maps on photos, `colour_bar.py` says what their colours stand for,
`sheet.py` puts pictures side by side, `charts.py` draws curves and values. Begin with `overlay.py`.
"""

from explainers.render.boxes import with_boxes
from explainers.render.colour_bar import Scale, scale_of
from explainers.render.outline import outlined
from explainers.render.overlay import gradient_picture, heat_map, overlay
from explainers.render.sheet import contact_sheet, figure
from explainers.render.style import Style, colours

__all__ = [
    "Scale",
    "Style",
    "colours",
    "contact_sheet",
    "figure",
    "gradient_picture",
    "heat_map",
    "outlined",
    "overlay",
    "scale_of",
    "with_boxes",
]
