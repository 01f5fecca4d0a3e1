"""Looking into stores over a network."""

import functools
import http.server
import json
import threading

import fsspec
import numpy as np
import pytest
from tiny import pixels, refused, tree

from pipeline.inspection.describe import describe, open_store

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def remote(prepared):
    """The dataset in fsspec's memory: a URL, and nothing of a path."""
    system = fsspec.filesystem("memory")
    for name, content in tree(prepared.folder).items():
        system.pipe_file(f"/remote/tiny/{name}", content)
    yield "memory://remote/tiny"
    system.rm("/remote", recursive=True)


def test_a_remote_store_is_described_as_a_local_one_but_not_checked(inspect, prepared, remote):
    for kind in ("images", "embeddings"):
        local = describe(open_store(prepared.folder / f"{kind}.zarr"))
        described = json.loads(inspect(f"{remote}/{kind}.zarr", "--json").stdout)
        assert described["arrays"] == local["arrays"] and described["attributes"] == local["attributes"]
        assert described["manifest"]["fingerprint"] == local["manifest"]["fingerprint"]
        assert (described["checked"], local["checked"]) == (False, True)
    text = inspect(f"{remote}/images.zarr").stdout
    assert "memory://remote/tiny/images.zarr: images, not checked against its records, 2 of 2 shards there" in text


def test_a_remote_store_is_looked_into(inspect, prepared, remote):
    for place, out in ((f"{remote}/embeddings.zarr", "far.png"), (prepared.images.path, "near.png")):
        result = inspect(place, "--sheet", out, "--partition", "test", "--neighbours", "2", "--to", f"to-{out}")
        assert result.exit_code == 0, result.stderr
    for prefix in ("", "to-"):
        assert np.array_equal(pixels(f"{prefix}far.png"), pixels(f"{prefix}near.png"))


def test_a_remote_store_alone_has_no_names(inspect, remote):
    system = fsspec.filesystem("memory")
    for name in ("index.csv", "splits.csv", "images.json"):
        system.rm(f"/remote/tiny/{name}")
    described = json.loads(inspect(f"{remote}/images.zarr", "--json").stdout)
    assert described["complete"] is None and described["shards_finished"] == 2
    assert inspect(f"{remote}/images.zarr", "--sheet", "x.png", "--rows", "1").exit_code == 0
    refused(inspect(f"{remote}/images.zarr", "--sheet", "x.png", "--id", "x"), "there is no index.csv")


def test_a_shard_that_is_missing_over_a_network_is_not_read_as_zeros(inspect, remote):
    fsspec.filesystem("memory").rm("/remote/tiny/images.zarr/ab/c/1/0/0/0")
    assert "1 of 2 shards there" in inspect(f"{remote}/images.zarr").stdout
    refused(inspect(f"{remote}/images.zarr", "--sheet", "x.png"), "images.zarr: ab of images 8 to 14 is missing")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory://remote/nothing.zarr", "expected a zarr store of DeepColor, received none"),
        ("memory://remote/tiny", "expected a zarr store of DeepColor, received none"),
        ("nonsense://x/images.zarr", "Protocol not known: nonsense"),
    ],
)
def test_what_is_no_store_at_a_url_is_refused(inspect, remote, url, expected):
    refused(inspect(url), url, expected)


class _Server(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_a_store_is_read_from_a_plain_web_server(inspect, prepared):
    """Python's own knows no parts of files; one row of a shard is read as a part."""
    pytest.importorskip("aiohttp")
    serve = functools.partial(_Server, directory=prepared.folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/images.zarr"
        described = json.loads(inspect(url, "--json").stdout)
        assert described["arrays"] == describe(prepared.images)["arrays"]
        np.testing.assert_array_equal(open_store(url).read("ab", 9, 10), prepared.images.read("ab", 9, 10))
        refused(inspect(url.replace("images", "nothing")), "nothing.zarr: expected a zarr store of DeepColor")
        server.shutdown()
    refused(inspect(url), "expected a zarr store that can be read, received")


@pytest.mark.parametrize("whole", [True, False])
def test_parts_of_files_are_right_whether_the_server_knows_parts_or_not(whole):
    import asyncio

    from zarr.abc.store import RangeByteRequest, SuffixByteRequest
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    from pipeline.inspection.remote import _WholeAnswers

    class Store(MemoryStore):
        async def get(self, key, prototype, byte_range=None):
            return await super().get(key, prototype, None if whole else byte_range)

    prototype = default_buffer_prototype()

    async def parts():
        store = Store({"x": prototype.buffer.from_bytes(b"0123456789")})
        requests = [None, RangeByteRequest(2, 5), RangeByteRequest(0, 10), SuffixByteRequest(3), SuffixByteRequest(10)]
        return [(await _WholeAnswers(store).get("x", prototype, part)).to_bytes() for part in requests]

    assert asyncio.run(parts()) == [b"0123456789", b"234", b"0123456789", b"789", b"0123456789"]
