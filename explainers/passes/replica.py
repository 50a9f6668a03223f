"""A faster form of a network for forward passes alone: batch norm folded, channels last, fewer bits, compiled."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from inspect import getattr_static
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import ExplainersError, OptionError
from explainers.network.as_found import compiled_code
from explainers.network.input import fixed_batch
from explainers.network.unwrapping import class_name
from explainers.passes.batch_size import is_out_of_memory
from explainers.passes.fold_batch_norm import fold

Scored = Callable[[Any, Tensor], Tensor]  # (network, images) → scores (N, classes)
Network = Callable[[Tensor], Any]

PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}
ROUNDING = 1e-4  # what another memory format may change, relative to the largest score
MARKED = 0.05  # a change of a probability that the user should hear of
CAST = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)  # autocast runs them in few bits; their weights are cast once
PLAIN = (bool, int, float, str, bytes, type(None), torch.dtype, torch.device)
NO_SETTINGS = frozenset(("training", "_parameters", "_buffers", "_modules", "_backward_hooks", "_backward_pre_hooks"))


class Replica:
    """What a predictor runs in place of a network, made on first use and again when the network has changed.

    The network is never changed. Weights are shared with it, but for those that need another memory format or type, or
    into which batch norm is folded. Where no replica can be made, or it does not give the network's scores on the first
    image, the network itself runs.

    Args:
        network: as given; a callable that is no module runs as it is.
        precision: "float32", "auto", "bfloat16", "float16", or one of these dtypes.
        compile: through torch.compile with frozen weights.

    Raises:
        OptionError: another precision; precision or compile asked of a network that is a black box.
    """

    def __init__(self, network: Any, precision: str | torch.dtype = "float32", *, compile: bool = False) -> None:
        self.network, self.compile = network, compile
        self.asked = _checked(precision)
        self.module = isinstance(network, nn.Module) and not isinstance(network, torch.jit.ScriptModule)
        if not self.module and (compile or isinstance(self.asked, torch.dtype)):
            what = "compile=True" if compile else f"precision={precision!r}"
            raise OptionError(f"{what} needs a torch.nn.Module; {class_name(network)} is a black box")
        self.precision: torch.dtype | None = None  # None: the network's own
        self.channels_last = False
        self._made: Network | None = None
        self._state: tuple[Any, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """Without what was made: it is a second network, and made again where it is needed."""
        return {**vars(self), "_made": None, "_state": ()}

    @property
    def precision_name(self) -> str:
        """As reports name it: "float32" stands for the network's own type."""
        return "float32" if self.precision is None else str(self.precision).removeprefix("torch.")

    def ready(self, like: Tensor, scored: Scored) -> Network:
        """The callable to run for images such as `like` (n, C, *axes); evaluation mode is the caller's business, since
        it may be the network itself.

        Args:
            scored: runs a network on images and picks its scores, to compare replica and network on the first image.
        """
        state = _state(self.network)
        if self._made is None or state != self._state:
            self._made = None
            self.precision = _chosen(self.asked, like.device) if self.module else None
            self._made = self._make(like, scored)
            self._state = state
        return self._made

    def _make(self, like: Tensor, scored: Scored) -> Network:
        if not self.module:
            return self.network
        self.channels_last = fixed_batch(self.network) is None and like.ndim == 4
        probe = like[:1].contiguous()
        probe = probe.expand(fixed_batch(self.network) or 1, *probe.shape[1:])
        try:
            copied = _copied(self.network)
        except Exception:  # a network that cannot be copied runs itself, to the same scores
            return self._itself()
        try:
            wanted = scored(self.network, probe.clone()).float()
            if not self.compile:  # compilation folds by itself
                copied = _folded(copied, probe, scored) or _copied(self.network)
            twin: Network = _arranged(copied, self.precision, channels_last=self.channels_last)
            if self.precision is not None:
                twin = _Autocast(twin, self.precision, like.device.type)
            found = scored(twin, self._formatted(probe)).float()
        except ExplainersError:
            raise
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            return self._itself()
        if self.precision is None and not _equal(found, wanted):
            return self._itself()
        if self.precision is not None:
            self._tell(wanted, found)
        return _compiled(twin, self.network) if self.compile else twin

    def _itself(self) -> Network:
        self.channels_last = False
        network: Network = self.network
        if self.asked == "auto":  # what is fastest and possible here
            self.precision = None
        if self.precision is not None or self.compile:
            raise OptionError(
                f"{class_name(self.network)} cannot be copied, which precision={self.precision_name!r} and compile "
                "need; use precision='float32' without compile"
            )
        return network

    def _formatted(self, images: Tensor) -> Tensor:
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return images.clone(memory_format=layout)

    def _tell(self, wanted: Tensor, found: Tensor) -> None:
        """A precision that changes a probability visibly is worth a word."""
        change = float((found.softmax(1) - wanted.softmax(1)).abs().max()) if wanted.shape[1] > 1 else 0.0
        if change > MARKED:
            warnings.warn(
                f"precision {self.precision_name} changes a probability of the first image by {change:.2f}; "
                "use precision='float32' where that matters",
                stacklevel=2,
            )


class _Autocast:
    """A network run under autocast."""

    def __init__(self, network: Network, precision: torch.dtype, device: str) -> None:
        self.network, self.precision, self.device = network, precision, device

    def __call__(self, images: Tensor) -> Any:
        with torch.autocast(self.device, self.precision):
            return self.network(images)


def _checked(precision: str | torch.dtype) -> str | torch.dtype:
    if isinstance(precision, str) and precision in PRECISIONS:
        return PRECISIONS[precision]
    if precision in ("float32", torch.float32):
        return "float32"
    if precision == "auto" or precision in PRECISIONS.values():
        return precision
    raise OptionError(f"precision={precision!r}; expected 'float32', 'auto', 'bfloat16' or 'float16'")


def _chosen(asked: str | torch.dtype, device: torch.device) -> torch.dtype | None:
    """The type to compute in, or None for the network's own; by what the hardware says of itself, so that a run can be
    repeated."""
    if isinstance(asked, torch.dtype):
        return asked
    if asked == "float32":
        return None
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") or able.get("arm_bf16") else None
    return None


def _copied(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode that shares all parameters."""
    shared = {id(value): value for value in network.parameters()}
    twin = copy.deepcopy(network, shared)  # type: ignore[arg-type]
    for module in twin.modules():
        module.training = False
    return twin


def _folded(twin: nn.Module, probe: Tensor, scored: Scored) -> nn.Module | None:
    """The twin with batch norm folded into convolutions; None, and the twin is spoiled, where that changes scores.

    Two images are compared, since a network may take different paths for them.
    """
    low, high = float(probe.min()), float(probe.max())
    noise = torch.rand(probe.shape, generator=torch.Generator().manual_seed(0), dtype=probe.dtype, device="cpu")
    other = (low + (high - low) * noise).to(probe.device)
    try:
        wanted = [scored(twin, other.clone())]
        if not fold(twin, lambda: wanted.append(scored(twin, probe.clone()))):
            return twin
        found = [scored(twin, images.clone()) for images in (other, probe)]
    except Exception as error:  # not watched by torch, or not working without its batch norm
        if is_out_of_memory(error):
            raise
        return None
    return twin if all(map(_equal, found, wanted)) else None


def _equal(found: Tensor, wanted: Tensor) -> bool:
    largest = float(wanted.nan_to_num().abs().max())
    return torch.allclose(found, wanted, rtol=0, atol=ROUNDING * largest, equal_nan=True)


def _arranged(twin: nn.Module, precision: torch.dtype | None, *, channels_last: bool) -> nn.Module:
    """The twin with weights of its own where they need another memory format or, for few bits, another type."""
    for module in twin.modules():
        if precision is not None and type(module) in CAST:
            for name, value in module.named_parameters(recurse=False):
                if value.dtype == torch.float32:
                    setattr(module, name, nn.Parameter(value.detach().to(precision), requires_grad=False))
        weight = getattr(module, "weight", None)
        if channels_last and isinstance(module, nn.Conv2d) and isinstance(weight, nn.Parameter):
            arranged = weight.detach().contiguous(memory_format=torch.channels_last)
            if arranged.data_ptr() != weight.data_ptr():
                module.weight = nn.Parameter(arranged, requires_grad=False)
    return twin


def _compiled(network: Network, original: Any) -> Network:
    compiled = torch.compile(network, dynamic=False, options={"freezing": True})

    def checked(images: Tensor) -> Any:
        try:
            with compiled_code():
                return compiled(images)
        except torch._dynamo.exc.TorchDynamoException as error:
            first = str(error).strip().partition("\n")[0]
            raise OptionError(f"{class_name(original)} could not be compiled ({first}); leave compile out") from error

    return checked


def _state(network: Any) -> tuple[Any, ...]:
    """Changes whenever the network's weights, buffers, hooks, structure or settings do; a few milliseconds."""
    if not isinstance(network, nn.Module):
        return ()
    values = [*network.parameters(), *network.buffers()]
    floats = [value.detach() for value in values if value.is_floating_point() and value.numel()]
    with torch.no_grad():
        norms = [float(norm) for norm in torch._foreach_norm(floats)] if floats else []
    places = tuple((id(value), -1 if value.is_inference() else value._version) for value in values)
    modules = tuple(  # a scripted module's class gives its forward to no one but its objects
        (id(module), getattr_static(type(module), "forward", None), *_settings(vars(module)))
        for module in network.modules()
    )
    return (*norms, places, modules)


def _settings(own: dict[str, Any]) -> Iterator[Any]:
    """What a module goes by beside its weights: strides, a temperature, hooks, a `forward` of its own."""
    for name, value in own.items():
        if value is None or name in NO_SETTINGS or (isinstance(value, (list, dict)) and not value):
            continue
        if isinstance(value, (list, dict)):
            each = value.items() if isinstance(value, dict) else enumerate(value)
            yield name, tuple((key, _told_apart(item)) for key, item in each)
        else:
            yield name, _told_apart(value)


def _told_apart(value: Any) -> Any:
    if isinstance(value, Tensor):
        return id(value), -1 if value.is_inference() else value._version
    if isinstance(value, tuple):
        return tuple(_told_apart(item) for item in value)
    return value if isinstance(value, PLAIN) else id(value)
