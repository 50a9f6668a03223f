"""What is asked of the trained networks, one function for each task: inputs, targets, and what was planted.

Each takes the networks of several trainings and finds inputs that all of them answer rightly, so that a map that misses
says something of the method. It gives the cases of each network, of the same inputs in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from detect_scenes import detections
from explaining import Cases
from torch import Tensor, nn
from torchvision.ops import box_iou

from explainers.data.generated.blobs import CLASSES as FORMS, blob
from explainers.data.generated.bumps import CLASSES as BUMPS, bump
from explainers.data.generated.scenes import Scene, pair, scene
from explainers.targets import Box, ClassScore, Region, Similarity, Value

Networks = Sequence[nn.Module]
TRIED = 2_000  # inputs, at most


def stacked(made: Sequence[Scene]) -> Tensor:
    """(N, 3, S, S) of 0 … 1, as the networks take them."""
    return torch.stack([each.pixels for each in made]) / 255


def shapes_of(made: Scene, shape: int) -> tuple[Tensor, Tensor]:
    """(S, S) bool each: where one shape is seen, and where all others are."""
    return made.shapes == 1 + shape, (made.shapes > 0) & (made.shapes != 1 + shape)


@torch.no_grad()
def segment_cases(networks: Networks, count: int) -> list[Cases]:
    """One shape of a scene of several: its class, where the network predicts it on and around the shape."""

    def predicted(network: nn.Module, made: Scene, shape: int) -> Tensor:
        """(S, S) bool."""
        mask, _ = shapes_of(made, shape)
        around = F.max_pool2d(mask[None].float(), 5, 1, 2)[0] > 0
        return (network(stacked([made]))[0].argmax(dim=0) == 1 + made.labels[shape]) & around

    def fits(made: Scene, shape: int) -> bool:
        mask, _ = shapes_of(made, shape)
        regions = [predicted(network, made, shape) for network in networks]
        return all((region & mask).sum() >= 0.6 * (region | mask).sum() for region in regions)

    chosen = _shapes(count, fits)
    inputs = stacked([made for made, _ in chosen])
    truth, others = (torch.stack(each) for each in zip(*(shapes_of(*one) for one in chosen), strict=True))
    made_for = [
        [Region(1 + int(made.labels[shape]), predicted(network, made, shape)) for made, shape in chosen]
        for network in networks
    ]
    return [Cases(inputs, targets, truth, others) for targets in made_for]


@torch.no_grad()
def detect_cases(networks: Networks, count: int) -> list[Cases]:
    """One shape of a scene of several: the detection of its kind whose IoU with its box is 0.6 at least."""

    def detected(network: nn.Module, made: Scene, shape: int) -> bool:
        (found,) = detections(network(stacked([made])))
        overlap = box_iou(made.boxes[shape][None], found.boxes)[0]
        return bool(((overlap >= 0.6) & (found.labels == made.labels[shape])).any())

    chosen = _shapes(count, lambda made, shape: all(detected(network, made, shape) for network in networks))
    truth, others = (torch.stack(each) for each in zip(*(shapes_of(*one) for one in chosen), strict=True))
    targets = [Box(tuple(made.boxes[shape].tolist()), int(made.labels[shape])) for made, shape in chosen]
    inputs = stacked([made for made, _ in chosen])
    return [Cases(inputs, targets, truth, others, detections) for _ in networks]


def _shapes(count: int, fits: Callable[[Scene, int], bool]) -> list[tuple[Scene, int]]:
    """Scenes with a shape each, two of each scene."""
    chosen: list[tuple[Scene, int]] = []
    for made in _scenes():
        if len(chosen) >= count:
            return chosen[:count]
        good = [shape for shape in range(len(made.labels)) if len(made.labels) > 1 and fits(made, shape)]
        chosen += [(made, shape) for shape in good[:2]] if len(good) > 1 else []
    check(chosen)
    return chosen


def _scenes() -> Iterator[Scene]:
    return (scene(index) for index in range(TRIED))


def check(chosen: Sequence[object]) -> None:
    """SystemExit where there is nothing to explain."""
    if not chosen:
        raise SystemExit(f"none of {TRIED} inputs is answered rightly by all networks; train them longer")


@torch.no_grad()
def measure_cases(networks: Networks, count: int) -> list[Cases]:
    """What raises the estimated share, in scenes of warm and cold shapes where it is wrong by less than a fourth."""
    chosen: list[Scene] = []
    for made in _scenes():
        if len(chosen) == count:
            break
        share = made.warm_share
        right = all(abs(float(network(stacked([made]))) - share) < share / 4 for network in networks)
        if right and bool((made.shapes > 0)[~made.warm].any()):
            chosen.append(made)
    check(chosen)
    truth = torch.stack([made.warm for made in chosen])
    others = torch.stack([(made.shapes > 0) & ~made.warm for made in chosen])
    return [Cases(stacked(chosen), [Value(0)] * len(chosen), truth, others) for _ in networks]


@torch.no_grad()
def embed_cases(networks: Networks, count: int) -> list[Cases]:
    """What makes the second image of a pair like the first one, where it is more so than any image that shares nothing
    with the first."""
    crowd, chosen = [pair(TRIED + index).second for index in range(64)], []
    for index in range(TRIED):
        if len(chosen) == count:
            break
        made = pair(index)
        strangers = [each for each in crowd if not _looks(each) & _looks(made.first)]
        batch = stacked([made.first, made.second, *strangers])
        found = [F.normalize(network(batch), dim=1) for network in networks]
        if all(each[0] @ each[1] > (each[2:] @ each[0]).max() for each in found):
            chosen.append(made)
    check(chosen)
    truth, others = (torch.stack(each) for each in zip(*(shapes_of(made.second, 0) for made in chosen), strict=True))
    targets = [Similarity(made.first.pixels / 255) for made in chosen]
    return [Cases(stacked([made.second for made in chosen]), targets, truth, others) for _ in networks]


def _looks(made: Scene) -> set[tuple[int, int]]:
    return {(each.kind, each.colour) for each in made.things}


def volume_cases(networks: Networks, count: int) -> list[Cases]:
    """The class of a volume, which its blob decides."""
    samples = ((each.voxels, each.mask, each.label) for each in map(blob, range(TRIED)))
    return _classified(networks, count, samples, FORMS)


def signal_cases(networks: Networks, count: int) -> list[Cases]:
    """The class of a signal, which its bump decides."""
    samples = ((each.samples, each.mask, each.label) for each in map(bump, range(TRIED)))
    return _classified(networks, count, samples, BUMPS)


@torch.no_grad()
def _classified(
    networks: Networks, count: int, samples: Iterator[tuple[Tensor, Tensor, int]], names: Sequence[str]
) -> list[Cases]:
    chosen: list[tuple[Tensor, Tensor, int]] = []
    for values, mask, label in samples:
        if len(chosen) == count:
            break
        if all(int(network(values[None]).argmax()) == label for network in networks):
            chosen.append((values, mask, label))
    check(chosen)
    values, masks, labels = zip(*chosen, strict=True)
    targets = [ClassScore(label) for label in labels]
    return [Cases(torch.stack(values), targets, torch.stack(masks), names=names) for _ in networks]
