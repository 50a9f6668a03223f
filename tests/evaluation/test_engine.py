"""One engine for all explainers: what is shared, what a value may not depend on, and what bad input is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from evaluation_case import CONTROLS, brightness, images, masks, network
from small import Chain, lively
from snapshot import same, snapshot
from torch import nn

import explainers
from explainers import create_metric
from explainers.errors import ImageError, MapError, OptionError, TargetError, UnsupportedError


def every_metric() -> list:
    options = {name: {"reference": "grad-cam"} for name in ("ssim", "spearman", "pearson", "top-k-intersection")}
    options |= {name: {"patch": (2, 5)} for name in ("pid", "patch-insertion", "patch-deletion")}
    return [create_metric(name, **options.get(name, {})) for name in explainers.available_metrics()]


def labels_and_values(result) -> tuple[list, list]:
    rows = sorted(result.rows, key=lambda row: (row["explainer"], row["score"], row["image"]))
    numbers = ("value", "area_error", "probed_error", "probed_size")
    hidden = ("seconds", "curve", "parts", "probability", *numbers)
    labels = [{key: value for key, value in row.items() if key not in hidden} for row in rows]
    return labels, [row[key] for row in rows for key in numbers if key in row]


def test_every_metric_scores_every_explainer_and_control_and_leaves_the_network_as_found():
    model = network()
    model.block.norm1.train()
    before = snapshot(model)
    result = explainers.evaluate(
        model, images(), {"grad-cam": "grad-cam", "mine": brightness}, every_metric(), masks=masks(), labels=[0, 1, 2]
    )
    assert same(snapshot(model), before)
    assert result.explainers == (*CONTROLS, "grad-cam", "mine")
    found = {(row["image"], row["explainer"], row["score"]) for row in result.rows}
    assert len(found) == len(result.rows) == 3 * 5 * len(result.scores)
    assert {row["metric"] for row in result.rows} == set(explainers.available_metrics())
    assert all(row["status"] == "ok" for row in result.rows)


def test_values_do_not_depend_on_the_batch_the_other_metrics_or_the_other_explainers():
    model, given, inside = network(), images(3), masks(3)
    together = explainers.evaluate(
        model, given, ["grad-cam", "saliency"], every_metric(), masks=inside, labels=[0, 1, 2]
    )
    for metric in every_metric():
        if metric.name in ("ssim", "spearman", "pearson", "top-k-intersection"):
            continue  # need the other explainer
        alone = explainers.evaluate(
            model, given, {"saliency": "saliency"}, [metric], masks=inside, labels=[0, 1, 2], batch_size=2
        )
        for score in alone.scores:
            one, all_ = alone.values(score)["saliency"], together.values(score)["saliency"]
            assert one == pytest.approx(all_, rel=1e-4, abs=1e-5, nan_ok=True), score


def test_a_loader_gives_what_a_tensor_gives():
    model, given, labels, inside = network(), images(5), torch.tensor([0, 1, 2, 3, 0]), masks(5)
    metrics = ["deletion", "threshold-deletion", "miou"]
    whole = explainers.evaluate(model, given, ["grad-cam"], metrics, "label", inside, labels=labels)
    batches = [(given[:3], labels[:3], inside[:3]), (given[3:], labels[3:], inside[3:])]
    for source in (
        batches,
        iter(batches),
        torch.utils.data.DataLoader(list(zip(given, labels, inside, strict=True)), 2),
    ):
        found = explainers.evaluate(model, source, ["grad-cam"], metrics, "label")
        assert labels_and_values(found)[0] == labels_and_values(whole)[0]
        assert labels_and_values(found)[1] == pytest.approx(labels_and_values(whole)[1], rel=1e-6, abs=1e-6)  # float32
    named = [{"images": given, "labels": labels, "masks": inside, "targets": labels, "names": list("abcde")}]
    found = explainers.evaluate(model, named, ["grad-cam"], metrics)
    assert {row["image"] for row in found.rows} == set("abcde")
    wanted = whole.values("deletion")["grad-cam"]
    assert list(found.values("deletion")["grad-cam"].values()) == pytest.approx(list(wanted.values()), rel=1e-6)


def test_equal_passes_are_made_once(monkeypatch):
    model, passes = network(), []
    original = explainers.Predictor.run

    def counted(self, count, like, make, take):
        passes.append(count)
        return original(self, count, like, make, take)

    monkeypatch.setattr(explainers.Predictor, "run", counted)

    def spent(*metrics):
        passes.clear()
        explainers.evaluate(model, images(2), {"mine": brightness}, list(metrics), [0, 1])
        return sum(passes)

    steps, chunk, maps = 6, 2, 4 * 2  # one unperturbed pass an image; four explainers with controls
    inner = steps - 1
    insertion, deletion = (create_metric(name, baseline="zero", steps=steps) for name in ("insertion", "deletion"))
    assert spent(deletion) == chunk + chunk + maps * inner  # the baseline's end is shared by all explainers
    assert spent(insertion) == spent(deletion)
    both = chunk + chunk + 2 * maps * inner
    assert spent(insertion, deletion) == both
    shared = [create_metric(name, steps=steps) for name in ("morf", "lerf")]
    shared += [create_metric("id-score", baseline="zero", steps=steps), create_metric("pid", patch=1, steps=steps)]
    assert spent(insertion, deletion, *shared) == both
    assert spent(create_metric("average-drop"), create_metric("increase")) == chunk + maps


def test_controls_are_the_same_wherever_an_image_stands():
    model, given = network(), images(4)
    metric = create_metric("deletion", steps=5)
    forwards = explainers.evaluate(model, given, {"mine": brightness}, [metric], 0)
    backwards = explainers.evaluate(model, given.flip(0), {"mine": brightness}, [metric], 0, batch_size=3)
    other = explainers.evaluate(model, given, {"mine": brightness}, [metric], 0, seed=1)
    for name in CONTROLS:
        one = list(forwards.values("deletion")[name].values())
        assert one == pytest.approx(list(backwards.values("deletion")[name].values())[::-1])
        assert (one == list(other.values("deletion")[name].values())) == (name != "random")


def test_precision_is_that_of_the_passes():
    model, given = network(), images(2)
    exact = explainers.evaluate(model, given, {"mine": brightness}, [create_metric("deletion", steps=6)], 0)
    rough = explainers.evaluate(
        model, given, {"mine": brightness}, [create_metric("deletion", steps=6)], 0, precision="bfloat16"
    )
    one, two = (list(each.values("deletion")["mine"].values()) for each in (exact, rough))
    assert one != two
    assert one == pytest.approx(two, abs=0.02)
    assert rough.facts["precision"] == "bfloat16"


def test_explainers_may_be_names_pairs_objects_and_functions():
    model, given = network(), images(2)
    saliency = explainers.Saliency(model, channels="sum")
    result = explainers.evaluate(
        model, given, [("rise", {"masks": 16}), saliency, brightness, "grad-cam"], ["sparseness"]
    )
    assert result.explainers == (*CONTROLS, "rise", "saliency", "brightness", "grad-cam")
    wanted = create_metric("sparseness")(model, given, saliency(given))
    assert list(result.values("sparseness")["saliency"].values()) == pytest.approx(wanted.tolist(), rel=1e-5)


def test_an_image_that_the_network_answers_with_nan_costs_itself_alone():
    class Fragile(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            scores = self.inner(x)
            return torch.where(x.amax((1, 2, 3))[:, None] > 50, torch.nan, scores)

    given = images(4)
    given[2, 0, 0, 0] = 100
    result = explainers.evaluate(Fragile(), given, {"mine": brightness}, ["sparseness"])
    assert {row["image"] for row in result.failed} == {"2"}
    assert all("NaN" in row["reason"] for row in result.failed)
    assert set(result.values("sparseness")["mine"]) == {"0", "1", "3"}


def test_one_image_has_a_value_and_no_interval():
    result = explainers.evaluate(network(), images(1), {"mine": brightness}, ["deletion"])
    cell = result.summary().cells["mine", "deletion"]
    assert cell.interval is None
    assert cell.chance  # nothing can be told from a control with one image
    assert "a single image has no interval" in str(result)
    assert "interval" not in "".join(replace(result.summary(), images=0).notes()[1:])


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"images": images(2)[:0]}, ImageError, "the batch is empty"),
        ({"images": []}, ImageError, "there are no images to evaluate"),
        ({"images": torch.zeros(2, 3, 12, 13, dtype=torch.uint8)}, ImageError, "expected the network's float input"),
        ({"targets": 4}, TargetError, "target 4 is out of range: the network has classes 0 … 3"),
        ({"targets": [0, 1, 2]}, OptionError, "3 targets for 2 images"),
        ({"targets": [0]}, OptionError, "1 target for 2 images or more"),
        ({"targets": [[0, 1], [1, 2]]}, TargetError, "targets name 2 classes per image; an evaluation watches one"),
        ({"targets": "cat"}, TargetError, "the class names of this network are not known"),
        ({"targets": "label"}, TargetError, "the images have no labels"),
        ({"labels": [0, 9]}, OptionError, "label 9 is out of range"),
        ({"labels": [0.5, 1]}, OptionError, "expected .* class indices"),
        ({"metrics": ["miou"]}, OptionError, "miou needs masks of what a map should show"),
        ({"masks": torch.ones(2, 5, 5)}, MapError, r"masks of shape \(2, 5, 5\)"),
        ({"masks": torch.zeros(2, 12, 13)}, MapError, "the mask of image 0, 1 of the batch has nothing inside"),
        ({"masks": torch.full((2, 12, 13), 7)}, MapError, "masks must be bool, or 0 outside and 1 inside"),
        ({"metrics": []}, OptionError, "no metric given"),
        ({"metrics": ["deletion", "deletion"]}, OptionError, "the metric deletion is asked for twice"),
        ({"metrics": [create_metric("ssim", reference="rise")]}, OptionError, "reference='rise' is not among"),
        ({"explainers": {"random": brightness}}, OptionError, "'random' is the name of a control"),
        ({"explainers": ["cam", "cam"]}, OptionError, "two explainers are called 'cam'"),
        ({"explainers": [3]}, OptionError, "expected a method's name, an explainer, or a callable"),
        ({"explainers": ["gradcam"]}, OptionError, "no method 'gradcam'; did you mean grad-cam"),
        ({"activation": "relu"}, OptionError, "activation='relu'; expected"),
        ({"batch_size": 0}, OptionError, "batch_size=0; expected at least 1"),
    ],
)
def test_bad_input_is_told_what_is_wrong_with_it(change, error, text):
    call = {"images": images(2), "explainers": {"mine": brightness}, "metrics": ["deletion"], **change}
    with pytest.raises(error, match=text):
        explainers.evaluate(network(), **call)


def test_a_refusal_ends_the_evaluation_or_is_noted():
    class Smooth(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.body(x))

    with pytest.raises(UnsupportedError, match="guided-backprop"):
        explainers.evaluate(Smooth(), images(2), ["guided-backprop", "cam"], ["sparseness"])
    result = explainers.evaluate(Smooth(), images(2), ["guided-backprop", "cam"], ["sparseness"], skip_unsupported=True)
    assert list(result.refused) == ["guided-backprop"]
    assert result.explainers == (*CONTROLS, "cam")
    assert "left out guided-backprop: guided-backprop cannot be right on this network" in str(result)


def test_black_boxes_are_scored_by_all_but_what_reads_their_weights():
    def black_box(x):
        return torch.stack([x.mean((1, 2, 3)), -x.mean((1, 2, 3))], 1)

    names = [metric for metric in every_metric() if metric.name != "model-randomisation"]
    chosen = {"grad-cam": brightness}
    result = explainers.evaluate(black_box, images(2), chosen, names, masks=masks(2))
    assert all(row["status"] == "ok" for row in result.rows)
    with pytest.raises(UnsupportedError, match="model-randomisation redraws weights"):
        explainers.evaluate(black_box, images(2), chosen, ["model-randomisation"])


def test_chain_of_another_output_is_scored_with_output():
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = lively(Chain())

        def forward(self, x):
            return {"values": self.inner(x)}

    model, given = Wrapped(), images(2)
    result = explainers.evaluate(
        model, given, ["grad-cam"], [create_metric("deletion", steps=4)], 1, output=lambda y: y["values"]
    )
    plain = explainers.evaluate(model.inner, given, ["grad-cam"], [create_metric("deletion", steps=4)], 1)
    assert result.values("deletion") == plain.values("deletion")
