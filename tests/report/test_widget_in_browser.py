"""The widget of notebooks in a real browser: two on a page, their slider, methods and values, and what scripts add."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from report_case import Opened, browser

from explainers.data.recordings import Recording
from explainers.render.report import WidgetImage, WidgetMap, WidgetVolume, still, widget
from explainers.render.sheet import figure
from explainers.render.style import Style

TAG = "<img src=x onerror=alert(1)>"
SIZE = 24
HEAT = ".panes canvas.heat"


@pytest.fixture(scope="module")
def chromium():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A page with two widgets: of two images by two methods, and of a constant map; with hostile names throughout."""
    draw = np.random.default_rng(3)
    pixels = draw.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    values = draw.normal(size=(SIZE, SIZE)).astype(np.float32)
    first = WidgetImage(TAG, pixels, None, TAG, [WidgetMap(TAG, values, TAG), WidgetMap("ramp", np.abs(values))])
    second = WidgetImage("two", pixels, None, "", [WidgetMap("ramp", values)])
    other = WidgetImage("one", pixels, None, "", [WidgetMap("same", np.ones((SIZE, SIZE), np.float32))])
    picture = figure([[("photo", pixels)]])._repr_png_()
    pieces = [widget([first, second], picture, label=TAG), widget([other], picture, label="other", count=9)]
    text = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Notebook</title><main><h1>Notebook</h1>'
    path = tmp_path_factory.mktemp("widgets") / "page.html"
    path.write_text(text + "".join(f"<div>{piece}</div>" for piece in pieces) + "</main>", encoding="utf-8")
    return SimpleNamespace(path=path, values=values)


@pytest.fixture
def opened(chromium, case):
    page = chromium.new_page(viewport={"width": 1000, "height": 900})
    found = Opened(page)
    found.go(case.path)
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-explainers]')].every(each => each.shadowRoot?.querySelector('canvas.heat'))"
    )
    yield page
    assert found.wrong == []
    page.close()


def hosts(page):
    return page.locator("[data-explainers]").nth(0), page.locator("[data-explainers]").nth(1)


def heat(host):
    return float(host.locator(HEAT).first.evaluate("node => getComputedStyle(node).opacity"))


def test_the_slider_is_of_its_own_widget_alone(opened):
    one, other = hosts(opened)
    assert heat(one) == heat(other) == pytest.approx(Style().opacity)
    one.get_by_label("Opacity").fill("25")
    assert heat(one) == 0.25
    assert heat(other) == pytest.approx(Style().opacity)


def test_methods_and_images_are_chosen(opened):
    one, other = hosts(opened)
    assert one.locator("figcaption b").all_inner_texts() == ["photo", TAG, "ramp"]
    one.locator(".chip", has_text="photo").locator("input").uncheck()
    one.locator(".chip", has_text="disagreement").locator("input").check()
    assert one.locator("figcaption b").all_inner_texts() == [TAG, "ramp", "disagreement"]
    one.get_by_label("Image").select_option("two")
    one.locator("figcaption b", has_text=TAG).wait_for(state="detached")
    assert one.locator("figcaption b").all_inner_texts() == ["ramp"]
    assert other.locator("figcaption b").all_inner_texts() == ["photo", "same"]
    assert "constant: it shows nothing" in other.locator(".widget").inner_text()
    assert "The first 1 of 9 images are shown." in other.locator(".widget").inner_text()


def test_the_value_under_the_pointer_is_the_maps(opened, case):
    one, _ = hosts(opened)
    pane = one.locator(".pane").nth(1)
    box = pane.locator(".frame").bounding_box()
    step = float(np.ptp(case.values)) / (2**16 - 1)
    for row, column in ((3, 17), (20, 5)):
        across, down = (column + 0.5) / SIZE, (row + 0.5) / SIZE
        x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
        opened.mouse.move(x, y)
        told = float(pane.locator(".value").inner_text())
        near = case.values[row - 1 : row + 2, column - 1 : column + 2]
        # A pointer stands on whole pixels of the screen, so that a little of the neighbours' values may be in it.
        assert told == pytest.approx(case.values[row, column], abs=step + 0.02 * float(np.ptp(near)) + 5e-4)


def test_a_volume_is_turned_by_its_slider_and_its_axes(chromium, tmp_path):
    """What is shown is the slice, and the value under the pointer the map's at that place, along each axis."""
    shape, peak = (5, 8, 12), (3, 6, 2)
    draw = np.random.default_rng(0)
    values = draw.uniform(0, 1, shape).astype(np.float32)
    values[peak] = 3
    volume = draw.uniform(0, 100, (1, *shape)).astype(np.float32)
    volume[0, 4] += 400
    picture = figure([[("volume", np.zeros((8, 8, 3), np.uint8))]])._repr_png_()
    shown = WidgetVolume("a", Recording(volume), "volume", (0, 500), TAG, [WidgetMap("ramp", values)])
    path = tmp_path / "volume.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{widget([shown], picture, label='a')}", encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1000, "height": 900})
    found = Opened(page)
    found.go(path)
    page.locator(HEAT).wait_for()
    told, frame = page.locator(".slices .told"), page.locator(".frame").nth(1)

    def at(row, column, height, width):
        box = frame.bounding_box()
        across, down = (column + 0.5) / width, (row + 0.5) / height
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
        return float(page.locator(".pane .value").nth(1).inner_text())

    near = pytest.approx
    assert told.inner_text() == "axis 0 3 of 0 … 4", "where the map is strongest"
    assert at(6, 2, 8, 12) == near(3, abs=0.15)
    before = page.locator(".pane img.photo").first.get_attribute("src")
    page.locator(".slices input").fill("4")
    assert told.inner_text() == "axis 0 4 of 0 … 4"
    assert page.locator(".pane img.photo").first.get_attribute("src") != before
    assert at(1, 9, 8, 12) == near(float(values[4, 1, 9]), abs=0.06)
    page.locator(".axes button").nth(1).click()
    assert told.inner_text() == "axis 1 6 of 0 … 7"
    assert at(3, 2, 5, 12) == near(3, abs=0.15)
    box = frame.bounding_box()
    assert box["width"] / box["height"] == near(12 / 5, rel=0.02)
    frame.focus()
    page.keyboard.press("PageUp")
    assert told.inner_text() == "axis 1 7 of 0 … 7"
    page.keyboard.press("3")
    assert told.inner_text() == "axis 2 2 of 0 … 11"
    assert at(3, 6, 5, 8) == near(3, abs=0.15)
    assert found.wrong == []
    page.close()


def test_the_bar_has_the_numbers_of_the_scale(opened, case):
    one, _ = hosts(opened)
    told = [float(each) for each in one.locator(".pane").nth(1).locator(".barline span").all_inner_texts()]
    bound = np.quantile(np.abs(case.values), 0.995, method="higher")
    assert told == pytest.approx([-bound, 0, bound], rel=1e-3)


def test_a_name_that_is_a_tag_is_a_name(opened):
    assert opened.locator("img[src='x']").count() == 0
    assert opened.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    assert hosts(opened)[0].locator(".who").inner_text() == TAG


def test_without_scripts_there_is_the_picture(chromium, case):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(case.path.as_uri())
    pictures = page.locator("[data-explainers] > img")
    assert pictures.count() == 2
    assert all(pictures.nth(number).bounding_box()["width"] > 100 for number in range(2))
    assert pictures.first.get_attribute("alt") == TAG
    assert page.get_by_text("The first 1 of 9 images are shown.").is_visible()
    context.close()


@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
def test_nothing_for_axe_to_say(chromium, case, ground):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = chromium.new_page()
    page.goto(case.path.as_uri())
    page.wait_for_function(
        "() => document.querySelectorAll('[data-explainers]')[1].shadowRoot?.querySelector('canvas.heat')"
    )
    page.wait_for_function(
        "() => document.querySelectorAll('[data-explainers]')[0].shadowRoot?.querySelector('canvas.heat')"
    )
    page.add_style_tag(content=f"body {{ background: {ground}; color: {'#111' if ground == '#ffffff' else '#ddd'} }}")
    theme = "light" if ground == "#ffffff" else "dark"
    for host in page.locator("[data-explainers]").all():
        host.locator(f".widget[data-theme={theme}]").wait_for()  # it follows the page's text
    found = axe.Axe().run(page)
    page.close()
    assert found.response["violations"] == []


def test_it_follows_jupyterlabs_theme_also_where_it_was_out_of_sight(chromium, case):
    """JupyterLab says its theme by an attribute of the body, and changes colours without a transition."""
    page = chromium.new_page()
    page.goto(case.path.as_uri())
    rules = "body { background: #fff; color: #111 } body[data-jp-theme-light=false] { background: #111; color: #ddd }"
    page.add_style_tag(content=rules + " * { transition: none !important }")
    page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    host = page.locator("[data-explainers]").first
    host.locator(".widget[data-theme=light]").wait_for()
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    host.locator(".widget[data-theme=dark]").wait_for()
    page.evaluate("document.querySelector('main').hidden = true")
    page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    page.wait_for_timeout(100)
    page.evaluate("document.querySelector('main').hidden = false")
    host.locator(".widget[data-theme=light]").wait_for()
    page.close()


def test_a_picture_names_itself():
    made = still(figure([[("photo", np.zeros((4, 4, 3), np.uint8))]])._repr_png_(), '"><b>')
    assert 'alt="&quot;&gt;&lt;b&gt;"' in made
    assert "<b>" not in made
