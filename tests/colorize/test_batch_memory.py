"""The memory that colouring a folder takes."""

import psutil
import pytest
from PIL import Image
from tiny import gray_photograph

from pipeline.colorize.batch import colorize_files


@pytest.mark.long
def test_a_large_folder_takes_no_more_memory_than_a_small_one(keras, colorizer, tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(600):
        photograph = gray_photograph(60 + number % 7, 90 + number % 31, number)
        Image.fromarray(photograph).save(tmp_path / "in" / f"{number}.jpg")
    seen = []

    class Watched:
        run, identity, shorter_side, put = colorizer.run, colorizer.identity, colorizer.shorter_side, colorizer.put

        def see(self, *given):
            seen.append(psutil.Process().memory_info().rss)
            return colorizer.see(*given)

    assert colorize_files([tmp_path / "in"], tmp_path / "out", Watched).done == 600
    assert seen[-1] - seen[150] < 30 * 2**20
