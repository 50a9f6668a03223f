"""An evaluation whose batches are others when it goes on: what is done is done image by image."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evaluated_case import quick, table
from run_case import embedded, folder

import explainers
from explainers.storage.journal import Journal
from explainers.storage.verify import verify

ASKED = (["grad-cam"], quick("deletion"))


def scored(out):
    rows = table(out / "scores.csv")
    return {(row["image"], row["explainer"], row["score"]): float(row["value"]) for row in rows}


@pytest.fixture
def half(tmp_path):
    """Images, and an evaluation of them in one batch that was killed within it."""
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    explainers.evaluate(embedded(), images, *ASKED, out=out, figures=False)
    whole = scored(out)
    lines = (out / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (out / "journal.jsonl").write_bytes(b"".join([*lines[:2], *lines[-2:]]))
    return images, out, whole


@pytest.mark.parametrize("size", [8, 2])
def test_going_on_with_other_batches_keeps_what_is_done(half, size):
    images, out, whole = half
    before = (out / "journal.jsonl").read_bytes()
    explainers.evaluate(embedded(), images, *ASKED, out=out, figures=False, batch_size=size)
    assert (out / "journal.jsonl").read_bytes().startswith(before)
    found = scored(out)
    assert found.keys() == whole.keys()
    np.testing.assert_allclose([*found.values()], [whole[key] for key in found], rtol=1e-5)
    assert size != 8 or found == whole  # to the last bit where the batches are as they were
    assert verify(out).problems == []
    assert len(list(Journal(out / "journal.jsonl").entries())) == len({(image, title) for image, title, _ in whole})
    assert json.loads((out / "manifest.json").read_text())["batch_size"] == size


def test_an_image_that_is_removed_costs_the_others_nothing(tmp_path):
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    explainers.evaluate(embedded(), images, *ASKED, out=out, figures=False, batch_size=2)
    before, whole = (out / "journal.jsonl").read_bytes(), scored(out)
    first = min(name for name, _, _ in whole)
    (images / first).unlink()
    explainers.evaluate(embedded(), images, *ASKED, out=out, figures=False, batch_size=2)
    assert (out / "journal.jsonl").read_bytes() == before
    assert scored(out) == {key: value for key, value in whole.items() if key[0] != first}
