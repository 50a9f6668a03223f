"""The predictor: the network's own scores, whatever the batch size, the memory and the precision."""

from __future__ import annotations

import copy

import pytest
import torch
from network_traces import Traces
from small import Chain, PreActivation, Residual, Tokens, lively
from torch import nn

from explainers.errors import DeviceMemoryError, ImageError, OptionError, OutputError
from explainers.passes.batch_size import BatchSize, is_out_of_memory
from explainers.passes.predictor import Predictor

NETWORKS = {"chain": Chain, "residual": Residual, "pre-activation": PreActivation, "tokens": Tokens}


class Crowded(nn.Module):
    """Runs out of memory above a number of images, in one of the ways that torch has of saying so."""

    def __init__(self, most: int, error: Exception) -> None:
        super().__init__()
        self.inner, self.most, self.error = Chain(), most, error

    def forward(self, images):
        if len(images) > self.most:
            raise self.error
        return self.inner(images)


def own_scores(network, images):
    with torch.no_grad():
        return torch.cat([network.eval()(image[None]) for image in images])


@pytest.mark.parametrize("network", NETWORKS)
def test_scores_are_the_networks_own(network):
    model, images = lively(NETWORKS[network]()), torch.randn(21, 3, 16, 24)
    wanted = own_scores(copy.deepcopy(model), images)
    traces = Traces(model.train())
    found = Predictor(model)(images)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert traces.left() == []
    assert not found.is_inference()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 16, 64, None])
def test_scores_do_not_depend_on_the_batch_size_to_the_last_bit(size):
    model, images = lively(Residual()).eval(), torch.randn(37, 3, 20, 20)
    assert torch.equal(Predictor(model, batch_size=size)(images), Predictor(model, batch_size=8)(images))


def test_an_iterator_of_batches_gives_all_scores_in_order():
    model, images = lively(Chain()).eval(), torch.randn(20, 3, 16, 16)
    found = Predictor(model)(part for part in images.split([3, 9, 1, 7]))
    torch.testing.assert_close(found, own_scores(model, images))


def test_small_batches_are_joined_and_shapes_kept_apart():
    seen = []

    def network(images):
        seen.append(tuple(images.shape))
        return images.mean((2, 3))

    batches = [torch.randn(1, 3, 8, 8) for _ in range(20)] + [torch.randn(2, 3, 4, 6), torch.randn(3, 3, 8, 8)]
    found = Predictor(network, batch_size=16)(iter(batches))
    torch.testing.assert_close(found, torch.cat([batch.mean((2, 3)) for batch in batches]))
    tried = [(4, 3, 8, 8)] * 2  # whether the network mixes its batch
    assert seen == [*tried, (16, 3, 8, 8), (8, 3, 8, 8), (8, 3, 4, 6), (8, 3, 8, 8)]


def test_full_batches_are_run_and_the_last_one_is_filled_up():
    seen = []

    def network(images):
        seen.append(len(images))
        return images.mean((2, 3))

    Predictor(network, batch_size=16)(torch.randn(35, 3, 8, 8))
    assert seen == [4, 4, 16, 16, 8]


ERRORS = {
    "MemoryError": MemoryError("no more"),
    "torch": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    "allocator": RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you "),
    "cuDNN": RuntimeError("CUDA error: out of memory"),
}


@pytest.mark.parametrize("error", ERRORS)
def test_batches_are_halved_until_memory_suffices(error):
    torch.manual_seed(0)
    crowded = Crowded(10, ERRORS[error])
    images = torch.randn(70, 3, 8, 8)
    predictor = Predictor(crowded, batch_size=64)
    torch.testing.assert_close(predictor(images), own_scores(crowded.inner, images), rtol=1e-5, atol=1e-5)
    assert predictor.describe()["batch_size"] == 8


def test_below_the_quantum_a_warning_says_that_bits_may_change():
    crowded, images = Crowded(3, MemoryError()), torch.randn(9, 3, 8, 8)
    with pytest.warns(UserWarning, match="last bits"):
        found = Predictor(crowded, batch_size=8)(images)
    torch.testing.assert_close(found, own_scores(crowded.inner, images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("error", ERRORS)
def test_one_image_that_does_not_fit_is_an_error_with_its_size(error):
    with pytest.raises(DeviceMemoryError, match=r"single image of 3 × 8 × 8.*smaller images"):
        Predictor(Crowded(0, ERRORS[error]))(torch.randn(2, 3, 8, 8))


def test_other_errors_pass_through():
    with pytest.raises(ZeroDivisionError):
        Predictor(Crowded(0, ZeroDivisionError()))(torch.randn(2, 3, 8, 8))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def test_the_size_grows_while_that_pays_and_stays_where_it_was_best():
    size = BatchSize(None, None, "cpu")
    seconds = {8: 8.0, 16: 12.0, 32: 31.0}
    tried = []
    for _ in range(11):
        tried.append(size.now)
        size.took(size.now, seconds[size.now])
    assert tried == [8] * 3 + [16] * 3 + [32] * 3 + [16] * 2
    assert not size.searching


@pytest.mark.parametrize("network", NETWORKS)
def test_bfloat16_is_near_and_comes_back_in_float32(network):
    model, images = lively(NETWORKS[network]()).eval(), torch.randn(9, 3, 16, 24)
    before = copy.deepcopy(model.state_dict())
    predictor = Predictor(model, precision="bfloat16")
    found, wanted = predictor(images), own_scores(model, images)
    assert found.dtype == torch.float32
    assert not torch.equal(found, wanted)
    assert (found - wanted).abs().max() < 0.05 * wanted.abs().max()
    assert predictor.describe()["precision"] == "bfloat16"
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_network_that_was_changed_is_seen_anew():
    model, images = lively(Chain()).eval(), torch.randn(3, 3, 16, 16)
    predictor = Predictor(model, precision="bfloat16")
    predictor(images)
    with torch.no_grad():
        model.first.weight.mul_(-1)
    assert (predictor(images) - own_scores(model, images)).abs().max() < 0.1
    model.second.weight.data.mul_(-1)  # counted by no version
    assert (predictor(images) - own_scores(model, images)).abs().max() < 0.1
    model.head = nn.Linear(8, 2)
    assert predictor(images).shape == (3, 2)


class Cooled(Chain):
    """Scores divided by a temperature that is no weight."""

    temperature = 1.0

    def forward(self, x):
        return super().forward(x) / self.temperature


def _exchanged_hook(model):
    model.second._forward_hooks.clear()
    model.second.register_forward_hook(lambda module, given, output: 2 * output)


CHANGES = {
    "a setting": lambda model: setattr(model, "temperature", 0.5),
    "a stride": lambda model: setattr(model.second, "stride", (2, 2)),
    "a forward of its own": lambda model: setattr(model.first, "forward", lambda x: x.repeat(1, 2, 1, 1)),
    "another hook": _exchanged_hook,
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_no_weight_is_seen_when_it_changes(change):
    model, images = lively(Cooled()).eval(), torch.randn(2, 3, 16, 16)
    model.second.register_forward_hook(lambda module, given, output: 3 * output)
    predictor = Predictor(model)
    before = predictor(images)
    CHANGES[change](model)
    torch.testing.assert_close(predictor(images), own_scores(model, images), rtol=1e-4, atol=1e-5)
    assert (predictor(images) - before).abs().max() > 1e-3


def test_float64_stays_float64():
    model, images = lively(Chain()).double().eval(), torch.randn(5, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(Predictor(model)(images), own_scores(model, images), rtol=1e-12, atol=1e-12)


def test_a_python_callable_is_enough():
    images = torch.randn(20, 3, 8, 8)
    torch.testing.assert_close(Predictor(lambda x: x.mean((2, 3)))(images), images.mean((2, 3)))
    with pytest.raises(OptionError, match="black box"):
        Predictor(lambda x: x, precision="bfloat16")
    with pytest.raises(OptionError, match="black box"):
        Predictor(lambda x: x, compile=True)
    assert Predictor(lambda x: x.mean((2, 3)), precision="auto").replica.precision_name == "float32"


def test_a_network_that_cannot_be_copied_runs_itself_and_auto_says_float32():
    class Single(Chain):
        def __deepcopy__(self, memo):
            raise TypeError("there can be only one")

    model, images = lively(Single()), torch.randn(9, 3, 8, 8)
    wanted = own_scores(model, images)
    traces = Traces(model.train())
    predictor = Predictor(model, precision="auto")
    torch.testing.assert_close(predictor(images), wanted, rtol=1e-5, atol=1e-5)
    assert predictor.describe()["precision"] == "float32"
    with pytest.raises(OptionError, match="cannot be copied"):
        Predictor(model, precision="bfloat16")(images)
    assert traces.left() == []


def test_a_network_that_works_on_its_input_in_place_spoils_nothing():
    images = torch.randn(20, 3, 8, 8)
    kept = images.clone()
    found = Predictor(lambda x: x.mul_(2).mean((2, 3)))(images)
    torch.testing.assert_close(found, 2 * kept.mean((2, 3)))
    assert torch.equal(images, kept)


def test_a_compiled_network_gives_its_scores():
    model, images = lively(Residual()).eval(), torch.randn(11, 3, 16, 16)
    predictor = Predictor(model, compile=True, batch_size=8)
    torch.testing.assert_close(predictor(images), own_scores(model, images), rtol=1e-4, atol=1e-4)
    assert predictor.describe() == {"precision": "float32", "compile": True, "batch_size": 8, "passes": 11}


def test_progress_counts_images():
    seen = []
    Predictor(lambda x: x.mean((2, 3)), batch_size=8, progress=lambda *at: seen.append(at))(torch.randn(20, 3, 4, 4))
    assert seen == [(8, 20), (16, 20), (20, 20)]


def test_bad_input_is_named():
    with pytest.raises(ImageError, match=r"images\[None\]"):
        Predictor(Chain())(torch.randn(3, 8, 8))
    with pytest.raises(OptionError, match="empty"):
        Predictor(Chain())([])
    with pytest.raises(OptionError, match="batch_size=0"):
        Predictor(Chain(), batch_size=0)
    with pytest.raises(OptionError, match="precision='fp8'"):
        Predictor(Chain(), precision="fp8")
    with pytest.raises(OutputError, match="output="):
        Predictor(nn.Conv2d(3, 4, 3))(torch.randn(1, 3, 8, 8))
