"""Targets on networks of every sort: what they return, their precision, batch sizes, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from target_case import Returning, chain, images
from torch import nn

import explainers
from explainers.errors import OutputError, TargetError
from explainers.methods import create
from explainers.targets import ClassScore, Difference, Function, Similarity, Value, answers_for, settle

FORMS = ("tensor", "dict", "tuple", "list", "named", "dataclass")
GETS = {
    "tensor": lambda y: y[1],
    "dict": lambda y: y["logits"][1],
    "tuple": lambda y: y[0][1],
    "list": lambda y: y[1][1],
    "named": lambda y: y.scores[1],
    "dataclass": lambda y: y.logits[1],
    "per image": lambda y: y["score"][1],
}


@pytest.mark.parametrize("form", FORMS)
def test_targets_read_every_form_of_output(form):
    x, plain, network = images(3), chain(), Returning(form).eval()
    for target in (ClassScore(1), Difference(1, 2), Difference(), Value(1)):
        for name, options in (("saliency", {}), ("grad-cam", {}), ("occlusion", {"window": 8, "stride": 8})):
            wanted = create(name, plain, **options)(x, target)
            torch.testing.assert_close(create(name, network, **options)(x, target), wanted, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("form", GETS)
def test_a_function_gets_what_the_network_returned_for_one_image_in_its_structure(form):
    x, network = images(3), Returning(form).eval()
    found = create("saliency", network)(x, Function(GETS[form]))
    torch.testing.assert_close(found, create("saliency", chain())(x, 1))
    seen = create("occlusion", network, window=8, stride=8)(x, Function(GETS[form]))
    torch.testing.assert_close(
        seen, create("occlusion", chain(), window=8, stride=8)(x, Value(1)), atol=1e-6, rtol=1e-4
    )
    shapes = []

    def look(y):
        shapes.append(type(y).__name__)
        return GETS[form](y)

    create("saliency", network)(x, Function(look))
    assert set(shapes) == {
        {"tensor": "Tensor", "named": "Pair", "dataclass": "Said", "per image": "dict"}.get(form, form)
    }


def test_a_target_called_with_what_a_network_returned_for_one_image_gives_its_score():
    network, x = chain(), images(1)
    scores = network(x)[0]
    assert float(ClassScore()(scores).detach()) == float(scores.max())
    assert float(Difference(1, 2)(scores).detach()) == pytest.approx(float(scores[1] - scores[2]))
    assert Value(2)(scores).requires_grad


class Embedder(nn.Module):
    """(N, D, 1, 1), as features of torchvision have it."""

    def __init__(self):
        super().__init__()
        self.chain = chain()

    def forward(self, x):
        return self.chain.features(x).mean((2, 3), keepdim=True)


def test_similarity_is_the_cosine_of_embeddings_whichever_of_the_two_is_explained():
    network, x = Embedder().eval(), images(2)
    one, other = network(x).flatten(1).detach()
    cosine = float(torch.nn.functional.cosine_similarity(one, other, dim=0))
    for reference, image in ((x[1], x[:1]), (x[:1], x[1:])):
        settled = settle(network, image, Similarity(reference))
        (answer,) = answers_for(network, image)
        assert settled.values(network, image, [answer]) == [[pytest.approx(cosine)]]
    leaf = x[:1].clone().requires_grad_()
    number = torch.nn.functional.cosine_similarity(network(leaf).flatten(1)[0], other, dim=0)
    (gradient,) = torch.autograd.grad(number, leaf)
    for reference in (x[1], other):
        found = create("saliency", network)(x[:1], Similarity(reference))
        torch.testing.assert_close(found[0], gradient[0].abs().amax(0), atol=1e-7, rtol=1e-4)
    at_itself = create("saliency", network)(x[:1], Similarity(x[0]))
    assert float(at_itself.max()) < 1e-4 * float(found.max())  # the cosine is largest there


def test_a_reference_without_direction_or_of_another_kind_is_refused():
    network, x = chain(), images()
    for reference, said in (
        (torch.zeros(5), "has no direction"),
        (torch.tensor([1.0, float("nan")]), "NaN"),
        (torch.ones(5, dtype=torch.int64), "expected an image or embedding"),
        ("a.png", "expected an image or embedding"),
    ):
        with pytest.raises(TargetError, match=said):
            Similarity(reference)
    with pytest.raises(TargetError, match="5"):
        create("saliency", network)(x, Similarity(torch.ones(4)))
    with pytest.raises(TargetError, match=r"\(C, H, W\)"):
        create("saliency", network)(x, Similarity(torch.ones(2, 3, 16, 16)))
    for reference in (torch.ones(1), x[0]):  # one number has no direction but its sign
        with pytest.raises(TargetError, match="one number for each image, of which the cosine is 1 or -1"):
            create("saliency", network, output=lambda y: y[:, :1])(x, Similarity(reference))
    made = create("saliency", network)(x, Similarity(torch.full((3, 16, 16), 0.3)))  # flat, with an embedding
    assert bool(torch.isfinite(made).all())


def test_a_function_that_gives_nan_is_named_and_a_network_that_does_is_not():
    def logarithm(y):
        return (y[0] - y[0].detach().abs() - 1).log()

    for name in ("saliency", "rise"):
        with pytest.raises(
            OutputError, match="target logarithm: gave NaN or infinity, and all that the network returned"
        ):
            create(name, chain())(images(), Function(logarithm))
        with pytest.raises(OutputError, match="the network's scores are NaN"):
            create(name, lambda x: x.mean((2, 3)) * float("nan"))(images(), Function(logarithm))


def test_the_reference_is_embedded_once_for_all_images():
    network, x, passes = chain(), images(4), []
    handle = network.first.register_forward_hook(lambda module, given, returned: passes.append(len(given[0])))
    settled = settle(network, x, Similarity(images(1, seed=5)[0]))
    handle.remove()
    assert passes == [4, 1]
    assert len(settled.columns()[0]) == 1


def test_networks_of_double_precision():
    x, network = images(2), chain().double()
    for target in (Difference(1, 2), Value(1), Function(lambda y: y[1] * 2), Similarity(torch.ones(5))):
        for name, options in (("saliency", {}), ("grad-cam", {}), ("occlusion", {"window": 8, "stride": 8})):
            found = create(name, network, **options)(x, target)
            torch.testing.assert_close(found, create(name, chain(), **options)(x, target), atol=1e-6, rtol=1e-3)


def test_networks_of_half_precision_give_their_own_gradients():
    x, network = images(2), chain().bfloat16()
    for target, number in (
        (Difference(1, 2), lambda y: y[:, 1] - y[:, 2]),
        (Value(1), lambda y: y[:, 1]),
        (Function(lambda y: y[1] * 2), lambda y: y[:, 1] * 2),
    ):
        leaf = x.bfloat16().requires_grad_()
        (gradient,) = torch.autograd.grad(number(network(leaf)).sum(), leaf)
        found = create("saliency", network)(x, target)
        torch.testing.assert_close(found, gradient.abs().amax(1).float(), atol=1e-6, rtol=0.02)
        assert bool(torch.isfinite(create("occlusion", network, window=8, stride=8)(x, target)).all())


class Fixed(nn.Module):
    """A network that takes exactly four images at once, as an exported program does."""

    fixed_batch = 4

    def __init__(self):
        super().__init__()
        self.chain = chain()

    def forward(self, x):
        assert len(x) == 4
        return self.chain(x)


def test_networks_that_insist_on_a_batch_size():
    x, network = images(6), Fixed().eval()
    targets = [Difference(), 1, None, Value(2), Function(lambda y: y[0]), Similarity(images(1, seed=4)[0])]
    for name, options in (("saliency", {}), ("grad-cam", {}), ("occlusion", {"window": 8, "stride": 8})):
        plain = create(name, chain(), **options)
        for given in (targets, Difference(), ClassScore()):
            found = create(name, network, **options)(x, given)
            torch.testing.assert_close(found, plain(x, given), atol=1e-6, rtol=1e-4)
        found = create(name, network, **options)(x, settle(network, x, targets))
        torch.testing.assert_close(found, plain(x, targets), atol=1e-6, rtol=1e-4)


def test_black_boxes():
    network, x = chain(), images(2)

    def black(given):
        with torch.no_grad():
            return network(given)

    for target in (Difference(), Value(1), Function(lambda y: y[1] - y[0]), Similarity(x[1])):
        found = create("occlusion", black, window=8, stride=8)(x, target)
        wanted = create("occlusion", network, window=8, stride=8)(x, target)
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-4)


class TwoHeads(nn.Module):
    """Two branches that share nothing, one value each."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right = chain(1), chain(1)

    def forward(self, x):
        return torch.cat([self.left(x), self.right(x)], dim=1)


def test_one_explainer_finds_the_layer_of_each_target():
    network, x = TwoHeads().eval(), images(2)
    network.right.load_state_dict({key: value + 0.1 for key, value in network.left.state_dict().items()})
    explainer = create("grad-cam", network)
    for targets in ((Value(0), Value(1)), (Function(lambda y: y[0]), Function(lambda y: y[1]))):
        for side, target in zip(("left", "right"), targets, strict=True):
            found = explainer(x, target)
            assert explainer.layers[0].startswith(side)
            torch.testing.assert_close(found, create("grad-cam", getattr(network, side))(x, 0))


def test_threads_with_different_targets_share_an_explainer():
    network, x = chain(), images(3)
    targets = [Difference(), ClassScore(2), Value(1), Function(lambda y: y[4]), Similarity(x[0]), None, 3]
    for name in ("grad-cam", "saliency"):
        wanted = [create(name, network)(x, target) for target in targets]
        shared = create(name, network)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda target: shared(x, target), targets * 3))
        for one, other in zip(found, wanted * 3, strict=True):
            assert torch.equal(one, other)


def test_networks_are_left_as_found():
    network, x = chain().train(), images()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    hooks = [len(module._forward_hooks) for module in network.modules()]
    for target in (Difference(), Value(1), Similarity(x[0]), Function(lambda y: y[1])):
        create("grad-cam", network)(x, target)
        with pytest.raises(OutputError):
            create("grad-cam", network)(x, Function(lambda y: y["none"]))
    assert network.training
    assert all(value.grad is None for value in network.parameters())
    assert [len(module._forward_hooks) for module in network.modules()] == hooks
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])


def test_the_notebooks_door_takes_objects_and_text():
    network, x = chain(), images(2)
    names = ("ant", "bee - like fly", "cat", "dog-fish", "emu")
    made = explainers.explain(network, x, "saliency", "cat - dog-fish", class_names=names)
    torch.testing.assert_close(made.maps, create("saliency", network)(x, Difference(2, 3)))
    difference = network(x).softmax(1)
    assert made.label(0, 0) == f"cat - dog-fish {float(difference[0, 2] - difference[0, 3]):.2f}"
    several = explainers.explain(network, x, "saliency", [[0, Value(1)], [Difference(), Function(lambda y: y[0])]])
    assert several.maps.shape == (2, 2, 16, 16)
    assert several.label(0, int(several.targets[0, 1])) == f"value 1 {float(network(x)[0, 1]):.3g}"
    assert several.overlay(1, target=1).shape == (16, 16, 3)
    assert len(several.plot().axes) == 6
    explainers.compare(network, x, ["saliency", "grad-cam"], Difference(1, 2))
