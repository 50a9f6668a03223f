"""WAV files: signals with their sampling rate."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from explainers.data.recordings.recording import Recording, check_count
from explainers.errors import ImageError
from explainers.storage.files import read_bytes
from explainers.storage.paths import shown, unreadable

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
BYTES = 8  # of the widest sample


def read_wav(path: Path, most: int) -> Recording:
    """A signal (C, L): whole numbers scaled to −1 … 1 by their range, floats as they are.

    Raises:
        ImageError: no RIFF WAVE file, damaged, truncated, compressed, or more than `most` samples.
    """
    try:
        data = read_bytes(path, BYTES * most + 4096)
    except OSError as error:
        raise ImageError(unreadable(path, error)) from error
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ImageError(f"{shown(path)} is no WAV file")
    shape: tuple[int, int, int, int] | None = None  # format, channels, rate, bits
    start = 12
    while start + 8 <= len(data):
        name, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        body = data[start + 8 : start + 8 + size]
        if name == b"fmt ":
            shape = _format(path, body)
        if name == b"data":
            if shape is None:
                break
            if len(body) < size:
                raise ImageError(f"{shown(path)} is truncated: {len(body):,} of {size:,} bytes of samples")
            return _signal(path, body, shape, most)
        start += 8 + size + size % 2
    raise ImageError(f"cannot read {shown(path)}: it is damaged (no samples behind a format)")


def _format(path: Path, body: bytes) -> tuple[int, int, int, int]:
    if len(body) < 16:
        raise ImageError(f"cannot read {shown(path)}: it is damaged (its format takes {len(body)} bytes)")
    kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", body[:16])
    if kind == EXTENSIBLE and len(body) >= 26:
        kind = int.from_bytes(body[24:26], "little")
    if (kind, bits) not in {(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)}:
        raise ImageError(f"{shown(path)} has samples of format {kind} with {bits} bits; PCM and floats are read")
    if channels < 1 or rate < 1:
        raise ImageError(f"cannot read {shown(path)}: it is damaged ({channels} channels, {rate} samples a second)")
    if block not in (0, channels * bits // 8):
        raise ImageError(
            f"{shown(path)} has {bits} bits in {block} bytes for its {channels} channels; samples are read that fill "
            "their bytes"
        )
    return kind, channels, rate, bits


def _signal(path: Path, body: bytes, shape: tuple[int, int, int, int], most: int) -> Recording:
    kind, channels, rate, bits = shape
    step = channels * bits // 8
    count = len(body) // step
    check_count(path, (channels, count), most)
    raw = body[: count * step]
    if kind == FLOAT:
        values = np.frombuffer(raw, f"<f{bits // 8}").astype(np.float32)
    elif bits == 8:  # the one that is unsigned
        values = ((np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128).astype(np.float32)
    elif bits == 24:
        parts = np.frombuffer(raw, np.uint8).reshape(-1, 3).astype(np.int32)
        whole = parts[:, 0] | parts[:, 1] << 8 | parts[:, 2] << 16
        values = (np.where(whole >= 1 << 23, whole - (1 << 24), whole) / (1 << 23)).astype(np.float32)
    else:
        values = (np.frombuffer(raw, f"<i{bits // 8}") / float(1 << (bits - 1))).astype(np.float32)
    return Recording(np.ascontiguousarray(values.reshape(count, channels).T), rate=float(rate), axis_names=("sample",))
