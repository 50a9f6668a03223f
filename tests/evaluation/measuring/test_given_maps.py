"""A metric called with maps: what it cannot say without an evaluation."""

from __future__ import annotations

import pytest
import torch
from evaluation_case import images, network

from explainers import create_metric
from explainers.errors import OptionError


def test_a_metric_that_calls_the_explainer_says_so_for_bare_maps():
    with pytest.raises(OptionError, match="max-sensitivity calls the explainer again, so it needs explainers.evaluate"):
        create_metric("max-sensitivity")(network(), images(2), torch.rand(2, 12, 13))
    with pytest.raises(OptionError, match="ssim compares with the explainer 'rise'"):
        create_metric("ssim", reference="rise")(network(), images(2), torch.rand(2, 12, 13))
