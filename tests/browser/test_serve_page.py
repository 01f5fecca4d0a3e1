"""`python -m stages serve` in a browser."""

import pytest
from serve_program import NASTY, choose, downloaded, finished, photograph, stored, wide, written_by_colorize
from tiny import until

pytest.importorskip("uvicorn", reason="the extra serve is not installed")


@pytest.mark.slow
def test_a_visit(keras, browser, results, program, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    old, other = photograph(tmp_path / NASTY, 300, 480), photograph(tmp_path / "other.png", 120, 90, 1)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photograph")
    photograph(tmp_path / "large.png", 1200, 1000)
    choose(browser, old, bad, other, tmp_path / "large.png")
    texts = finished(browser)
    assert texts[0].startswith(NASTY) and "Done: 480 × 300 pixels" in texts[0] and browser.all(".name img") == []
    assert "Not coloured: not an image of a known format, or its header is broken." in texts[1]
    assert "Done: 90 × 120 pixels" in texts[2]
    assert "Not coloured: 1000 x 1200 pixels are more than 1 megapixels" in texts[3] and "--max-megapixels" in texts[3]
    browser.until(lambda: browser.one("#summary").text == "2 of 4 photographs coloured, 2 failed")
    browser.one("#failed").click()
    assert [card.is_displayed() for card in browser.all(".photograph")] == [False, True, False, True]
    browser.one("#failed").click()

    card = browser.all(".photograph")[0]
    cut = "getComputedStyle(document.querySelector('.clipped')).clipPath"
    assert browser.run(cut) == "inset(0px 50% 0px 0px)"
    loaded = "[...document.querySelector('.photograph').querySelectorAll('img')].map((e) => e.naturalWidth)"
    browser.until(lambda: browser.run(loaded) == [480, 480])
    slider = card.find_element("css selector", ".slider")
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert browser.run(cut) == "inset(0px 48% 0px 0px)"
    assert slider.get_attribute("aria-valuetext") == "52 % before, the rest after"
    width = card.find_element("css selector", ".stack").size["width"]
    ActionChains(browser.driver).move_to_element(slider).click_and_hold().move_by_offset(width // 4, 9).perform()
    ActionChains(browser.driver).release().perform()
    assert abs(float(slider.get_attribute("value")) - 75) <= 2
    picture = browser.run("document.querySelector('.stack').getBoundingClientRect().toJSON()")
    x, y = picture["x"] + width / 2, picture["y"] + 20
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]), ("touchMove", [{"x": x - width / 8, "y": y}]),
        ("touchMove", [{"x": x - width / 4, "y": y}]), ("touchEnd", []),
    ):  # fmt: skip
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert abs(float(slider.get_attribute("value")) - 25) <= 3

    first = downloaded(browser, card, tmp_path)
    assert first == written_by_colorize(old, tmp_path / "first")
    browser.run("performance.clearResourceTimings()")
    Select(card.find_element("css selector", ".run")).select_by_visible_text("dot_lr1e-3_noembed")
    saturation = card.find_element("css selector", ".saturation")
    saturation.send_keys(*[Keys.ARROW_RIGHT] * 10)
    assert card.find_element("css selector", ".factor").text == "1.5"
    finished(browser)
    moved = (
        "(() => { const card = document.querySelector('.photograph'); "
        "card.querySelector('.saturation').dispatchEvent(new Event('input')); "
        "return card.querySelector('.download').hidden; })()"
    )
    assert browser.run(moved)  # until it has these settings
    finished(browser)
    again = ("--run", results / "dot_lr1e-3_noembed", "--saturation", "1.5")
    second = downloaded(browser, card, tmp_path)
    assert second != first and second == written_by_colorize(old, tmp_path / "second", *again)
    uploads = "performance.getEntriesByType('resource').filter((e) => e.name.includes('photographs?name')).length"
    assert browser.run(uploads) == 0

    card.find_element("css selector", ".all").click()
    finished(browser)
    third = downloaded(browser, browser.all(".photograph")[2], tmp_path)
    assert third == written_by_colorize(other, tmp_path / "second", *again)

    without_a_label = browser.run(
        "[...document.querySelectorAll('input, select, button, a[href]')].filter((e) => !(e.labels?.length || "
        "e.getAttribute('aria-label') || e.textContent.trim())).map((e) => e.outerHTML)"
    )
    assert without_a_label == []
    wide(browser, 360)
    assert browser.run("innerWidth") == 360 and browser.run("document.documentElement.scrollWidth") <= 360
    browser.all(".remove")[1].click()
    assert browser.driver.switch_to.active_element == browser.all(".remove")[1]
    until(lambda: len(stored(program)) == 3)
    browser.driver.get("about:blank")
    until(lambda: stored(program) == [])
    browser.driver.get(program.address)


@pytest.mark.slow
def test_a_photograph_is_viewed_at_100_percent(browser, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    choose(browser, photograph(tmp_path / "a.png", 720, 1320))
    finished(browser)
    for width in (1280, 360):
        wide(browser, width)
        button = browser.one("button.whole")
        button.send_keys(Keys.ENTER)
        browser.until(lambda: browser.one("#whole-note").text == "Guessed colours, 100 %.")
        after, before = browser.all("#whole-pan img")
        assert after.size == {"width": 1320, "height": 720}
        assert browser.run("document.documentElement.scrollWidth") <= width
        place = "[document.getElementById('whole-pan').scrollLeft, document.getElementById('whole-pan').scrollTop]"
        x = browser.run(place)[0]
        assert abs(x - (1320 - browser.one("#whole-pan").size["width"]) / 2) < 20
        browser.press(Keys.ARROW_LEFT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        moved = browser.run(place)[0]
        assert moved > x
        ActionChains(browser.driver).move_to_element(browser.one("#whole-pan")).click_and_hold().move_by_offset(
            20, 0
        ).release().perform()
        assert browser.run(place)[0] == moved - 20
        ActionChains(browser.driver).move_by_offset(30, 0).perform()
        here = browser.run(place)
        assert here[0] == moved - 20
        browser.one("#whole-original").click()
        browser.until(lambda: browser.one("#whole-note").text == "Original, 100 %.")
        assert before.is_displayed() and browser.run(place) == here
        browser.one("#whole-original").click()
        assert not before.is_displayed() and browser.one("#whole-note").text == "Guessed colours, 100 %."
        browser.press(Keys.ESCAPE)
        browser.until(lambda: not browser.one("#whole").is_displayed())
        assert browser.driver.switch_to.active_element == button
    points = browser.run("document.querySelector('button.whole').getBoundingClientRect().toJSON()")
    assert points["width"] > 0
    button.click()
    browser.until(lambda: browser.one("#whole-note").text == "Guessed colours, 100 %.")
    x = browser.run(place)[0]
    for kind, at in (("touchStart", [200]), ("touchMove", [170]), ("touchMove", [100]), ("touchEnd", [])):
        points = [{"x": x, "y": 300} for x in at]
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    browser.until(lambda: browser.run(place)[0] > x + 40)
    browser.one("#whole-close").click()
    assert not browser.one("#whole").is_displayed()


def test_a_photograph_can_be_dropped_anywhere(browser):
    browser.driver.execute_script("""
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array([1, 2])], "dropped.jpg"));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    """)
    (text,) = finished(browser)
    assert text.startswith("dropped.jpg") and "Not coloured: not an image" in text


@pytest.mark.slow
def test_ctrl_c_deletes_all_photographs_and_says_so(program, started, tmp_path):
    started.driver.get(program.address)
    choose(started, photograph(tmp_path / "a.png", 900, 900))
    program.end()
    assert program.process.returncode == 0 and program.lines[-1].startswith("serve: ")
    assert "Traceback" not in "".join(program.lines)
    assert list(program.scratch.iterdir()) == []
    started.until(lambda: started.one("#lost").is_displayed() or started.all(".problem:not([hidden])"))
