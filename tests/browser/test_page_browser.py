"""The page in headless Chromium: what a click, a drag and a key do."""

import json
import time
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import fake_results
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from pipeline.results.page import write_report

MOST_BYTES = 5_000_000
NASTY_PAGE = f"report/{quote(fake_results.NASTY, safe='')}.html"


@pytest.fixture
def browser(started, written):
    """The browser on four runs; afterwards, whatever the test did, there must be no error on its console."""
    started.results = written.results
    yield started
    assert started.errors() == []


def column(browser, number):
    cells = browser.all(f"#main section:last-of-type table.runs tbody:first-of-type tr > :nth-child({number})")
    return [cell.text.split("\n")[0] for cell in cells]


def heading(browser, name):
    (found,) = [b for b in browser.all("section:last-of-type th button") if b.text.split("\xa0")[0] == name]
    return found


def test_a_heading_sorts_numbers_as_numbers_and_nan_last(browser):
    browser.look("index.html")
    assert column(browser, 5) == ["18.00", "12.00", "NaN"]
    button = heading(browser, "RMSE, test")
    button.click()
    assert column(browser, 5) == ["12.00", "18.00", "NaN"]
    assert button.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.ENTER)
    assert column(browser, 5) == ["18.00", "12.00", "NaN"]
    assert button.find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"
    assert len(browser.all("section:last-of-type th[aria-sort]")) == 1
    heading(browser, "run").send_keys(Keys.SPACE)
    assert column(browser, 1) == [fake_results.NASTY, "base_lr1e-1", "base_lr1e-4"]
    baselines = browser.all("section:last-of-type tbody.baselines tr")
    assert [row.text.split("\n")[0].split(" ")[0] for row in baselines[1:3]] == ["gray", "the"]


def test_numbers_are_not_sorted_as_text(browser):
    browser.look("index.html")
    browser.run("document.querySelectorAll('table.runs')[1].tBodies[0].rows[0].cells[4].dataset.value = '9.5'")
    heading(browser, "RMSE, test").click()
    values = browser.run(
        "[...document.querySelectorAll('table.runs')[1].tBodies[0].rows].map((r) => r.cells[4].dataset.value)"
    )
    assert [float(value) for value in values[:2]] == [9.5, 12.0] and values[2] == "nan"


def test_the_slider_follows_keys_and_drag(browser):
    browser.look("report/base_lr1e-4.html#image=000005")
    slider = browser.one("#slider")
    assert browser.driver.switch_to.active_element == slider
    assert browser.clipping() == "inset(0px 50% 0px 0px)"
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert (slider.get_attribute("value"), browser.clipping()) == ("52", "inset(0px 48% 0px 0px)")
    assert slider.get_attribute("aria-valuetext") == "52 % gray, the rest predicted"
    slider.send_keys(Keys.HOME)
    assert browser.clipping() == "inset(0px 100% 0px 0px)"
    width = browser.one(".stack").size["width"]
    # From the middle, wherever the thumb is, to three quarters of the picture.
    ActionChains(browser.driver).move_to_element(slider).click_and_hold().move_by_offset(width // 4, 20).perform()
    assert abs(float(slider.get_attribute("value")) - 75) <= 1
    assert browser.clipping() in [f"inset(0px {cut}% 0px 0px)" for cut in (24, 25, 26)]
    ActionChains(browser.driver).release().perform()
    line, picture = browser.one(".line").rect, browser.one(".stack").rect
    assert abs(line["x"] + line["width"] / 2 - picture["x"] - 0.75 * width) <= 0.02 * width


def test_the_slider_follows_touch(browser):
    browser.look("report/base_lr1e-4.html#image=000005", 360, 740)
    picture = browser.one(".stack").rect
    x, y = picture["x"] + picture["width"] / 2, picture["y"] + picture["height"] / 2
    for kind, points in [
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x - picture["width"] / 8, "y": y}]),
        ("touchMove", [{"x": x - picture["width"] / 4, "y": y}]),
        ("touchEnd", []),
    ]:
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert abs(float(browser.one("#slider").get_attribute("value")) - 25) <= 3


def test_both_pictures_are_those_of_the_image_and_can_be_switched(browser):
    browser.look("report/base_lr1e-4.html#image=000005")
    sources = [
        unquote(browser.one(f"#{side}").get_attribute("src")).split("/results/")[1] for side in ("left", "right")
    ]
    assert sources == ["report/pictures/sample/gray/000005.jpg", "base_lr1e-4/pictures/000005.jpg"]
    assert browser.until(lambda: browser.run("[left, right].every((e) => e.naturalWidth === 224)"))
    browser.press("t")
    assert browser.one("#right").get_attribute("src").endswith("pictures/sample/true/000005.jpg")
    browser.all("input[name=sides]")[2].click()
    assert browser.one("#left").get_attribute("src").endswith("pictures/sample/true/000005.jpg")
    assert [browser.one(f"#{side}-name").text for side in ("left", "right")] == ["true", "predicted"]


def test_keys_lead_to_the_next_image_and_the_address_is_its_link(browser):
    browser.look("report/base_lr1e-4.html")
    tiles = browser.all(".tile")
    assert len(tiles) == 12
    tiles[1].send_keys(Keys.ENTER)
    assert browser.one("#viewer-title").text == "Image 000005"
    browser.press("n")
    browser.press("n")
    browser.press("p")
    assert browser.one("#viewer-title").text == "Image 000007"
    assert browser.driver.current_url.endswith("/report/base_lr1e-4.html#image=000007")
    assert browser.one("#link").get_attribute("href") == browser.driver.current_url
    browser.one("#previous").click()
    browser.one("#previous").click()
    assert not browser.one("#previous").is_enabled() and browser.one("#viewer-title").text == "Image 000003"
    browser.press("p", "n", Keys.ESCAPE)
    assert not browser.one("#viewer").is_displayed()
    assert browser.driver.switch_to.active_element == browser.all(".tile")[1]


def test_a_shared_link_opens_its_image(browser):
    browser.look(f"{NASTY_PAGE}#image=000003")
    assert browser.one("#viewer").is_displayed()
    assert fake_results.NASTY_ID in browser.one("#image-scores").text
    browser.one("#close").click()
    browser.driver.get(f"{browser.results.as_uri()}/{NASTY_PAGE}#image=000009")  # the page is open already
    browser.until(lambda: browser.one("#viewer-title").text == "Image 000009")
    browser.look("report/base_lr1e-4.html#image=000004")
    assert not browser.one("#viewer").is_displayed()
    assert "no test image 000004" in browser.one("#count").text


def test_the_filter_takes_a_range_of_errors_and_an_order(browser):
    browser.look("report/base_lr1e-4.html")
    everything = browser.numbers()
    assert len(everything) == 12 and everything != sorted(everything)
    Select(browser.one("#order")).select_by_value("falling")
    assert browser.numbers() == sorted(everything, reverse=True)
    browser.one("#least").send_keys("5")
    browser.one("#most").send_keys("8.4")
    kept = sorted((value for value in everything if 5 <= value <= 8.4), reverse=True)
    assert browser.numbers() == kept and 0 < len(kept) < 12
    assert browser.one("#count").text == f"{len(kept)} of 12 images"
    browser.all(".tile")[0].click()
    browser.press("n")
    assert f"CIEDE2000 {kept[1]:.2f}" in browser.one("#image-scores").text
    browser.press(Keys.ESCAPE)
    browser.one("#filter button[type=reset]").click()
    browser.until(lambda: browser.numbers() == everything)


def test_a_diverged_run_shows_that_it_has_no_answer(browser):
    browser.look("report/base_lr1e-1.html")
    assert browser.one(".badge").text == "diverged"
    assert [tile.text for tile in browser.all(".tile")] == ["no picture\nNaN"] * 12
    browser.one("#least").send_keys("0")
    assert browser.one("#count").text == "0 of 12 images"
    browser.look("report/base_lr1e-1.html#image=000003")
    assert browser.one("#right-nothing").text == "no picture" and not browser.one("#right").is_displayed()


PAGES = ["index.html", "report/base_lr1e-4.html", NASTY_PAGE, "report/base_lr1e-1.html"]


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("page", [*PAGES, "report/base_lr1e-4.html#image=000005"])
def test_nothing_overflows_sideways(browser, page, width):
    browser.look(page, width)
    browser.run("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
    time.sleep(0.1)
    assert browser.run("innerWidth") == width  # a wider page would widen a phone's
    assert browser.run("document.documentElement.scrollWidth") <= width
    if "#" in page:
        assert browser.run("viewer.scrollWidth <= viewer.clientWidth && viewer.offsetWidth <= innerWidth")


def test_the_chosen_colours_are_remembered(browser):
    browser.look("index.html")
    browser.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    background = "getComputedStyle(document.body).backgroundColor"
    assert browser.run(background) == "rgb(22, 24, 28)"
    Select(browser.one("#theme")).select_by_value("light")
    assert browser.run(background) == "rgb(255, 255, 255)"
    browser.look("report/base_lr1e-4.html")
    assert browser.run(background) == "rgb(255, 255, 255)"
    assert browser.one("#theme").get_attribute("value") == "light"
    Select(browser.one("#theme")).select_by_value("")
    assert browser.run(background) == "rgb(22, 24, 28)"


def test_every_control_has_a_name_and_shows_its_focus(browser):
    for page in PAGES:
        browser.look(page)
        nameless = browser.run(
            "[...document.querySelectorAll('input, select, button, a[href]')].filter((e) => !(e.labels?.length || "
            "e.getAttribute('aria-label') || e.textContent.trim() || e.querySelector('img')?.alt))"
            ".map((e) => e.outerHTML)"
        )
        assert nameless == []
        assert browser.run("[...document.images].filter((e) => !e.hasAttribute('alt')).length") == 0
        browser.press(Keys.TAB)
        assert browser.driver.switch_to.active_element.text == "Skip to the content"
        browser.press(Keys.TAB)
        assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def loaded(browser):
    """Bytes of the files that the page has asked for."""
    asked = set()
    for entry in browser.driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.add(message["params"]["request"]["url"].split("#")[0])
    paths = [Path(unquote(urlsplit(url).path)) for url in asked if url.startswith("file:")]
    assert all(path.is_relative_to(browser.results) for path in paths)
    return sum(path.stat().st_size for path in paths)


@pytest.mark.long
@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_of_25_runs_of_5000_images_loads_5_megabytes(started, large, width):
    started.results = large.results
    for page in (
        "index.html",
        "report/base_lr1e-4_s1.html",
        "report/base_lr1e-4_s1.html#image=009001",
    ):
        started.look(page, width)
        time.sleep(3)
        size = loaded(started)
        print(f"{page} at {width} pixels: {size / 1e6:.2f} MB, {started.run('document.all.length')} elements")
        assert 10_000 < size < MOST_BYTES
        assert started.run("document.all.length") < 6000
        assert started.errors() == []


@pytest.mark.long
def test_the_wall_of_5000_images_grows_as_one_scrolls(started, large):
    started.results = large.results
    started.look("report/base_lr1e-4_s1.html")
    before = len(started.all(".tile"))
    assert 0 < before <= 100
    for _ in range(5):
        started.run("scrollTo(0, document.documentElement.scrollHeight)")
        time.sleep(0.3)
    assert before < len(started.all(".tile")) < 1000
    least, most = 9.0, 9.2
    started.one("#least").send_keys(str(least))
    started.one("#most").send_keys(str(most))
    assert all(least <= value <= most for value in started.numbers())
    # Every tile can be asked for, and the page stays quick with all of them.
    started.one("#filter button[type=reset]").click()
    milliseconds = started.run(
        "(() => { const t = performance.now(); while (!more.hidden) more.click(); "
        "document.body.offsetHeight; return performance.now() - t; })()"
    )
    print(f"all tiles in {milliseconds:.0f} ms")
    assert len(started.all(".tile")) == 5000 and milliseconds < 10_000


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    fake = fake_results.big(tmp_path_factory.mktemp("large"))
    start = time.monotonic()
    write_report(fake.results, fake.pictures)
    print(f"page of 25 runs of 5000 images: {time.monotonic() - start:.1f} s")
    return fake
