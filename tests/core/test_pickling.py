"""Every explainer goes to another process and makes the same maps there, before and after it has been used."""

from __future__ import annotations

import pickle

import pytest
import torch
from child import ran
from small import Residual, lively
from torch import nn

import explainers

FEW = {
    "score-cam": {"batch_size": 8},
    "smooth-grad": {"samples": 2},
    "rise": {"masks": 32},
    "lime": {"samples": 8, "segments": 2},
    "kernel-shap": {"samples": 8, "segments": 2},
    "captum:IntegratedGradients": {"n_steps": 4},
    "captum:Occlusion": {},
    "captum:LayerGradCam": {},
}
METHODS = [*explainers.available(), *(name for name in FEW if name.startswith("captum:"))]


@pytest.mark.parametrize("method", METHODS)
def test_an_explainer_pickles_before_and_after_its_first_call(method):
    if method.startswith("captum:") or method in ("lime", "kernel-shap"):
        pytest.importorskip("captum")
    torch.manual_seed(0)
    images = torch.randn(1, 3, 16, 12)
    explainer = explainers.create(method, lively(Residual()), **FEW.get(method, {}))
    fresh = pickle.loads(pickle.dumps(explainer))
    try:
        maps = explainer(images, 1)
    except explainers.errors.UnsupportedError:
        with pytest.raises(explainers.errors.UnsupportedError):
            fresh(images, 1)
        return
    assert torch.equal(fresh(images, 1), maps)
    assert torch.equal(pickle.loads(pickle.dumps(explainer))(images, 1), maps)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", None])
def test_every_activation_pickles(activation):
    explainer = explainers.create("rise", nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), activation=activation, masks=8)
    images = torch.randn(1, 3, 4, 4)
    assert torch.equal(pickle.loads(pickle.dumps(explainer))(images, 1), explainer(images, 1))


def test_a_used_explainer_works_in_a_process_of_its_own(tmp_path):
    torch.manual_seed(0)
    explainer = explainers.create("rise", nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), masks=32)
    images = torch.randn(1, 3, 4, 4)
    maps = explainer(images, 1)
    (tmp_path / "sent").write_bytes(pickle.dumps((explainer, images)))
    code = (
        "import pickle, sys, pathlib\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "explainer, images = pickle.loads((folder / 'sent').read_bytes())\n"
        "(folder / 'back').write_bytes(pickle.dumps(explainer(images, 1)))\n"
    )
    assert ran(code, tmp_path).returncode == 0
    assert torch.allclose(pickle.loads((tmp_path / "back").read_bytes()), maps, atol=1e-6)
