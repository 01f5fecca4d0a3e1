"""Embed computes only missing and changed shards, and always records the weights."""

import logging
import signal
import threading
import time

import numpy as np
import pytest

from pipeline.config.schema import Embedding
from pipeline.core import files, tasks
from pipeline.core.errors import InputError
from pipeline.storage.layouts import EMBEDDINGS
from pipeline.storage.store import Store


def numbers(lightness):
    return lightness.reshape(len(lightness), -1)[:, ::50][:, :1000]


@pytest.fixture
def embedded(keras, dataset, tmp_path, monkeypatch):
    """A store with some numbers of each L as embeddings, and a function that embeds again and returns its shards."""
    from pipeline.embedding import embed

    def network(embedding, saved, outputs):
        files.write_json(saved.with_name("embedding_network.json"), {"weights": "random", "sha256": "x"})
        return lambda lightness: {"embedding": numbers(lightness).astype(np.float32)}

    monkeypatch.setattr(embed, "_network", network)
    store = Store(tmp_path / "embeddings.zarr", EMBEDDINGS)

    def again(**options):
        return embed.embed(dataset.images, store, Embedding(**{"weights": "random", **options}))

    assert again() == 2
    return store, again


def test_every_row_is_the_networks_output_for_its_image(embedded, dataset):
    store, _ = embedded
    lightness = dataset.images.read("L", 0, 15)
    np.testing.assert_array_equal(store.read("embedding", 0, 15), numbers(lightness))
    manifest = store.manifest()
    assert manifest["images"] == dataset.images.manifest()["fingerprint"]
    assert manifest["weights"] == {"weights": "random", "sha256": "x"}
    assert manifest["settings"]["weights"] == "random" and manifest["spread"]["effective_rank"] > 2


def test_a_shard_is_read_while_another_is_computed(embedded, dataset, monkeypatch):
    from pipeline.embedding import embed

    store, again = embedded
    reads, computing = threading.Semaphore(0), threading.Lock()

    def read(images, name, start, stop, plain=Store.read):
        values = plain(images, name, start, stop)
        reads.release()
        return values

    def network(lightness):
        assert computing.acquire(blocking=False)  # one shard at a time
        if not computed:
            assert reads.acquire(timeout=60) and reads.acquire(timeout=60)
        computed.append(len(lightness))
        computing.release()
        return {"embedding": np.ones((len(lightness), 1000), np.float32)}

    computed = []
    for shard in range(2):
        store.shard_file("embedding", shard).unlink()
    monkeypatch.setattr(Store, "read", read)
    monkeypatch.setattr(embed, "_network", lambda *_: network)
    assert again() == 2 and sorted(computed) == [7, 8]


def test_after_an_interrupt_no_other_shard_is_computed(embedded, dataset, monkeypatch):
    from pipeline.embedding import embed

    store, again = embedded
    computed = []

    def network(lightness):
        computed.append(len(lightness))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        end = time.monotonic() + 60
        while not tasks.ending() and time.monotonic() < end:
            time.sleep(0.01)
        return {"embedding": np.ones((len(lightness), 1000), np.float32)}

    for shard in range(2):
        store.shard_file("embedding", shard).unlink()
    monkeypatch.setattr(embed, "_network", lambda *_: network)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            again()
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(computed) == 1  # and embed waited for it
    assert [store.shard_file("embedding", shard).exists() for shard in range(2)].count(True) == 1


def test_only_lost_and_changed_shards_are_recomputed(embedded, dataset):
    store, again = embedded
    before = store.manifest()
    assert again() == 0
    store.shard_file("embedding", 1).unlink()
    assert again() == 1
    assert store.manifest() == before
    ab, lightness = dataset.images.read("ab", 0, 8), dataset.images.read("L", 0, 8)
    record = dataset.images.record(0)
    facts = {key: record[key] for key in ("settings", "input", "digests")}
    listed = {"files": dataset.images.manifest()["files"]}
    dataset.images.write_shard(0, {"L": lightness, "ab": 255 - ab}, **facts)
    dataset.images.complete({}, **listed)
    assert again() == 0  # embeddings depend on L alone
    dataset.images.write_shard(0, {"L": 255 - lightness, "ab": ab}, **facts)
    dataset.images.complete({}, **listed)
    assert again() == 1
    np.testing.assert_array_equal(store.read("embedding", 0, 8), numbers(255 - lightness))


def test_a_lost_record_of_the_weights_is_rewritten(embedded):
    store, again = embedded
    before = store.manifest()
    store.path.with_name("embedding_network.json").unlink()
    assert again() == 0
    assert store.manifest() == before


def test_other_settings_are_refused(embedded):
    store, again = embedded
    before = store.manifest()
    with pytest.raises(InputError, match=r"activation: .*logits.*softmax.*seed: 0.*3.*--replace"):
        again(activation="softmax", seed=3)
    assert store.manifest() == before


def test_incomplete_images_are_refused(embedded, dataset):
    _, again = embedded
    (dataset.images.records / "000001.json").unlink()
    with pytest.raises(InputError, match=r"000001\.json .*stages verify"):
        again()
    dataset.images.manifest_path.unlink()
    with pytest.raises(InputError, match=r"images\.json\b"):
        again()


def test_random_weights_are_logged_in_capitals(embedded, caplog):
    caplog.set_level(logging.INFO, "deepcolor")
    embedded[1]()
    assert "RANDOM (seed 0" in caplog.text


def test_equal_embeddings_are_a_warning_with_common_causes(embedded, monkeypatch, caplog):
    from pipeline.embedding import embed

    def network(lightness):
        return {"embedding": np.ones((len(lightness), 1000), np.float32)}

    monkeypatch.setattr(embed, "_network", lambda *_: network)
    embedded[0].shard_file("embedding", 0).unlink()
    embedded[0].shard_file("embedding", 1).unlink()
    embedded[1]()
    assert "hardly differ between images" in caplog.text and "0..255" in caplog.text
