"""Promises about the package itself: imports, packaging, documentation."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import explainers
from explainers.baselines import available_networks
from explainers.data.sets import data_set_spellings

ROOT = Path(__file__).resolve().parent.parent
# The floors of the house, from the ground up. A room may import rooms of lower floors, and those named in ALSO.
FLOORS = (
    ("errors",),
    ("network", "storage"),
    ("passes",),
    ("targets",),
    ("core",),
    ("methods", "models", "data", "render"),
    ("evaluation",),
    ("baselines",),
    ("loading", "explanation", "diagnosis", "run"),
    ("cli",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
NOT = {  # lower, and still none of its business
    "evaluation": {"methods", "models"},  # explainers are any callables
    "baselines": {"methods", "evaluation", "render"},
    "network": {"storage"},
    "passes": {"storage"},
    "targets": {"storage"},
    "core": {"storage"},
}
MOST_FILES, MOST_LINES, MOST_PARAMETERS = 13, 300, 7
# Doors whose parameters are documented one by one: a call of a user's, or the options of a method or network.
DOORS = {"explain", "compare", "evaluate", "train", "run", "RISE.__init__", "GroupCAM.__init__", "_labn", "_ala"}


def sources() -> list[Path]:
    return [*(ROOT / "explainers").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]


def module_of(path: Path) -> str:
    """The name that a file is imported by; cli/ is installed as explainers.cli."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = ("explainers", *parts) if parts[0] == "cli" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sources()}


@cache
def imports_of(path: Path) -> set[str]:
    """The modules of the package that a file imports, wherever in it; imports for types alone do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        node
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and ast.unparse(test.test) == "TYPE_CHECKING"
        for node in ast.walk(test)
    }
    found = set()
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            found |= {
                f"{module}.{alias.name}" if f"{module}.{alias.name}" in MODULES else module for alias in node.names
            }
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in MODULES:
            found.add(node.value)  # imported by name
    return {name for name in found if name in MODULES} - {module_of(path)}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    room = room_of(module_of(path))
    for other in map(room_of, imports_of(path)):
        if room and other not in ("", room):
            assert FLOOR[other] < FLOOR[room], f"{path} imports {other}"
            assert other not in NOT.get(room, ()), f"{path} imports {other}"


def test_every_room_has_a_floor():
    assert {room_of(name) for name in MODULES} == {"", *FLOOR}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected parts of more than one member (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
            if other in stack:
                low[name] = min(low[name], low[other])
        if low[name] == index[name]:
            part = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(part) > 1:
                found.append(sorted(part))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def test_no_circle_of_modules():
    graph = {name: imports_of(path) for name, path in MODULES.items()}
    assert circles(graph) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_no_circle_of_rooms_inside_a_room():
    """Between the folders of one room too arrows point one way: evaluation/metrics stands on evaluation/measuring."""
    for room in sorted(FLOOR):
        graph: dict[str, set[str]] = {}
        for name, path in MODULES.items():
            if room_of(name) == room and path.name != "__init__.py":
                inner = path.parent.name
                graph.setdefault(inner, set())
                for other in imports_of(path):
                    if room_of(other) == room and MODULES[other].name != "__init__.py":
                        graph[inner] |= {MODULES[other].parent.name} - {inner}
        graph = {name: others & set(graph) for name, others in graph.items()}
        inner_only = {name: others - {room} for name, others in graph.items() if name != room}
        assert circles(inner_only) == [], room


def test_rooms_are_small():
    for folder in {path.parent for path in sources()}:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= MOST_FILES, f"{folder} has {len(files)} files"


def test_every_room_says_what_it_is():
    for path in sources():
        if path.name == "__init__.py" and path.parent.name not in ("explainers", "cli"):
            doc = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
            assert "Begin with" in doc, f"{path} does not say where to begin reading"


def test_files_are_short():
    for path in sources():
        text = path.read_text(encoding="utf-8")
        reason = "Longer than" in (ast.get_docstring(ast.parse(text)) or "")
        assert text.count("\n") <= MOST_LINES or reason, f"{path} has {text.count(chr(10))} lines and gives no reason"


def test_functions_take_few_parameters():
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        owner = {child: node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for child in node.body}
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                given = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                count = len([each for each in given if each.arg not in ("self", "cls")])
                name = f"{owner[node]}.{node.name}" if node in owner else node.name
                assert count <= MOST_PARAMETERS or name in DOORS, f"{path}: {name} takes {count} parameters"


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
    assert listed == {name for name, path in MODULES.items() if path.name == "__init__.py"}


def test_ci_and_readme_run_the_same_test_command():
    command = re.search(r"## Tests\n\n```\n(.*)\n```", (ROOT / "README.md").read_text())[1]
    lines = (ROOT / ".ci" / "run").read_text()
    places = [lines.find(part) for part in command.split(" && ")]
    assert -1 not in places, "a part of the README's command is missing"
    assert places == sorted(places)


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


def test_the_floor_plan_has_every_room_on_its_floor_and_names_files_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    plan = re.search(r"## The floor plan.*?```\n(.*?)```", text, re.S)[1]
    sections = re.split(r"─+\n", plan)
    floors = [FLOORS[0] + FLOORS[1], *FLOORS[2:]]
    assert len(sections) == len(floors)
    for section, rooms in zip(sections, reversed(floors), strict=True):
        for room in rooms:
            assert re.search(rf"(?<![\w/]){room}(/|\.py)", section), room
    for package in {path.parent for path in sources() if path.name == "__init__.py"}:
        parts = module_of(package / "__init__.py").split(".")[1:]
        if len(parts) == 2 and parts[0] != "data":  # rooms of rooms
            assert f"{parts[1]}/" in plan, parts
    others = [path for folder in ("tests", "examples", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    files = [path.as_posix() for path in (*sources(), *others)]
    for name in re.findall(r"`([\w/]+\.py)`", text):
        assert "NAME" in name or any(path.endswith(f"/{name}") for path in files), f"CONTRIBUTING.md names {name}"


def test_links_of_the_documents_lead_somewhere():
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            if not link.startswith("http"):
                assert (path.parent / link).exists(), f"{path.name} links to {link}"
