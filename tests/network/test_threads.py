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
from explainers.network.guard import all_others_waiting, preserved

CHEAP = {  # name → options that leave few passes; one batch size, since a measured one changes the last bit of a map
    "score-cam": {"batch_size": 8},
    "smooth-grad": {"samples": 3},
    "rise": {"masks": 32},
    "lime": {"samples": 16, "segments": 3},
    "kernel-shap": {"samples": 16, "segments": 3},
    "occlusion": {"window": 4, "stride": 4},
}
THREADS, CALLS = 4, 6
MORE = {"grad-cam": 80} | dict.fromkeys(  # calls of a thread, of methods of few passes
    ("cam", "eigen-cam", "full-grad", "grad-cam++", "guided-backprop", "hires-cam", "input-x-gradient", "saliency"), 12
)


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
        return [explainer(images(), 1) for _ in range(MORE.get(method, CALLS))]

    with Predicting(model) as other:
        found = together([job] * THREADS)
    assert sum(not torch.equal(maps, wanted) for each in found for maps in each) == 0
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


def test_another_method_in_each_thread_does_not_meet_the_others():
    """A rule at every ReLU, folded norms, redrawn hooks and kept layers: each would spoil the others' passes."""
    model = network()
    names = ("grad-cam", "guided-backprop", "full-grad", "score-cam", "rise", "guided-grad-cam")
    explain = {name: explainers.create(name, model, **CHEAP.get(name, {})) for name in names}
    wanted = {name: explainer(images(), 1) for name, explainer in explain.items()}

    def job(name):
        calls = CALLS if name in CHEAP else 40
        return lambda: sum(not torch.equal(explain[name](images(), 1), wanted[name]) for _ in range(calls))

    with Predicting(model) as other:
        assert dict(zip(names, together([job(name) for name in names]), strict=True)) == dict.fromkeys(names, 0)
    assert other.wrong == []
    assert other.passes > 0


def test_another_class_and_layer_in_each_thread():
    model = network()
    asked = [(target, layer) for target in range(4) for layer in ("stem", "block")]
    wanted = [explainers.create("grad-cam", model, layer=layer)(images(), target) for target, layer in asked]
    assert len({float(maps.sum()) for maps in wanted}) == len(asked)

    def job(target, layer):
        return lambda: [explainers.create("grad-cam", model, layer=layer)(images(), target) for _ in range(20)]

    for maps, found in zip(wanted, together([job(*each) for each in asked]), strict=True):
        assert all(torch.equal(each, maps) for each in found)


def test_a_forward_pass_under_no_grad_stays_without_a_graph_and_a_thread_that_has_one_keeps_it():
    """The caller's gradients, too: a thread that takes them of its own forward pass gets what it got alone."""
    model = network()
    leaf = images().requires_grad_()
    (wanted,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)

    def user():
        found = []
        for _ in range(60):
            own = images().requires_grad_()
            found.append(torch.autograd.grad(model(own)[:, 1].sum(), own)[0])
        return found

    def explaining(name):
        return lambda: [explainers.create(name, model)(images(), 1) for _ in range(20)]

    with Predicting(model) as other:
        found, *_ = together([user, explaining("grad-cam"), explaining("guided-backprop"), explaining("full-grad")])
    assert sum(not torch.equal(gradient, wanted) for gradient in found) == 0
    assert other.wrong == []


def test_evaluations_and_explainers_in_threads_share_a_network():
    """Weights that an evaluation redraws, its passes, noise and generators do not reach the others."""
    model = network()
    methods = [["grad-cam", ("rise", {"masks": 32})], ["guided-backprop", ("lime", CHEAP["lime"])]]
    metrics = ["insertion", "infidelity", explainers.create_metric("model-randomisation", stages=2)]
    shared = explainers.create("grad-cam", model)

    def evaluating(names):
        def run():
            result = explainers.evaluate(model, images(), names, metrics)
            return {(row["image"], row["explainer"], row["score"]): row["value"] for row in result.rows}

        return run

    def explaining():
        return [shared(images(), 1) for _ in range(100)]

    jobs = [*map(evaluating, methods), explaining, explaining]
    wanted = [job() for job in jobs]
    found = together(jobs)
    for one, two in zip(wanted[:2], found[:2], strict=True):
        assert two == pytest.approx(one, rel=1e-4, abs=1e-6)
    for maps in found[2:]:
        assert sum(not torch.equal(each, wanted[2][0]) for each in maps) == 0


def test_who_changes_weights_waits_for_those_inside_and_keeps_others_out():
    model, order = network(), []
    inside, leave = threading.Event(), threading.Event()

    def explaining():
        with preserved(model):
            inside.set()
            leave.wait()
            order.append("explained")
            with preserved(model):  # again, though somebody waits
                order.append("again")

    def changing():
        inside.wait()
        leave.set()
        with all_others_waiting():
            order.append("changed")
            with preserved(model), all_others_waiting():
                order.append("explained by who has changed")
            other = threading.Thread(target=late)
            other.start()
            other.join(timeout=0.2)
            order.append("still alone")
        other.join()

    def late():
        with preserved(nn.Linear(1, 1)):
            order.append("late")

    together([explaining, changing])
    assert order == ["explained", "again", "changed", "explained by who has changed", "still alone", "late"]


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


def test_a_hook_that_another_thread_sets_meanwhile_stays_and_that_of_the_call_goes():
    model = network()
    module = next(iter(model.children()))
    handles = []

    def hook(*_):
        return None

    with preserved(model):
        own = module.register_forward_hook(hook)
        other = threading.Thread(target=lambda: handles.append(module.register_forward_hook(hook)))
        other.start()
        other.join()
        assert set(module._forward_hooks) == {own.id, handles[0].id}
    assert set(module._forward_hooks) == {handles[0].id}
    handles[0].remove()
    assert not module._forward_hooks


def test_a_network_that_sets_hooks_in_its_forward_pass_predicts_beside_an_explainer():
    class Looking(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = network()

        def forward(self, images):
            seen = []
            handle = next(iter(self.body.children())).register_forward_hook(lambda *given: seen.append(given[2]))
            scores = self.body(images)
            handle.remove()
            assert seen  # its hook ran
            return scores

    model = Looking().eval()
    wanted = explainers.create("saliency", model)(images(), 1)
    with Predicting(model) as other:
        found = [explainers.create("saliency", model)(images(), 1) for _ in range(40)]
    assert all(torch.equal(maps, wanted) for maps in found)
    assert other.wrong == []
