"""Choosing among the layers that a forward pass has shown: the stages of a network, and what `layer=` means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from explainers.errors import LayerError
from explainers.network.layers import Layer
from explainers.network.layout import LETTERS, Grid
from explainers.network.unwrapping import class_name

LayerChoice = str | int | nn.Module


@dataclass(frozen=True)
class Survey:
    """What one forward pass of one image showed.

    layers: every spatial output in the order of execution, one entry per tensor, under its outermost name;
    every: the same with all names; ran: the names of all modules that ran, with the shapes that were not spatial;
    names: of every module; junction: the last place that the whole image goes through, where that is not the last
    stage; branches: the layers from which the scores are made then.
    """

    network: str
    layers: tuple[Layer, ...]
    every: tuple[Layer, ...]
    ran: dict[str, str]
    names: dict[nn.Module, str]
    junction: Layer | None = None
    branches: tuple[str, ...] = ()

    @property
    def stages(self) -> tuple[Layer, ...]:
        """The last layer at each resolution, or the blocks of a network that keeps one resolution; -1 is the last.

        The last is one that all of the scores come through, where there is any.
        """
        stages, junction = self._module_stages(), self.junction
        if junction is None or junction in stages[-1:]:
            return stages
        if junction.operation is None:
            places = {layer: place for place, layer in enumerate(self.layers)}
            stages = tuple(layer for layer in stages if places[layer] < places[junction])
        return (*stages, junction)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What `layer=None` leaves out, or why it is not the last layer; of branches that it refuses, why."""
        if not self.branches or (self.junction is not None and self.junction.operation is not None):
            return ()
        if self.junction is not None:
            return (
                f'layer=None is "{self.junction.label}" of {self.network}: behind it the network parts into branches '
                f"({self._named_branches()}), whose positions nothing joins again; it sees all of them, and layer= "
                "shows a single one",
            )
        if len(self.branches) > 1:
            return (
                f"the scores of {self.network} are made of several branches ({self._named_branches()}) that nothing "
                "with positions joins, so that a map of one would leave out the others; name one with "
                f'layer="{self.branches[-1]}", several with a list, or use a method without a layer (saliency, '
                "occlusion)",
            )
        return (
            f'layer "{self.stages[-1].label}" of {self.network} is all that has positions, but the scores depend on '
            "the image past it too (means, histograms); its map leaves that out, saliency or occlusion do not",
        )

    def _named_branches(self) -> str:
        return ", ".join(f'"{label}"' for label in self.branches)

    def _module_stages(self) -> tuple[Layer, ...]:
        plain = [layer for layer in self.layers if not layer.pooled and not layer.rearranged and layer.fed]
        sure = [layer for layer in plain if not layer.layout.tied]
        layers = [layer for layer in sure if not layer.strip]
        layers = layers if any(_usable(layer) or layer.reaches is None for layer in layers) else sure
        usable = [layer for layer in layers if _usable(layer)] or [layer for layer in layers if layer.reaches is None]
        last: dict[Grid, Layer] = {}
        for layer in usable:
            # A layer inside a block that ends on another resolution belongs to that block, not to the stage before.
            if layer.inside <= last.get(layer.layout.grid, layer).inside:
                last.pop(layer.layout.grid, None)
                last[layer.layout.grid] = layer
        stages = tuple(last.values())
        return stages if len(stages) != 1 else _blocks(usable, stages[0])

    def find(self, choice: LayerChoice | None) -> Layer:
        """The layer that `layer=` means.

        Raises:
            LayerError: it does not exist, never ran, has no positions, or does not reach the scores.
        """
        if choice is None:
            choice = -1
        if isinstance(choice, bool) or not isinstance(choice, (str, int, nn.Module)):
            raise LayerError(f"layer={choice!r}: expected None, a dotted name, a module or a negative int")
        if isinstance(choice, int):
            return self._stage(choice)
        if isinstance(choice, nn.Module):
            found = [layer for layer in self.every if layer.module is choice]
            name = found[0].name if found else self.names.get(choice, class_name(choice))
            return self._checked(name, found, None)
        if self.junction is not None and choice == self.junction.label:
            return self.junction
        name, _, call = choice.partition("#")
        if call and not re.fullmatch(r"-?[0-9]{1,9}", call):
            raise LayerError(f"layer={choice!r}: behind # stands which run of the module is meant, as in 'relu#0'")
        found = [layer for layer in self.every if layer.name == name]
        return self._checked(name, found, int(call) if call else None)

    def _stage(self, index: int) -> Layer:
        stages = self.stages
        tied = [layer for layer in self.layers if layer.layout.tied]
        if not stages and tied:
            raise LayerError(_which_way(tied[-1]))
        moved = [name for name in self.ran if self._untied(name)]
        if not stages and moved:
            raise LayerError(
                f'positions in the layers of {self.network} cannot be tied to the image (those of "{moved[-1]}" are '
                "cropped, padded, mirrored, warped, shuffled or folded before, or the image has no part in them); name "
                "a layer with layer= and say with spatial= how its output becomes (N, C, h, w), or use saliency"
            )
        if not stages:
            raise LayerError(
                f"{self.network} has no spatial layer that reaches its scores through a gradient (none has more than "
                f"one position, or they are detached){self._cause()}; name one with layer=, or use saliency"
            )
        if not -len(stages) <= index < 0:
            raise LayerError(f"layer={index}: {self.network} has the stages -{len(stages)} … -1 ({self._choices()})")
        if index == -1 and self.junction is None and len(self.branches) > 1:
            raise LayerError(self.remarks[0])
        return stages[index]

    def _checked(self, name: str, found: list[Layer], call: int | None) -> Layer:
        if not found:
            raise LayerError(self._missing(name))
        if call is not None:
            if not -found[0].calls <= call < found[0].calls:
                raise LayerError(
                    f'layer "{name}#{call}": it runs {found[0].calls} times, so #0 … #{found[0].calls - 1}'
                )
            found = [layer for layer in found if layer.call == call % layer.calls]
        elif found[0].calls > 1 and len(own := [layer for layer in found if layer.fed]) == 1:
            found = own  # of a trunk that two images share, the run of the one that is explained
        elif found[0].calls > 1:
            raise LayerError(
                f'layer "{name}" runs {found[0].calls} times in one forward pass; choose a run '
                f'("{name}#0" … "{name}#{found[0].calls - 1}") or a layer that runs once ({self._choices()})'
            )
        if not found:
            raise LayerError(
                f'layer "{name}#{call}" has no positions in that run; spatial layers are {self._choices()}'
            )
        (layer, *_) = found
        if not layer.fed:
            raise LayerError(
                f'layer "{layer.label}": the image does not feed it (it is the same for another image: a learned '
                f"prior, a stored reference); spatial layers are {self._choices()}"
            )
        if layer.layout.tied:
            raise LayerError(_which_way(layer))
        return layer

    def _missing(self, name: str) -> str:
        remedy = f"spatial layers are {self._choices()}{self._cause()}"
        if name in self.ran:
            what = f'layer "{name}" of {self.network} gives {self.ran[name]}, which has no positions'
            return f"{what}{self._untied(name)}; {remedy}"
        if name in self.names.values():
            return f'layer "{name}" of {self.network} did not run in the forward pass; {remedy}'
        return f'no layer "{name}" in {self.network}; {remedy}'

    def _untied(self, name: str) -> str:
        """Several entries that may be positions, of which the operations between say otherwise or nothing."""
        sizes = self.ran[name].strip("(),").split(", ")
        if len(sizes) < 3 or set(sizes[2:]) == {"1"}:
            return ""
        return " that can be tied to the image (if you know them, pass spatial=, from its output to (N, C, h, w))"

    def _choices(self) -> str:
        labels = [layer.label for layer in self.stages]
        if not labels:
            return "none"
        named = f"{labels[0]} … {labels[-1]}" if len(labels) > 6 else ", ".join(labels)
        return f'{named} (try layer="{labels[-1]}" or None)'

    def _cause(self) -> str:
        if len(self.names) > 1 and not self.ran:
            return (
                "; none of its modules ran under a hook, as in an exported program: "
                "use torch.export.unflatten(program), or load the file with explainers.load_model"
            )
        return ""


def _which_way(layer: Layer) -> str:
    """That the shape alone could mean channels first and channels last."""
    channels, grid = layer.layout.channels, layer.layout.grid
    sizes = (channels, *grid) if layer.layout.kind.startswith("nc") else (*grid, channels)
    letters, last = ", ".join(LETTERS[-len(grid) :]), len(grid) + 1
    order = ", ".join(map(str, (0, last, *range(1, last))))
    return (
        f'layer "{layer.label}" gives (N, {", ".join(map(str, sizes))}), which may be (N, C, {letters}) as well as '
        f"(N, {letters}, C), and nothing is known of what made it; say which with spatial=, such as "
        f"spatial=lambda value: value (channels first) or spatial=lambda value: value.permute({order})"
    )


def _usable(layer: Layer) -> bool:
    return bool(layer.reaches) or (layer.reaches is None and layer.layout.kind == "tokens")


def _blocks(layers: Sequence[Layer], last: Layer) -> tuple[Layer, ...]:
    """The stages of a network with one resolution: the outputs of its sibling blocks, closed by the last layer."""
    siblings: dict[tuple[str, type], list[Layer]] = {}
    for layer in layers:
        parent = layer.name.rpartition(".")[0]
        if parent and any(True for _ in layer.module.children()):
            siblings.setdefault((parent, type(layer.module)), []).append(layer)
    blocks = max(siblings.values(), key=len, default=[])
    if len(blocks) < 2:
        return (last,)
    before = [block for block in blocks if block is not last]
    if before and last.name.startswith(before[-1].name.rpartition(".")[0] + "."):
        before = before[:-1]  # `last` is the first layer of the block behind it, which only normalises its output
    return (*before, last)
