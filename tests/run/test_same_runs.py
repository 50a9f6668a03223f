"""What belongs to one run, and what is another: code of networks, gradients, a probe that is equal up to its last digits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from explainers.cli.main import main
from run_case import command, embedded, folder

from explainers.errors import OptionError
from explainers.passes.steady import CHANCE, steadiness
from explainers.run import run
from explainers.storage.run_folder import near

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        y = self.conv(x).ACTIVATION()
        return self.fc(y.mean((2, 3)))

def make():
    torch.manual_seed(0)
    return Net()

class Segmenter(Net):
    def forward(self, x):
        return {"out": self.conv(x).ACTIVATION()}

def segment():
    torch.manual_seed(0)
    return Segmenter()

class Pair(Net):
    def forward(self, x):
        y = self.conv(x).ACTIVATION().mean((2, 3))
        return y, self.fc(y)

def pair():
    torch.manual_seed(0)
    return Pair()

def box():
    net = make().eval()
    return lambda x: net(x).detach()
"""


@pytest.mark.parametrize("kind", ["run", "evaluate"])
@pytest.mark.parametrize("factory", ["make", "box"])
def test_changed_code_of_a_network_is_another_run(tmp_path, capsys, kind, factory):
    images, net = folder(tmp_path / "in"), tmp_path / "net.py"
    model = ["--model", f"{net}:{factory}", "--size", "96x96", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
    net.write_text(NETWORK.replace("ACTIVATION", "relu"))
    assert main(command(kind, images, tmp_path / "out", *model)) == 0
    path = tmp_path / "out" / {"run": "results.csv", "evaluate": "scores.csv"}[kind]
    table = path.read_bytes()
    assert main(command(kind, images, tmp_path / "out", *model)) == 0
    net.write_text(NETWORK.replace("ACTIVATION", "abs"))
    assert main(command(kind, images, tmp_path / "out", *model)) == 2
    said = {"make": "probe.scores.log_norm", "box": "model.sha256"}  # a black box is known by its file
    assert f"holds a run that differs in {said[factory]}" in capsys.readouterr().err
    assert path.read_bytes() == table


@pytest.mark.parametrize(
    ("factory", "asked"), [("segment", ["--target", "1", "--where", "all"]), ("pair", ["--output", "1"])]
)
def test_changed_code_is_seen_of_networks_whose_scores_have_to_be_asked_for(tmp_path, capsys, factory, asked):
    images, net = folder(tmp_path / "in", ("a.png",)), tmp_path / "net.py"
    for kind in ("run", "evaluate"):
        for activation, code in (("relu", 0), ("relu", 0), ("abs", 2)):
            net.write_text(NETWORK.replace("ACTIVATION", activation))
            model = ["--model", f"{net}:{factory}", "--size", "96x96", *asked]
            assert main(command(kind, images, tmp_path / kind, *model)) == code
        assert "differs in probe." in capsys.readouterr().err


UNSTEADY = {
    "dropout": "torch.nn.functional.dropout(y, 0.5, training=True)",
    "noise": "y + torch.randn(1)",
    "state": "y * len(STATE.append(0) or STATE)",
}


@pytest.mark.parametrize("kind", UNSTEADY)
def test_a_network_that_gives_something_else_each_time_is_named(tmp_path, capsys, kind):
    images, net = folder(tmp_path / "in", ("a.png",)), tmp_path / "net.py"
    changed = NETWORK.replace("self.fc(y.mean((2, 3)))", f"self.fc({UNSTEADY[kind].replace('y', 'y.mean((2, 3))', 1)})")
    if kind == "state":
        changed = changed.replace("import torch\n", "import torch\nSTATE = []\n", 1)
    net.write_text(changed.replace("ACTIVATION", "relu"))
    model = ["--model", f"{net}:make", "--size", "96x96"]
    for command_ in ("run", "evaluate"):
        told = command(command_, images, tmp_path / command_, *model)
        assert main([each for each in told if each != "-q"]) == 0
        assert "something else when it sees the same image again" in " ".join(capsys.readouterr().err.split())
    if kind == "state":
        assert main(["doctor", *model]) == 0
        assert "something else when it sees the same" in " ".join(capsys.readouterr().out.split())


def test_a_network_that_repeats_itself_is_not_said_to_move():
    network, image = embedded().network, torch.rand(1, 3, 96, 96)
    assert steadiness(network, image) == ()
    count = iter(range(1, 9))
    assert steadiness(lambda x: {"boxes": x.new_ones(next(count), 4)}, image) == (CHANCE,)  # another number of values


def test_a_gradient_of_other_code_is_another_run(tmp_path):
    class Detached(torch.nn.Module):
        def __init__(self, inner, cut):
            super().__init__()
            self.inner, self.cut = inner, cut

        def forward(self, x):
            return self.inner(0.5 * x + 0.5 * (x.detach() if self.cut else x))

    loaded, images = embedded(), folder(tmp_path / "in", ("a.png",))
    run(images, replace(loaded, network=Detached(loaded.network, False)), ["saliency"], tmp_path / "out")
    with pytest.raises(OptionError, match=r"probe\.gradient\.log_norm"):
        run(images, replace(loaded, network=Detached(loaded.network, True)), ["saliency"], tmp_path / "out")


def test_a_probe_is_equal_up_to_its_last_digits_and_no_further():
    assert near({"a": [1.0, "x"], "b": None}, {"a": [1.0004, "x"], "b": None})
    assert not near({"a": [1.0]}, {"a": [1.002]})
    assert not near({"a": [1.0]}, {"a": [1.0, 1.0]})
