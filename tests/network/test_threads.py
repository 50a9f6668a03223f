"""Explainers of several threads on one network, beside a thread that predicts with it: nobody notices the others."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from small import Residual, lively
from torch import nn

import explainers

CHEAP = {  # name → options that leave few passes; one batch size, since a measured one changes the last bit of a map
    "score-cam": {"batch_size": 8},
    "smooth-grad": {"samples": 3},
    "rise": {"masks": 32},
    "lime": {"samples": 16, "segments": 3},
    "kernel-shap": {"samples": 16, "segments": 3},
    "occlusion": {"window": 4, "stride": 4},
}
THREADS, CALLS = 4, 6


@pytest.fixture(autouse=True)
def many_switches():
    """Threads take turns as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def network() -> nn.Module:
    torch.manual_seed(0)
    return lively(Residual())


def images() -> torch.Tensor:
    return torch.randn(2, 3, 16, 12, generator=torch.Generator().manual_seed(0))


def works(name: str, model: nn.Module) -> bool:
    try:
        explainers.create(name, model, **CHEAP.get(name, {}))(images(), 1)
    except explainers.errors.ExplainersError:
        return False
    return True


class Predicting:
    """A thread that predicts under no_grad, through no explainer, for as long as the block lasts."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.over, self.passes = model, threading.Event(), 0
        with torch.no_grad():
            self.wanted = model(images())
        self.thread = threading.Thread(target=self._run)
        self.wrong: list[str] = []

    def _run(self) -> None:
        with torch.no_grad():
            while not self.over.is_set():
                try:
                    scores = self.model(images())
                    self.passes += 1
                    if scores.requires_grad or torch.is_grad_enabled():
                        self.wrong.append("a graph")
                    if not torch.equal(scores, self.wanted):
                        self.wrong.append("other scores")
                except Exception as error:
                    self.wrong.append(repr(error))

    def __enter__(self) -> Predicting:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()


def together(jobs: list) -> list:
    """The results of all jobs, begun at the same time in a thread each."""
    begin = threading.Barrier(len(jobs))

    def run(job):
        begin.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(run, job) for job in jobs]]


METHODS = [name for name in explainers.available() if works(name, network())]


@pytest.mark.parametrize("method", METHODS)
def test_four_threads_get_the_maps_of_one_and_a_predicting_thread_its_scores(method):
    model = network()
    wanted = explainers.create(method, model, **CHEAP.get(method, {}))(images(), 1)

    def job():
        explainer = explainers.create(method, model, **CHEAP.get(method, {}))
        return [explainer(images(), 1) for _ in range(CALLS)]

    with Predicting(model) as other:
        found = together([job] * THREADS)
    assert all(torch.equal(maps, wanted) for each in found for maps in each)
    assert other.wrong == []
    assert other.passes > 0
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_different_methods_on_one_network_do_not_meet():
    model = network()
    explain = {name: explainers.create(name, model, **CHEAP.get(name, {})) for name in METHODS}
    wanted = {name: explainer(images(), 1) for name, explainer in explain.items()}

    def job(offset):
        names = METHODS[offset:] + METHODS[:offset]
        return lambda: {name: explain[name](images(), 1) for name in names}

    with Predicting(model) as other:
        found = together([job(offset) for offset in (0, 5, 10, 15)])
    for maps in found:
        for name in METHODS:
            assert torch.equal(maps[name], wanted[name]), name
    assert other.wrong == []


def test_one_explainer_serves_all_threads_from_its_first_call_on():
    model = network()
    wanted = explainers.create("grad-cam", network())(images(), 1)
    for _ in range(10):
        shared = explainers.create("grad-cam", model)
        with Predicting(model) as other:
            found = together([lambda shared=shared: shared(images(), 1)] * THREADS)
        assert all(torch.equal(maps, wanted) for maps in found)
        assert torch.equal(shared(images(), 1), wanted)
        assert other.wrong == []


def test_a_network_in_train_mode_is_explained_in_evaluation_mode_by_all_and_left_as_it_was():
    model = network()
    wanted = explainers.create("saliency", model)(images(), 1)
    model.train()
    model.head.eval()
    state = {key: value.clone() for key, value in model.state_dict().items()}

    def job():
        return [explainers.create("saliency", model)(images(), 1) for _ in range(CALLS)]

    found = together([job] * THREADS)
    assert all(torch.equal(maps, wanted) for each in found for maps in each)
    assert model.training
    assert not model.head.training
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_networks_that_share_a_module_wait_for_each_other_as_well():
    model = network()
    wrapped = [nn.Sequential(model, nn.Identity()) for _ in range(THREADS)]
    wanted = explainers.create("grad-cam", wrapped[0])(images(), 1)

    def job(own):
        return lambda: [explainers.create("grad-cam", own)(images(), 1) for _ in range(CALLS)]

    found = together([job(own) for own in wrapped])
    assert all(torch.equal(maps, wanted) for each in found for maps in each)


@pytest.mark.parametrize("name", ["DeepLift", "LayerGradCam", "InternalInfluence", "IntegratedGradients", "LRP"])
def test_captums_hooks_are_not_met_by_passes_of_other_threads(name):
    pytest.importorskip("captum")
    model = network()
    if not works(f"captum:{name}", model):
        pytest.skip("does not work on this network")
    wanted = explainers.create(f"captum:{name}", model)(images(), 1)

    def job():
        return [explainers.create(f"captum:{name}", model)(images(), 1) for _ in range(2)]

    with Predicting(model) as other:
        found = together([job] * THREADS)
    assert all(torch.equal(maps, wanted) for each in found for maps in each)
    assert other.wrong == []
