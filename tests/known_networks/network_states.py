"""One network in many states: modes, wrappers, compilers, and what the caller runs under."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from network_case import CHANNELS, LAYER, METHODS, OWN, RECTIFIED, Case
from network_structures import Modular, Residual
from network_traps import HEAD, stages
from torch import Tensor, nn
from torch.nn.utils import prune

SKIP: dict[str, Any] = {"layer": "block", "linear": "head", "walk": stages("stem 3/1/1, block 3/2/1")}
NO_HOOKS = LAYER | CHANNELS | OWN | {"group-cam", "guided-grad-cam", "visual-backprop"}
# Programs whose nodes or modules may be closed to view: refusing there is as good as being right.
CLOSED = RECTIFIED | {"full-grad"}


def state(name: str, wrap: Any = None, factory: Callable[[], nn.Module] = Modular, **facts: Any) -> Case:
    facts = {**(HEAD if factory is not Residual else SKIP), **facts}
    return Case(name, "state", factory, **({"wrap": wrap} if wrap else {}), **facts)


def train(network: nn.Module, images: Tensor) -> nn.Module:
    return network.train()


def train_in_part(network: nn.Module, images: Tensor) -> nn.Module:
    network.train()
    network.block.norm1.eval()  # type: ignore[union-attr]
    network.head.eval()  # type: ignore[union-attr]
    return network


def frozen(network: nn.Module, images: Tensor) -> nn.Module:
    return network.requires_grad_(False)


def frozen_in_part(network: nn.Module, images: Tensor) -> nn.Module:
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith("conv3"))
    return network


def filled_gradients(network: nn.Module, images: Tensor) -> nn.Module:
    network(images).sum().backward()
    return network


def channels_last_memory(network: nn.Module, images: Tensor) -> nn.Module:
    return network.to(memory_format=torch.channels_last)


def own_hooks(network: nn.Module, images: Tensor) -> nn.Module:
    network.get_submodule("conv2").register_forward_hook(lambda module, arguments, output: None)
    network.get_submodule("conv3").register_forward_pre_hook(lambda module, arguments: None)
    return network


def own_backward_hooks(network: nn.Module, images: Tensor) -> nn.Module:
    network.get_submodule("conv2").register_full_backward_hook(lambda module, before, behind: None)
    return network


def pruned(network: nn.Module, images: Tensor) -> nn.Module:
    for convolution in (network.conv2, network.conv3):
        prune.identity(convolution, "weight")
    return network


def in_inference_mode(network: nn.Module, images: Tensor) -> nn.Module:
    with torch.inference_mode():
        return copy.deepcopy(network)


def parallel(network: nn.Module, images: Tensor) -> nn.Module:
    return nn.DataParallel(network)


def compiled(network: nn.Module, images: Tensor) -> Any:
    return torch.compile(network, backend="eager")


def compiled_in_place(network: nn.Module, images: Tensor) -> nn.Module:
    network.compile(backend="eager")
    return network


def graph_module(network: nn.Module, images: Tensor) -> nn.Module:
    return torch.fx.symbolic_trace(network)


def scripted(network: nn.Module, images: Tensor) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and files of it are around
        return torch.jit.script(network)


def traced(network: nn.Module, images: Tensor) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(network, images)


def frozen_script(network: nn.Module, images: Tensor) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.freeze(torch.jit.script(network.eval()))


class PartlyScripted(Modular):
    """A Python network with a scripted part in it."""

    def __init__(self, network: Modular) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.conv1 = torch.jit.script(nn.Sequential(network.conv1, network.relu1))  # type: ignore[assignment]
        self.relu1 = nn.Identity()  # type: ignore[assignment]
        self.conv2, self.conv3, self.head = network.conv2, network.conv3, network.head


def scripted_in_part(network: nn.Module, images: Tensor) -> nn.Module:
    assert isinstance(network, Modular)
    return PartlyScripted(network).eval()


def exported(network: nn.Module, images: Tensor, *, form: str, dynamic: bool = True) -> Any:
    shapes = ({0: torch.export.Dim.DYNAMIC},) if dynamic else None
    program = torch.export.export(network, (images,), dynamic_shapes=shapes)
    return torch.export.unflatten(program) if form == "unflattened" else program.module()


def function(network: nn.Module, images: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda batch: network(batch)


STATES = (
    state("train mode", train, Residual),
    state("train mode in part", train_in_part, Residual),
    state("frozen", frozen),
    state("frozen in part", frozen_in_part),
    state("gradients filled", filled_gradients),
    state("channels-last memory", channels_last_memory),
    state("hooks of its owner", own_hooks),
    state("backward hooks of its owner", own_backward_hooks, either=CLOSED),
    state("pruned", pruned),
    state("under no_grad", around=torch.no_grad),
    state("frozen, under no_grad", frozen, around=torch.no_grad),
    state("under inference_mode", around=torch.inference_mode),
    state("under autocast", around=partial(torch.autocast, "cpu", dtype=torch.bfloat16)),
    state("made in inference mode", in_inference_mode, either=METHODS),
    state("nn.DataParallel", parallel),
    state("torch.compile", compiled),
    state("network.compile()", compiled_in_place, either=METHODS),
    state("torch.fx graph module", graph_module),
    state("TorchScript, scripted", scripted, refused=NO_HOOKS, either=CLOSED),
    state("TorchScript, traced", traced, refused=NO_HOOKS, either=CLOSED),
    state("TorchScript, frozen", frozen_script, refused=NO_HOOKS, either=METHODS),
    state("TorchScript in part", scripted_in_part, either=CLOSED),
    state("torch.export, unflattened", partial(exported, form="unflattened"), either=CLOSED | {"cam"}),
    state("torch.export, unflattened, fixed batch", partial(exported, form="unflattened", dynamic=False),
          either=METHODS),
    state("torch.export, module()", partial(exported, form="module"), refused=NO_HOOKS, either=CLOSED),
    state("a function around the network", function, refused=NO_HOOKS, either=CLOSED),
)  # fmt: skip
