"""The network of one input that a network of several is, with the others bound to what each image comes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from explainers.errors import ImageError
from explainers.network.input import called
from explainers.network.inputs.inputs import MAPPING, SEQUENCE, Inputs, Key
from explainers.network.unwrapping import class_name


class Companions:
    """What the explained input comes with at the moment. Copies of a bound network share it, as they do weights."""

    def __init__(self) -> None:
        self.inputs: Inputs | None = None

    def __deepcopy__(self, memo: Any) -> Companions:
        return self

    def call(self, network: Any, key: Key, images: Tensor) -> Any:
        """What the network returns for these images, each with what it comes with."""
        assert self.inputs is not None, "a bound network runs inside `given` alone"
        args, keywords = self.inputs.repeated(len(images), key).with_part(key, images).arguments()
        try:
            return called(network, *args, **keywords)
        except (TypeError, AttributeError, KeyError, IndexError) as error:
            if self.inputs.style in (MAPPING, SEQUENCE):
                raise ImageError(
                    f"{class_name(network)}.forward takes one argument, and fails on a {type(args[0]).__name__} of the "
                    f"inputs: {type(error).__name__}: {error}"
                ) from error
            raise


class Binding:
    """What bound modules and functions share. It is what is bound, and the network under it, that count in errors,
    layers and weights: names of modules and parameters are the network's own.

    key: of the explained input; inner: the network.
    """

    key: Key
    inner: Any
    companions: Companions

    @contextmanager
    def given(self, inputs: Inputs) -> Iterator[None]:
        """Inside, each image comes with these inputs: one row for all images of a pass, or as many rows as a pass has.

        For one thread at a time.
        """
        before, self.companions.inputs = self.companions.inputs, inputs
        try:
            yield
        finally:
            self.companions.inputs = before

    def comes_with_tensors(self) -> bool:
        """Whether there is another input, rather than plain settings alone."""
        inputs = self.companions.inputs
        return inputs is not None and any(value.ndim > 0 for value in inputs.tensors(without=self.key))


class Bound(Binding, nn.Module):
    """A module of one input out of one of several."""

    def __init__(self, network: nn.Module, key: Key) -> None:
        super().__init__()
        self.inner, self.key, self.companions = network, key, Companions()
        self.training = network.training
        self.__name__ = class_name(network)

    def forward(self, images: Tensor) -> Any:
        """What the network returns for the images (N, C, H, W) and what they come with."""
        return self.companions.call(self.inner, self.key, images)

    def named_modules(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Module]]:
        """The network's own, under the names that they have there."""
        return self.inner.named_modules(*args, **kwargs)

    def modules(self, *args: Any, **kwargs: Any) -> Iterator[nn.Module]:
        """This one and the network's."""
        yield self
        yield from self.inner.modules(*args, **kwargs)

    def get_submodule(self, target: str) -> nn.Module:
        """The network's of that name."""
        return self.inner.get_submodule(target)

    def __getattr__(self, name: str) -> Any:
        """What the network knows of itself: its configuration, the batch that it insists on."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            inner = self.__dict__.get("_modules", {}).get("inner")
            if inner is None:
                raise
            return getattr(inner, name)


class BoundFunction(Binding):
    """A callable of one input out of one of several."""

    def __init__(self, network: Any, key: Key) -> None:
        self.inner, self.key, self.companions = network, key, Companions()
        self.__name__ = class_name(network)

    def __call__(self, images: Tensor) -> Any:
        """What the callable returns for the images (N, C, H, W) and what they come with."""
        return self.companions.call(self.inner, self.key, images)

    def __getattr__(self, name: str) -> Any:
        if name in ("inner", "network") or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.inner, name)


def bound(network: Any, key: Key) -> Bound | BoundFunction:
    """The network of that one input. Run it inside `given`."""
    return Bound(network, key) if isinstance(network, nn.Module) else BoundFunction(network, key)


def is_bound(network: Any) -> bool:
    """Whether what is explained is one input of several, and something else comes with it."""
    return isinstance(network, Binding) and network.comes_with_tensors()
