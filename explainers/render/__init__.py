"""Colour maps, overlays, contact sheets and figures: arrays in, pictures out, no files.

Knows neither networks nor methods; only `charts.py` needs matplotlib. Begin with `overlay.py`.
"""

from explainers.render.boxes import with_boxes
from explainers.render.outline import outlined
from explainers.render.overlay import gradient_picture, heat_map, overlay
from explainers.render.sheet import contact_sheet, figure
from explainers.render.style import Style, colours

__all__ = [
    "Style",
    "colours",
    "contact_sheet",
    "figure",
    "gradient_picture",
    "heat_map",
    "outlined",
    "overlay",
    "with_boxes",
]
