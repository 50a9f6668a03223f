"""Damaged bytes of every kind of file that is read: an error of this package or a result, in little memory.

The budget is fixed: seconds of a child process, whose memory is limited, so that a file that would eat the machine fails
the test.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

SECONDS, MEGABYTES = 4, 1000
CHILD = """
import io, resource, sys, time, warnings
from pathlib import Path
import numpy as np, torch
from PIL import Image
from safetensors.torch import save
from torch import nn
from explainers.data.images import read_image
from explainers.data.images.companions import read_map, read_mask
from explainers.errors import ExplainersError
from explainers.models.network_files import from_file
from explainers.models.source import Request
from explainers.models.weight_files import fit_state, read_state

kind, folder, seconds, megabytes = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(1)
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
noise = rng.integers(0, 256, (24, 20, 4), dtype=np.uint8)
state = nn.Linear(5, 4).state_dict()

def image(suffix, pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}.get(suffix, suffix), **options)
    return file.getvalue()

def array(save_, *values, **named):
    file = io.BytesIO()
    save_(file, *values, **named)
    return file.getvalue()

def checkpoint(new):
    file = io.BytesIO()
    torch.save({"state_dict": state, "epoch": 3}, file, _use_new_zipfile_serialization=new)
    return file.getvalue()

rgb, deep = noise[..., :3], noise[..., 0].astype(np.uint16) * 16
seeds = {
    "images": {
        "a.png": image("png", noise), "b.png": image("png", deep), "a.jpg": image("jpg", rgb),
        "a.tif": image("tif", rgb), "b.tif": image("tif", deep), "c.tif": image("tif", rgb, compression="tiff_lzw"),
        "a.gif": image("gif", rgb, save_all=True, append_images=[Image.fromarray(255 - rgb)]),
        "a.webp": image("webp", noise), "a.bmp": image("bmp", rgb), "a.jp2": image("jp2", rgb),
        "a.ppm": image("ppm", rgb), "a.avif": image("avif", rgb),
    },
    "maps": {
        "a.npy": array(np.save, rng.random((6, 7))), "a.npz": array(np.savez, map=rng.random((6, 7))),
        "b.npz": array(np.savez_compressed, map=np.zeros((60, 70))),
    },
    "weights": {"a.pt": checkpoint(True), "b.pt": checkpoint(False), "a.safetensors": save(state)},
}[kind]
readers = {
    "images": [lambda path: read_image(path, max_pixels=4_000_000)],
    "maps": [lambda path: read_map(path, max_pixels=4_000_000), lambda path: read_mask(path, max_pixels=4_000_000)],
    "weights": [
        lambda path: fit_state(nn.Linear(5, 4), read_state(path)[0], path), lambda path: from_file(Request(str(path)))
    ],
}[kind]

def damaged(data):
    data = bytearray(data)
    for _ in range(rng.integers(1, 8)):
        at = int(rng.integers(0, len(data))) if rng.random() < 0.5 else int(rng.integers(0, min(len(data), 200)))
        how = rng.integers(0, 4)
        if how == 0:
            data[at] = rng.integers(0, 256)
        elif how == 1:
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif how == 2:
            data[at : at + 4] = rng.choice([b"\\xff\\xff\\xff\\x7f", b"\\0\\0\\0\\0", b"\\xff\\xff\\xff\\xff", b"\\x01\\0\\0\\0"])
        else:
            data[at:at] = data[: int(rng.integers(0, 40))]
    return data[: rng.integers(1, len(data))] if rng.random() < 0.1 else data

for name, data in seeds.items():
    (folder / name).write_bytes(data)
    readers[0](folder / name)
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
_, hard = resource.getrlimit(resource.RLIMIT_DATA)
kept = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (kept + (megabytes << 20), hard))
end, read, refused = time.monotonic() + seconds, 0, 0
while time.monotonic() < end:
    for name, data in seeds.items():
        path = folder / name
        path.write_bytes(damaged(data))
        for reader in readers:
            try:
                reader(path)
                read += 1
            except ExplainersError as error:
                refused += 1
                assert name in str(error), str(error)
            except BaseException:
                path.rename(folder / f"failed-{name}")
                raise
print(read, refused, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does")
@pytest.mark.parametrize("kind", ["images", "maps", "weights"])
def test_damaged_bytes_give_an_error_of_this_package_or_a_result(tmp_path, kind):
    command = [sys.executable, "-c", CHILD, kind, str(tmp_path), str(SECONDS), str(MEGABYTES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    read, refused, grown = map(int, done.stdout.split())
    assert refused > 10
    assert read > 0 or kind == "weights"
    assert grown < MEGABYTES
