"""A hook of MkDocs: links to files outside of docs/ lead to the repository; read as plain files they work as they
are."""

from __future__ import annotations

import re
from typing import Any

OUTSIDE = re.compile(r"\]\(\.\./([^)#]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, config: Any, **_: Any) -> str:
    """Links such as ../benchmarks/rise.md, to where the repository is (or as code, where that is not known)."""
    base = config.repo_url
    if base:
        return OUTSIDE.sub(lambda found: f"]({base.rstrip('/')}/blob/main/{found[1]}{found[2] or ''})", markdown)
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"`\1`", markdown)
