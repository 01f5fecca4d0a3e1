"""One writer at a time."""

import pytest

from pipeline.core import locks


def test_where_nothing_was_written_nothing_is_left(tmp_path):
    with pytest.raises(RuntimeError), locks.held(tmp_path / "a" / "b" / "c"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_lock_is_free_again_after_its_block(tmp_path):
    for _ in range(2):
        with locks.held(tmp_path / "x"):
            (tmp_path / "x").touch()
    with locks.held(tmp_path / "x"), locks.held(tmp_path / "y"):
        pass
