"""Random networks as members of the collection, so that every method is held against its answer by hand."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import Any

import torch
from answer_perturbation import OPTIONS, strides, windows
from answers import SAMPLES, SIGMA, Answers
from network_case import METHODS, PERTURBATION, RECTIFIED, Case
from random_networks import RandomNetwork, random_network, recomputes
from random_rectifiers import only_relus, plainly
from torch import Tensor, nn

import explainers
from explainers.errors import LayerError, OutputError, UnsupportedError

WITHOUT_ANSWER = frozenset({"visual-backprop", "attention-rollout", "attention", "lambda-attention"})
HOOKED = RECTIFIED | {"full-grad"}
TRIED = sorted(METHODS - WITHOUT_ANSWER)
CHOSEN: dict[str, dict[str, Any]] = {**OPTIONS, "smooth-grad": {"samples": SAMPLES, "sigma": SIGMA}}
MISSED = 1e-5  # of the largest value
ROUNDED = 2e-6  # of a probability: where no perturbation moves it further, all of the map is zero
LARGEST = 3.0  # score


def random_case(seed: int) -> Case:
    """The network of that seed; every other one has ReLUs alone, in any spelling.

    Methods that need rectifiers may refuse, as Full-Grad may: gates and units written out are closed to them.
    """

    def made() -> RandomNetwork:
        return random_network(seed, smooth=seed % 2 == 1)[0]

    network, images = random_network(seed, smooth=seed % 2 == 1)
    return Case(
        f"random {seed}",
        "random",
        lambda: plainly(made().float(), True),
        shape=tuple(images.shape[1:]),
        wrap=lambda given, _: plainly(given, False),
        scores=_first,
        layer=network.label(network.last),
        spatial=network.lying[network.last].upright,
        rectifiers="strict" if only_relus(network) else "smooth",
        copies=2,  # of one, torch gets the gradients of batch and instance norms wrong
        either=HOOKED,
    )


def _first(returned: Any) -> Tensor:
    scores: Tensor = returned[0] if isinstance(returned, tuple) else returned
    return scores


def _rounded(scores: Tensor) -> Tensor:
    """Probabilities in single precision, as LIME's regression gets them: of a small effect their rounding is a part."""
    return scores.softmax(dim=1).float().double()


def outcomes(seed: int) -> tuple[list[str], list[str]]:
    """What the methods get wrong on the network of that seed, each with its name, and which of them were refused.

    Checkpointed steps do not bear the answers of `HOOKED`; `random_networks` has one for Guided Backprop.
    """
    case = random_case(seed)
    plain, images = case.plain(), case.images()
    with torch.no_grad():  # probabilities away from 0 and 1, where only rounding would be explained
        largest = case.scores(plain(images.clone())).abs().max() / LARGEST
        plain.head.weight /= largest
        plain.head.bias /= largest
        if _blind(case.scores(plain(torch.cat([images, torch.randn_like(images)])))):
            return [], []
    answers = Answers(case, plain, images)
    rounded = Answers(replace(case, watched=_rounded), plain, images, answers.targets)
    wrong, refused = [], []
    for method in sorted(set(TRIED) - HOOKED) if recomputes(plain) else TRIED:
        try:
            maps = _maps(method, case.given_network(copy.deepcopy(plain)), images, answers.targets)
        except (UnsupportedError, LayerError, OutputError) as error:
            refused.append(method)
            if answers.expects(method) == "map":
                wrong.append(f"{method}: refused, where it can be right: {error}")
            continue
        except Exception as error:  # whatever it is, it is a fault
            wrong.append(f"{method}: {type(error).__name__}: {error}")
            continue
        if not answers.defined(method):
            wrong.append(f"{method}: a map, where it is not defined")
            continue
        judge = rounded if method == "lime" else answers
        missed = judge.error(method, maps)
        if not missed < MISSED and not _unmoved(method, judge, maps):
            wrong.append(f"{method}: another map, by {missed:.2g} of its largest value")
    return wrong, refused


def _blind(scores: Tensor) -> bool:
    """Whether scores (N, C) of different images are the same, as behind a norm of one channel: all maps are rounding."""
    return bool((scores - scores[:1]).abs().max() < 1e-9)


def _unmoved(method: str, answers: Answers, maps: Tensor) -> bool:
    """Whether the images whose map is zero are those of which no perturbation moves the probability, and all others right."""
    zero = [not each.any() for each in maps]
    wanted = answers.maps(method)
    small = [float(abs(each).max()) < ROUNDED for each in wanted]
    near = [
        float(abs(each.numpy() - right).max()) < MISSED * max(float(abs(right).max()), ROUNDED)
        for each, right in zip(maps, wanted, strict=True)
    ]
    return method in PERTURBATION | {"group-cam"} and all(
        (none and little) or close for none, little, close in zip(zero, small, near, strict=True)
    )


def _maps(method: str, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    size = images.shape[2:]
    options = {**CHOSEN, "occlusion": {"window": windows(size), "stride": strides(size)}}.get(method, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Tensor = explainers.create(method, network, **options)(images.clone(), targets.clone())
    return found
