"""Raw maps as text that a browser unpacks: whole numbers of 16 or 12 bits between a map's ends, compressed.

Browsers give no pixels of a picture that was opened from a file back to a script, and some change them; so maps are no
pictures here but deflated bytes, which every browser since 2023 inflates itself (`DecompressionStream`).
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

FINE, COARSE = 16, 12  # bits of a value
FEW = 64 * 64  # values of a map up to which they are fine
LEVEL = 6  # of the compression


@dataclass(frozen=True)
class Packed:
    """A map (height, width) between low and high, in steps of (high − low) / (2^bits − 1).

    data: base64 of deflated bytes, the upper eight bits of all values first, then the lower ones (of 12 bits two values
    share a byte, the first in its upper half).
    """

    height: int
    width: int
    bits: int
    low: float
    high: float
    data: str

    @property
    def precision(self) -> float:
        """The largest error of a value."""
        return (self.high - self.low) / (2**self.bits - 1) / 2

    def head(self) -> dict[str, Any]:
        """What has to be known to draw it, without the values."""
        return {"grid": [self.height, self.width], "bits": self.bits, "range": [self.low, self.high]}


def packed(values: np.ndarray) -> Packed:
    """A map (H, W), finite; 16 bits a value up to 64 × 64, 12 bits beyond."""
    low, high = float(values.min()), float(values.max())
    bits = FINE if values.size <= FEW else COARSE
    steps = 2**bits - 1
    span = high - low
    whole = np.zeros(values.size, np.uint16)
    if span > 0:
        whole = np.round((values.ravel().astype(np.float64) - low) / span * steps).astype(np.uint16)
    if bits == FINE:
        parts = [whole >> 8, whole & 255]
    else:
        rest = np.append(whole & 15, np.uint16(0))[: whole.size + whole.size % 2]
        parts = [whole >> 4, rest[::2] << 4 | rest[1::2]]
    data = b"".join(part.astype(np.uint8).tobytes() for part in parts)
    return Packed(values.shape[0], values.shape[1], bits, low, high, _text(data))


def unpacked(made: Packed) -> np.ndarray:
    """The map (height, width) float64 again, each value to `precision`."""
    count = made.height * made.width
    data = np.frombuffer(zlib.decompress(base64.b64decode(made.data)), np.uint8).astype(np.uint16)
    upper, lower = data[:count], data[count:]
    if made.bits == FINE:
        whole = upper << 8 | lower
    else:
        whole = upper << 4 | np.stack([lower >> 4, lower & 15], axis=1).ravel()[:count]
    return (made.low + whole / (2**made.bits - 1) * (made.high - made.low)).reshape(made.height, made.width)


def pack_bits(mask: np.ndarray) -> dict[str, Any]:
    """A mask (H, W) bool: its size, and base64 of deflated bits, the first pixel in the highest."""
    return {"grid": list(mask.shape), "data": _text(np.packbits(mask.astype(bool).ravel()).tobytes())}


def _text(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, LEVEL)).decode("ascii")
