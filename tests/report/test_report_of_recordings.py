"""Reports of volumes, signals and clips: what the page holds of them, and how it shows them in a browser."""

from __future__ import annotations

import base64
import json
import re
import zlib
from io import BytesIO

import numpy as np
import pytest
from explainers.cli.main import main
from PIL import Image
from recording_case import AFFINE, BLOBS, LENGTH, LOUD, RATE, SHAPE, clips, network, scan, scans, sounds
from report_case import Opened, browser

from explainers.run.report.report import ReportOptions, make_report

METHODS = ["-m", "grad-cam", "-m", "saliency"]


def run(root, folder, kind, *more):
    out = root / "out"
    command = ["run", str(folder), "--model", f"{network(root)}:{kind}", *METHODS, "--no-report", "-q"]
    assert main([*command, "--out", str(out), *more]) == 0
    return out


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    root = tmp_path_factory.mktemp("volumes")
    return run(root, scans(root), "volume", "--window", "0,1000")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    root = tmp_path_factory.mktemp("scored")
    out = root / "out"
    command = ["evaluate", str(scans(root)), "--masks", str(root / "masks"), "--model", f"{network(root)}:volume"]
    command += [*METHODS, "--metric", "deletion:steps=4,baseline=zero", "--metric", "pointing-game", "--no-figures"]
    assert main([*command, "--window", "0,1000", "-q", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def signal(tmp_path_factory):
    root = tmp_path_factory.mktemp("signal")
    return run(root, sounds(root), "signal")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    root = tmp_path_factory.mktemp("clip")
    return run(root, clips(root), "clip", "--data-kind", "frames")


def held(page):
    """What a page in one file holds: its images, and what its only chunk has of them."""
    text = page.read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data"[^>]*>(.*?)</script>', text, re.S)[1])
    heavy = json.loads(re.search(r'id="maps-0000"[^>]*>(.*?)</script>', text, re.S)[1])
    return data, [heavy[str(index)] for index in range(len(data["images"]))]


def values_of(map_, text):
    """The values that a browser makes of a map's text, here of 16 bits each."""
    count = map_["grid"][0] * map_["grid"][1]
    parts = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).astype(int).reshape(2, count)
    low, high = map_["range"]
    assert map_["bits"] == 16
    return (low + (256 * parts[0] + parts[1]) / 65535 * (high - low)).reshape(map_["grid"])


def picture(uri):
    return np.asarray(Image.open(BytesIO(base64.b64decode(uri.split(",")[1]))).convert("L"), int)


def test_a_volume_is_its_slices_with_the_raw_values_of_the_map(volumes):
    data, heavy = held(make_report(volumes, ReportOptions(single_file=True)))
    assert (data["kind"], [image["name"] for image in data["images"]]) == ("volume", ["a.nii.gz", "b.nii.gz"])
    for image, more, (name, blob) in zip(data["images"], heavy, BLOBS.items(), strict=True):
        assert image["lacking"] == ""
        slices = image["slices"]
        assert [slices[key] for key in ("axis", "at", "of", "along")] == ["z", list(range(8)), 8, 2]
        assert [(each["name"], each["length"]) for each in slices["axes"]] == [("x", 14), ("y", 10), ("z", 8)]
        assert image["input"] == [14, 10]
        assert image["size"][1] / image["size"][0] == pytest.approx(14 * 2 / 10, rel=0.01), "in millimetres"
        for map_, text, method in zip(image["maps"], more["maps"], ("grad-cam", "saliency"), strict=True):
            with np.load(volumes / "maps" / f"{name}.{method}.npz") as saved:
                raw = saved["map"]
            np.testing.assert_allclose(
                values_of(map_, text).reshape(8, 14, 10), raw.transpose(2, 0, 1), atol=float(np.ptp(raw)) / 65000
            )
            assert (map_["slice"], map_["peak"]) == (blob[2], list(blob))
        assert len(more["photos"]) == 8
        for place, uri in enumerate(more["photos"]):
            gray = picture(uri)
            peak = [(at + 0.5) * length / count for at, length, count in zip(blob, gray.shape, SHAPE, strict=False)]
            expected = scan(name)[blob[0], blob[1], place] / 1000 * 255
            assert gray[int(peak[0]), int(peak[1])] == pytest.approx(expected, abs=25), "the window's grays"


def test_a_signal_is_its_curve_with_a_row_of_values(signal):
    data, heavy = held(make_report(signal, ReportOptions(single_file=True)))
    (image,), (more,) = data["images"], heavy
    assert (data["kind"], image["line"], image["input"]) == ("signal", {"length": LENGTH, "rate": RATE}, [1, LENGTH])
    row = values_of(image["maps"][0], more["maps"][0])
    with np.load(signal / "maps" / "s.grad-cam.npz") as saved:
        np.testing.assert_allclose(row[0], saved["map"], atol=float(np.ptp(saved["map"])) / 65000)
    drawn = picture(more["photo"])
    upper = drawn[: len(drawn) // 3]  # the first channel's upper part, where only the loud sample reaches
    column = np.argwhere(upper.min(axis=0) < 128).mean() / drawn.shape[1] * LENGTH - 0.5
    assert column == pytest.approx(LOUD, abs=0.5)


def test_a_clip_is_its_frames(clip):
    data, heavy = held(make_report(clip, ReportOptions(single_file=True)))
    (image,), (more,) = data["images"], heavy
    assert [image["slices"][key] for key in ("axis", "at", "of", "along")] == ["frame", [0, 1, 2], 3, 0]
    assert image["maps"][0]["slice"] == 2
    field = values_of(image["maps"][0], more["maps"][0]).reshape(3, 6, 9)
    assert np.unravel_index(field.argmax(), field.shape) == (2, 4, 7)
    assert picture(more["photos"][2]).max() > 200
    assert picture(more["photos"][0]).max() < 10


def test_a_volume_that_has_changed_or_gone_is_told_and_its_maps_stay(tmp_path):
    out = run(tmp_path, scans(tmp_path), "volume", "--window", "0,1000")
    first, second = (tmp_path / "scans" / f"{name}.nii.gz" for name in "ab")
    first.write_bytes(second.read_bytes())
    second.unlink()
    data, heavy = held(make_report(out, ReportOptions(single_file=True)))
    assert "changed since it was explained" in data["images"][0]["lacking"]
    assert "no longer where it was" in data["images"][1]["lacking"]
    for image, more, blob in zip(data["images"], heavy, BLOBS.values(), strict=True):
        assert "photos" not in more
        assert image["slices"]["at"][image["maps"][0]["slice"]] == blob[2]


def test_an_evaluation_has_masks_and_curves(scored):
    data, heavy = held(make_report(scored, ReportOptions(single_file=True)))
    for image, more, blob in zip(data["images"], heavy, BLOBS.values(), strict=True):
        assert image["masked"]
        bits = np.unpackbits(np.frombuffer(zlib.decompress(base64.b64decode(more["mask"]["data"])), np.uint8))
        found = bits[: 8 * 14 * 10].reshape(8, 14, 10)
        assert np.argwhere(found).tolist() == [[blob[2], blob[0], blob[1]]]
        assert any("deletion" in each for each in more["curves"])
        assert image["maps"][0]["values"][[each["name"] for each in data["scores"]].index("pointing-game")] == 1


def test_the_command_and_python_on_the_page_make_the_same_map(volumes, tmp_path, monkeypatch):
    import shlex

    data, _ = held(make_report(volumes, ReportOptions(single_file=True)))
    command = data["methods"][0]["command"].replace("\0photo\0", shlex.quote(data["images"][0]["path"]))
    monkeypatch.chdir(tmp_path)
    assert main([*shlex.split(command)[1:], "--no-report", "-q", "--out", "again"]) == 0
    path = json.dumps(data["images"][0]["path"])
    scope = {}
    exec(data["methods"][0]["python"].replace("\0photo\0", path), scope)
    with Image.open("map.png") as saved:
        assert saved.size[0] > 100
    with np.load(volumes / "maps" / "a.grad-cam.npz") as first, np.load("again/maps/a.grad-cam.npz") as again:
        np.testing.assert_array_equal(again["map"], first["map"])
        made = scope["explanation"].maps[0].numpy().reshape(first["map"].shape)
        np.testing.assert_allclose(made, first["map"], atol=1e-6 * float(np.ptp(first["map"])))


@pytest.fixture(scope="module")
def chromium():
    with browser() as found:
        yield found


@pytest.fixture
def opened(chromium):
    page = chromium.new_page(viewport={"width": 1200, "height": 800})
    found = Opened(page)
    yield found
    assert found.wrong == []
    page.close()


def test_slices_in_a_browser_by_slider_and_keys(opened, volumes):
    page = opened.go(make_report(volumes), "#image=a.nii.gz")
    page.wait_for_selector(".pane canvas.heat")
    told = page.locator(".slices .told")
    assert told.inner_text() == "z 2 of 0 … 7", "where the map is strongest"
    pane = page.locator(".pane", has=page.get_by_text("saliency", exact=True))
    assert "slice z 2 of 0 … 7 of volume a.nii.gz" in pane.locator("canvas.heat").get_attribute("aria-label")
    box = pane.locator(".frame").bounding_box()
    across, down = (BLOBS["a"][1] + 0.5) / SHAPE[1], (BLOBS["a"][0] + 0.5) / SHAPE[0]

    def value():
        page.mouse.move(box["x"] + 2, box["y"] + 2)
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
        page.wait_for_function("() => [...document.querySelectorAll('.pane .value')].some(each => each.textContent)")
        return float(pane.locator(".value").inner_text())

    with np.load(volumes / "maps" / "a.saliency.npz") as saved:
        raw = saved["map"]
    assert value() == pytest.approx(float(raw[BLOBS["a"]]), rel=0.1)
    before = page.locator(".pane img").first.get_attribute("src")
    page.locator(".slices input").fill("5")
    page.wait_for_function(f"() => document.querySelector('.pane img').getAttribute('src') !== {json.dumps(before)}")
    assert told.inner_text() == "z 5 of 0 … 7"
    assert page.locator(".pane img").first.get_attribute("src").endswith("-05.jpg")
    assert value() == pytest.approx(float(raw[3, 7, 5]), abs=float(raw.max()) * 0.02)
    page.locator(".frame").nth(1).focus()
    page.keyboard.press("PageDown")
    page.wait_for_function("() => document.querySelector('.pane img').getAttribute('src').endsWith('-04.jpg')")
    assert page.evaluate("document.activeElement.matches('.frame')"), "the keys stay where they were"
    page.get_by_text("Strongest slice").click()
    page.wait_for_function("() => document.querySelector('.pane img').getAttribute('src').endsWith('-02.jpg')")


@pytest.mark.parametrize(("axis", "name"), [(0, "x"), (1, "y")])
def test_a_volume_is_seen_along_its_other_axes(opened, volumes, axis, name):
    """Photo and map of the slice through the bright place, whose other two axes stay in their order."""
    page = opened.go(make_report(volumes, ReportOptions(single_file=True)), "#image=a.nii.gz")
    page.wait_for_selector(".pane canvas.heat")
    page.locator(".frame").nth(1).focus()
    page.keyboard.press(str(axis + 1))
    page.wait_for_selector(".pane canvas.photo")
    blob = BLOBS["a"]
    assert page.locator(".slices .told").inner_text() == f"{name} {blob[axis]} of 0 … {SHAPE[axis] - 1}"
    pressed = page.locator(".axes button")
    assert [each.get_attribute("aria-pressed") for each in pressed.all()] == [str(axis == k).lower() for k in range(3)]
    down, across = (other for other in range(3) if other != axis)
    pane = page.locator(".pane", has=page.get_by_text("saliency", exact=True))
    box = pane.locator(".frame").bounding_box()
    assert box["height"] / box["width"] == pytest.approx(
        SHAPE[down] * AFFINE[down, down] / (SHAPE[across] * AFFINE[across, across]), rel=0.05
    )
    x, y = (box[side] * (blob[at] + 0.5) / SHAPE[at] for side, at in (("width", across), ("height", down)))
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.wait_for_function("() => [...document.querySelectorAll('.pane .value')].some(each => each.textContent)")
    with np.load(volumes / "maps" / "a.saliency.npz") as saved:
        assert float(pane.locator(".value").inner_text()) == pytest.approx(float(saved["map"][blob]), rel=0.1)
    brightest = page.evaluate(
        "() => { const c = document.querySelector('.pane canvas.photo'); const d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; let best = 0; for (let at = 0; at < d.length; at += 4) "
        "if (d[at] > d[best]) best = at; best /= 4; "
        "return [Math.floor(best / c.width) / c.height, best % c.width / c.width]; }"
    )
    assert [int(share * SHAPE[at]) for share, at in zip(brightest, (down, across), strict=True)] == pytest.approx(
        [blob[down], blob[across]], abs=1
    )
    page.locator(".axes button", has_text="z").click()
    page.wait_for_selector(".pane img.photo")
    assert page.locator(".slices .told").inner_text() == f"z {blob[2]} of 0 … 7"


def test_a_region_is_of_all_slices(opened, scored):
    page = opened.go(make_report(scored), "#image=a.nii.gz")
    page.wait_for_selector(".pane canvas.heat")
    page.locator(".controls .slide", has_text="Region").locator("input").fill("50")
    told = page.locator(".pane .regiontold").nth(1).inner_text()
    share, iou = re.search(r"([\d.]+) % of the slices, IoU with the mask ([\d.]+)", told).groups()
    assert float(share) == pytest.approx(100 / (14 * 10 * 8), abs=0.06), "one place of all"
    assert float(iou) == 1
    assert page.locator(".frame svg .truth").first.get_attribute("d") != ""
    assert page.locator(".curves svg.chart > path").count() > 2


def test_a_slice_shows_what_is_replaced_along_a_curve(opened, scored):
    report = make_report(scored, ReportOptions(single_file=True))  # of a folder no script may read a picture's pixels
    data, heavy = held(report)
    maps = data["images"][0]["maps"]
    place = next(
        index
        for index, each in enumerate(maps)
        if "grid" in each and data["methods"][each["method"]]["title"] == "saliency"
    )
    values = values_of(maps[place], heavy[0]["maps"][place])
    order = np.argsort(-values.flatten(), kind="stable")

    def gone(share, at):
        found = np.zeros(values.size, bool)
        found[order[: round(share * values.size)]] = True
        return found.reshape(8, -1)[at].mean()

    page = opened.go(report, "#image=a.nii.gz")
    page.wait_for_selector(".pane canvas.heat")
    page.get_by_label("Image by the map of").select_option("saliency")
    strongest = BLOBS["a"][2]
    for share in (0, 0.25, 0.5, 1):
        page.get_by_label("Share of the voxels").fill(str(int(1000 * share)))
        told = page.locator(".curves .saying").inner_text()
        assert float(re.search(r"shown, ([\d.]+) % of it;", told)[1]) == pytest.approx(
            100 * gone(share, strongest), abs=0.6
        )
        assert blue(page) == pytest.approx(gone(share, strongest), abs=0.03)
    page.get_by_label("Share of the voxels").fill("500")
    before = page.locator(".pane img").first.get_attribute("src")
    page.locator(".controls .slices input").fill("7")
    page.wait_for_function("before => document.querySelector('.pane img').getAttribute('src') !== before", arg=before)
    assert blue(page) == pytest.approx(gone(0.5, 7), abs=0.03), "it follows the slice"
    assert gone(0.5, 7) != pytest.approx(gone(0.5, strongest), abs=0.1)
    page.locator(".axes button").nth(0).click()
    page.locator(".pane canvas.photo").first.wait_for()
    for share, part in (("1000", 1), ("0", 0)):  # all of it and nothing, whatever the slice
        page.get_by_label("Share of the voxels").fill(share)
        assert blue(page) == pytest.approx(part, abs=0.01), "it follows the axis"
    boxes = [page.locator(each).first.bounding_box() for each in (".curvegrid canvas", ".frame")]
    size = [each["width"] / each["height"] for each in boxes]
    assert size[0] == pytest.approx(size[1], rel=0.03)


def blue(page):
    """The share of the canvas beside the curves that is not gray."""
    return page.locator(".curves canvas").evaluate("""canvas => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let place = 0; place < data.length; place += 4) count += data[place + 2] > data[place] + 40;
        return count / (data.length / 4);
    }""")


def test_a_signal_says_value_and_time(opened, signal):
    page = opened.go(make_report(signal), "#image=s.wav")
    page.wait_for_selector(".pane canvas.heat")
    pane = page.locator(".pane", has=page.get_by_text("grad-cam", exact=True))
    box = pane.locator(".frame").bounding_box()
    page.mouse.move(box["x"] + (LOUD + 0.5) / LENGTH * box["width"], box["y"] + 20)
    page.wait_for_function("() => [...document.querySelectorAll('.pane .value')].some(each => each.textContent)")
    value, time = re.fullmatch(r"(\S+) at (\S+) s", pane.locator(".value").inner_text()).groups()
    assert float(time) == pytest.approx(LOUD / RATE, abs=1 / RATE)
    with np.load(signal / "maps" / "s.grad-cam.npz") as saved:
        assert float(value) == pytest.approx(float(saved["map"][LOUD]), rel=0.2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["volumes", "scored", "signal"])
def test_nothing_for_axe_to_say_of_slices_and_curves(chromium, request, scheme, kind):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    report = make_report(request.getfixturevalue(kind))
    page = chromium.new_page(color_scheme=scheme)
    page.goto(report.resolve().as_uri())
    page.wait_for_selector(".card canvas.heat")
    page.locator(".card").first.click()
    page.wait_for_selector(".pane canvas.heat")
    found = axe.Axe().run(page)
    page.close()
    assert found.response["violations"] == [], found.generate_report()


def test_slices_fit_a_narrow_screen(chromium, volumes):
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    page.goto(make_report(volumes).resolve().as_uri() + "#image=a.nii.gz")
    page.wait_for_selector(".pane canvas.heat")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.getElementById('viewer').scrollWidth") <= 390
    page.close()
