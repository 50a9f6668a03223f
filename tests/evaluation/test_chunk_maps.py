"""Explainers whose maps do not fit, or that fail on an image."""

from __future__ import annotations

import pytest
import torch
from evaluation_case import images, network

import explainers
from explainers import create_metric
from explainers.errors import MapError, UnsupportedError


def test_a_map_of_the_wrong_size_is_named():
    small = {"mine": lambda images, targets: torch.rand(len(images), 3, 3)}
    with pytest.raises(MapError, match=r"mine: maps of shape \(2, 3, 3\) for images of .* enlarge maps"):
        explainers.evaluate(network(), images(2), small)
    wide = {"mine": lambda images, targets: images}
    with pytest.raises(MapError, match="reduce its channels or classes to one map per image"):
        explainers.evaluate(network(), images(2), wide)
    nothing = {"mine": lambda images, targets: None}
    with pytest.raises(MapError, match="expected maps"):
        explainers.evaluate(network(), images(2), nothing)


def test_a_map_with_nan_costs_its_image_and_is_counted():
    def broken(images, targets):
        maps = images.mean(1).clone()
        maps[1, 0, 0] = torch.nan
        return maps

    result = explainers.evaluate(network(), images(3), {"mine": broken}, ["deletion"])
    assert [(row["image"], row["reason"]) for row in result.failed] == [("1", "the map has NaN or infinite values")]
    assert result.summary().cells["mine", "deletion"].images == 2
    assert result.summary().failed == {"mine": 1}
    assert "mine: 1 image without a map or value" in str(result)
    with pytest.raises(MapError, match="the maps have NaN"):
        create_metric("deletion")(network(), images(2), torch.full((2, 12, 13), torch.nan))


@pytest.mark.parametrize("skip", [False, True])
def test_what_a_proven_method_refuses_is_an_image(skip):
    """Full-Grad and CAM check every image; one that fails does not cost the others theirs."""
    given = images(6)
    given[4, 0, 0, 0] = 50

    def choosy(batch, targets):
        if batch.max() > 40:
            raise UnsupportedError("choosy cannot be right on this image")
        return batch.mean(1)

    result = explainers.evaluate(
        network(), given, {"choosy": choosy}, ["sparseness"], batch_size=3, skip_unsupported=skip
    )
    assert set(result.values("sparseness")["choosy"]) == {"0", "1", "2", "3", "5"}
    assert [(row["image"], row["reason"]) for row in result.failed] == [("4", "choosy cannot be right on this image")]
    assert result.refused == {}
