"""What notebooks are given of explanations, comparisons and results."""

from __future__ import annotations

import base64
import io
import json
import re
from html import escape
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from run_case import embedded
from small import Chain, lively

import explainers
from explainers.data.images import read_image
from explainers.data.recordings import Recording
from explainers.data.samples import sample_images
from explainers.evaluation import create_metric
from explainers.evaluation.measuring.curves import Curve
from explainers.explanation import Explanation
from explainers.explanation.widget import lighter
from explainers.render.charts import curve_chart
from explainers.render.report import IMAGES, Packed, unpacked
from explainers.render.report.notebook import LARGEST, WidgetImage, WidgetMap, WidgetVolume, widget
from explainers.render.sheet import figure
from explainers.render.style import limits_of

FILES = [each.path for each in sample_images()[:6]]
TAG = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def shown():
    model = embedded()
    images = torch.stack([model.preprocessing(np.zeros((96, 96, 3), np.uint8) + 40 * k) for k in range(3)])
    result = explainers.evaluate(model, images, ["saliency"], [create_metric("deletion", steps=4)])
    return SimpleNamespace(one=explainers.explain(model, FILES[3], "saliency"), model=model, result=result)


def data_of(html):
    return json.loads(re.search(r"const report = (\{.*\});\n", html)[1])


def maps_of(html):
    """The maps that a widget draws, unpacked."""
    return [
        [unpacked(Packed(*each["grid"], each["bits"], *each["range"], each["data"])) for each in image["maps"]]
        for image in data_of(html)["images"]
    ]


def test_html_png_and_text_stand_beside_each_other(shown):
    found = shown.one._repr_mimebundle_(include=None, exclude=None)
    assert set(found) == {"text/html", "image/png", "text/plain"}
    assert found["image/png"][:4] == b"\x89PNG"
    assert found["text/plain"] == repr(shown.one)
    cleaned = re.sub(r"(?s)<script.*?</script>", "", found["text/html"])
    (picture,) = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"', cleaned)
    assert base64.b64decode(picture)[:2] == b"\xff\xd8", "the picture needs no script"
    assert not re.search(r"(https?:)?//(?!www\.w3\.org/2000/svg)[a-z]+\.", found["text/html"])


def test_the_maps_are_the_explanations(shown):
    html = shown.one._repr_html_()
    (maps,) = maps_of(html)
    raw = shown.one.map()
    np.testing.assert_allclose(maps[0], raw, atol=np.ptp(raw) / (2**12 - 1))
    assert data_of(html)["images"][0]["maps"][0]["limits"] == pytest.approx(limits_of(raw), rel=1e-6)


def test_a_comparison_is_a_figure_and_a_widget_of_the_first_images(shown):
    made = explainers.compare(shown.model, FILES, ["cam", "saliency"])
    assert isinstance(made, Figure)
    found = made._repr_mimebundle_()
    data = data_of(found["text/html"])
    assert len(data["images"]) == IMAGES
    assert data["notes"] == [f"The first {IMAGES} of 6 images are shown."]
    assert [each["title"] for each in data["images"][0]["maps"]] == ["cam", "saliency"]
    assert found["text/html"].count(data["notes"][0]) == 2, "in the widget, and below the picture"


def test_an_image_of_224_pixels_takes_what_the_documentation_says():
    draw = np.random.default_rng(0)
    pixels = np.kron(draw.integers(0, 256, (28, 28, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    network = lively(Chain())
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    made = explainers.explain(network, tensor, "saliency")
    assert made.maps.shape == (1, 224, 224)
    assert 50_000 < len(made._repr_html_()) < 250_000


def test_large_maps_are_averaged_and_too_many_left_out_and_both_are_said():
    draw = np.random.default_rng(0)
    pixels = np.zeros((8, 8, 3), np.uint8)
    values = draw.normal(size=(512, 768)).astype(np.float32)
    image = WidgetImage("a", pixels, maps=[WidgetMap(f"m{number}", values) for number in range(16)])
    html = _widget([image, image])
    data = data_of(html)
    (head,) = data["images"]
    assert head["maps"][0]["grid"] == [171, 256]
    assert head["maps"][0]["note"] == "means of 512 × 768 values"
    assert len(html) < LARGEST + 50_000, "its script, its style and the picture beside the data"
    assert data["notes"][0] == "The first 1 of 2 images are shown."
    assert data["notes"][1].endswith(f"{16 - len(head['maps'])} more maps.")


def test_all_volumes_of_an_output_together_are_bounded():
    """Each alone would be shown; what is left out is said."""
    draw = np.random.default_rng(0)
    values = draw.normal(size=(32, 64, 64)).astype(np.float32)
    volume = Recording(draw.uniform(0, 1, (1, 32, 96, 96)).astype(np.float32))
    images = [WidgetVolume(name, volume, "volume", None, "", [WidgetMap("m", values)]) for name in "abcd"]
    html = widget(images, figure([[("volume", np.zeros((8, 8, 3), np.uint8))]])._repr_png_(), label="")
    shown = len(data_of(html)["images"])
    assert 0 < shown < 4
    assert len(html) < LARGEST + 50_000
    assert data_of(html)["notes"] == [f"The first {shown} of 4 volumes are shown."]


def test_images_are_called_like_their_files(shown):
    found = data_of(explainers.explain(shown.model, FILES[:2], "cam")._repr_html_())
    assert [each["name"] for each in found["images"]] == [each.name for each in FILES[:2]]
    mixed = explainers.explain(shown.model, [FILES[0], read_image(FILES[1]).pixels, FILES[0]], "cam")
    assert mixed.names == (str(FILES[0]), "image 2", str(FILES[0])), "two of one name are told apart"
    tensor = shown.model.preprocessing(np.zeros((96, 96, 3), np.uint8))[None]
    assert data_of(explainers.explain(shown.model, tensor, "cam")._repr_html_())["images"][0]["name"] == "image 1"


def test_a_large_picture_becomes_a_lighter_one():
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    assert lighter(buffer.getvalue(), 1_000_000) == buffer.getvalue()
    made = lighter(buffer.getvalue(), 20_000)
    assert len(made) <= 20_000
    width, height = Image.open(io.BytesIO(made)).size
    assert width / height == pytest.approx(1.5, rel=0.02)
    assert width > 100


def test_curves_of_few_images_fill_their_axis(shown):
    """The band over three images is wider than all probabilities; the axis shows the lines, in the range they can have."""
    figure_ = shown.result.plot("deletion")
    low, high = figure_.axes[0].get_ylim()
    lines = np.concatenate([line.get_ydata() for line in figure_.axes[0].get_lines()])
    assert -0.031 <= low <= lines.min()
    assert lines.max() <= high <= 1.031
    assert high - low <= 2.1 * np.ptp(lines)


def test_an_axis_of_unknown_range_is_no_wider_than_its_lines_twice():
    shares = np.linspace(0, 1, 5)
    mean, low, high = (Curve(shares, values) for values in (4 * shares, shares - 90, shares + 90))
    ends = curve_chart({"a": (mean, low, high)}).axes[0].get_ylim()
    assert ends == pytest.approx((-2, 6))
    flat = Curve(shares, np.full(5, 2.0))
    assert np.ptp(curve_chart({"a": (flat, low, high)}).axes[0].get_ylim()) == pytest.approx(0.2)


def _widget(images, **more):
    return widget(images, figure([[("photo", images[0].pixels)]])._repr_png_(), label=TAG, **more)


def test_names_are_escaped():
    pixels = np.zeros((8, 8, 3), np.uint8)
    html = _widget([WidgetImage(TAG, pixels, said=TAG, maps=[WidgetMap(TAG, np.eye(8, dtype=np.float32), TAG)])])
    assert TAG not in html
    assert html.count("</script") == html.count("<script") == 1


def test_maps_of_one_method_are_told_apart(shown):
    several = explainers.explain(shown.model, FILES[3], "cam", [[3, 8]])
    titles = [each["title"] for each in data_of(several._repr_html_())["images"][0]["maps"]]
    assert [title.split(" 0.")[0] for title in titles] == ["cam · three", "cam · eight"]
    same = [WidgetMap("cam", np.eye(4, dtype=np.float32)) for _ in range(2)]
    made = data_of(_widget([WidgetImage("a", np.zeros((4, 4, 3), np.uint8), maps=same)]))
    assert made["titles"] == ["cam", "cam (2)"]


def test_what_cannot_be_drawn_is_text_with_the_reason(shown):
    layers = explainers.explain(shown.model, FILES[3], "grad-cam", layer=[-1, -2])
    assert isinstance(layers, Explanation)
    found = layers._repr_mimebundle_()
    assert set(found) == {"text/plain"}
    assert "maps of several layers cannot be shown as one picture" in found["text/plain"]


def test_a_result_shows_its_table_and_its_curves(shown):
    found = shown.result._repr_mimebundle_()
    assert set(found) == {"text/html", "image/png", "text/plain"}
    assert found["text/plain"] == str(shown.result)
    html = found["text/html"]
    for name in shown.result.explainers:
        assert re.search(rf"<th[^>]*>(<em>)?{name}", html)
    assert "<em>random</em> (control)" in html
    assert all(f"<li>{escape(note)}</li>" in html for note in shown.result.summary().notes())
    assert '<img src="data:image/jpeg;base64,' in html
