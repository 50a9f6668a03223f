"""Torch's default type and default device are the user's business: no map depends on them. Networks without values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from small import Residual, lively

import explainers
from explainers.errors import ExplainersError, ImageError

FEW = {
    "score-cam": {"batch_size": 8},
    "smooth-grad": {"samples": 2},
    "rise": {"masks": 32},
    "lime": {"samples": 16, "segments": 2},
    "kernel-shap": {"samples": 16, "segments": 2},
}


@contextmanager
def default_type(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def works(method: str) -> bool:
    try:
        explainers.create(method, lively(Residual()), **FEW.get(method, {}))(torch.randn(1, 3, 16, 12), 1)
    except ExplainersError:
        return False
    return True


METHODS = [name for name in explainers.available() if works(name)]


@pytest.mark.parametrize("method", METHODS)
def test_a_map_does_not_depend_on_torchs_default_type_or_device(method):
    torch.manual_seed(0)
    model, images = lively(Residual()), torch.randn(2, 3, 16, 12)
    options = FEW.get(method, {})
    wanted = explainers.create(method, model, **options)(images, 1)
    with default_type(torch.float64):
        found = explainers.create(method, model, **options)(images, 1)
    torch.testing.assert_close(found, wanted)
    with torch.device("meta"):  # stands for any device on which neither network nor images are
        found = explainers.create(method, model, **options)(images, 1)
    torch.testing.assert_close(found, wanted)


def test_rise_as_published_draws_the_same_masks_under_every_default():
    torch.manual_seed(0)
    model, images = lively(Residual()), torch.randn(1, 3, 16, 12)
    wanted = explainers.create("rise", model, masks=32, design="paper")(images, 1)
    with default_type(torch.float64), torch.device("meta"):
        found = explainers.create("rise", model, masks=32, design="paper")(images, 1)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("method", explainers.available())
def test_a_network_or_images_without_values_are_refused_in_one_sentence(method):
    images = torch.randn(1, 3, 16, 12)
    with pytest.raises(ImageError, match="network is, at least in part, on the meta device"):
        explainers.create(method, Residual().to("meta"))(images, 1)
    partly = Residual()
    partly.head.to("meta")
    with pytest.raises(ImageError, match="network is, at least in part, on the meta device"):
        explainers.create(method, partly)(images, 1)
    with pytest.raises(ImageError, match="images are on the meta device"):
        explainers.create(method, Residual())(images.to("meta"), 1)


def test_an_evaluation_does_not_depend_on_torchs_default_type():
    torch.manual_seed(0)
    model, images = lively(Residual()), torch.randn(2, 3, 16, 12)
    masks = torch.zeros(2, 16, 12, dtype=torch.bool)
    masks[:, 3:8, 2:7] = True
    metrics = ["insertion", "deletion", "road", "pointing-game", "infidelity", "max-sensitivity", "pid"]
    metrics = [explainers.create_metric(name, **({"patch": (4, 4)} if name == "pid" else {})) for name in metrics]

    def rows():
        made = explainers.evaluate(model, images, {"saliency": "saliency"}, metrics, masks=masks, labels=[0, 1])
        return {(row["image"], row["explainer"], row["score"]): row["value"] for row in made.rows}

    wanted = rows()
    with default_type(torch.float64):
        assert rows() == pytest.approx(wanted, rel=1e-4, abs=1e-5)
