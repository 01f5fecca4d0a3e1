"""Batches of images in memory or mapped from disk, in an order that depends only on seed and epoch."""

import ctypes
import subprocess
import sys

import numpy as np
import pytest

INPUTS = ("L", "embedding")


def test_images_that_exceed_the_memory_are_mapped_from_disk(keras, prepared, tmp_path):
    from pipeline.training import batches

    rows = {name: prepared.rows(name) for name in ("train", "validation")}
    little = batches.load(prepared.images, {"embedding": prepared.embeddings}, rows, tmp_path)
    much = batches.load(prepared.images, {"embedding": prepared.embeddings}, rows)
    assert list(little) == list(much) == list(rows)
    for name in rows:
        assert isinstance(little[name].lightness, np.memmap) and isinstance(little[name].ab, np.memmap)
        assert not isinstance(much[name].lightness, np.memmap)
        for one, two, truth in zip(
            (little[name].lightness, little[name].ab, little[name].embedded["embedding"]),
            (much[name].lightness, much[name].ab, much[name].embedded["embedding"]),
            prepared.arrays(name), strict=True,
        ):  # fmt: skip
            np.testing.assert_array_equal(one, truth)
            np.testing.assert_array_equal(two, truth)
    assert not list(tmp_path.iterdir())


def test_each_shard_is_read_once_for_all_partitions(keras, prepared, monkeypatch):
    from pipeline.storage.store import Store
    from pipeline.training import batches

    read, usual = [], Store.read

    def counted(self, name, start, *rest):
        read.append((name, start))
        return usual(self, name, start, *rest)

    monkeypatch.setattr(Store, "read", counted)
    rows = {name: prepared.rows(name) for name in ("train", "validation")}
    batches.load(prepared.images, {"embedding": prepared.embeddings}, rows)
    assert len(read) == len(set(read)) == 2 * prepared.images.shard_count() + prepared.embeddings.shard_count()
    read.clear()
    batches.load(prepared.images, {}, rows)
    assert {name for name, _ in read} == {"L", "ab"}


def numbered(n=11):
    from pipeline.training import batches

    marks = np.arange(n, dtype=np.uint8)
    image = marks[:, None, None].repeat(2, 1).repeat(2, 2)
    return batches.Examples(image, np.stack([image, image], -1), {"embedding": marks[:, None].astype(np.float32)})


def order(batches):
    seen = []
    for number in range(len(batches)):
        inputs, ab = batches[number]
        lightness, embedding = inputs["L"], inputs["embedding"]
        assert lightness.shape[1:] == (2, 2, 1) and lightness.dtype == ab.dtype == np.uint8
        np.testing.assert_array_equal(lightness[:, 0, 0, 0], embedding[:, 0])
        np.testing.assert_array_equal(ab[:, 1, 1, 1], embedding[:, 0])
        seen.append(embedding[:, 0].astype(int).tolist())
    return seen


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone(keras):
    from pipeline.training.batches import Batches

    batches = Batches(numbered(), INPUTS, 4, shuffle_seed=7)
    for epoch in (1, 2, 3, 1):
        expected = np.random.default_rng((7, epoch)).permutation(11).tolist()
        batches.shuffle(epoch)
        assert order(batches) == [expected[:4], expected[4:8], expected[8:]]
    other = Batches(numbered(), INPUTS, 4, shuffle_seed=8)
    other.shuffle(1)
    assert order(other) != order(batches)
    unshuffled = Batches(numbered(), INPUTS, 4)
    unshuffled.shuffle(1)
    assert [row for batch in order(unshuffled) for row in batch] == list(range(11))


def test_the_stream_has_the_batches_in_the_order_of_each_epoch_and_is_not_tuned(keras):
    from pipeline.networks import backend
    from pipeline.training.batches import Batches, Shuffling

    batches = Batches(numbered(), INPUTS, 4, shuffle_seed=7)
    stream, shuffling = backend.stream(batches), Shuffling(batches)
    assert stream.options().autotune.enabled is False and int(stream.cardinality()) == len(batches) == 3
    for epoch in range(2):
        shuffling.on_epoch_begin(epoch)
        expected = np.random.default_rng((7, epoch + 1)).permutation(11)
        seen = [[np.asarray(part) for part in (*map(inputs.get, INPUTS), ab)] for inputs, ab in stream]
        assert [part.dtype for part in seen[0]] == [np.uint8, np.float32, np.uint8]
        for part in range(3):
            column = np.concatenate([batch[part] for batch in seen])
            np.testing.assert_array_equal(column.reshape(11, -1)[:, 0], expected)


def test_without_the_embedding_batches_are_the_same_images_in_the_same_order(keras):
    from pipeline.training.batches import Batches

    both, without = (Batches(numbered(), names, 4, shuffle_seed=7) for names in (INPUTS, ["L"]))
    both.shuffle(2)
    without.shuffle(2)
    assert len(without) == len(both) == 3
    for number in range(3):
        two, ab = both[number]
        inputs, same_ab = without[number]
        assert list(inputs) == ["L"]
        np.testing.assert_array_equal(inputs["L"], two["L"])
        np.testing.assert_array_equal(same_ab, ab)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="this C library has no mallinfo2")
def test_freed_memory_is_kept_while_tensorflow_reads_a_stream():
    script = """
import ctypes
import numpy as np
from pipeline.networks import backend
from pipeline.training import batches

class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd b c d e f".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype, libc.malloc.restype = Mallinfo, ctypes.c_void_p

def mapped():
    before = libc.mallinfo2().hblks
    libc.malloc(2**23)
    return libc.mallinfo2().hblks - before

found = [mapped()]
backend.start(1)
found.append(mapped())
data = batches.Examples(np.zeros((4, 2, 2), np.uint8), np.zeros((4, 2, 2, 2), np.uint8), {})
stream = iter(backend.stream(batches.Batches(data, ["L"], 2)))
for _ in range(2):
    next(stream)
    found.append(mapped())
for _ in stream:  # the end is read ahead: a thread that asks Python for it while Python ends would wait for ever
    raise AssertionError
print(*found)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0", "0", "0"]
