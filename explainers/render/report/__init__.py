"""The page of a report: how maps are packed into it, and how templates, styles and scripts become one HTML file.

Nothing here knows where images and maps come from; `run/report` reads run folders and hands plain values over. The page
itself is `templates/report.html`, with `styles/*.css` and `scripts/*.js`: plain modules, which are joined when a report
is written, since browsers load no module from a file. Begin with `page.py`.
"""

from explainers.render.report.native import native
from explainers.render.report.notebook import IMAGES, WidgetImage, still, widget
from explainers.render.report.packing import Packed, pack_bits, packed, unpacked
from explainers.render.report.page import page
from explainers.render.report.photograph import as_jpeg
from explainers.render.report.sink import FolderSink, SingleFileSink, Sink
from explainers.render.report.volume import CHANNELS, WidgetMap, WidgetVolume

__all__ = [
    "CHANNELS",
    "IMAGES",
    "FolderSink",
    "Packed",
    "SingleFileSink",
    "Sink",
    "WidgetImage",
    "WidgetMap",
    "WidgetVolume",
    "as_jpeg",
    "native",
    "pack_bits",
    "packed",
    "page",
    "still",
    "unpacked",
    "widget",
]
