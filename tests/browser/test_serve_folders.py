"""Many photographs on the page of `python -m stages serve`, and what interrupts their colouring."""

import zipfile
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.support.ui import WebDriverWait
from serve_program import Program, choose, finished, photograph, stored, wide, written_by_colorize
from small_disk import Disk
from tiny import until

pytest.importorskip("uvicorn", reason="the extra serve is not installed")


def box(folder, photographs):
    """A folder of photographs, in subfolders, and of other files."""
    for number in range(photographs):
        path = folder / f"19{number % 3}0" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph(path, 24, 36, number)
    (folder / "huge.jpg").write_bytes(b"\0" * 2_000_001)
    for name in ("notes.txt", ".hidden.jpg", "1900/Thumbs.db"):
        (folder / name).write_bytes(b"x")
    return folder


def asks_before_it_is_left(browser):
    return browser.run(
        "(() => { const leaving = new Event('beforeunload', { cancelable: true }); "
        "dispatchEvent(leaving); return leaving.defaultPrevented; })()"
    )


def answer(browser, yes):
    alert = browser.driver.switch_to.alert
    text = alert.text
    (alert.accept if yes else alert.dismiss)()
    return text


@pytest.mark.slow
def test_a_whole_folder_is_coloured_and_downloaded(browser, program, tmp_path):
    folder = box(tmp_path / "box", 25)
    assert not asks_before_it_is_left(browser)
    browser.one("#folder").send_keys(str(folder))
    browser.until(lambda: len(browser.all(".photograph")) == 25)
    assert asks_before_it_is_left(browser)
    others, large = [item.text for item in browser.all("#refused li")]
    assert others.endswith(": box/.hidden.jpg, box/1900/Thumbs.db, box/notes.txt.") and "2 MB" in large
    assert large.endswith(": box/huge.jpg.")
    most = 0
    while browser.all(".busy"):
        most = max(most, len(browser.all(".busy progress:not([hidden])")))
    assert 1 <= most <= 4  # three that are uploaded, and one that is just finished
    browser.until(lambda: browser.one("#summary").text == "25 of 25 photographs coloured")
    assert asks_before_it_is_left(browser)

    browser.one("#archive").click()
    (path,) = browser.until(lambda: list((tmp_path / "downloads").glob("*.zip")))
    with zipfile.ZipFile(path) as packed:
        names = [f"box/19{number % 3}0/{number}-coloured.png" for number in range(25)]
        assert sorted(packed.namelist()) == sorted(names) and packed.testzip() is None
        assert packed.read(names[7]) == written_by_colorize(folder / "1910" / "7.png", tmp_path / "out")
    assert not asks_before_it_is_left(browser)

    choose(browser, photograph(tmp_path / "more.png", 24, 24), already=25)
    assert asks_before_it_is_left(browser)
    finished(browser)
    browser.until(lambda: browser.one("#clear").is_displayed())
    browser.one("#clear").click()
    until(lambda: len(stored(program)) == 1)
    browser.one("#choose").send_keys(f"{folder / '1900' / '0.png'}\n{folder / 'notes.txt'}")
    assert "Not coloured" in finished(browser)[2]
    browser.one("#remove").click()
    assert "3 photographs" in answer(browser, yes=False) and len(browser.all(".photograph")) == 3
    browser.one("#remove").click()
    assert "2 coloured ones were not downloaded" in answer(browser, yes=True)
    assert browser.all(".photograph") == []
    until(lambda: stored(program) == [])
    assert not asks_before_it_is_left(browser)


def test_a_folder_can_be_dropped(browser, tmp_path):
    folder = box(tmp_path / "box", 4)
    at = {"x": 200, "y": 300, "data": {"items": [], "files": [str(folder)], "dragOperationsMask": 1}}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.driver.execute_cdp_cmd("Input.dispatchDragEvent", at | {"type": kind})
    browser.until(lambda: len(browser.all(".photograph")) == 4)
    texts = finished(browser)
    names = ["box/1900/0.png", "box/1900/3.png", "box/1910/1.png", "box/1920/2.png"]
    assert [text.splitlines()[0] for text in texts] == names and all("Done" in text for text in texts)
    assert "box/notes.txt" in browser.one("#refused").text and "box/huge.jpg" in browser.one("#refused").text


@pytest.mark.slow
def test_the_page_goes_on_when_the_program_is_started_again(started, results, tmp_path):
    first = Program(results, tmp_path / "scratch")
    wide(started, 1280)
    started.driver.get(first.address)
    paths = [photograph(tmp_path / f"{number}.png", 24, 36, number) for number in range(6)]
    choose(started, *paths[:3])
    finished(started)
    first.end()
    started.one("#choose").send_keys("\n".join(map(str, paths[3:])))
    started.until(lambda: started.one("#lost").is_displayed())
    assert len(started.all(".busy")) == 3 and started.all(".problem:not([hidden])") == []
    second = Program(results, tmp_path / "scratch", urlsplit(first.address).port)
    try:
        WebDriverWait(started.driver, 30).until(lambda _: not started.one("#lost").is_displayed())
        texts = finished(started)
        assert all("started again" in text for text in texts[:3]) and all("Done" in text for text in texts[3:])
        started.all(".again")[0].click()
        texts = finished(started)
        assert "Done" in texts[0] and "started again" in texts[1]
        started.until(lambda: started.one("#again").text == "Try 2 failed again")
        paths[2].unlink()
        started.one("#again").click()
        assert "cannot be read: it was moved" in finished(started)[2]
        started.until(lambda: started.one("#summary").text == "5 of 6 photographs coloured, 1 failed")
    finally:
        second.end()
    third = Program(tmp_path / "results", tmp_path / "scratch", urlsplit(first.address).port)  # without these runs
    try:
        WebDriverWait(started.driver, 30).until(lambda _: started.one("#outdated").is_displayed())
    finally:
        third.end()
        started.driver.get("about:blank")


def test_the_page_waits_for_room_on_a_full_disk(started, results, tmp_path):
    disk = Disk(tmp_path / "disk")
    program = Program(results, disk.path)
    try:
        started.driver.get(program.address)
        choose(started, photograph(tmp_path / "a.png", 24, 36))
        finished(started)
        disk.leave(0)
        started.one("#choose").send_keys(str(photograph(tmp_path / "b.png", 600, 900)))
        started.until(lambda: started.one("#room").is_displayed())
        assert f"{disk.path}" in started.one("#room").text
        disk.remount("size=64m")
        started.all(".remove")[0].click()
        assert "Done: 900 × 600" in finished(started)[0] and not started.one("#room").is_displayed()
    finally:
        program.end()
        disk.unmount()
        started.driver.get("about:blank")


def test_a_hidden_page_goes_on(browser, tmp_path):
    browser.run("(() => { window.setTimeout = () => 0; })()")  # browsers run the timers of hidden pages rarely
    choose(browser, *(photograph(tmp_path / f"{number}.png", 24, 36, number) for number in range(8)))
    assert all("Done" in text for text in finished(browser))
