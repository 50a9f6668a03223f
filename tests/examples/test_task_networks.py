"""The small networks of examples/tasks: what they return, that they learn, and how they are scored."""

from __future__ import annotations

import importlib
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from child import ran

FOLDER = Path(__file__).resolve().parent.parent.parent / "examples" / "tasks"
SHAPES = {
    "segment_scenes": ((3, 64, 64), (5, 64, 64)),
    "detect_scenes": ((3, 64, 64), (2, 9, 8, 8)),
    "measure_scenes": ((3, 64, 64), (1,)),
    "embed_scenes": ((3, 64, 64), (24,)),
    "segment_volumes": ((1, 24, 28, 20), (4, 24, 28, 20)),
    "classify_volumes": ((1, 24, 28, 20), (3,)),
    "classify_signals": ((2, 256), (4,)),
}


@pytest.fixture
def task_module(monkeypatch):
    """A module of the folder by its name, as its script sees it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == FOLDER:
            del sys.modules[name]


@pytest.mark.parametrize("name", SHAPES)
def test_networks_return_what_they_say(name, task_module):
    network = task_module(name).make().eval()
    given, wanted = SHAPES[name]
    with torch.no_grad():
        assert network(torch.rand(2, *given)).shape == (2, *wanted)


@pytest.mark.parametrize("name", SHAPES)
def test_networks_learn_a_few_samples_by_heart(name, task_module):
    module, training = task_module(name), task_module("training")
    task = module.TASK
    count = {"segment_volumes": 2, "segment_scenes": 4, "embed_scenes": 4}.get(name, 8)  # few where passes take long
    data = task.data("train", count, 0)
    few = replace(task, batch=count)
    enough = 80 if name.startswith("segment") else 40  # there are many classes, one at each position
    first, last = (
        task.loss(training.fit(few, data, steps=steps, seed=1).train(), *data).item() for steps in (1, enough)
    )
    assert last < 0.35 * first


@pytest.mark.parametrize("name", ["classify_volumes", "classify_signals", "measure_scenes"])
def test_a_class_as_an_object_has_the_map_of_its_index(name, task_module):
    """With the layer that is chosen where none is named, along one, two and three axes."""
    import explainers
    from explainers.targets import ClassScore

    network, inputs = task_module(name).make().eval(), torch.rand(2, *SHAPES[name][0])
    grad_cam = explainers.GradCAM(network)
    torch.testing.assert_close(grad_cam(inputs, targets=ClassScore(0)), grad_cam(inputs, targets=0))
    assert grad_cam.layers == ("body",)


def test_the_same_seed_gives_the_same_network(task_module):
    training, task = task_module("training"), task_module("classify_signals").TASK
    data = task.data("train", 32, 0)
    before = torch.random.get_rng_state()
    one, other, third = (training.fit(task, data, steps=2, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(one[name], third[name]) for name in one)


def test_boxes_come_back_from_what_a_detector_should_say(task_module):
    detect = task_module("detect_scenes")
    boxes = torch.tensor([[3.0, 5, 15, 16], [30, 31, 52, 50]])
    wanted = detect.encoded(boxes, torch.tensor([2, 0]), 64)
    assert wanted[:, 4].sum() == 2
    raw = torch.cat([wanted[:, :2].logit(), wanted[:, 2:4], wanted[:, 4:5] * 20 - 10, torch.zeros(2, 4, 8, 8)], dim=1)
    for label, box in ((2, boxes[0]), (0, boxes[1])):
        anchor, row, column = ((wanted[:, 4] > 0) & (wanted[:, 5] == label)).nonzero()[0]
        raw[anchor, 5 + label, row, column] = 10
        assert (int(row), int(column)) == (int((box[1] + box[3]) / 16), int((box[0] + box[2]) / 16))
    (found,) = detect.detections(raw[None])
    order = found.labels.argsort(descending=True)
    torch.testing.assert_close(found.boxes[order], boxes)
    assert found.labels[order].tolist() == [2, 0]
    assert (found.scores > 0.99).all()
    assert len(found.candidates) == 2 * 8 * 8


def test_guided_backprop_takes_boxes_of_several_images_with_probabilities(task_module):
    """The score of a box's class has no choice and no factor for each image in its graph, which would be refused."""
    import explainers
    from explainers.targets import Box, detections

    detect = task_module("detect_scenes")
    torch.manual_seed(0)
    network, images = detect.make().eval(), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        network.head.bias.view(2, 9)[:, 4] += 5
    found = detections(network, images, output=lambda raw: detect.detections(raw, least=0.1))
    boxes = [Box.of(each, 0) for each in found]
    guided = explainers.GuidedBackprop(network, output=detect.detections)
    maps = guided(images, targets=boxes)
    for row in range(2):
        torch.testing.assert_close(maps[row : row + 1], guided(images[row : row + 1], targets=boxes[row]))
        assert maps[row].max() > maps[row].min()


def test_a_box_of_another_class_than_the_detections_has_that_classs_share_of_its_score(task_module):
    from explainers.targets import Box, Detections

    box = torch.tensor([[0.0, 0, 10, 10]])
    found = Detections(
        box, torch.tensor([0.42]), torch.tensor([1]), torch.tensor([[0.3, 0.7]]), objectness=torch.tensor([0.6])
    )
    assert float(Box((0, 0, 10, 10), 0)(found)) == pytest.approx(0.6 * 0.3)
    assert float(Box((0, 0, 10, 10), 1)(found)) == pytest.approx(0.42)


def found_in(boxes, scores):
    from explainers.targets import Detections

    return Detections(boxes, torch.tensor(scores), torch.zeros(len(boxes), dtype=torch.int64))


def test_average_precision_by_hand(task_module):
    average_precision = task_module("average_precision").average_precision
    box, none = torch.tensor([[0.0, 0, 10, 10]]), torch.zeros(0, 4)
    found = [
        found_in(torch.cat([box, box + 1, box + 50]), [0.9, 0.8, 0.7]),  # right, again, wrong
        found_in(box, [0.6]),  # right
    ]
    # precision at the three true boxes: 1, then 2 of 4, then never
    assert average_precision(found, [box, torch.cat([box, box + 30])]) == pytest.approx((1 + 0.5) / 3)
    assert average_precision([found_in(none, [])], [box]) == 0
    assert math.isnan(average_precision(found, [none, none]))
    assert math.isnan(average_precision([], []))


def test_a_later_better_precision_counts_for_lower_recalls(task_module):
    average_precision = task_module("average_precision").average_precision
    box = torch.tensor([[0.0, 0, 10, 10]])
    found = [found_in(torch.cat([box + 60, box, box + 30]), [0.9, 0.8, 0.7])]
    assert average_precision(found, [torch.cat([box, box + 30])]) == pytest.approx(2 / 3)  # 2 of 3 at both


def test_the_intersection_over_union_by_hand(task_module):
    classes = torch.tensor([[[0, 0], [1, 2]], [[3, 4], [0, 0]]])
    said = torch.tensor([[[0, 1], [1, 2]], [[3, 4], [0, 0]]])
    network = torch.nn.Identity()
    found = task_module("segment_scenes").score(network, torch.eye(5)[said].movedim(-1, 1), classes)
    assert found["IoU ground"] == pytest.approx(3 / 4)
    assert found["IoU disc"] == pytest.approx(1 / 2)
    assert found["mIoU"] == pytest.approx((3 / 4 + 1 / 2 + 3) / 5)


def test_a_script_trains_scores_and_is_a_model_for_the_command(tmp_path):
    script = FOLDER / "classify_signals.py"
    small = ["--samples", "32", "--steps", "3", "--test", "8", "--out", str(tmp_path / "out")]
    done = ran(script, *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "on 8 test samples" in done.stdout
    kept = json.loads((tmp_path / "out" / "score.json").read_text())
    assert set(kept) == {"seed", "accuracy"}

    import explainers

    loaded = explainers.load_model(f"{script}:make", weights=tmp_path / "out" / "weights.safetensors")
    assert loaded.network(torch.zeros(1, 2, 256)).shape == (1, 4)


def test_maps_are_held_against_what_was_planted(task_module):
    explaining = task_module("explaining")
    maps = torch.tensor([[[4.0, 3], [1, 0]], [[0, 0], [0, 5]]])
    truth = torch.tensor([[[True, False], [True, False]], [[True, True], [False, False]]])
    others = torch.tensor([[[False, True], [False, False]], [[False, False], [False, False]]])
    found = explaining.scores_of_maps(maps, explaining.Cases(torch.zeros(2, 1, 2, 2), [0, 0], truth, others))
    assert found[0].tolist() == [1, 0]
    assert found[1].tolist() == [5 / 8, 0]
    assert found[2].tolist() == [0.5, 0.5]  # of the second map's zeros the first is in the mask
    assert found[3, 0] == 3 / 8
    assert math.isnan(found[3, 1])  # there is nothing else
    text = explaining.table({"one": torch.tensor(found)[None].repeat(2, 1, 1).numpy()}, truth)
    assert text.startswith("| method | pointing game | energy | rank | energy, other |")
    assert "| one | 0.50 [" in text
    assert "(0.50 / 0.50)" in text
    assert "2 inputs; what was planted is 50.0% of an input." in text


def test_explaining_a_trained_network_leaves_a_table_and_a_picture(tmp_path, task_module):
    from safetensors.torch import save_file

    module = task_module("classify_signals")
    network = task_module("training").fit(replace(module.TASK, batch=8), module.data("train", 64, 0), steps=20, seed=0)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    script = [FOLDER / "explain_tasks.py", "signals", "--count", "2", "--rows", "1"]
    folders = ["--weights", str(tmp_path), str(tmp_path), "--out", str(tmp_path / "out")]
    done = ran(*script, *folders, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "out" / "table.md").read_text()
    assert table.count("\n| ") == 10  # eight methods and two controls
    assert "2 inputs" in table
    assert (tmp_path / "out" / "maps.png").stat().st_size > 1000
