"""Arrays in files, memory-mapped by several threads."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pipeline.core.arrays import memory_mapped


def test_one_thread_at_a_time_parses_a_header(tmp_path, monkeypatch):
    usual, parsing, most = np.lib.format.open_memmap, [], []

    def parse(path, mode):
        parsing.append(path)
        most.append(len(parsing))
        time.sleep(0.01)
        parsing.pop()
        return usual(path, mode=mode)

    monkeypatch.setattr(np.lib.format, "open_memmap", parse)
    np.save(tmp_path / "a.npy", np.arange(6, dtype=np.uint8))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(memory_mapped, [tmp_path / "a.npy"] * 8))
    assert most == [1] * 8
    for array in found:
        np.testing.assert_array_equal(array, np.arange(6))
        assert not array.flags.writeable
