"""The queue: what is coloured when, and when photographs are deleted."""

import threading
import time

import pytest
from served import OTHER_PAGE, PAGE, opened
from tiny import until


def test_a_photograph_is_coloured_again_without_another_upload(site):
    (key,) = site.keys(b"grain")
    site.settled(key)
    assert site.colour(key, 1, 2.0)[0] == 204
    site.settled(key)
    assert site.result(key)[2] == b"grain by wild, 2"
    assert site.ask("GET", f"/photographs/{key}/result/1")[0] == 404
    assert len(site.files()) == 4  # the photograph, before, the newest result and its reduced picture
    site.colour(key, 1, 2.0)
    assert site.settled(key)[0]["result"]["number"] == 2 and len(site.painter.jobs) == 2


def test_of_several_changes_the_last_one_counts(site):
    site.painter.go.clear()
    key, other = site.keys(b"grain", b"other")
    until(lambda: site.states(key)[0]["state"] == "working")
    assert site.states(other)[0]["ahead"] == 1
    for saturation in (0.1, 0.2, 0.3):
        site.colour(key, 0, saturation)
    site.painter.go.set()
    site.settled(key, other)
    assert site.result(key)[2] == b"grain by plain, 0.3"
    assert [job.saturation for job in site.painter.jobs] == [1.0, 1.0, 0.3]


def test_a_failed_photograph_can_be_coloured_with_other_settings(site):
    (key,) = site.keys(b"bad")
    site.settled(key)
    (site.folder / key / "photograph").write_bytes(b"good")
    site.colour(key, 1, 1.0)
    assert site.settled(key)[0]["state"] == "done"


def test_closing_the_page_deletes_its_photographs(site):
    first, second = site.keys(b"one", b"two")
    site.settled(first, second)
    assert site.end(first, "nobody")[0] == 204
    assert [path.name for path in site.folder.iterdir()] == [second]
    site.painter.go.clear()
    site.colour(second, 1, 1.0)
    until(lambda: site.states(second)[0]["state"] == "working")
    site.end(second)
    site.painter.go.set()
    until(lambda: not list(site.folder.iterdir()))


def test_all_photographs_of_a_page_are_removed_and_no_others(site):
    site.painter.go.clear()
    site.keys(b"one", b"two")
    (other,) = site.keys(b"three", page=OTHER_PAGE)
    until(lambda: site.states()[0]["state"] == "working")
    assert site.ask("POST", f"/end?page={PAGE}")[0] == 204 and site.states() == []
    site.painter.go.set()
    until(lambda: [path.name for path in site.folder.iterdir()] == [other])


def test_photographs_that_no_page_asks_for_are_deleted(tmp_path):
    with opened(tmp_path, seconds=0.6) as site:
        (kept,), (expired,) = site.keys(b"one"), site.keys(b"two", page=OTHER_PAGE)
        for _ in range(10):
            assert site.states(kept)
            time.sleep(0.1)
        assert [path.name for path in site.folder.iterdir()] == [kept]
        assert site.states(expired, page=OTHER_PAGE) == []


def test_a_photograph_and_its_result_are_shown_whole_and_made_once(site):
    (key,) = site.keys(b"grain")
    site.settled(key)
    for number, content in ((0, b"whole grain"), (1, b"whole grain by plain, 1"), (1, b"whole grain by plain, 1")):
        status, headers, body = site.ask("GET", f"/photographs/{key}/whole/{number}")
        assert (status, headers["content-type"], body) == (200, "image/jpeg", content)
    assert len(site.painter.jobs) == 3 and len(site.files()) == 6
    assert site.ask("GET", f"/photographs/{key}/whole/2")[0] == site.ask("GET", "/photographs/x/whole/0")[0] == 404
    site.colour(key, 1, 2.0)
    site.settled(key)
    assert site.ask("GET", f"/photographs/{key}/whole/1")[0] == 404
    assert site.ask("GET", f"/photographs/{key}/whole/0")[2] == b"whole grain"
    assert len(site.files()) == 5 and len(site.painter.jobs) == 4


@pytest.mark.parametrize("number", [0, 1])
def test_what_is_removed_while_it_is_shown_leaves_nothing_behind(site, number):
    (key,) = site.keys(b"grain")
    site.settled(key)
    site.painter.go.clear()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(site.ask("GET", f"/photographs/{key}/whole/{number}")[0]))
    asking.start()
    until(lambda: len(site.painter.jobs) == 2)
    site.end(key)
    site.painter.go.set()
    asking.join(10)
    assert answers == [404] and list(site.folder.iterdir()) == []
