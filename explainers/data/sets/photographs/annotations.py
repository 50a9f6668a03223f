"""Boxes of annotations as ImageNet and Pascal VOC have them, in XML."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from explainers.data.sets.splits import Box
from explainers.errors import MapError
from explainers.storage.files import read_bytes
from explainers.storage.paths import shown

MOST_BYTES = 1 << 20
SIDES = ("xmin", "ymin", "xmax", "ymax")


def annotated_boxes(path: Path) -> tuple[Box, ...]:
    """The box of every object that an annotation names.

    A document type, and with it any entity that could grow or read other files, is refused before it is parsed.

    Raises:
        MapError: not such a file, or no box in it.
    """
    try:
        text = read_bytes(path, MOST_BYTES).decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise MapError(f"{shown(path)} declares a document type, which an annotation does not have")
        found = ElementTree.fromstring(text).findall("object/bndbox")
        boxes = tuple(Box(*(float(box.findtext(side, "")) for side in SIDES)) for box in found)
    except (OSError, UnicodeDecodeError, ElementTree.ParseError, ValueError) as error:
        if isinstance(error, MapError):
            raise
        raise MapError(f"{shown(path)} cannot be read as an annotation with boxes: {error}") from error
    if not boxes:
        raise MapError(f"{shown(path)} has no object with a bndbox")
    return boxes
