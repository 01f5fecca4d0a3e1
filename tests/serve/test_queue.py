"""The queue: what is coloured when, and when photographs are deleted."""

import time

from served import opened
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


def test_photographs_that_no_page_asks_for_are_deleted(tmp_path):
    with opened(tmp_path, seconds=0.6) as site:
        open_page, closed_page = site.keys(b"one", b"two")
        for _ in range(10):
            assert site.states(open_page)
            time.sleep(0.1)
        assert [path.name for path in site.folder.iterdir()] == [open_page] and site.states(closed_page) == []
