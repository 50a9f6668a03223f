"""The report as a person uses it, in a real browser, from a file."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from explainers.cli.main import main
from report_case import HOSTILE, SEGMENTER, Opened, browser, evaluated, explained

from explainers.data.images import write_image
from explainers.evaluation.measuring.fillings import baseline_of
from explainers.render.style import Style, coloured
from explainers.run.report.report import ReportOptions, make_report


@pytest.fixture(scope="module")
def chromium():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def run(chromium, tmp_path_factory):
    return make_report(explained(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def scored(chromium, tmp_path_factory):
    return make_report(evaluated(tmp_path_factory.mktemp("evaluation")), ReportOptions(single_file=True))


@pytest.fixture
def opened(chromium):
    page = chromium.new_page(viewport={"width": 1200, "height": 800})
    found = Opened(page)
    yield found
    assert found.wrong == []
    page.close()


def names(page):
    return page.locator(".card .name").all_inner_texts()


def test_opens_from_a_file_with_photos_and_maps(opened, run):
    page = opened.go(run)
    page.wait_for_selector(".card canvas.heat")
    assert len(names(page)) == 6
    assert page.locator("#count").inner_text() == "6 images"
    page.wait_for_function("() => [...document.querySelectorAll('.card img')].every(each => each.naturalWidth > 0)")
    drawn = page.evaluate(
        "[...document.querySelectorAll('canvas.heat')].map(each => Math.max(...each.getContext('2d')"
        ".getImageData(0, 0, each.width, each.height).data.filter((_, at) => at % 4 === 3)))"
    )
    assert len(drawn) == 6
    assert min(drawn) > 200, "every map has a strongest place, which is opaque on its canvas"


def test_colours_are_those_of_the_overlays(opened, run):
    """The canvas of a card that is as large as the network's input, against the project's own drawing of the raw map."""
    page = opened.go(run, "#method=saliency")
    page.wait_for_selector(".card canvas.heat")
    drawn = page.locator(".card canvas.heat").first.evaluate(
        "node => [node.width, node.height, ...node.getContext('2d').getImageData(0, 0, node.width, node.height).data]"
    )
    with np.load(run.parents[1] / "maps" / "0.saliency.npz") as saved:
        colour, cover = coloured(saved["map"], Style(opacity=1))
    assert drawn[:2] == [96, 96]
    pixels = np.array(drawn[2:], float).reshape(96, 96, 4)
    np.testing.assert_allclose(pixels[..., 3], cover * 255, atol=3)
    strong = cover > 0.5  # a browser keeps the colours of faint pixels roughly
    assert strong.sum() > 100
    assert np.abs(pixels[..., :3] - colour)[strong].max() <= 8, "a step of the colour map, and of the canvas"


def test_a_name_that_is_a_tag_is_a_name(opened, run, scored):
    page = opened.go(run)
    page.wait_for_selector(".card canvas.heat")
    assert HOSTILE in names(page)
    assert page.locator("img[src='x']").count() == 0
    page.get_by_text(HOSTILE, exact=True).click()
    assert page.locator("#viewer-name").inner_text() == HOSTILE
    page.wait_for_selector(".again pre")
    assert f"'{run.parents[2] / 'in' / HOSTILE}'" in page.locator(".again pre").first.inner_text()


def test_filters(opened, run):
    page = opened.go(run)
    page.wait_for_selector(".card")
    page.locator("#result").select_option("wrong")
    assert names(page) == ["2.png"]
    assert page.locator(".card .wrong").count() == 1
    assert "result=wrong" in page.url
    page.locator("#clear").click()
    assert len(names(page)) == 6
    page.locator("#text").fill("IMG src")
    assert names(page) == [HOSTILE]
    page.locator("#text").fill("")
    predicted = page.locator(".card .said").first.evaluate("node => node.firstChild.textContent")
    page.locator("#class").select_option(predicted)
    assert 1 <= len(names(page)) < 6
    page.locator("#class").select_option("")
    page.locator(".more summary").click()
    page.locator("#score").select_option("disagreement")
    page.locator("#least").fill("99")
    assert page.locator(".empty").inner_text() == "No image is like that."
    page.locator("button.figure[data-result=all]").click()


def test_an_address_holds_what_is_chosen_and_what_is_unknown_is_said(opened, run):
    page = opened.go(run)
    page.wait_for_selector(".card")
    page.locator(".more summary").click()
    sure = [float(each.split()[0]) / 100 for each in page.locator(".card .sure").all_inner_texts()]
    page.locator("#least").fill(f"{(min(sure) + max(sure)) / 2:.4f}")  # of what stands first among the scores
    page.wait_for_function("() => document.querySelectorAll('.card').length < 6")
    count = len(names(page))
    chosen = page.url[page.url.index("#") :]
    opened.go(run, chosen)
    page.wait_for_selector(".card")
    assert (len(names(page)), page.locator("#least").is_visible()) == (count, True)
    assert count > 0
    opened.go(run, "#image=gone.png&class=nobody&sort=nothing-&result=odd&least=1")
    page.wait_for_selector(".card")
    assert len(names(page)) == 6
    assert "gone.png" in page.locator("#lost").inner_text()
    page.locator("#result").select_option("wrong")
    assert not page.locator("#lost").is_visible()


def test_sorts_by_disagreement(opened, run):
    page = opened.go(run)
    page.wait_for_selector(".card")
    page.locator("#sort").select_option("disagreement+")
    shown = [float(text.split()[-1]) for text in page.locator(".card .extra").all_inner_texts()]
    assert shown == sorted(shown, reverse=True)
    assert len(set(shown)) > 1
    page.locator("#sort").select_option("disagreement-")
    shown = [float(text.split()[-1]) for text in page.locator(".card .extra").all_inner_texts()]
    assert shown == sorted(shown)
    page.locator("#sort").select_option("name")
    assert names(page) == sorted(names(page), key=lambda name: (name != HOSTILE, name))


def test_opacity_is_one_for_all(opened, run):
    page = opened.go(run)
    page.wait_for_selector(".card canvas.heat")
    page.locator("#opacity").fill("25")
    opacity = page.locator("canvas.heat").first.evaluate("node => getComputedStyle(node).opacity")
    assert float(opacity) == 0.25


def test_methods_side_by_side(opened, run):
    page = opened.go(run)
    page.locator("#method").select_option("*")
    page.wait_for_selector(".row canvas.heat")
    assert page.locator(".row").first.locator(".caption").all_inner_texts() == ["photo", "grad-cam", "saliency"]


def test_deep_link_and_value_under_the_pointer(opened, run):
    """The number that is shown is the raw map's, to what the page says of its precision."""
    page = opened.go(run, "#image=0.png&method=saliency")
    pane = page.locator(".pane", has=page.get_by_text("saliency", exact=True))
    pane.locator("canvas.heat").wait_for()
    box = pane.locator(".frame").bounding_box()
    places = [(0.25, 0.5), (0.61, 0.37)]
    with np.load(run.parents[1] / "maps" / "0.saliency.npz") as saved:
        raw = saved["map"]
    height, width = raw.shape
    for across, down in places:
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
        page.wait_for_timeout(50)
        shown = float(pane.locator(".value").inner_text())
        column, row = across * width - 0.5, down * height - 0.5
        expected = bilinear(raw, row, column)
        slope = float(np.abs(np.diff(raw, axis=1)).max()) * 0.3  # the pointer stands on whole pixels of the screen
        assert shown == pytest.approx(expected, abs=slope + float(np.ptp(raw)) / 4096 + 5e-4 * abs(expected))
    assert page.locator(".cross:not([hidden])").count() == page.locator(".frame").count(), "in all panes"


def bilinear(raw, row, column):
    top, left = int(row), int(column)
    down, across = row - top, column - left
    square = raw[top : top + 2, left : left + 2]
    return float(np.array([1 - down, down]) @ square @ np.array([1 - across, across]))


def test_zoom_and_pan_are_linked(opened, run):
    page = opened.go(run, "#image=0.png")
    page.wait_for_selector(".pane canvas.heat")
    box = page.locator(".frame").nth(1).bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 60)
    page.mouse.wheel(0, -600)
    page.wait_for_function("() => document.querySelector('.frame .stage').style.transform.includes('scale(')")
    transforms = page.locator(".frame .stage").evaluate_all("nodes => nodes.map(node => node.style.transform)")
    assert len(set(transforms)) == 1
    scale = float(re.search(r"scale\(([\d.]+)\)", transforms[0])[1])
    assert scale > 2
    page.mouse.down()
    page.mouse.move(box["x"] + 10, box["y"] + 20)
    page.mouse.up()
    moved = page.locator(".frame .stage").evaluate_all("nodes => nodes.map(node => node.style.transform)")
    assert len(set(moved)) == 1
    assert moved[0] != transforms[0]
    page.get_by_text("Whole picture").click()
    assert "scale(1)" in page.locator(".frame .stage").first.get_attribute("style")


def test_region_area_and_iou(opened, scored):
    """Thresholds by area outline as much as they say; with a mask there is the intersection over union."""
    page = opened.go(scored)
    page.locator(".card").first.click()
    page.wait_for_selector(".pane canvas.heat")
    page.get_by_label("Threshold by").select_option("area")
    page.locator(".controls .slide", has_text="Region").locator("input").fill("20")
    told = page.locator(".pane .regiontold").nth(1).inner_text()
    area, iou = re.search(r"([\d.]+) % of the area, IoU with the mask ([\d.]+)", told).groups()
    assert float(area) == pytest.approx(20, abs=1)
    assert 0 < float(iou) < 1
    assert page.locator(".frame svg .edge").count() == 2
    assert page.locator(".frame svg .truth").count() == 2


def test_curves_with_the_image_at_a_share(opened, scored):
    page = opened.go(scored)
    page.locator(".card").first.click()
    page.wait_for_selector(".curves svg.chart path")
    assert page.locator(".curves svg.chart > path").count() == 5, "two methods and three controls"
    canvas = page.locator(".curves canvas")
    reads = "node => [...node.getContext('2d').getImageData(0, 0, node.width, node.height).data]"
    share = page.get_by_label("Share of the pixels")
    page.get_by_label("Curve of the score").select_option("deletion")
    share = page.get_by_label("Share of the pixels")
    share.fill("1000")
    gone = np.array(page.locator(".curves canvas").evaluate(reads)).reshape(-1, 4)
    assert len(np.unique(gone[:, :3], axis=0)) == 1, "all of it is the baseline"
    share.fill("0")
    whole = np.array(canvas.evaluate(reads)).reshape(-1, 4)
    assert len(np.unique(whole[:, :3], axis=0)) > 10
    share.fill("300")
    part = np.array(canvas.evaluate(reads)).reshape(-1, 4)
    filled = (part[:, :3] == gone[0, :3]).all(axis=1)
    already = (whole[:, :3] == gone[0, :3]).all(axis=1)
    assert filled.mean() == pytest.approx(0.3 + 0.7 * already.mean(), abs=0.3 * already.mean() + 0.01)
    assert "at 30 %" in page.locator(".saying").inner_text()


def test_the_start_of_an_insertion_is_the_blur_that_was_measured(opened, scored):
    """Up to its edges, where a browser's own blur grows dark."""
    page = opened.go(scored)
    page.locator(".card").first.click()
    drawn = {}
    for share in ("1000", "0"):
        page.get_by_label("Share of the pixels").fill(share)
        reads = "node => [node.height, node.width, ...node.getContext('2d').getImageData(0, 0, node.width, node.height).data]"
        height, width, *values = page.locator(".curves canvas").evaluate(reads)
        drawn[share] = torch.tensor(values, dtype=torch.float64).view(1, height, width, 4).permute(0, 3, 1, 2)[:, :3]
    whole, start = drawn["1000"], drawn["0"]
    assert (start - whole).abs().max() > 0.2 * whole.max(), "strokes are faint"
    off, scale = start - baseline_of(whole, "blur"), whole.max() - whole.min()
    assert off.abs().mean() < 0.03 * scale
    assert max(off[..., 0].mean().abs(), off[..., -1, :].mean().abs()) < 0.02 * scale


@pytest.fixture(scope="module")
def placed(chromium, tmp_path_factory):
    """Reports of a run and an evaluation of a region of a photo that is twice as wide as the network's input."""
    root = tmp_path_factory.mktemp("placed")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 40, 3), np.uint8)
    write_image(root / "in/wide.png", pixels)
    (root / "net.py").write_text(SEGMENTER)
    asked = [str(root / "in"), "--model", f"{root}/net.py:make", "--size", "16x16", "--target", "1", "-q"]
    asked += ["--where", "box:10,5,30,15", "-m", "saliency", "--no-report"]
    scores = ["--metric", "insertion:steps=2,baseline=zero", "--no-figures"]
    for command, more in (("run", []), ("evaluate", scores)):
        assert main([command, *asked, *more, "--out", str(root / command)]) == 0
    return {command: make_report(root / command) for command in ("run", "evaluate")}


@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_the_region_that_is_explained_is_outlined_and_pictures_have_the_photos_shape(opened, placed, command):
    page = opened.go(placed[command], "#image=wide.png")
    page.locator("#viewer canvas.heat").wait_for()
    assert page.locator("#viewer path.boxed").count() == 1
    frame, region = (
        page.locator(f"#viewer .pane:last-child {part}").bounding_box() for part in (".frame", "path.boxed")
    )
    for side, start, share in (("width", "x", 0.5), ("height", "y", 0.5)):
        assert region[side] / frame[side] == pytest.approx(share, abs=0.1)
        assert (region[start] - frame[start]) / frame[side] == pytest.approx(0.25, abs=0.05)
    shown = [frame] if command == "run" else [frame, page.locator(".curvegrid canvas").bounding_box()]
    assert [each["width"] / each["height"] for each in shown] == pytest.approx([2] * len(shown), rel=0.02)


def changed(run, code):
    """A copy of a page beside it, whose data are changed by a line before they are shown."""
    text, count = re.subn(r"(report\.images\.forEach)", lambda found: code + "\n" + found[1], run.read_text(), count=1)
    assert count == 1
    copy = run.parent / "changed.html"
    copy.write_text(text)
    return copy


def test_an_image_that_failed_says_why_once_and_offers_nothing(opened, run):
    """As `test_report.py` has such an image in a page's data."""
    code = (
        'Object.assign(report.images[1], {name: "broken.png", problem: "it is text", notes: "it is text", maps: []});'
    )
    page = opened.go(changed(run, code), "#image=broken.png")
    page.locator("#viewer .banner", has_text="it is text").wait_for()
    assert page.locator("#viewer").inner_text().count("it is text") == 1
    assert page.locator("#viewer .pane, #viewer input").count() == 0
    page.keyboard.press("ArrowLeft")
    page.locator("#viewer canvas.heat").first.wait_for()


def test_two_boxes_of_one_class_have_a_pane_each_with_their_box(opened, run):
    boxes = "[[0.1, 0.2, 0.5, 0.6], [0.5, 0.5, 0.9, 0.7]]"
    code = f'report.images[0].maps.forEach((map, at) => Object.assign(map, {{method: 0, target: "3", boxed: {boxes}[at]}}));'
    page = opened.go(changed(run, code), "#image=0.png")
    page.locator("#viewer canvas.heat").nth(1).wait_for()
    panes = page.locator("#viewer .pane")
    assert panes.locator("b").all_inner_texts() == ["photo", "grad-cam · 3 1", "grad-cam · 3 2"]
    assert [panes.nth(at).locator("path.boxed").count() for at in range(3)] == [2, 1, 1]
    assert panes.nth(2).locator("path.boxed").get_attribute("d") == "M0.5 0.5H0.9V0.7H0.5Z"
    frame, box = panes.nth(2).locator(".frame").bounding_box(), panes.nth(2).locator("path.boxed").bounding_box()
    assert box["x"] - frame["x"] == pytest.approx(0.5 * frame["width"], abs=6)
    assert box["height"] == pytest.approx(0.2 * frame["height"], abs=12)
    assert "of class 3" in panes.nth(1).inner_text()


def test_the_agreement_of_methods_leads_to_its_table(opened, run):
    page = opened.go(run)
    page.wait_for_selector(".card")
    page.locator("a.figure").press("Enter")
    assert page.locator("#part-agreement table").is_visible()
    assert page.evaluate("document.activeElement.id") == "tab-part-agreement"


def test_paper_has_no_controls_and_no_manifest(opened, scored):
    page = opened.go(scored)
    page.wait_for_selector(".card canvas.heat")
    page.locator(".card").first.click()
    page.locator("#viewer .curves canvas").wait_for()
    assert page.locator("#viewer .pair").bounding_box()["height"] < 45, "what the region goes by stands beside it"
    page.emulate_media(media="print")
    shown = page.locator("#viewer button:visible, #viewer input[type=range]:visible, #viewer .pair:visible")
    assert shown.count() == 0
    chips = page.locator("#viewer fieldset .chip:visible")
    assert chips.count() == page.locator("#viewer .pane").count()
    page.emulate_media(media="screen")
    page.locator("#viewer .close").click()
    page.emulate_media(media="print")
    assert page.locator("#part-scores table").first.is_visible()
    assert not page.locator(".manifest").is_visible()


def test_one_file_holds_all(opened, scored, tmp_path):
    alone = tmp_path / "alone.html"
    alone.write_bytes(scored.read_bytes())
    page = opened.go(alone)
    page.wait_for_selector(".card canvas.heat")
    page.wait_for_function("() => [...document.querySelectorAll('.card img')].every(each => each.naturalWidth > 0)")
    assert page.locator(".card img").count() == 4


def test_by_the_keyboard_alone(opened, run):
    page = opened.go(run)
    page.wait_for_selector(".card canvas.heat")
    page.locator("#opacity").focus()
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.card')"):
            break
    assert page.evaluate("document.activeElement.matches('.card')")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector(".pane canvas.heat")
    assert page.locator("#viewer-name").inner_text() == "3.png"
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.getElementById('viewer-name').textContent === '4.png'")
    page.wait_for_selector(".pane canvas.heat")
    page.locator(".frame").nth(1).focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.getElementById('told').textContent.includes('grad-cam')")
    page.keyboard.press("+")
    assert "scale(1.5)" in page.locator(".frame .stage").first.get_attribute("style")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.getElementById('viewer').open")
    page.wait_for_function("() => document.activeElement.querySelector('.name')?.textContent === '4.png'")
    assert "image=" not in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", ["gallery", "viewer", "scores"])
def test_nothing_for_axe_to_say(chromium, scored, scheme, place):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = chromium.new_page(color_scheme=scheme)
    page.goto(scored.resolve().as_uri())
    page.wait_for_selector(".card canvas.heat")
    if place == "viewer":
        page.locator(".card").first.click()
        page.wait_for_selector(".curves canvas")
    if place == "scores":
        page.get_by_role("tab", name="Scores").click()
    found = axe.Axe().run(page)
    page.close()
    assert found.response["violations"] == [], found.generate_report()


def test_narrow_screens_need_no_sideways_scrolling(chromium, run):
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    for hash_ in ("", "#image=0.png", "#method=*"):
        page.goto("about:blank")
        page.goto(run.resolve().as_uri() + hash_)
        page.wait_for_selector("canvas.heat")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


def test_many_images_are_few_nodes(chromium, run, tmp_path):
    """The gallery holds what is near the window, wherever that is, and a jump leaves no hole."""
    page = chromium.new_page(viewport={"width": 1200, "height": 800})
    page.goto("about:blank")
    many = "report.images = Array.from({length: 2000}, (_, at) => ({...report.images[at % 6], name: `${at}.png`}));"
    page.goto(changed(run, many).resolve().as_uri())
    page.wait_for_selector(".card")
    assert page.locator("#count").inner_text() == "2000 images"
    for share in (0.5, 1, 0.1):
        page.evaluate(f"scrollTo(0, {share} * document.documentElement.scrollHeight)")
        for _ in range(200):  # a busy machine takes its time; the page's policy refuses wait_for_function
            page.wait_for_timeout(20)
            at = page.evaluate("document.elementFromPoint(300, 500)?.closest('.item')?.dataset.place")
            if at is not None:
                break
        assert at is not None
        assert page.locator(".item").count() < 120
    page.close()
