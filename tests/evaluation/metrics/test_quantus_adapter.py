"""Metrics of Quantus here, and our explainers there."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import quantus
import torch
from small import Residual, lively
from snapshot import same, snapshot
from torch import nn

import explainers
from explainers import create_metric
from explainers.errors import OptionError, UnsupportedError
from explainers.evaluation.engine import Engine
from explainers.evaluation.measuring.batch import Batch
from explainers.evaluation.metrics.quantus_adapter import NOT_OFFERED
from explainers.passes.predictor import Predictor


class Shifted(nn.Module):
    """A network as InputInvariance wants them: the first part is a convolution with a bias."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU())
        self.head = nn.Linear(8, 4)

    def forward(self, images):
        return self.head(self.features(images).mean((2, 3)))


def test_quantus_metrics_run_in_the_engine():
    model, images = lively(Residual()).train(), torch.randn(3, 3, 12, 12)
    masks = torch.rand(3, 12, 12) > 0.5
    before = snapshot(model)
    metrics = [
        "quantus:Sparseness",
        "sparseness",
        create_metric("quantus:RelevanceMassAccuracy", abs=True),
        "quantus:Complexity",
        "complexity",
    ]
    result = explainers.evaluate(model, images, {"saliency": "saliency"}, metrics, masks=masks)
    assert same(snapshot(model), before)
    for one, two in (("sparseness", "quantus:Sparseness"), ("complexity", "quantus:Complexity")):
        ours, theirs = (list(result.values(name)["saliency"].values()) for name in (one, two))
        assert theirs == pytest.approx(ours, abs=1e-4)
    assert set(result.values("quantus:RelevanceMassAccuracy")) == {"random", "center", "edges", "saliency"}
    assert result.metrics["quantus:Complexity"].better == "lower"
    assert result.metrics["quantus:Sparseness"].better == "higher"


def test_a_quantus_metric_without_a_value_per_image_is_refused():
    model, images = lively(Residual()), torch.randn(2, 3, 12, 12)
    with pytest.raises(OptionError, match="gives no single value per image; for curves pass return_auc_per_sample"):
        explainers.evaluate(model, images, ["saliency"], [create_metric("quantus:PixelFlipping", features_in_step=48)])
    with pytest.raises(OptionError, match="Quantus has no metric 'Nonsense'; there are AttributionLocalisation|AUC"):
        create_metric("quantus:Nonsense")
    with pytest.raises(OptionError, match="quantus:Sparseness has no option nonsense; its options are"):
        create_metric("quantus:Sparseness", nonsense=1)


def test_what_quantus_stumbles_over_is_told_as_its_own():
    images, maps = torch.randn(2, 3, 12, 12), {"mine": lambda x, t: x.mean(1)}
    with pytest.raises(UnsupportedError, match="Quantus knows no black boxes"):
        explainers.evaluate(lambda x: torch.stack([x.mean((1, 2, 3))] * 2, 1), images, maps, ["quantus:Sparseness"])
    metric = create_metric("quantus:Sparseness", normalise_func=lambda a, **_: a / [])
    with pytest.raises(UnsupportedError, match="quantus:Sparseness failed inside Quantus: "):
        explainers.evaluate(lively(Residual()), images, maps, [metric])


def test_our_explainers_run_in_quantus():
    model, images = lively(Residual()), torch.randn(2, 3, 12, 12)
    targets = np.array([1, 3])
    func = explainers.quantus_explain_func("saliency")
    maps = func(model, images.numpy(), targets)
    assert np.allclose(maps[:, 0], explainers.Saliency(model)(images, [1, 3]).numpy(), atol=1e-6)
    metric = quantus.MaxSensitivity(nr_samples=2, disable_warnings=True)
    values = metric(model=model, x_batch=images.numpy(), y_batch=targets, a_batch=None, explain_func=func, device="cpu")
    assert len(values) == 2
    assert all(0 < value < 10 for value in values)


def _directly(name, model, batch, options, func):
    """What Quantus says when it is called without us, beginning with the same random numbers."""
    np.random.seed(0)
    quiet = {"display_progressbar": False, "disable_warnings": True}
    if "return_aggregate" in inspect.signature(getattr(quantus, name)).parameters:
        quiet["return_aggregate"] = False
    images, targets, maps, masks = batch
    return getattr(quantus, name)(**quiet, **options)(
        model=model,
        x_batch=images.numpy(),
        y_batch=np.array(targets),
        a_batch=maps,
        s_batch=masks[:, None].numpy(),
        explain_func=func,
        device="cpu",
    )


NAMES = [
    name
    for name in dir(quantus)
    if inspect.isclass(getattr(quantus, name))
    and issubclass(getattr(quantus, name), quantus.Metric)
    and name != "Metric"
]
OPTIONS = {
    "RandomLogit": {"num_classes": 4},
    "TopKIntersection": {"k": 20},
    "MPRT": {"return_average_correlation": True},
    "EfficientMPRT": {},
    "PixelFlipping": {"features_in_step": 32, "return_auc_per_sample": True},
    "Continuity": {"nr_steps": 4},
    "IROF": {"segmentation_method": "slic"},
    "FaithfulnessEstimate": {"features_in_step": 32},
    "Monotonicity": {"features_in_step": 32},
    "MonotonicityCorrelation": {"features_in_step": 32, "nr_samples": 3},
    "FaithfulnessCorrelation": {"subset_size": 20, "nr_runs": 10},
    "RelativeInputStability": {"nr_samples": 5},
    "RelativeOutputStability": {"nr_samples": 5},
    "RelativeRepresentationStability": {"nr_samples": 5},
    "LocalLipschitzEstimate": {"nr_samples": 5},
    "MaxSensitivity": {"nr_samples": 5},
    "AvgSensitivity": {"nr_samples": 5},
    "Infidelity": {"n_perturb_samples": 5},
}


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_says_here_what_it_says_directly_or_is_refused(name):
    """On the same maps; where Quantus changes the network, the maps of an explainer of the changed one."""
    if name in NOT_OFFERED:
        with pytest.raises(UnsupportedError, match=f"quantus:{name} .*(use|call) "):
            create_metric(f"quantus:{name}")
        return
    torch.manual_seed(3)
    model, images, targets = lively(Shifted()).eval(), torch.rand(3, 3, 12, 12), [1, 3, 0]
    masks, options = torch.rand(3, 12, 12) > 0.5, OPTIONS.get(name, {})
    func = explainers.quantus_explain_func("saliency")
    maps = func(model, images.numpy(), np.array(targets))
    before = snapshot(model)
    try:
        wanted, failure = _directly(name, model, (images, targets, maps, masks), options, func), None
    except Exception as error:  # Quantus' own failures are told as such
        wanted, failure = None, error
    metric = create_metric(f"quantus:{name}", **options)
    # Without controls: Continuity moves images out of sight, where there are no edges to score.
    engine = Engine(model, {"saliency": explainers.Saliency(model)}, {name: metric}, Predictor(model))
    batch = Batch(("0", "1", "2"), images, torch.tensor(targets), masks=masks)
    if failure is not None or np.shape(np.asarray(wanted, dtype=object)) != (3,):
        with pytest.raises((UnsupportedError, OptionError), match="failed inside Quantus|no single value per image"):
            list(engine.run([batch]))
        return
    found = [row["value"] for unit in engine.run([batch]) for row in unit.rows]
    assert found == pytest.approx([float(value) for value in wanted], rel=1e-4, abs=1e-6)
    assert same(snapshot(model), before)


@pytest.mark.parametrize("method", ["layer-cam", "rise", "input-x-gradient"])
def test_maps_of_randomised_networks_are_those_of_the_randomised_networks(method):
    """Also of explainers that keep a network for themselves, such as one with its batch norm folded."""
    options = {"masks": 64, "grid": 3} if method == "rise" else {}
    model, images, targets = lively(Residual()).eval(), torch.randn(3, 3, 12, 12), [1, 3, 0]
    explainer = explainers.create(method, model, **options)
    func = explainers.quantus_explain_func(method, **options)
    maps, masks = func(model, images.numpy(), np.array(targets)), torch.ones(3, 12, 12)
    average = {"return_average_correlation": True}
    wanted = _directly("MPRT", model, (images, targets, maps, masks), average, func)
    metric = create_metric("quantus:MPRT", **average)
    result = explainers.evaluate(model, images, {"mine": explainer}, [metric], targets)
    assert list(result.values("quantus:MPRT")["mine"].values()) == pytest.approx(wanted, abs=1e-4)
    assert max(wanted) < 0.99


def test_metrics_that_draw_give_the_same_values_again_and_leave_the_generators_alone():
    model, images = lively(Residual()).eval(), torch.randn(3, 3, 12, 12)
    np.random.seed(7)
    state = np.random.get_state()[1].copy()
    once, again = (
        explainers.evaluate(
            model, images, ["saliency"], [create_metric("quantus:FaithfulnessCorrelation", subset_size=20)]
        ).values("quantus:FaithfulnessCorrelation")
        for _ in range(2)
    )
    assert once == again
    assert (np.random.get_state()[1] == state).all()


@pytest.mark.parametrize(
    ("name", "options", "hint"),
    [
        ("MPRT", {}, "pass return_average_correlation=True"),
        ("PixelFlipping", {"features_in_step": 48}, "pass return_auc_per_sample=True"),
        ("RegionPerturbation", {"regions_evaluation": 4}, "it cannot be scored here"),
    ],
)
def test_the_hint_names_an_option_that_the_metric_has(name, options, hint):
    model = lively(Residual()).eval()
    for count in (1, 2):  # one image: a dict of layers is no value of it
        with pytest.raises(OptionError, match=f"gives no single value per image; .*{hint}"):
            explainers.evaluate(
                model, torch.randn(count, 3, 12, 12), ["saliency"], [create_metric(f"quantus:{name}", **options)]
            )


def test_options_that_leave_no_value_per_image_and_wrong_class_counts_are_refused():
    with pytest.raises(OptionError, match="return_aggregate=True leaves no value per image"):
        create_metric("quantus:Sparseness", return_aggregate=True)
    model = lively(Residual()).eval()
    with pytest.raises(OptionError, match="quantus:RandomLogit .* pass num_classes="):
        explainers.evaluate(model, torch.randn(2, 3, 12, 12), ["saliency"], ["quantus:RandomLogit"])


@pytest.mark.parametrize("name", ["Sparseness", "Complexity", "RelevanceMassAccuracy", "AUC"])
def test_what_quantus_writes_into_its_arrays_does_not_reach_ours(name):
    """Sparseness without normalising adds a rounding to the maps, which the next metric would judge."""
    images, maps, masks = torch.randn(2, 3, 8, 8), torch.randn(2, 8, 8), torch.rand(2, 8, 8) > 0.5
    kept = images.clone(), maps.clone(), masks.clone()
    create_metric(f"quantus:{name}", normalise=False)(lively(Residual()).eval(), images, maps, [0, 1], masks=masks)
    assert all(torch.equal(one, two) for one, two in zip((images, maps, masks), kept, strict=True))
