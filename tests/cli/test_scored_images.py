"""Which masks of a training's test images metrics are given."""

from __future__ import annotations

import json
from argparse import Namespace

import numpy as np
import pytest
from explainers.cli.main import main
from explainers.cli.scoring.scored_images import _masks_needed
from training_case import command, images_of

from explainers.data.generated.birds import bird
from explainers.data.images import read_image
from explainers.errors import OptionError

DATA = "birds:size=32,classes=4,train=8,val=4,test=6"


@pytest.mark.parametrize(("chosen", "mask"), [([], "bird"), (["--masks-of", "parts"], "parts")])
def test_masks_are_those_of_the_bird_unless_its_parts_are_asked_for(tmp_path, capsys, chosen, mask):
    run, out = tmp_path / "RUN", tmp_path / "scores"
    assert main(command(run, "--epochs", "1", "-q", network="plain", data=DATA)) == 0
    capsys.readouterr()
    argv = [
        "evaluate",
        str(run),
        "-m",
        "saliency",
        "--metric",
        "pointing-game",
        "--images",
        "4",
        "--no-figures",
        "--json",
    ]
    assert main([*argv, *chosen, "-o", str(out)]) == 0
    printed = capsys.readouterr()
    assert f"; masks: {mask}\n" in printed.err
    assert json.loads(printed.out)["scores"]
    paths = sorted((images_of(out) / "masks").iterdir())
    assert len(paths) == 4
    for path in paths:
        made = bird(int(path.name[:5]), size=32, classes=4)
        assert np.array_equal(read_image(path).pixels[..., 0] > 0, getattr(made, mask).numpy())


def needed(metrics, chosen=None, names=("mask", "box"), masks=None):
    return _masks_needed(Namespace(metric=metrics, masks_of=chosen, masks=masks), names, "cub200-2011:birds")


def test_boxes_serve_metrics_of_boxes_and_no_others():
    assert needed(None) == ""
    assert needed(["maxboxacc"]) == "mask"
    assert needed(["maxboxacc"], "box") == "box"
    assert needed(["maxboxacc", "insertion"], names=("box",)) == "box"
    assert needed(["miou"], masks="FOLDER", names=("box",)) == ""
    for metrics in (["miou"], ["maxboxacc", "miou"]):
        for chosen, names in (("box", ("mask", "box")), (None, ("box",))):
            with pytest.raises(
                OptionError, match=r"^miou needs masks, and a box is none: of cub200-2011:birds there is"
            ):
                needed(metrics, chosen, names)


@pytest.mark.parametrize(
    ("metrics", "chosen", "masks", "text"),
    [
        (["miou"], "parts", None, "--masks-of parts: the masks of cub200-2011:birds are mask, box"),
        (["insertion"], "box", None, "--masks-of box has no use here: no metric needs masks"),
        (["miou"], "mask", "FOLDER", "--masks-of mask has no use here: --masks gives others"),
    ],
)
def test_masks_that_cannot_be_are_refused(metrics, chosen, masks, text):
    with pytest.raises(OptionError, match=text):
        needed(metrics, chosen, masks=masks)


def test_masks_of_a_folder_of_images_are_refused(tmp_path, capsys):
    assert main(["evaluate", str(tmp_path), "--masks-of", "parts", "-o", str(tmp_path / "out")]) == 2
    assert "--images, --only and --masks-of choose among the test images of a training" in capsys.readouterr().err
