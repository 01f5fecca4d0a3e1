"""A full disk: nothing half-written is left, the page is told why, and the server goes on once there is room."""

import json
from contextlib import closing

import pytest
from PIL import Image
from served import PAGE, opened
from small_disk import Disk

from pipeline.config.paths import SHIPPED
from pipeline.core.errors import InputError
from pipeline.serve.jobs import Job, Whole
from pipeline.serve.refusal import NO_ROOM
from pipeline.serve.worker import Worker


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "disk")
    yield made
    made.unmount()


def test_an_upload_that_does_not_fit_is_refused_and_deleted(disk):
    with opened(disk.path) as site:
        (disk.path / "filler").write_bytes(b"")
        disk.leave(64)
        path = f"/photographs?page={PAGE}&name=a&run=0&saturation=1"
        known, unknown = b"x" * 300_000, iter([b"x" * 50_000] * 6)  # the second without its size
        for body, reason in ((known, "0.3 MB"), (unknown, "full disk")):
            status, _, answer = site.ask("POST", path, body)
            assert status == NO_ROOM and reason in json.loads(answer)["problem"]
            assert str(disk.path) in json.loads(answer)["problem"] and site.files() == ["filler"]
        disk.remount("size=64m")
        status, answer = site.add(b"x" * 300_000)
        assert status == 201 and site.settled(answer["key"])[0]["state"] == "done"


def test_a_result_that_does_not_fit_fails_and_can_be_coloured_once_there_is_room(disk, tmp_path):
    Image.effect_noise((400, 300), 80).save(tmp_path / "photograph.png")
    folder = disk.path / "photograph"
    folder.mkdir()
    job = Job(tmp_path / "photograph.png", folder / "before.jpg", folder / "1", folder / "1.jpg", SHIPPED, 1.0)
    whole = Whole(tmp_path / "photograph.png", folder / "whole" / "before.jpg")
    with closing(Worker(disk.path, max_megapixels=1)) as worker:
        worker.load(SHIPPED)
        for room in (0, 40, 120):
            disk.leave(room)
            with pytest.raises(InputError, match="full disk") as refused:
                worker.colour(job, lambda step: None)
            assert refused.value.status == NO_ROOM and str(disk.path) in str(refused.value)
            assert not [path for path in folder.rglob("*") if path.suffix in (".png", ".tmp")]
        disk.leave(0)
        with pytest.raises(InputError, match="full disk"):
            worker.show(whole)
        assert list(whole.target.parent.glob("*")) == []
        disk.remount("size=64m")
        assert worker.colour(job, lambda step: None)[2:] == (400, 300)
        worker.show(whole)
        assert Image.open(whole.target).size == (400, 300)
