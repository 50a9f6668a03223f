"""Evaluations of networks of several inputs: every image keeps what it comes with, in every pass of every metric."""

from __future__ import annotations

import pytest
import slow_curves as slow
import torch
from several import ByHand, batch, cases

import explainers
from explainers import create_metric, evaluate
from explainers.errors import OptionError, UnsupportedError

STEPS = 16 * 12


def by_image(result, metric: str, title: str, image: str | None = None) -> list[float]:
    rows = [row for row in result.rows if row["explainer"] == title and row["metric"] == metric]
    return [row["value"] for row in rows if image in (None, row["image"])]


@pytest.mark.parametrize("case", ["shared, right", "late", "film", "captioned", "mapping"])
def test_curves_equal_a_slow_loop_in_which_each_image_keeps_its_inputs(case):
    network, images, which, keywords, call = cases()[case]
    targets = [1, 0, 3]
    given = {"images": images, "targets": torch.tensor(targets)}
    metrics = [create_metric("insertion", steps=STEPS, baseline="zero"), create_metric("deletion", steps=STEPS)]
    result = evaluate(network, [given], ["grad-cam"], metrics, explain=which, forward_kwargs=keywords or None)
    key = which if isinstance(images, dict) else 0
    maps = explainers.GradCAM(network)(images, targets, explain=which, forward_kwargs=keywords).double()
    risen, fallen = by_image(result, "insertion", "grad-cam"), by_image(result, "deletion", "grad-cam")
    assert len(risen) == 3
    for row, target in enumerate(targets):
        hand = ByHand(network, call(row))

        def scores(one, hand=hand):
            returned = hand(one)
            return returned["logits"] if isinstance(returned, dict) else returned

        photo = images[key][row]
        up = slow.curve(scores, torch.zeros_like(photo), photo, maps[row].float(), target)
        down = slow.curve(scores, photo, torch.zeros_like(photo), maps[row].float(), target)
        assert risen[row] == pytest.approx(slow.trapezoid(up), abs=1e-7)
        assert fallen[row] == pytest.approx(slow.trapezoid(down), abs=1e-7)


def test_all_metrics_give_what_each_image_gives_alone_and_functions_of_a_user_get_all_inputs():
    network, images, *_ = cases()["late"]

    def mine(given, targets):
        photo, table = given
        assert len(photo) == len(table) == len(targets) == 1
        return photo.abs().mean(1) * table.sum()

    asked = {"grad-cam": explainers.GradCAM(network), "mine": mine}
    metrics = ["insertion", "pid", "model-randomisation", "infidelity", "max-sensitivity"]
    together = evaluate(network, images, asked, metrics, explain="photo")
    for row in range(3):
        own = {"images": tuple(value[row : row + 1] for value in images), "names": [str(row)]}
        alone = evaluate(network, iter([own]), asked, metrics)
        for title in ("grad-cam", "mine", "center"):
            for metric in metrics:
                found = by_image(together, metric, title, str(row))
                assert found
                assert found == pytest.approx(by_image(alone, metric, title), rel=1e-5, abs=1e-7)


def test_an_evaluation_goes_on_where_the_same_inputs_are_and_not_where_others_are(tmp_path):
    network, images, *_ = cases()["late"]
    first = evaluate(network, [{"images": images}], ["grad-cam"], ["insertion"], out=tmp_path, figures=False)
    again = evaluate(network, [{"images": images}], ["grad-cam"], ["insertion"], out=tmp_path, figures=False)
    assert [row["value"] for row in again.rows] == [row["value"] for row in first.rows]
    other = (images[0], images[1] + 1)
    changed = evaluate(network, [{"images": other}], ["grad-cam"], ["insertion"], out=tmp_path, figures=False)
    assert by_image(changed, "insertion", "grad-cam") != by_image(first, "insertion", "grad-cam")


def test_what_does_not_fit_is_refused(tmp_path):
    network, images, *_ = cases()["shared, left"]
    with pytest.raises(OptionError, match="say which to explain"):
        evaluate(network, [{"images": images}], ["grad-cam"], ["insertion"])
    with pytest.raises(OptionError, match="an evaluation explains one input"):
        evaluate(network, [{"images": images}], ["grad-cam"], ["insertion"], explain="all")
    with pytest.raises(UnsupportedError, match="SharedTrunk takes"):
        evaluate(network, batch()["photo"], ["grad-cam"], ["insertion"])
    pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam import GradCAM

    cam = GradCAM(model=network, target_layers=[network.trunk.last])
    with pytest.raises(OptionError, match="other packages take one input"):
        evaluate(network, [{"images": images}], {"theirs": cam}, ["insertion"], explain=0)


def test_explain_and_compare_show_the_explained_input():
    network, images, *_ = cases()["late"]
    made = explainers.explain(network, images, "grad-cam", [0, 1, 2])
    torch.testing.assert_close(made.maps, explainers.GradCAM(network)(images, [0, 1, 2]), rtol=0, atol=0)
    torch.testing.assert_close(made.scores.double(), network(*images).detach())
    assert len(made.pixels) == 3
    assert made.overlay(2).shape == (16, 12, 3)
    shared, pair, *_ = cases()["shared, right"]
    right = explainers.explain(shared, pair, "rise", masks=20, grid=3, explain="right")
    assert right.standard_error is None or right.standard_error.shape == (3, 16, 12)
    rise = explainers.RISE(shared, masks=20, grid=3)(pair, right.targets, explain="right")
    torch.testing.assert_close(right.maps, rise, rtol=0, atol=0)
    assert explainers.compare(shared, pair, ["grad-cam", "saliency"], explain="left") is not None
    with pytest.raises(OptionError, match="an explanation is of one input"):
        explainers.explain(shared, pair, explain="all")
