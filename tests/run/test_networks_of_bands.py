"""A network of thirteen channels on files of thirteen bands, from the file to the map, through every door."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from explainers.cli.main import main
from run_case import rows
from small import Chain, lively

import explainers
from explainers.data.images import read_image
from explainers.models import LoadedModel, Preprocessing
from explainers.run import RunOptions, run

tifffile = pytest.importorskip("tifffile")
FACTORY = """
import torch
from small import Chain, lively

def make():
    torch.manual_seed(0)
    return lively(Chain(13))

def photos():
    torch.manual_seed(0)
    return lively(Chain(3))
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.py").write_text(FACTORY)
    return tmp_path / "net.py"


@pytest.fixture
def scenes(tmp_path):
    """Two files of thirteen 16-bit bands, as reflectances times 10,000 are stored."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for number in range(2):
        values = np.random.default_rng(number).integers(0, 4000, (32, 40, 13)).astype(np.uint16)
        options = {"photometric": "minisblack", "planarconfig": "contig", "compression": "zlib", "metadata": None}
        tifffile.imwrite(folder / f"{number}.tif", values, **options)
    return folder


def thirteen():
    torch.manual_seed(0)
    return lively(Chain(13))


def inputs(scenes, white):
    found = [tifffile.imread(scenes / f"{number}.tif").transpose(2, 0, 1) / white for number in range(2)]
    return torch.from_numpy(np.stack(found)).float()


def loaded(preprocessing):
    network = thirteen()
    return LoadedModel(network, preprocessing, None, "thirteen", None, torch.device("cpu"), "0")


def test_a_run_explains_the_bands_and_shows_the_picture(tmp_path, scenes):
    model = loaded(Preprocessing(channels=13, picture=(4, 3, 2), white=10000.0))
    run(scenes, model, ["grad-cam"], tmp_path / "out", options=RunOptions(contact_sheet=2, opacity=0.0))
    wanted = explainers.create("grad-cam", model.network)(inputs(scenes, 10000))
    for number, row in enumerate(rows(tmp_path / "out")):
        with np.load(tmp_path / "out" / row["map"]) as saved:
            np.testing.assert_allclose(saved["map"], wanted[number], rtol=1e-4, atol=1e-7)
        assert row["reason"] == (
            "13 bands of uint16 were read; the picture shows bands 4, 3, 2 from 0 (black) to 10000 (white); "
            "to the network 1 is 10000"
        )
        picture = read_image(tmp_path / "out" / row["overlay"]).pixels
        values = tifffile.imread(scenes / row["file"])[..., [3, 2, 1]]
        assert np.abs(picture - np.round(values / 10000 * 255)).max() <= 1
    described = json.loads((tmp_path / "out/manifest.json").read_text())["preprocessing"]
    assert (described["channels"], described["picture"], described["white"]) == (13, [4, 3, 2], 10000.0)


def test_overlays_on_a_common_scale_and_sheets_read_the_bands_again(tmp_path, scenes):
    model = loaded(Preprocessing(channels=13, picture=(4, 3, 2)))
    options = RunOptions(scale="common", contact_sheet=2)
    summary = run(scenes, model, ["grad-cam", "saliency"], tmp_path / "out", options=options)
    assert len(summary.sheets) == 1
    assert all((tmp_path / "out" / row["overlay"]).exists() for row in rows(tmp_path / "out"))


def test_an_evaluation_of_the_folder_is_that_of_the_tensor(tmp_path, scenes):
    model = loaded(Preprocessing(channels=13, picture=(4, 3, 2), white=10000.0))
    metrics = ["insertion", "deletion", "pid"]
    metrics = [explainers.create_metric(name, **({"patch": (4, 4)} if name == "pid" else {})) for name in metrics]
    folder = explainers.evaluate(model, scenes, ["grad-cam"], metrics, out=tmp_path / "out")
    tensor = explainers.evaluate(model, inputs(scenes, 10000), ["grad-cam"], metrics)

    def values(result):
        return [row["value"] for row in sorted(result.rows, key=lambda row: (row["image"][0], row["score"]))
                if row["explainer"] == "grad-cam"]  # fmt: skip

    assert values(folder) == pytest.approx(values(tensor), rel=1e-4)
    assert list((tmp_path / "out").glob("figure-extremes-*.png"))


def test_two_files_of_one_picture_and_other_bands_are_two_images(tmp_path, scenes):
    values = tifffile.imread(scenes / "0.tif")
    values[..., 9] += 2000
    tifffile.imwrite(scenes / "1.tif", values, photometric="minisblack", planarconfig="contig", metadata=None)
    model = loaded(Preprocessing(channels=13, picture=(4, 3, 2), white=10000.0))
    made = explainers.evaluate(model, scenes, ["saliency"], ["deletion"])
    found = [row["value"] for row in made.rows if row["explainer"] == "saliency"]
    assert found[0] != found[1]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_notebook_explains_files_and_arrays(scenes):
    prep = Preprocessing(channels=13, picture=(4, 3, 2), white=10000.0)
    network = thirteen()
    wanted = explainers.create("grad-cam", network)(inputs(scenes, 10000))
    from_file = explainers.explain(network, scenes / "0.tif", preprocessing=prep)
    from_array = explainers.explain(network, tifffile.imread(scenes / "0.tif"), preprocessing=prep)
    for made in (from_file, from_array):
        torch.testing.assert_close(made.maps, wanted[:1])
        assert np.array_equal(made.pixels[0], read_image(scenes / "0.tif", picture=(4, 3, 2), white=10000.0).pixels)
    shown = explainers.explain(network, inputs(scenes, 10000), preprocessing=prep).pixels[0]
    channels = inputs(scenes, 10000)[0]
    stretched = (channels - channels.min()) / (channels.max() - channels.min())
    assert np.abs(shown - stretched[[3, 2, 1]].permute(1, 2, 0).numpy() * 255).max() <= 1


def test_the_command_finds_the_channels_of_the_network(scenes, net, tmp_path, capsys):
    model = ["--model", f"{net}:make", "--device", "cpu", "--bands", "4,3,2", "--white", "10000"]
    assert main(["run", str(scenes), *model, "-o", str(tmp_path / "out")]) == 0
    assert "takes 13 channels: the bands of a TIFF file (--channels)" in capsys.readouterr().err
    wanted = explainers.create("grad-cam", thirteen())(inputs(scenes, 10000))
    for number, row in enumerate(rows(tmp_path / "out")):
        with np.load(tmp_path / "out" / row["map"]) as saved:
            np.testing.assert_allclose(saved["map"], wanted[number], rtol=1e-4, atol=1e-7)
    assert main(["evaluate", str(scenes), *model, "-o", str(tmp_path / "eval"), "--no-figures", "-q"]) == 0
    for image in (["--image", str(scenes / "0.tif")], []):
        assert main(["layers", *model, *image, "--json", "-q"]) == 0
        capsys.readouterr()
        main(["doctor", *model, *image, "--json", "-q"])  # its exit code is that of the installation
        assert json.loads(capsys.readouterr().out)["model"]["layer"] == "last"
    assert main(["layers", "--model", f"{net}:make", "--device", "cpu", "--json", "-q"]) == 0
    assert '"second"' in capsys.readouterr().out


def test_the_command_takes_bands_that_are_named(scenes, net, tmp_path):
    """A network of three channels sees the picture, or the values of three bands."""
    model = ["--model", f"{net}:photos", "--device", "cpu", "-q", "--no-overlays"]
    torch.manual_seed(0)
    network = lively(Chain(3))
    for flags, images in (
        (["--bands", "4,3,2", "--white", "4000"], None),
        (["--input-bands", "8,1,13", "--white", "10000"], inputs(scenes, 10000)[:, [7, 0, 12]]),
    ):
        out = tmp_path / flags[0][2:]
        assert main(["run", str(scenes), *model, *flags, "-o", str(out)]) == 0
        if images is None:
            photos = [read_image(scenes / f"{n}.tif", picture=(4, 3, 2), white=4000.0).pixels for n in range(2)]
            images = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2) / 255
        wanted = explainers.create("grad-cam", network)(images)
        for number, row in enumerate(rows(out)):
            with np.load(out / row["map"]) as saved:
                np.testing.assert_allclose(saved["map"], wanted[number], rtol=1e-4, atol=1e-7)


def test_bands_that_nobody_names_are_refused_with_the_ways_out(scenes, net, tmp_path, capsys):
    photos = ["--model", f"{net}:photos", "--device", "cpu", "-q", "--size", "32"]
    assert main(["run", str(scenes), *photos, "-o", str(tmp_path / "out")]) == 2
    assert (
        "0.tif, 1.tif: the file has 13 bands, and which of them make a picture is not known: name them"
        in capsys.readouterr().err
    )
    ten = ["--model", f"{net}:make", "--device", "cpu", "-q", "--channels", "10"]
    assert main(["run", str(scenes), *ten, "-o", str(tmp_path / "ten")]) == 2
    assert "there are 13 bands, and the network takes 10 channels; name those that it takes" in capsys.readouterr().err
    for flags, said in (
        (["--bands", "4,3"], "expected three bands"),
        (["--bands", "b4"], "--bands 'b4'; expected numbers such as 4,3,2"),
        (["--channels", "13", "--gray"], "the network takes one number of channels: --gray says 1, --channels says 13"),
    ):
        assert main(["run", str(scenes), "--model", f"{net}:make", *flags, "-o", str(tmp_path / "no")]) == 2
        assert said in capsys.readouterr().err
