"""Promises about the package itself: imports, packaging, documentation."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

import explainers
from explainers.baselines import available_networks
from explainers.data.sets import data_set_spellings

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("methods", "models", "data", "render", "evaluation", "baselines")
LEVELS = {"errors": 0, "core": 1, **dict.fromkeys(PARTS, 2)}
ALSO = {
    ("evaluation", "data"),  # boxes of regions need OpenCV
    ("evaluation", "render"),  # results draw themselves
    ("baselines", "data"),  # training reads data
    ("baselines", "models"),  # a library's network is a backbone
    ("models", "baselines"),  # the folder of a training is a model; both import the other only when called
}
ABOVE = 3  # run, explanation, diagnosis, cli


def sources() -> list[Path]:
    return [*(ROOT / "explainers").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    place = path.relative_to(ROOT).parts
    part = place[1].removesuffix(".py") if place[0] == "explainers" else "cli"
    level = LEVELS.get(part, ABOVE)
    if part == "__init__":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if name.startswith("explainers."):
                other = name.split(".")[1]
                allowed = other == part or LEVELS.get(other, ABOVE) < level or level == ABOVE or (part, other) in ALSO
                assert allowed, f"{path} imports {name}"


def test_each_outside_library_is_imported_in_one_place():
    homes = {
        "cv2": ("data",),
        "captum": ("methods", "evaluation"),  # its attributions, its metrics
        "matplotlib": ("render",),
        "argparse": ("cli",),
        "onnxruntime": ("models",),
        "pytorch_grad_cam": ("evaluation",),
        "quantus": ("evaluation",),
    }
    for path in sources():
        place = path.relative_to(ROOT).parts
        part = "cli" if place[0] == "cli" else place[1]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in names:
                home = homes.get(name.partition(".")[0])
                typing_only = name == "matplotlib.figure"
                assert home is None or part in home or typing_only, f"{path} imports {name}"


def test_the_methods_need_torch_alone():
    code = (
        "import sys\n"
        "for name in ('numpy', 'PIL', 'cv2', 'matplotlib', 'torchvision', 'captum', 'tqdm', 'safetensors'):\n"
        "    sys.modules[name] = None\n"
        "import torch, explainers\n"
        "model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),"
        " torch.nn.Flatten(), torch.nn.Linear(4, 2))\n"
        "for name in ('cam', 'grad-cam', 'guided-backprop', 'full-grad', 'smooth-grad'):\n"
        "    print(explainers.create(name, model)(torch.randn(1, 3, 9, 9)).shape)\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("torch.Size([1, 9, 9])") == 5


def test_every_package_of_the_tree_is_installed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    found = {
        str(path.parent.relative_to(ROOT)).replace("/", ".") for path in (ROOT / "explainers").rglob("__init__.py")
    }
    assert listed == found | {"explainers.cli"}


def test_ci_and_readme_run_the_same_test_command():
    command = re.search(r"## Tests\n\n```\n(.*)\n```", (ROOT / "README.md").read_text())[1]
    assert command in (ROOT / ".ci" / "run").read_text()


def test_every_method_stands_in_the_documentation():
    text = (ROOT / "docs" / "methods.md").read_text()
    for name in explainers.available():
        assert f"| `{name}` |" in text


def test_every_metric_stands_in_the_documentation():
    text = (ROOT / "docs" / "metrics.md").read_text()
    for name in explainers.available_metrics():
        assert f"`{name}`" in text


def test_every_public_name_exists():
    for name in explainers.__all__:
        assert getattr(explainers, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = explainers.nonsense


def test_the_readmes_example_runs(tmp_path, monkeypatch):
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S))
    photo = str(ROOT / "explainers/data/samples/03-three.png")
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    exec(code.replace("explainers/data/samples/03-three.png", photo), scope)
    assert scope["maps"].shape == (1, 2, 96, 96)
    assert (tmp_path / "three.png").exists()
    assert scope["result"].scores == ("insertion", "deletion")


def test_every_network_and_data_set_stands_in_the_documentation():
    text = (ROOT / "docs" / "networks.md").read_text()
    for name in available_networks():
        assert f"| `{name}` |" in text
    for spelling in data_set_spellings():
        assert f"| `{spelling.partition(':')[0].partition('[')[0]}:" in text


def test_the_example_of_the_networks_page_runs(tmp_path, monkeypatch):
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "networks.md").read_text(), re.S))
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    exec(code, scope)
    assert 0 <= scope["run"].result["test"]["accuracy"] <= 1
    assert explainers.load_model("RUN").class_names == ("no-flare", "flare")


def test_links_of_the_documents_lead_somewhere():
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            if not link.startswith("http"):
                assert (path.parent / link).exists(), f"{path.name} links to {link}"
