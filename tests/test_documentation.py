"""The code on the pages of the documentation runs as it stands there, page by page from top to bottom."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from child import ran

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r'^```python title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)  # what is saved under this name
COMMANDS = re.compile(r"^```\n(explain .*?)^```$", re.MULTILINE | re.DOTALL)
WITH_COMMANDS = ("detection.md",)  # pages whose commands run as they stand there, too
# What a page speaks of without making it.
BEFORE = {
    "methods.md": """
import torch
import explainers
model = explainers.load_model("embedded")
images = model.preprocessing(explainers.read_image("explainers/data/samples/03-three.png").pixels)[None]
nn = torch.nn
network_of_volumes = nn.Sequential(
    nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)
)
scans = torch.randn(1, 1, 64, 128, 128)
""",
    "export.md": """
import shutil
from pathlib import Path
from explainers.cli.main import main
Path("photos").mkdir()
shutil.copy("explainers/data/samples/03-three.png", "photos")
assert main(["run", "photos", "--model", "embedded", "-m", "saliency", "--no-report", "--quiet", "--out", "OUT"]) == 0
""",
    # The networks of the page without their training; of every image they predict stars, and find boxes everywhere.
    "tasks.md": """
import sys
from pathlib import Path
from safetensors.torch import save_file
EXAMPLES = Path("explainers/data").resolve().parent.parent / "examples"
Path("examples").symlink_to(EXAMPLES)
sys.path.insert(0, str(EXAMPLES / "tasks"))
for name in ("segment_scenes", "detect_scenes", "measure_scenes", "embed_scenes", "classify_volumes", "classify_signals"):
    weights = __import__(name).make().state_dict()
    if name == "segment_scenes":
        weights["head.bias"][4] += 5
    if name == "detect_scenes":
        weights["head.bias"].view(2, 9)[:, 4:6] += 5
    Path(f"trained/{name}-0").mkdir(parents=True)
    save_file(weights, f"trained/{name}-0/weights.safetensors")
""",
}
PEERS = {"coming-from-others.md": ("pytorch_grad_cam", "captum", "torchcam", "quantus")}


def pages() -> list[Path]:
    return [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if blocks(page)]


def blocks(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def commands(page: Path) -> list[str]:
    if page.name not in WITH_COMMANDS:
        return []
    typed = "".join(COMMANDS.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True)[1:] for line in typed]
    return ["from explainers.cli.main import main", *(f"assert main({each!r}) == 0" for each in words)]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_code_of_a_page_runs(page, tmp_path):
    for package in PEERS.get(page.name, ()):
        pytest.importorskip(package)
    script = tmp_path / "script" / "page.py"
    script.parent.mkdir()
    here = tmp_path / "here"
    (here / "explainers").mkdir(parents=True)
    for name, code in FILE.findall(page.read_text(encoding="utf-8")):
        for folder in (script.parent, here):
            (folder / name).write_text(code, encoding="utf-8")
    parts = [BEFORE.get(page.name, ""), *blocks(page), *commands(page)]
    script.write_text("\n".join(parts), encoding="utf-8")
    (here / "explainers" / "data").symlink_to(ROOT / "explainers" / "data")
    done = ran(script, cwd=here)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for page in (ROOT / "docs").glob("*.md"):
        built = (tmp_path / "site" / f"{page.stem}.html").read_text(encoding="utf-8")
        assert "<h1" in built
        assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"https?://", built), f"{page.name} asks another host"
