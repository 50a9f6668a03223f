"""Images opened by Pillow, without its process-wide limit of pixels."""

from __future__ import annotations

import io
from typing import Any

# They start other programs, or know no more than a name.
LEFT_OUT = frozenset(("BUFR", "EPS", "FPX", "GRIB", "HDF5", "MIC", "MPEG", "WMF"))


class UnknownFormatError(ValueError):
    """Bytes that no format of Pillow takes. missing: the name of a format that this Pillow was made without."""

    def __init__(self, missing: str = "") -> None:
        super().__init__("no image format has such a header")
        self.missing = missing


def pillow_image(data: bytes) -> Any:
    """A PIL image of a file's bytes, its header read and nothing decoded.

    Pillow's own `Image.open` warns or raises above `Image.MAX_IMAGE_PIXELS`. That limit is the whole process's, so it
    can neither be obeyed (the user set another one) nor be changed for a moment (other threads would see it).

    Raises:
        UnknownFormatError: no format of Pillow takes it. A damaged file may raise anything.
    """
    from PIL import Image

    Image.preinit()
    found = _accepted(data)
    if found is None:
        Image.init()
        found = _accepted(data)
    if found is None:
        raise UnknownFormatError(_missing(data))
    return found


def _missing(data: bytes) -> str:
    from PIL import Image

    for kind in list(Image.ID):
        accept = Image.OPEN[kind][1]
        if accept and isinstance(accept(data[:16]), str):
            return kind
    return "AVIF" if data[4:12] in (b"ftypavif", b"ftypavis") else ""  # which Pillow before 11.3 does not know


def _accepted(data: bytes) -> Any:
    from PIL import Image

    for kind in list(Image.ID):
        if kind in LEFT_OUT:
            continue
        factory, accept = Image.OPEN[kind]
        answer = accept(data[:16]) if accept else True
        if not answer or isinstance(answer, str):  # a text tells which support is missing
            continue
        try:
            return factory(io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, KeyError, EOFError):  # "not mine", as Image.open reads it
            continue
        except Exception as error:
            if type(error).__module__ == "struct":
                continue
            raise
    return None
