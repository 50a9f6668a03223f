"""The page: escaping, its policy, its scripts."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest
from report_case import HOSTILE

from explainers.errors import OptionError
from explainers.render.report import SingleFileSink, notebook, page
from explainers.render.report.page import SCRIPTS, STYLES, joined
from explainers.render.report.sink import in_script

REPORT = {
    "command": "run",
    "title": HOSTILE,
    "name": HOSTILE,
    "status": HOSTILE,
    "figures_of": [{"value": HOSTILE, "label": HOSTILE, "filter": HOSTILE}],
    "facts": [(HOSTILE, HOSTILE)],
    "cautions": [HOSTILE],
    "reading": HOSTILE,
    "tables": [{"caption": HOSTILE, "lines": [[HOSTILE], [HOSTILE]], "notes": [HOSTILE]}],
    "controls": [],
    "agreement": {"methods": [HOSTILE], "table": [[None]], "mean": 0.0},
    "pictures": [{"caption": HOSTILE, "src": HOSTILE}],
    "images": 1,
    "charts": True,
    "manifest": f"{HOSTILE}</pre><script>alert(1)</script>",
    "made": HOSTILE,
    "version": "0",
}
FOLDER = files("explainers.render.report")


def test_everything_is_escaped_wherever_it_stands():
    data = {"name": f"{HOSTILE}</script><!--"}
    html = page(REPORT, data, chunks=[("maps-0000", in_script(data))])
    assert "<img src=x" not in html
    assert "<script>alert" not in html
    held = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.S)
    assert [json.loads(each) for each in held] == [data, data]


def test_the_policy_lets_nothing_in():
    html = page(REPORT, {})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1].replace("&#39;", "'")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "http" not in policy
    assert "unsafe" not in policy
    nonce = re.fullmatch(r"'nonce-([\w-]{20,})'", rules["script-src"])[1]
    assert re.findall(r"<(?:script|style)\b(?![^>]*nonce=\"" + nonce + ")", html) == []
    tags = re.sub(r'="[^"]*"', "=", re.sub(r"(?s)<(script|style).*?</\1>", "", html))
    assert re.findall(r"<[^>]*\s(?:on\w+|style)=", tags) == [], "no handler and no style within a tag"
    assert page(REPORT, {}) != html, "each page has a nonce of its own"


def test_scripts_import_what_stands_before_them_and_no_name_is_taken_twice():
    exported: dict[str, set[str]] = {}
    taken: dict[str, str] = {}
    for name in [*SCRIPTS, "notebook"]:
        text = FOLDER.joinpath(f"scripts/{name}.js").read_text()
        for names, source in re.findall(r"^import \{([^}]*)\} from \"\./([a-z]+)\.js\";$", text, re.M):
            wanted = {each.strip() for each in names.split(",") if each.strip()}
            assert wanted <= exported[source], f"{name} imports {wanted - exported[source]} from {source}"
        exported[name] = set(re.findall(r"^export (?:async )?(?:function|class|const|let) (\w+)", text, re.M))
        for own in re.findall(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", text, re.M):
            assert own not in taken, f"{own} is in {name} and {taken[own]}"
            taken[own] = name
    for names in (SCRIPTS, notebook.SCRIPTS):
        assert not re.search(r"^(import|export) ", joined(names), re.M)
    assert {path.name[:-3] for path in FOLDER.joinpath("scripts").iterdir()} == {*SCRIPTS, *notebook.SCRIPTS}
    assert {path.name[:-4] for path in FOLDER.joinpath("styles").iterdir()} == {*STYLES, *notebook.STYLES}


def test_a_widget_has_all_scripts_that_its_own_import():
    given = {"report"}  # by the widget itself
    for name in notebook.SCRIPTS:
        text = FOLDER.joinpath(f"scripts/{name}.js").read_text()
        wanted = set(re.findall(r"^import .* from \"\./([a-z]+)\.js\";$", text, re.M))
        assert wanted <= given, f"{name} imports {wanted - given}"
        given.add(name)


def test_scripts_are_small_files():
    for folder in ("scripts", "styles", "templates"):
        for path in FOLDER.joinpath(folder).iterdir():
            assert path.read_text().count("\n") <= 420, path.name


def test_a_file_that_would_be_too_large_is_refused(tmp_path):
    sink = SingleFileSink(tmp_path / "report.html", largest=10_000)
    sink.picture("0.jpg", bytes(6000))
    with pytest.raises(OptionError, match=r"more than 0 MB.*without --single-file"):
        sink.picture("1.jpg", bytes(6000))
    assert list(tmp_path.iterdir()) == []
