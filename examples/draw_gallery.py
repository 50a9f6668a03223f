"""Draw the pictures of docs/gallery.md by running the code on it.

python examples/draw_gallery.py
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "gallery.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main() -> None:
    """Run the page where its paths lead to the package's photographs, and take what it drew."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "explainers").symlink_to(ROOT / "explainers")
        (here / "page.py").write_text("\n".join(BLOCK.findall(PAGE.read_text(encoding="utf-8"))), encoding="utf-8")
        subprocess.run([sys.executable, "page.py"], cwd=here, check=True)
        for picture in sorted((here / "gallery").iterdir()):
            (PAGE.parent / "gallery" / picture.name).write_bytes(picture.read_bytes())
            print(PAGE.parent / "gallery" / picture.name)


if __name__ == "__main__":
    main()
