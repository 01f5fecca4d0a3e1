"""Colours chosen by hand on the page of `python -m stages serve`, in a browser."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from serve_program import choose, downloaded, finished, photograph, wide, written_by_colorize
from tiny import until

from pipeline.colorize.hints import Hint
from pipeline.images import lab

pytest.importorskip("uvicorn", reason="the extra serve is not installed")

HEIGHT, WIDTH = 480, 640


def opened(browser, tmp_path):
    """Colour a photograph, and open the dialog by its button."""
    from selenium.webdriver.common.keys import Keys

    path = photograph(tmp_path / "old.png", HEIGHT, WIDTH)
    choose(browser, path)
    finished(browser)
    browser.one(".by-hand").send_keys(Keys.ENTER)
    settled(browser)
    return path


def settled(browser):
    """Wait until the preview has all hints."""
    idle = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/preview')).length"
    before = -1
    while before != (before := browser.run(idle)):
        browser.until(lambda: browser.one("#hints-note").text == "")


def said(browser, words):
    browser.until(lambda: words in browser.one("#hints-said").text)


def saved(browser, tmp_path, path, variant=1):
    """Return the hints after saving; check that the download is the variant that `colorize` writes with them."""
    browser.one("#hints-save").click()
    finished(browser)
    browser.one(".hints-file").click()
    file = tmp_path / "downloads" / "old.png.hints.json"
    until(file.exists)
    content = downloaded(browser, browser.one(".photograph"), tmp_path)
    answer = written_by_colorize(path, tmp_path / "out", "--overwrite", "--hints", file, "--variants", variant)
    written = (tmp_path / "out" / f"old.variant-{variant}.png").read_bytes() if variant > 1 else answer
    assert content == written
    (hints,) = json.loads(file.read_text()).values()
    return [Hint(**hint) for hint in hints], content


def there(browser, selector):
    place = browser.run(f"document.querySelector('{selector}').getBoundingClientRect().toJSON()")
    return place["x"] + place["width"] / 2, place["y"] + place["height"] / 2


def touch(browser, *places):
    points = [{"x": x, "y": y} for x, y in places]
    for kind, at in (("touchStart", points[:1]), *(("touchMove", [at]) for at in points[1:]), ("touchEnd", [])):
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})


@pytest.mark.slow
def test_colours_are_corrected_with_the_mouse_in_another_colouring(browser, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    path = opened(browser, tmp_path)
    drawn = "[...document.querySelectorAll('#hints-strip canvas')].map((each) => each.toDataURL())"
    browser.until(lambda: len({*browser.run(drawn)}) == 6)
    third = browser.all("#hints-strip label")[2]
    third.click()
    said(browser, "Colouring 3 is chosen.")
    browser.one("#hints-undo").click()
    said(browser, "Undone; 0 hints, colouring 1.")
    browser.one("#hints-redo").click()
    third.click()
    browser.press(Keys.ARROW_RIGHT)
    said(browser, "Colouring 4 is chosen.")
    browser.one("#hints-undo").click()
    assert browser.one("#hints-strip :checked").accessible_name == "Colouring 3"
    picture = browser.one("#hints-picture")
    ActionChains(browser.driver).move_to_element_with_offset(picture, -100, 50).click().perform()
    browser.until(lambda: len(browser.all("#hints-likely .swatch")) == 8)
    assert [each.text for each in browser.all("#hints-choice h4") if each.is_displayed()] == ["Likely here"]
    likely = browser.all("#hints-likely .swatch")[5]
    likely.click()
    color = likely.get_attribute("value")
    said(browser, color)
    scale = WIDTH / picture.size["width"]
    x, y = WIDTH / 2 - 100 * scale, HEIGHT / 2 + 50 * scale
    ActionChains(browser.driver).move_to_element_with_offset(picture, 150, -80).click().perform()
    assert len(browser.all(".marker")) == 2
    browser.one("#hints-undo").click()
    said(browser, "Undone; 1 hint.")
    browser.one("#hints-redo").click()
    assert len(browser.all(".marker")) == 2
    ActionChains(browser.driver).click(browser.all(".marker")[1]).perform()
    browser.one("#hints-delete").click()
    said(browser, "deleted")
    marker = browser.one(".marker")
    ActionChains(browser.driver).click_and_hold(marker).move_by_offset(30, 0).move_by_offset(10, 0).release().perform()
    said(browser, "Hint 1 moved")
    settled(browser)
    (hint,), content = saved(browser, tmp_path, path, 3)
    assert browser.one(".hinted").text == "Colouring 3 with 1 hint."
    assert abs(hint.x - x - 40 * scale) <= 2 and abs(hint.y - y) <= 2 and hint.color == color
    place = slice(hint.y - 2, hint.y + 3), slice(hint.x - 2, hint.x + 3)
    ab = lab.from_rgb(np.asarray(Image.open(io.BytesIO(content)))[place])[1].mean(axis=(0, 1)) - lab.NEUTRAL
    assert np.linalg.norm(ab - hint.ab) < 0.25 * np.linalg.norm(hint.ab)
    browser.one(".by-hand").click()
    assert browser.one("#hints-strip :checked").accessible_name == "Colouring 3"
    browser.one("#hints-close").click()
    Select(browser.one(".run")).select_by_visible_text("dot_lr1e-3_noembed")
    finished(browser)
    assert "takes no hints" in browser.one(".hinted").text and not browser.one(".by-hand").is_displayed()


@pytest.mark.slow
def test_colours_are_corrected_by_keys_and_by_touch(browser, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    wide(browser, 360)
    path = opened(browser, tmp_path)
    assert browser.run("document.documentElement.scrollWidth") <= 360
    assert browser.driver.switch_to.active_element == browser.one("#hints-picture")
    ActionChains(browser.driver).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT).key_up(Keys.SHIFT).perform()
    browser.press(Keys.ARROW_DOWN, Keys.ENTER)
    said(browser, "Hint 1 added")
    assert browser.driver.switch_to.active_element == browser.one("#hints-choice")
    browser.until(lambda: len(browser.all("#hints-likely .swatch")) == 8)
    browser.press(Keys.TAB, Keys.TAB, Keys.ENTER)
    color = browser.all("#hints-likely .swatch")[1].get_attribute("value")
    said(browser, f"Hint 1 is {color}")
    browser.press(Keys.ESCAPE)
    assert browser.driver.switch_to.active_element == browser.one(".marker")
    browser.press(Keys.ARROW_LEFT, Keys.DELETE)
    assert browser.all(".marker") == []
    for key, label in (("z", "Undone; 1 hint"), ("z", "Undone; 1 hint"), ("y", "Done again; 1 hint")):
        ActionChains(browser.driver).key_down(Keys.CONTROL).send_keys(key).key_up(Keys.CONTROL).perform()
        said(browser, label)
    scale = WIDTH / browser.one("#hints-picture").size["width"]
    place = browser.run("[...document.querySelector('.marker').ariaLabel.matchAll(/\\d+/g)].slice(-2).map(Number)")
    assert place == [round(round(WIDTH / 2 + 10 * scale) - scale), round(HEIGHT / 2 + scale)]

    x, y = there(browser, "#hints-picture")
    touch(browser, (x - 60, y - 40))
    said(browser, "Hint 2 added")
    x, y = there(browser, ".marker:nth-child(2)")
    touch(browser, (x, y), (x + 5, y), (x + 25, y + 10))
    said(browser, "Hint 2 moved")
    moved = there(browser, ".marker:nth-child(2)")
    assert abs(moved[0] - x - 25) <= 1 and abs(moved[1] - y - 10) <= 1
    settled(browser)
    browser.press(Keys.ESCAPE)  # leaves the choice, if it has the focus
    if browser.one("#hints").is_displayed():
        browser.press(Keys.ESCAPE)
    assert "not saved" in browser.one(".hinted").text
    browser.one(".by-hand").send_keys(Keys.ENTER)
    assert len(browser.all(".marker")) == 2
    settled(browser)
    hints, _ = saved(browser, tmp_path, path)
    assert len(hints) == 2 and hints[0].color == color and browser.one(".hinted").text == "Coloured with 2 hints."

    (tmp_path / "bad.json").write_text('[{"x": 1}]')
    (tmp_path / "good.json").write_text('{"old.png": [{"x": 1, "y": 2, "color": "#AA0000", "radius": 4}]}')
    browser.one(".by-hand").send_keys(Keys.ENTER)
    browser.one("#hints-file").send_keys(str(tmp_path / "bad.json"))
    said(browser, "Not opened: the file of hints: hint 1: expected")
    assert all("409" in error for error in browser.errors())
    browser.one("#hints-file").send_keys(str(tmp_path / "good.json"))
    said(browser, "1 hint opened")
    settled(browser)
    (tmp_path / "downloads" / "old.png.hints.json").unlink()
    hints, _ = saved(browser, tmp_path, path)
    assert hints == [Hint(1, 2, "#aa0000", 4.0)]
