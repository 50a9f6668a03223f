"""What goes into a network: images as it can take them, how many at once, and the run itself."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn

from explainers.errors import ImageError, UnsupportedError, counted
from explainers.network.guard import in_own_thread, preserved

SHAPES = "(N, C, H, W), of volumes (N, C, D, H, W) or of signals (N, C, L)"
SIDES = {1: "L", 2: "HW", 3: "DHW"}
ONE_BY_ONE: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()  # networks that mix their batch
CONVOLUTIONS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def checked_images(images: Any, network: Any) -> Tensor:
    """The batch as the network can take it, or an error that says what is wrong with it.

    What is explained has one axis (a signal), two (an image) or three (a volume, a video).

    Raises:
        ImageError: not a float tensor (N, C, *axes), empty, not finite, on another device than the network, with
            another number of axes or channels than the network takes, or with the channels last.

    Warns of signals (N, L, C).

    Cost: none; a pass of one image where no convolution of the network goes over as many axes as the images have, none
    takes as many channels, or the first takes as many as the last axis is long.
    """
    if not isinstance(images, Tensor):
        raise ImageError(
            f"expected a float tensor of shape {SHAPES}, got {type(images).__name__}; "
            "for paths, PIL images and arrays use explainers.explain(model, image)"
        )
    if images.ndim not in (3, 4, 5):
        hint = "; add the batch dimension: images[None]" if images.ndim == 2 else ""
        raise ImageError(f"expected images of shape {SHAPES}, got {tuple(images.shape)}{hint}")
    if 0 in images.shape:
        raise ImageError(f"the batch is empty: shape {tuple(images.shape)}")
    empty = next((value for value in _values(network) if value.is_meta), None)
    if images.is_meta or empty is not None:
        what = "the images are" if images.is_meta else "the network is, at least in part,"
        raise ImageError(f"{what} on the meta device, which has shapes and no values; load the values first")
    if images.layout is not torch.strided:
        raise ImageError(f"images are {images.layout}, and convolutions take dense ones; pass images.to_dense()")
    if not images.is_floating_point():
        raise ImageError(f"images are {images.dtype}; expected the network's float input (scaled and normalised)")
    images = images.detach()
    finite = torch.isfinite(images).flatten(1).all(dim=1)
    if not finite.all():
        rows = (~finite).nonzero().flatten().tolist()
        told = ", ".join(map(str, rows[:8]))
        raise ImageError(f"NaN or infinite values in image {told} of the batch; replace them first")
    parameter = first_parameter(network)
    if parameter is not None and parameter.is_inference():
        raise UnsupportedError(
            "the network was made under torch.inference_mode, so nothing in it can have a gradient; make it outside, "
            "or use a copy: network.load_state_dict of its weights into a new one"
        )
    if parameter is not None:
        if parameter.device != images.device:
            raise ImageError(
                f"the images are on {images.device} and the network is on {parameter.device}; "
                f"move the images: images.to({str(parameter.device)!r})"
            )
        images = images.to(parameter.dtype)
    axes = _wanted_axes(images, network)
    if axes is not None:
        hint = "; add the batch dimension: images[None]" if images.ndim == axes + 1 else "; pass it so"
        raise ImageError(f"the network takes (N, C, {', '.join(SIDES[axes])}), got {tuple(images.shape)}{hint}")
    channels = _wanted_channels(images, network)
    if channels is not None:
        shape = tuple(images.shape)
        taken = counted(channels, "channel")
        raise ImageError(f"the network takes {taken}, and the images {shape} have {shape[1]}; pass as many")
    if _reads_channels_last(images, network):
        text = (
            "the network's first convolution takes the last axis of its input as channels, so that "
            f"{tuple(images.shape)} is read with its channels last, and a map would lie over channels: explain a "
            "function, or module, that gives the network its input turned, such as "
            f"lambda x: network(x.movedim(1, -1)), and pass (N, C, {', '.join(SIDES[images.ndim - 2])})"
        )
        if images.ndim > 3:
            raise ImageError(text)
        warnings.warn(f"{text}; unless its last axis is what is explained", stacklevel=3)
    # Inference tensors cannot take part in a graph.
    return images.clone() if images.is_inference() else images


def _wanted_axes(images: Tensor, network: Any) -> int | None:
    """How many axes the network takes, where its convolutions are given the images and cannot take them; else None.

    torch's convolutions read a batch without one of its dimensions as a single image, whatever that means then.
    """
    if images.ndim - 2 in convolution_axes(network):
        return None
    met: list[tuple[int, bool]] = []

    def look(module: Any, given: tuple[Any, ...]) -> None:
        axes = len(module.kernel_size)
        if given and isinstance(given[0], Tensor) and given[0].ndim != axes + 2:
            met.append((axes, given[0].shape[1:] == images.shape[1:]))

    modules = network.modules() if isinstance(network, nn.Module) else ()
    hooked = [module for module in modules if isinstance(module, tuple(CONVOLUTIONS.values()))]
    handles = [module.register_forward_pre_hook(in_own_thread(look)) for module in hooked]
    try:
        works = not hooked or runs(network, images[:1])
    finally:
        for handle in handles:
            handle.remove()
    return next((axes for axes, themselves in met if themselves or not works), None)


def _wanted_channels(images: Tensor, network: Any) -> int | None:
    """How many channels the network takes, where it runs on as many as its first convolution and not on these."""
    kind, given = CONVOLUTIONS[images.ndim - 2], images.shape[1]
    modules = network.modules() if isinstance(network, nn.Module) else ()
    taken: list[Any] = [module.in_channels for module in modules if isinstance(module, kind)]
    if not taken or given in taken or runs(network, images[:1]):
        return None
    other = images.new_zeros(1, taken[0], *images.shape[2:])
    return taken[0] if runs(network, other) else None


def _reads_channels_last(images: Tensor, network: Any) -> bool:
    """Whether the first convolution is given the images with their last axis as channels.

    Cost: a pass of one image, where that axis is as long as the convolution has channels, and the first one is not.
    """
    kind, last = CONVOLUTIONS[images.ndim - 2], images.shape[-1]
    modules = network.modules() if isinstance(network, nn.Module) else ()
    first: Any = next((module for module in modules if isinstance(module, kind)), None)
    if first is None or first.in_channels != last or images.shape[1] == last:
        return False
    turned, met = images.movedim(-1, 1).shape[1:], []

    def look(_: Any, given: tuple[Any, ...]) -> None:
        met.append(bool(given) and isinstance(given[0], Tensor) and given[0].shape[1:] == turned)

    handle = first.register_forward_pre_hook(in_own_thread(look))
    try:
        runs(network, images[:1])
    finally:
        handle.remove()
    return met[:1] == [True]


def first_parameter(network: Any) -> Tensor | None:
    """The first floating-point parameter, which decides device and precision of the input."""
    if not isinstance(network, nn.Module):
        return None
    return next((value for value in network.parameters() if value.is_floating_point()), None)


def convolution_axes(network: Any) -> tuple[int, ...]:
    """Over how many axes the convolutions of a network go, as (1, 2), in the order of their registration.

    A network that takes images may have convolutions of one axis (over tokens), and one that takes signals some of two
    (over a spectrogram): this says what is likely, not what is so.
    """
    modules = network.modules() if isinstance(network, nn.Module) else ()
    found = (axes for module in modules for axes, kind in CONVOLUTIONS.items() if isinstance(module, kind))
    return tuple(dict.fromkeys(found))


def first_channels(network: Any, axes: int) -> int | None:
    """How many channels the first convolution over so many axes takes, None where there is none."""
    modules = network.modules() if isinstance(network, nn.Module) else ()
    return next((int(vars(each)["in_channels"]) for each in modules if isinstance(each, CONVOLUTIONS[axes])), None)


def input_channels(network: Any, size: tuple[int, int]) -> int:
    """How many channels a network takes: as many as its first convolution, where it runs on those and not on 3; else 3.

    Cost: at most two passes of one empty image (1, C, *size); none where the first convolution has 3 channels.
    """
    modules = network.modules() if isinstance(network, nn.Module) else ()
    first = next((module for module in modules if isinstance(module, nn.Conv2d)), None)
    if first is None or first.in_channels == 3:
        return 3
    image = torch.zeros(1, first.in_channels, *size, device=first.weight.device, dtype=first.weight.dtype)
    return first.in_channels if runs(network, image) and not runs(network, image[:, :1].repeat(1, 3, 1, 1)) else 3


def runs(network: Any, image: Tensor) -> bool:
    """Whether the network takes an image (1, C, *axes), by a pass of it."""
    with torch.no_grad(), preserved(network):
        try:
            run(network, image)
        except Exception:  # whatever a network raises on what it cannot take
            return False
    return True


def _values(network: Any) -> Iterator[Tensor]:
    if isinstance(network, nn.Module):
        yield from network.parameters()
        yield from network.buffers()


def run(network: Any, images: Tensor) -> Any:
    """What the network returns for a copy of the images, because networks may work in place on their input."""
    return called(network, images.clone())


def called(network: Any, *inputs: Any, **keywords: Any) -> Any:
    """What the network returns.

    TorchScript runs without its optimiser, which after a few calls fuses parts of the graph into closed nodes.
    """
    if isinstance(network, torch.jit.ScriptModule):
        with torch.jit.optimized_execution(False):
            return network(*inputs, **keywords)
    return network(*inputs, **keywords)


def noted(table: Mapping[Any, Any], network: Any) -> Any:
    """What a table with weak keys has of a network; None of what cannot be a key."""
    try:
        return table.get(network)
    except TypeError:
        return None


def another(images: Tensor) -> Tensor:
    """Images of the same size and spread that have nothing to do with these, always the same."""
    drawn = torch.randn(images.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32, device="cpu")
    return images + drawn.to(images) * (images.std(correction=0) + images.abs().mean() + 1e-3)


def full_batches(network: Any, images: Tensor) -> Iterator[Tensor]:
    """The images in batches that the network takes, the last one filled up with its last image; one of all, mostly."""
    size = fixed_batch(network) or len(images)
    for start in range(0, len(images), size):
        part = images[start : start + size]
        filling = part[-1:].expand(size - len(part), *part.shape[1:])
        yield torch.cat([part, filling]) if len(filling) else part


def fixed_batch(network: Any) -> int | None:
    """The batch size that a network insists on (an exported program), 1 where it mixes its batch, or None.

    That it mixes is told by its batch norm, or was seen (`explainers.passes.steady`).
    """
    if noted(ONE_BY_ONE, network):
        return 1
    size = getattr(network, "fixed_batch", None)
    if size is None and isinstance(network, nn.Module):
        size = _exported_batch(network)
    if isinstance(size, int):
        return size
    modules = network.modules() if isinstance(network, nn.Module) else ()
    mixes = any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is None for m in modules)
    return 1 if mixes else None


def _exported_batch(network: nn.Module) -> int | None:
    """The batch size written into the graph of a torch.export program, or None where there is none."""
    graph = getattr(network, "graph", None)
    if not isinstance(graph, torch.fx.Graph):
        return None
    shapes = [getattr(node.meta.get("val"), "shape", ()) for node in graph.nodes if node.op == "placeholder"]
    return shapes[0][0] if shapes and shapes[0] and isinstance(shapes[0][0], int) else None
