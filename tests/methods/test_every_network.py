"""Every method on every network of the collection: right, or refused with a reason and another way; no third outcome."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from answer_perturbation import OPTIONS as PERTURBED
from answers import SAMPLES, SIGMA, Answers
from network_case import METHODS, OWN, WATCHING, Case
from network_own import OWN as OWN_NETWORKS
from network_traces import Traces
from networks import FAMILIES, NARROW, NETWORKS, affordable
from torch import Tensor

import explainers
from explainers.errors import ImageError, LayerError, OutputError, UnsupportedError

pytest.importorskip("torchvision")

REFUSALS = (UnsupportedError, LayerError, OutputError)
REMEDY = re.compile(r"\b(use|try|pass|choose|explain|remove|move)\b", re.IGNORECASE)
OPTIONS = {"smooth-grad": {"samples": SAMPLES, "sigma": SIGMA}, **PERTURBED}
PACKAGES = {"timm": "timm", "HF": "transformers", "open_clip": "open_clip"}


@dataclass
class Bench:
    """A network set up for all methods: what the user passes, and the answers from a copy of its own."""

    case: Case
    given: Any
    answers: Answers
    images: Tensor
    targets: Tensor


TRIED = {"attention-rollout": "tokens, registers, ReLU", "attention": "ABN", "lambda-attention": "Lambda ResNet"}


@pytest.fixture(scope="module", params=NETWORKS)
def bench(request) -> Iterator[Bench]:
    case = NETWORKS[request.param]
    if case.group in PACKAGES:
        pytest.importorskip(PACKAGES[case.group])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small tensors: handing them to threads costs more than the work
    plain = case.plain()
    images = case.images()
    answers = Answers(case, plain, images)
    unreadable = case.refused >= METHODS
    targets = torch.zeros(len(images), dtype=torch.long) if unreadable else answers.targets
    given = case.given_network(plain)
    if isinstance(given, torch.jit.ScriptModule):
        # TorchScript compiles, and so changes its modules, at its first calls with and without gradient.
        with torch.jit.optimized_execution(False):
            given(images)
            given(images.clone().requires_grad_())
    yield Bench(case, given, answers, images, targets)
    torch.set_num_threads(threads)


def explain(bench: Bench, method: str) -> tuple[Tensor | None, str]:
    """The maps, or None and the text of the refusal; anything else that is raised is a third outcome."""
    options: dict[str, Any] = dict(OPTIONS.get(method, {}))
    if bench.case.given and "layer" in explainers.method(method).needs and method not in OWN:
        options["layer"] = bench.case.layer
    with warnings.catch_warnings(), bench.case.around():
        warnings.simplefilter("ignore")
        try:
            return explainers.create(method, bench.given, **options)(bench.images, bench.targets), ""
        except REFUSALS as error:
            return None, str(error)


@pytest.mark.parametrize("method", explainers.available())
def test_right_or_refused_and_the_network_as_found(bench, method):
    if not affordable(bench.case, method):
        pytest.skip("a pass per channel, of hundreds; a narrow network of each kind is tried")
    if method in WATCHING and bench.case in FAMILIES and bench.case.name not in NARROW:
        pytest.skip("many passes, of scores that grad-cam reads as well; benchmarks/matrix.py tries it here")
    if method == "score-cam" and bench.case in OWN_NETWORKS:
        pytest.skip("the passes of ablation-cam, which is tried; benchmarks/matrix.py tries both")
    traces, images = Traces(bench.given), bench.images.clone()
    maps, refusal = explain(bench, method)
    assert traces.left() == []
    assert torch.equal(bench.images, images)
    wanted = bench.answers.expects(method)
    if maps is None:
        assert wanted in ("refusal", "either"), f"refused, where it can be right: {refusal}"
        assert len(refusal) > 40
        assert REMEDY.search(refusal), f"no way out named: {refusal}"
        return
    assert wanted in ("map", "either"), "a map, where the method is not defined"
    assert maps.shape == (len(images), *images.shape[-2:])
    assert maps.dtype == torch.float32
    assert bench.answers.error(method, maps) < 1e-5


@pytest.mark.parametrize("method", explainers.available())
def test_targets_chosen_in_inference_mode_give_the_same_map(method):
    case = NETWORKS[TRIED.get(method, "ReLU modules")]
    network, images = case.plain(), case.images()
    explainer = explainers.create(method, network, **OPTIONS.get(method, {}))
    with torch.inference_mode():
        targets = network(images).argmax(dim=1)
        inside = explainer(images, targets)
    assert torch.equal(inside, explainer(images, targets.clone()))


@pytest.mark.parametrize("method", explainers.available())
def test_a_network_that_fails_midway_is_left_as_found(method):
    case = NETWORKS[TRIED.get(method, "train mode") if method in OWN - {"attention-rollout"} else "train mode"]
    network = case.given_network(case.plain())
    last = network.head if hasattr(network, "head") else network.fc
    handle = last.register_forward_pre_hook(_fail)
    traces = Traces(network)
    with pytest.raises(ImageError, match="in the middle of a forward pass") as error:
        explainers.create(method, network)(case.images())
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    assert traces.left() == []
    handle.remove()


def _fail(module: Any, arguments: Any) -> None:
    raise ZeroDivisionError("in the middle of a forward pass")


def test_every_method_has_an_answer_by_hand():
    assert set(explainers.available()) == METHODS
