"""What turns scores into f(x), against probabilities worked out by hand, over the kinds of output that networks have."""

import pytest
import torch
from torch import nn

import explainers
from explainers.errors import ExplainersError, OptionError, OutputError, TargetError, UnsupportedError
from explainers.network.output import Negative, Pick, class_scores, scores_of
from explainers.passes.activation import reading_of
from explainers.passes.one_score import remark

IMAGES = torch.rand(3, 3, 8, 10, generator=torch.Generator().manual_seed(3))
WATCHING = {
    "rise": {"masks": 128, "grid": 3},
    "occlusion": {"window": 4, "stride": 2},
    "kernel-shap": {"samples": 64, "segments": 2},
    "score-cam": {},
    "group-cam": {"groups": 2},
    "ablation-cam": {},
}


class Window(nn.Module):
    """20 · mean of the top left quarter − 1, and what an ending makes of it."""

    def __init__(self, behind=lambda score: score):
        super().__init__()
        self.behind = behind
        self.conv = nn.Conv2d(3, 2, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([[1.0, 1, 1], [0, 0, 0]])[..., None, None] / 3)

    def forward(self, images):
        return self.behind(20 * self.conv(images)[:, :1, :4, :5].mean((1, 2, 3))[:, None] - 9)


def logit(images):
    return 20 * images[:, :, :4, :5].mean((1, 2, 3)) - 9


def several(score):
    return torch.cat([score, -score, 0.5 * score], dim=1)


class Ended(nn.Module):
    """Three scores and an ending."""

    def __init__(self, ending):
        super().__init__()
        self.body, self.ending = Window(several), ending

    def forward(self, images):
        return self.ending(self.body(images))


def softmaxed(scores):
    return scores.softmax(1)


ENDINGS = {  # what a network ends in → the reading's name, and f(x) of its three logits by hand
    "nothing": (lambda x: x, "softmax", softmaxed),
    "softmax": (softmaxed, None, softmaxed),
    "softmax, clamped": (lambda x: softmaxed(x).clamp(1e-7, 1 - 1e-7), None, softmaxed),
    "softmax by hand": (lambda x: x.exp() / x.exp().sum(1, keepdim=True), None, softmaxed),
    "log-softmax": (lambda x: x.log_softmax(1), "softmax", softmaxed),
    "sigmoid": (torch.sigmoid, None, torch.sigmoid),
    "sigmoids joined": (lambda x: torch.cat([x[:, :1].sigmoid(), x[:, 1:].sigmoid()], 1), None, torch.sigmoid),
    "sigmoid by hand": (lambda x: 1 / (1 + (-x).exp()), None, torch.sigmoid),
    "log-sigmoid": (nn.functional.logsigmoid, "exp", torch.sigmoid),
    "log of a sigmoid": (lambda x: x.sigmoid().clamp_min(1e-9).log(), "exp", torch.sigmoid),
    "log of a softmax": (lambda x: softmaxed(x).log(), "softmax", softmaxed),
    "percentages": (lambda x: 100 * softmaxed(x), "percent", softmaxed),
    "percentages of labels": (lambda x: 100 * x.sigmoid(), "percent", torch.sigmoid),
    "log of one less a sigmoid": (lambda x: torch.log1p(-(-x).sigmoid()), "exp", torch.sigmoid),
    "log to base 2": (lambda x: softmaxed(x).log2(), "exp2", softmaxed),
    "log to base 10": (lambda x: softmaxed(x).clamp_min(1e-9).log10(), "exp10", softmaxed),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("black_box", [False, True])
def test_probabilities_stay_what_they_are_and_scores_become_them(ending, black_box):
    function, name, wanted = ENDINGS[ending]
    network = Ended(function)
    logits = several(logit(IMAGES)[:, None])
    if black_box and ending in ("log-sigmoid", "log of a sigmoid", "log of one less a sigmoid"):
        pytest.skip("log-probabilities of labels look like scores to whoever sees values alone")
    model = (lambda images: network(images).detach()) if black_box else network
    scores = class_scores(model, IMAGES)
    reading = reading_of(model, IMAGES, scores)
    assert reading.name == name
    assert torch.allclose(reading(scores), wanted(logits), atol=1e-5)


@pytest.mark.parametrize("black_box", [False, True])
def test_one_large_logit_is_no_logarithm_whose_power_is_one(black_box):
    """Of (s, 0) with s near -40, two and ten to the power of it sum to 1 by chance."""
    network = Ended(lambda x: torch.stack([-40 - x[:, 0].abs(), torch.zeros(len(x))], 1))
    model = (lambda images: network(images).detach()) if black_box else network
    assert reading_of(model, IMAGES, class_scores(model, IMAGES)).name == "softmax"


REVERSED = {  # whose smallest score is that of the likeliest class
    "negative log-softmax": lambda x: -x.log_softmax(1),
    "times minus one": lambda x: x.log_softmax(1) * -1,
    "negative log of a softmax": lambda x: -softmaxed(x).log(),
    "negative log-sigmoid": lambda x: -nn.functional.logsigmoid(x),
    "distances": lambda x: torch.cdist(x, torch.eye(3)),
    "squared distances": lambda x: (x[:, None] - torch.eye(3)).pow(2).sum(-1),
    "distances by hand": lambda x: (lambda d: (d * d).sum(-1).sqrt() / 2)(x[:, None] - torch.eye(3)),
    "lengths of differences": lambda x: (x[:, None] - torch.eye(3)).norm(dim=-1),
    "sums of absolute differences": lambda x: (x[:, None] - torch.eye(3)).abs().sum(-1),
    "negative softmax": lambda x: -softmaxed(x),
}


@pytest.mark.parametrize("ending", REVERSED)
def test_scores_of_which_the_smallest_is_the_likeliest_are_refused_everywhere(ending):
    network = Ended(REVERSED[ending])
    told = r"(distances|negative log-prob|negative prob).* output=lambda y: -y \(--output FILE"
    for name in ("saliency", "occlusion", "eigen-cam", "rise"):
        options = {"masks": 16} if name == "rise" else {}
        for target in (None, 1):
            if name == "eigen-cam" and "softmax" not in ending:
                continue  # neither a graph nor f(x)
            with pytest.raises(OutputError, match=told):
                explainers.create(name, network, **options)(IMAGES, target)
    with pytest.raises(OutputError, match=told):
        explainers.explain(network, IMAGES, "saliency")
    with pytest.raises((OutputError, ExplainersError), match=told):
        explainers.evaluate(network, IMAGES, ["saliency"], ["insertion"])
    if "softmax" in ending:
        with pytest.raises(OutputError, match=told):
            explainers.create("rise", lambda images: network(images).detach(), masks=16)(IMAGES)
    turned = explainers.create("occlusion", network, output=lambda y: -y)
    assert explainers.explain(network, IMAGES, "saliency", output=lambda y: -y).targets.tolist() == [
        int(each) for each in (-network(IMAGES)).argmax(1)
    ]
    if "softmax" in ending:
        plain = explainers.create("occlusion", Ended(lambda x: x))
        assert torch.allclose(turned(IMAGES), plain(IMAGES), atol=1e-5)


def test_probabilities_taken_from_one_are_turned_round_from_one():
    network = Ended(lambda x: 1 - softmaxed(x))
    for model in (network, lambda images: network(images).detach()):
        with pytest.raises(OutputError, match="taken from 1.* output=lambda y: 1 - y"):
            class_scores(model, IMAGES)
    assert scores_of(torch.tensor([[1.0, 1.0, 0.0]]), 1) is not None  # labels, decided
    assert scores_of(torch.tensor([[0.3, 0.7]]), 1) is not None  # of two classes nothing tells
    near = Ended(lambda x: -(x[:, None] - torch.eye(3)).pow(2).sum(-1))
    assert reading_of(near, IMAGES, class_scores(near, IMAGES)).name == "softmax"


def test_percentages_of_labels_of_a_black_box_are_taken_as_such_or_named():
    network = Ended(lambda x: 100 * x.sigmoid())
    model = lambda images: network(images).detach()  # noqa: E731
    scores = class_scores(model, IMAGES)
    reading = reading_of(model, IMAGES, scores)
    assert (reading.name, reading.assumed) == ("percent", True)
    assert torch.allclose(reading(scores), scores / 100)
    assert "percentages of labels" in remark(reading, scores)
    low = Ended(lambda x: 80 * x.sigmoid())
    scores = class_scores(lambda images: low(images).detach(), IMAGES)
    reading = reading_of(lambda images: low(images).detach(), IMAGES, scores)
    assert reading.name == "softmax"
    assert "they may be percentages" in remark(reading, scores)
    plain = Ended(lambda x: x)
    scores = class_scores(plain, IMAGES)
    assert remark(reading_of(plain, IMAGES, scores), scores) == ""


@pytest.mark.parametrize(
    "values",
    [
        lambda x: 2 * softmaxed(x) - 1,
        lambda x: 255 * softmaxed(x),
        lambda x: 8 * x.sigmoid() + 20,
        lambda x: (x.sigmoid() - 0.5) / 0.1,
    ],
)
def test_a_sigmoid_or_softmax_times_or_plus_a_number_is_watched_as_it_is(values):
    network = Ended(values)
    scores = class_scores(network, IMAGES)
    reading = reading_of(network, IMAGES, scores)
    assert (reading.name, reading.probability) == (None, False)
    assert torch.equal(reading(scores), scores)


def test_what_is_added_to_log_probabilities_makes_other_logits():
    prior = torch.tensor([0.5, 1.0, -1.0])
    network = Ended(lambda x: x.log_softmax(1) + prior)
    scores = class_scores(network, IMAGES)
    reading = reading_of(network, IMAGES, scores)
    assert reading.name == "softmax"
    assert torch.allclose(reading(scores), (several(logit(IMAGES)[:, None]) + prior).softmax(1), atol=1e-5)
    assert class_scores(Ended(lambda x: 1 - x.sigmoid()), IMAGES) is not None  # labels turned round, and no refusal
    assert class_scores(Ended(lambda x: -(x.sigmoid() - 1)), IMAGES) is not None


def test_scores_that_only_look_like_negative_log_probabilities_are_taken():
    for scores in ([[0.0, 25.0, 40.0]], [[0.0, 0.0, 0.0]], [[0.5, 0.9, 2.0]], [[-0.1, 2.0, 3.0]]):
        assert scores_of(torch.tensor(scores), 1) is not None


def test_one_score_in_percent_is_its_hundredth_and_that_is_said():
    for model in (Window(lambda x: 100 * x.sigmoid()), lambda images: 100 * logit(images).sigmoid()[:, None]):
        scores = class_scores(model, IMAGES)
        reading = reading_of(model, IMAGES, scores)
        assert reading.name == "percent"
        assert torch.allclose(reading(scores)[:, 0], logit(IMAGES).sigmoid(), atol=1e-5)
    assert "taken as a percentage" in remark(reading, scores)
    small = Window(lambda score: score.relu())
    assert reading_of(small, IMAGES, class_scores(small, IMAGES)).name == "sigmoid"


@pytest.mark.parametrize("ending", ["logit", "probability", "probability by hand"])
@pytest.mark.parametrize("black_box", [False, True])
def test_one_score_is_read_as_the_probability_of_the_one_class_and_of_the_other(ending, black_box):
    behind = {
        "logit": lambda x: x,
        "probability": torch.sigmoid,
        "probability by hand": lambda x: 0.5 * torch.tanh(x / 2) + 0.5,
    }
    network = Window(behind[ending])
    model = (lambda images: network(images).detach()) if black_box else network
    scores, wanted = class_scores(model, IMAGES), logit(IMAGES).sigmoid()
    reading = reading_of(model, IMAGES, scores)
    assert torch.allclose(reading(scores)[:, 0], wanted, atol=1e-5)
    assert reading.name == ("sigmoid" if ending == "logit" else None)
    other = reading_of(model, IMAGES, -scores, output=Negative())
    assert torch.allclose(other(-scores)[:, 0], 1 - wanted, atol=1e-5)


def test_small_logits_that_happen_to_lie_between_zero_and_one_are_no_probabilities():
    network = nn.Sequential(nn.Flatten(), nn.Linear(240, 3))
    with torch.no_grad():
        network[1].weight.mul_(0.01)
        network[1].bias.copy_(torch.tensor([0.3, 0.3, 0.4]))
    scores = class_scores(network, IMAGES)
    assert ((scores > 0) & (scores < 1)).all()
    assert reading_of(network, IMAGES, scores).name == "softmax"


def test_a_configuration_that_says_multi_label_or_regression_is_believed():
    network = Window(several)
    scores = class_scores(network, IMAGES)
    for said, name in (("multi_label_classification", "sigmoid"), ("regression", None), (None, "softmax")):
        network.config = type("Config", (), {"problem_type": said})()
        assert reading_of(network, IMAGES, scores).name == name


def test_a_value_that_is_no_logit_is_refused_with_both_spellings_for_that_image_alone():
    network = Window(lambda score: score + 40)
    scores = class_scores(network, IMAGES)
    with pytest.raises(OutputError, match=r"too large for a logit.*--activation none.*--activation sigmoid"):
        reading_of(network, IMAGES, scores)
    assert reading_of(network, IMAGES, scores, None).name is None
    assert reading_of(network, IMAGES, scores, "sigmoid").name == "sigmoid"
    found = explainers.create("occlusion", network, activation=None, window=4)(IMAGES)
    assert float(found[:, :4, :5].min()) > float(found[:, 5:, 6:].abs().max())


def test_the_softmax_of_one_score_is_refused():
    with pytest.raises(OptionError, match="the softmax of a single score is always 1"):
        explainers.create("rise", Window(), activation="softmax", masks=8)(IMAGES)


@pytest.mark.parametrize("name", WATCHING)
def test_every_method_that_watches_f_x_gives_one_map_for_a_logit_and_for_its_probability(name):
    def both(network, targets):
        return explainers.create(name, network, **WATCHING[name]).explain(IMAGES, targets)

    for targets in (0, "not"):
        plain, ended = both(Window(), targets), both(Window(torch.sigmoid), targets)
        assert "sigmoid (one score" in plain.details[0]["activation"]
        assert "ends in a sigmoid" in ended.details[0]["activation"]
        if name != "group-cam":  # its masks come from gradients, of a probability here
            assert torch.allclose(plain.maps, ended.maps, atol=1e-5)
        # What speaks for the score alone leaves nothing positive for the other class.
        nothing = targets == "not" and name in ("ablation-cam", "group-cam")
        assert nothing or float(plain.maps.amax() - plain.maps.amin()) > 1e-3


def test_rise_and_occlusion_of_one_score_by_hand():
    wide = {"window": (4, 5), "stride": (4, 5)}
    p = logit(IMAGES).sigmoid()
    found = explainers.create("occlusion", Window(), **wide)(IMAGES)
    assert torch.allclose(
        found[:, :4, :5], (p - torch.tensor(-9.0).sigmoid())[:, None, None].expand(-1, 4, 5), atol=1e-6
    )
    assert found[:, 4:, 5:].abs().max() < 1e-6
    assert torch.allclose(explainers.create("occlusion", Window(), **wide)(IMAGES, "not"), -found, atol=1e-6)
    rise = {"masks": 256, "grid": 4}
    one, other = (explainers.create("rise", Window(), **rise)(IMAGES, target) for target in (0, "not"))
    coverage = explainers.create("rise", lambda x: torch.ones(len(x), 1), activation=None, **rise)(IMAGES)
    assert torch.allclose(one + other, coverage, atol=1e-5)


@pytest.mark.parametrize("name", explainers.available())
def test_the_other_class_is_the_method_on_a_network_that_gives_the_negative_score(name):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))
    turned = nn.Sequential(*network[:4], nn.Linear(4, 1))
    with torch.no_grad():
        turned[4].weight.copy_(-network[4].weight)
        turned[4].bias.copy_(-network[4].bias)
    options = {**WATCHING, "lime": WATCHING["kernel-shap"]}.get(name, {})
    try:
        wanted = explainers.create(name, turned, **options)(IMAGES, 0)
    except UnsupportedError:
        pytest.skip("no method for this network")
    found = explainers.create(name, network, **options)(IMAGES, "not")
    assert torch.allclose(found, wanted, atol=1e-6)
    assert found.shape == IMAGES[:, 0].shape


def test_a_network_of_several_scores_has_no_other_class():
    with pytest.raises(
        TargetError, match=r"targets='not' is the other class of a network with one score; this one has 3"
    ):
        explainers.create("saliency", Window(several))(IMAGES, "not")
    with pytest.raises(TargetError, match="targets='cat' is no class index"):
        explainers.create("saliency", Window(several))(IMAGES, "cat")


def test_the_map_of_a_batch_is_that_of_its_images_whatever_their_scores():
    images = torch.cat([IMAGES[:1] * 0.9, torch.zeros_like(IMAGES[:1]), IMAGES[1:]])
    for behind in (torch.sigmoid, lambda x: x, lambda x: several(x).softmax(1), lambda x: several(x).sigmoid()):
        explainer = explainers.create("occlusion", Window(behind), window=4)
        together = explainer(images, 0)
        alone = torch.cat([explainer(image[None], 0) for image in images])
        assert torch.allclose(together, alone, atol=1e-6)


def test_a_tuple_with_two_candidates_is_refused_with_the_spelling_of_each():
    features, logits = torch.rand(2, 15), torch.rand(2, 5)
    with pytest.raises(
        OutputError, match=r"y\[0\] of shape \(2, 15\), y\[1\] of shape \(2, 5\).*--output 0.*--output 1"
    ):
        scores_of((features, logits), 2)
    assert scores_of((torch.rand(2, 8, 3, 3), logits, logits.argmax(1)), 2) is logits
    assert scores_of((features, logits), 2, Pick(1)) is logits
    assert scores_of({"features": features, "head": logits}, 2, Pick("head")) is logits
    with pytest.raises(OutputError, match="output 'heads': the network returned dict with keys"):
        scores_of({"features": features, "head": logits}, 2, Pick("heads"))


def test_what_is_no_tensor_or_a_decision_is_refused_with_what_would_do():
    with pytest.raises(OutputError, match=r"returned ndarray.*output=lambda y: torch\.as_tensor\(y\)"):
        scores_of(torch.rand(2, 3).numpy(), 2)
    with pytest.raises(OutputError, match=r"returned tuple.*torch\.as_tensor\(y\[0\]\)"):
        scores_of((torch.rand(2, 3).numpy(),), 2)
    with pytest.raises(OutputError, match=r"torch\.int64.*Whole numbers are decisions"):
        scores_of(torch.ones(2, 3, dtype=torch.int64), 2)


@pytest.mark.parametrize("ending", ["Sigmoid", "Softmax", None])
def test_the_end_of_an_onnx_file_is_read_from_its_graph(ending, tmp_path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    classes = 3 if ending == "Softmax" else 1
    weight = onnx.numpy_helper.from_array(torch.randn(240, classes).numpy(), "weight")
    nodes = [
        onnx.helper.make_node("Flatten", ["x"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "weight"], ["s"]),
    ]
    if ending:
        nodes += [onnx.helper.make_node(ending, ["s"], ["p"]), onnx.helper.make_node("Identity", ["p"], ["y"])]
    else:
        nodes += [onnx.helper.make_node("Identity", ["s"], ["y"])]
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [onnx.helper.make_tensor_value_info("x", kind, ["n", 3, 8, 10])],
        [onnx.helper.make_tensor_value_info("y", kind, ["n", classes])],
        [weight],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "net.onnx"))
    from explainers.models.onnx.onnx_network import OnnxNetwork

    network = OnnxNetwork(tmp_path / "net.onnx")
    scores = class_scores(network, IMAGES / 10)
    assert network.end == (ending or "MatMul")
    assert reading_of(network, IMAGES / 10, scores).name == (None if ending else "sigmoid")
