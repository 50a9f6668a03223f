"""What libpng would remark on without a file's name, taken out of a PNG before OpenCV decodes it."""

from __future__ import annotations

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Colour profiles that OpenCV does not apply, texts, times and hints for displays: no pixel comes of them.
SILENT = frozenset(
    (b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"pHYs", b"sBIT", b"hIST", b"sPLT")
)


def pixels_alone(data: bytes) -> bytes:
    """A PNG without the chunks that decide no pixel; what is not built of chunks comes back as it is.

    libpng prints remarks about such chunks to the terminal itself, once for each time a file is decoded.
    """
    if not data.startswith(SIGNATURE):
        return data
    parts, place = [SIGNATURE], len(SIGNATURE)
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        kind, end = data[place + 4 : place + 8], place + 12 + length  # length, kind, content, checksum
        if end > len(data):
            return data
        if kind not in SILENT:
            parts.append(data[place:end])
        place = end
        if kind == b"IEND":
            break
    return b"".join([*parts, data[place:]])
