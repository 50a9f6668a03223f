"""Sheets of one image: its maps, their mean and disagreement, in any format, and what colours stand for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from explainers.cli.main import main
from run_case import embedded, folder, rows

from explainers.data.images import read_image
from explainers.errors import OptionError
from explainers.evaluation.consensus import consensus
from explainers.methods.cam import GradCAM
from explainers.render import Style, overlay
from explainers.run import RunOptions, figure_files, run

METHODS = ["cam", "grad-cam", "saliency"]
NAMES = ["a.png", "sub/b.png", "sub/c.png"]


@pytest.fixture
def sheets(monkeypatch):
    """The cells of all sheets that are written."""
    seen = []
    drawn = figure_files.contact_sheet
    monkeypatch.setattr(figure_files, "contact_sheet", lambda cells, **more: seen.append(cells) or drawn(cells, **more))
    return seen


def maps_of(out, name):
    found = {}
    for row in rows(out):
        if row["file"].rpartition(".")[0] == name:
            with np.load(out / row["map"]) as saved:
                found[row["method"]] = saved["map"]
    return found


def test_a_sheet_has_the_photo_each_method_their_mean_and_where_they_disagree(tmp_path, sheets):
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    run(images, embedded(), METHODS, out, options=RunOptions(compare=True))
    made = sorted(path.relative_to(out).as_posix() for path in (out / "compare").rglob("*.*"))
    assert made == ["compare/a.png", "compare/sub/b.png", "compare/sub/c.png"]
    (line,) = sheets[0]
    assert [caption.split("\n")[0] for caption, *_ in line] == ["a.png", *METHODS, "mean of methods", "disagreement"]
    found, photo = consensus(maps_of(out, "a")), read_image(images / "a.png").pixels
    box = (0, 0, *photo.shape[:2])
    for cell, map_, limits in zip(line[-2:], (found.mean, found.spread), ((0.5, 1), (0, 0.5)), strict=True):
        assert np.array_equal(cell[1], overlay(photo, map_, box=box, style=Style(limits=limits)))
        assert (cell[2].low, cell[2].high) == limits
    for cell, (name, map_) in zip(line[1:4], maps_of(out, "a").items(), strict=True):
        assert cell[0].startswith(name)
        scale = cell[2]
        assert scale.low == pytest.approx(map_.min(), abs=1e-5) if map_.min() >= 0 else scale.low == -scale.high
    listed = json.loads((out / "manifest.json").read_text())["files"]
    assert set(made) <= set(listed)


def test_sheets_are_added_to_a_run_that_is_done_and_go_with_their_images(tmp_path):
    images, out, loaded = folder(tmp_path / "in"), tmp_path / "out", embedded()
    run(images, loaded, METHODS, out)
    assert not (out / "compare").exists()
    again = run(images, loaded, METHODS, out, options=RunOptions(compare=True, contact_sheet=12, figures="svg"))
    assert (again.explained, again.resumed) == (0, 3)
    assert {path.name for path in (out / "compare").rglob("*.*")} == {"a.svg", "b.svg", "c.svg"}
    assert [path.name for path in again.sheets] == ["sheet-001.svg"]
    assert ">disagreement</text>" in (out / "compare/a.svg").read_text()
    assert ">grad-cam</text>" in (out / "sheet-001.svg").read_text()
    (images / "a.png").unlink()
    run(images, loaded, METHODS, out, options=RunOptions(compare=True, figures="pdf"))
    assert {path.name for path in (out / "compare").rglob("*.*")} == {"b.pdf", "c.pdf"}
    assert (out / "compare/sub/b.pdf").read_bytes().startswith(b"%PDF")
    assert not list(out.glob("sheet-*"))


def test_what_shows_nothing_or_is_refused_is_left_out_and_named(tmp_path, monkeypatch, sheets):
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    weigh = GradCAM.weigh
    monkeypatch.setattr(GradCAM, "weigh", staticmethod(lambda *given: 0 * weigh(*given)))
    options = RunOptions(compare=True, skip_unsupported=True)
    run(images, embedded(), [*METHODS, "attention"], out, options=options)
    (line,) = sheets[0]
    assert line[-2][0].split("\n") == [
        "mean of methods",
        "ranks of 2 maps",
        "without grad-cam (constant)",
        "without attention (no map)",
    ]
    own = maps_of(out, "a")
    expected = consensus({name: own[name] for name in ("cam", "saliency")})
    photo = read_image(images / "a.png").pixels
    drawn = overlay(photo, expected.mean, box=(0, 0, *photo.shape[:2]), style=Style(limits=(0.5, 1.0)))
    assert np.array_equal(line[-2][1], drawn)


def test_each_target_has_a_line_and_a_common_scale_the_same_numbers(tmp_path, sheets):
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    options = RunOptions(compare=True, scale="common", top_k=2, contact_sheet=4, outline=0.5)
    run(images, embedded(), ["grad-cam", "saliency"], out, options=options)
    of_images = sheets[1:]
    assert [[len(line) for line in sheet] for sheet in of_images] == [[5, 5]] * 3
    with np.load(out / rows(out)[0]["map"]) as saved:
        assert saved["map"].ndim == 2
    highest = {"grad-cam": -np.inf, "saliency": -np.inf}
    for row in rows(out):
        with np.load(out / row["map"]) as saved:
            end = np.quantile(saved["map"], 0.995, method="higher")  # a map without negative values, but for its peaks
            highest[row["method"]] = max(highest[row["method"]], float(end))
    for place, name in ((1, "grad-cam"), (2, "saliency")):
        scales = {line[place][2] for sheet in of_images for line in sheet}
        assert len(scales) == 1
        (scale,) = scales
        assert scale.high == pytest.approx(highest[name])
        assert (scale.below, scale.above) == (False, True)  # peaks
        assert scale.mark == pytest.approx((scale.low + scale.high) / 2 if scale.low >= 0 else scale.high / 2)


def test_what_cannot_be_drawn_is_refused_before_anything_is_done(tmp_path, capsys):
    for given in ({"maps": False}, {"overlays": False}):
        with pytest.raises(OptionError, match="compare .--compare. is drawn from the saved maps and overlays"):
            RunOptions(compare=True, **given)
    with pytest.raises(OptionError, match="expected png, svg or pdf"):
        RunOptions(figures="gif")
    images, out = folder(tmp_path / "in"), tmp_path / "out"
    argv = [str(images), "--model", "embedded", "--device", "cpu", "--out", str(out), "--no-report", "-q"]
    assert main([*argv, "--outline", "2"]) == 2
    assert "expected a share of the scale" in capsys.readouterr().err
    assert not out.exists()
    assert main([*argv, "-m", "cam", "-m", "saliency", "--compare", "--figures", "svg", "--outline", "0.5"]) == 0
    assert {path.suffix for path in (out / "compare").rglob("*.*")} == {".svg"}
    assert "compared" in capsys.readouterr().out
    assert main([*argv, "-m", "cam", "-m", "saliency", "--outline", "0.4"]) == 2  # overlays would be of two kinds
    assert "differs in options.outline" in capsys.readouterr().err
