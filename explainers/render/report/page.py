"""The page: a template filled with escaped values, styles and scripts joined, a policy that lets nothing else in."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from explainers.render.report.sink import in_script
from explainers.render.style import DIVERGING, SEQUENTIAL, colours

# In the order in which one names another; each is a module of its own for whoever reads it.
SCRIPTS = (
    "numbers",
    "report",
    "state",
    "unpack",
    "data",
    "colour",
    "field",
    "slices",
    "joined",
    "outline",
    "perturbed",
    "filters",
    "chart",
    "laid",
    "card",
    "gallery",
    "view",
    "controls",
    "pane",
    "recipe",
    "viewer",
    "page",
)
STYLES = ("base", "controls", "summary", "gallery", "pane", "viewer", "print")


def page(
    report: Mapping[str, Any], data: Mapping[str, Any], *, chunks: Sequence[tuple[str, str]] = (), single: bool = False
) -> str:
    """The HTML of a report.

    Args:
        report: what the template shows, as plain values; everything in it is escaped. data: what the scripts show;
            chunks: (name, JSON) of the maps of a report in one file; single: whether it is one.
    """
    nonce = secrets.token_urlsafe(16)
    pictures = "data:" if single else "'self' data:"
    policy = (
        f"default-src 'none'; img-src {pictures} blob:; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return _template().render(
        report=report,
        data=Markup(in_script(data)),
        chunks=[(name, Markup(text)) for name, text in chunks],
        nonce=nonce,
        policy=policy,
        style=Markup(styled(STYLES)),
        script=Markup(joined(SCRIPTS)),
    )


@cache
def joined(names: tuple[str, ...]) -> str:
    """Scripts as one, in their order: what they import from each other is there by then."""
    text = "\n".join(_without_imports(_text(f"scripts/{name}.js")) for name in names)
    assert "</script" not in text
    assert "<!--" not in text
    return text


def styled(names: tuple[str, ...], rem: float | None = None) -> str:
    """Style sheets as one; rem: how many pixels that unit is, for a page whose own is another."""
    text = "\n".join(_text(f"styles/{name}.css") for name in names)
    return text if rem is None else re.sub(r"([\d.]+)rem\b", lambda found: f"{float(found[1]) * rem:.4g}px", text)


def _without_imports(text: str) -> str:
    text = re.sub(r"^import .*? from \"\./[a-z]+\.js\";\n", "", text, flags=re.M | re.S)
    return re.sub(r"^export (?=(async )?(function|class|const|let)\b)", "", text, flags=re.M)


def palette(cmap: str | None) -> dict[str, str]:
    """The colours of maps as the project's overlays have them, (256, 3) bytes each as base64."""
    return {
        kind: base64.b64encode(colours(cmap or name).tobytes()).decode("ascii")
        for kind, name in (("sequential", SEQUENTIAL), ("diverging", DIVERGING))
    }


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _text(f"templates/{name}")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


@cache
def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
