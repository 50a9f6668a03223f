"""What the report of a comparison of networks says of it."""

from __future__ import annotations

import json

import pytest

from explainers.run.report.drifted import drifted
from explainers.run.report.folder import ReadFolder

CHANCE = [{"kind": "method seed"}, {"kind": "random maps"}]


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        ([], "not known yet"),
        ([{"kind": "checkpoint"}] * 3 + CHANCE, "3"),
        ([{"kind": "checkpoint"}] * 2 + CHANCE + [{"kind": "network seed"}], "2, and 1 of another training seed"),
    ],
)
def test_rows_of_chance_are_no_networks(tmp_path, networks, said):
    (tmp_path / "manifest.json").write_text(json.dumps({"command": "drift", "status": "done", "networks": networks}))
    assert dict(drifted(ReadFolder(tmp_path)).facts)["networks"] == said
