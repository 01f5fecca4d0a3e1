"""Damaged checkpoints are detected, and the previous one is used."""

import zipfile

import numpy as np
import pytest

from pipeline.training import checkpoints


@pytest.fixture
def two(tmp_path):
    """The path of the checkpoint after epoch 2, with the previous one after epoch 1."""
    path = tmp_path / "checkpoint.npz"
    for epochs in (1, 2):
        checkpoints.save(path, checkpoint(epochs))
    return path


def checkpoint(epochs):
    model = [np.full((3, 2), epochs, np.float32), np.arange(4.0) * epochs]
    optimizer = [np.array(epochs), *model]
    return checkpoints.Checkpoint(model, optimizer, model[1:], model[:1], {"epochs": epochs, "status": "ü"})


def assert_equal(found, expected):
    assert found.state == expected.state
    for part in ("model", "optimizer", "metrics", "best"):
        for one, other in zip(getattr(found, part), getattr(expected, part), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


def test_the_newest_checkpoint_is_loaded_and_the_previous_one_kept(two):
    assert_equal(checkpoints.load(two), checkpoint(2))
    assert_equal(checkpoints.load(checkpoints.previous(two)), checkpoint(1))
    assert sorted(path.name for path in two.parent.iterdir()) == [
        "checkpoint.json", "checkpoint.npz", "checkpoint.previous.npz"
    ]  # fmt: skip


def test_many_arrays_keep_their_order(tmp_path):
    arrays = [np.array(number) for number in range(1200)]
    checkpoints.save(tmp_path / "c.npz", checkpoints.Checkpoint(arrays, [], [], [], {}))
    assert [int(array) for array in checkpoints.load(tmp_path / "c.npz").model] == list(range(1200))


def test_without_a_checkpoint_nothing_is_loaded(tmp_path):
    assert checkpoints.load(tmp_path / "checkpoint.npz") is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "lost"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(two, caplog, damage):
    content = bytearray(two.read_bytes())
    if damage == "flipped":
        content[content.index(np.full(6, 2, np.float32).tobytes())] ^= 1
    two.write_bytes({"cut": content[:-300], "flipped": content, "empty": b"", "lost": b""}[damage])
    if damage == "lost":
        two.unlink()
    assert_equal(checkpoints.load(two), checkpoint(1))
    assert ("checkpoint.npz is damaged" in caplog.text) == (damage != "lost")


def test_any_flipped_bit_is_detected(tmp_path, caplog):
    path = tmp_path / "checkpoint.npz"
    model = [np.arange(6.0, dtype=np.float32)]
    checkpoints.save(path, checkpoints.Checkpoint(model, [np.array(3)], [], [], {"epochs": 1}))
    intact = path.read_bytes()
    for position in range(len(intact)):
        damaged = bytearray(intact)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        assert checkpoints.load(path) is None


@pytest.mark.parametrize("after", range(3))
def test_a_process_killed_between_any_two_renames_leaves_intact_checkpoints(two, monkeypatch, after):
    """The third checkpoint is being written: its digest first, then the renames."""
    real, renamed = type(two).replace, []

    def replace(source, target):
        if len(renamed) == after:
            raise SystemExit
        renamed.append(target)
        return real(source, target)

    monkeypatch.setattr(type(two), "replace", replace)
    with pytest.raises(SystemExit):
        checkpoints.save(two, checkpoint(3))
    monkeypatch.undo()
    left = [path for path in (two, checkpoints.previous(two)) if path.exists()]
    assert left and all(map(checkpoints.whole, left))
    assert_equal(checkpoints.load(two), checkpoint(2))
    checkpoints.save(two, checkpoint(3))
    assert_equal(checkpoints.load(two), checkpoint(3))


def test_a_checkpoint_without_digests_is_loaded_if_its_zip_checksums_match(two):
    """As DeepColor 0.1.0 wrote them, with a digest in the zip file's comment."""
    checkpoints.digests(two).unlink()
    with zipfile.ZipFile(two, "a") as file:
        file.comment = b"0" * 64
    assert checkpoints.whole(two)
    assert_equal(checkpoints.load(two), checkpoint(2))
    content = bytearray(two.read_bytes())
    content[content.index(np.full(6, 2, np.float32).tobytes())] ^= 1
    two.write_bytes(content)
    assert not checkpoints.whole(two)
    assert_equal(checkpoints.load(two), checkpoint(1))
    checkpoints.save(two, checkpoint(3))
    assert checkpoints.whole(two) and not checkpoints.whole(checkpoints.previous(two))


def test_damaged_digests_do_not_invalidate_the_checkpoints(two):
    checkpoints.digests(two).write_bytes(b"{}")
    assert_equal(checkpoints.load(two), checkpoint(2))
