"""Methods and metrics of the user's: changed code is another run, and what is defined again is known again."""

from __future__ import annotations

import pytest
import torch
from explainers.cli.main import main
from run_case import embedded, folder
from torch import nn

import explainers
from explainers.core.explainer import Explainer
from explainers.core.registry import METHODS, register
from explainers.errors import OptionError
from explainers.evaluation.measuring.subject import Measured
from explainers.evaluation.metric import METRICS, Metric
from explainers.models.factory import function_from
from explainers.run import run
from explainers.run.report.recipes import recipes_of


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)).eval()


def a_function(factor):
    def bright(images, targets):
        return factor * images.mean(dim=1)

    return {"explainers": {"bright": bright}}


def a_method(factor):
    class Bright(Explainer):
        name, reference = "bright", "an example"

        def compute(self, images, targets):
            return self.scale(images.mean(dim=1)[:, None])

        def scale(self, maps, factor=factor):
            return factor * maps

    return {"explainers": {"bright": Bright(network())}}


def a_metric(factor):
    class Highest(Metric):
        name, better, reference = "highest", "higher", "an example"

        def measure(self, subject):
            yield []
            return [Measured(factor * float(each.max())) for each in subject.maps]

    return {"metrics": [Highest()]}


@pytest.mark.parametrize("own", [a_function, a_method, a_metric])
def test_changed_code_of_a_method_or_metric_is_another_evaluation(tmp_path, own):
    images = torch.randn(2, 3, 8, 8)

    def evaluated(factor, name):
        asked = {"explainers": ["saliency"], "metrics": ["sparseness"], **own(factor)}
        return explainers.evaluate(network(), images, targets=1, out=tmp_path / name, figures=False, **asked)

    first = evaluated(1, "out")
    assert evaluated(1, "out").rows == first.rows
    with pytest.raises(OptionError, match=r"a run that differs in own_code"):
        evaluated(-1, "out")
    plain = explainers.evaluate(
        network(), images, ["saliency"], ["sparseness"], 1, out=tmp_path / "none", figures=False
    )
    assert "own_code" not in (tmp_path / "none/manifest.json").read_text()
    assert plain.rows


def test_a_function_around_an_explainer_is_the_same_one_after_it_was_called(tmp_path):
    images, model = torch.randn(2, 3, 8, 8), network()
    around = [explainers.GradCAM(model), explainers.Saliency(model)]

    def evaluated():
        asked = {"sum": lambda images, targets: sum(each(images, targets) for each in around)}
        return explainers.evaluate(model, images, asked, ["sparseness"], 1, out=tmp_path, figures=False).rows

    first = evaluated()
    assert evaluated() == first
    around[0] = explainers.LayerCAM(model)
    with pytest.raises(OptionError, match=r"differs in own_code\.sum"):
        evaluated()


OWN = """
from explainers.core.explainer import Explainer
from explainers.core.registry import register

@register
class Bright(Explainer):
    name, reference = "bright-of-a-file", "an example"

    def compute(self, images, targets):
        return FACTOR * images.mean(dim=1)[:, None]
"""


@pytest.fixture
def registered():
    tables = (METHODS, METRICS)
    before = [dict(table._things) for table in tables]
    yield
    for table, things in zip(tables, before, strict=True):
        table._things = things


def test_a_file_that_is_run_again_gives_its_method_anew_and_changed_code_is_another_run(tmp_path, registered):
    file, images = tmp_path / "own.py", folder(tmp_path / "photos", ("a.png",))

    def explained(factor):
        file.write_text(OWN.replace("FACTOR", str(factor)))
        made = function_from(f"{file}:Bright")
        assert explainers.method("bright-of-a-file") is made
        return run(images, embedded(), ["bright-of-a-file"], tmp_path / "out")

    explained(1)
    assert explained(1).resumed == 1
    with pytest.raises(OptionError, match=r"a run that differs in own_code"):
        explained(-1)
    facts = {"model": {"spec": "embedded"}, "methods": {"b": {"name": "bright-of-a-file"}, "s": {"name": "saliency"}}}
    assert list(recipes_of(facts, ["b", "s"])) == ["s"]  # no command knows the other one

    class Bright(Explainer):
        name, reference = "bright-of-a-file", "another one"

    with pytest.raises(ValueError, match="two methods are called 'bright-of-a-file'"):
        register(Bright)


MADE = """
import torch
from explainers.evaluation.measuring.subject import Measured
from explainers.evaluation.metric import Metric, register_metric

@register_metric
class Highest(Metric):
    name, better, reference = "highest-of-a-file", "higher", "an example"

    def measure(self, subject):
        yield []
        return [Measured(float(each.max())) for each in subject.maps]

def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
"""


def test_the_command_knows_what_the_file_of_the_network_registers(tmp_path, registered, capsys):
    file, images = tmp_path / "own_net.py", folder(tmp_path / "photos", ("a.png",))
    file.write_text(OWN.replace("FACTOR", "1") + MADE)
    asked = ["--model", f"{file}:make", "--size", "16", "--device", "cpu", "--no-report", "-q"]
    asked += ["-m", "bright-of-a-file", "--out"]
    assert main(["run", str(images), *asked, str(tmp_path / "run"), "--no-overlays"]) == 0
    scored = ["--metric", "highest-of-a-file", "--no-figures", "--no-maps"]
    assert main(["evaluate", str(images), *asked, str(tmp_path / "scores"), *scored]) == 0
    assert "highest-of-a-file" in (tmp_path / "scores/summary.csv").read_text()
    assert main(["run", str(images), *asked, str(tmp_path / "none"), "-m", "bright"]) == 2
    assert "no method 'bright'; did you mean" in capsys.readouterr().err
