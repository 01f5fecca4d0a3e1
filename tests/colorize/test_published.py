"""The folder of a published network must be whole."""

import os
import shutil

import pytest
from click.testing import CliRunner
from PIL import Image
from tiny import gray_photograph, refused

from pipeline.config.paths import SHIPPED, ResultFiles
from stages.colorize import command


def copied(tmp_path):
    left_out = shutil.ignore_patterns("model.keras", "photographs.csv")
    return shutil.copytree(SHIPPED, tmp_path / "network", ignore=left_out)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def linked_to_itself(path):
    path.unlink()
    path.symlink_to(path.name)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def remove(path):
    path.unlink()


@pytest.mark.parametrize("damage", [remove, cut, linked_to_itself, pipe])
@pytest.mark.parametrize("name", ["network.onnx", "hints.npy", "hints.onnx", "files.json"])
def test_a_missing_or_damaged_file_is_refused_before_anything_is_written(tmp_path, name, damage):
    folder = copied(tmp_path)
    assert ResultFiles(folder).published.exists()
    damage(folder / name)
    Image.fromarray(gray_photograph(40, 50)).save(tmp_path / "old.png")
    out = tmp_path / "out"
    refused(CliRunner().invoke(command, [str(tmp_path / "old.png"), "--run", str(folder), "--out", str(out)]), name)
    assert not (out / "old.png").exists()


def test_without_the_list_of_its_photographs_nobody_knows_which_it_was_trained_on(tmp_path):
    folder = copied(tmp_path)
    Image.fromarray(gray_photograph(40, 50)).save(tmp_path / "old.png")
    done = CliRunner().invoke(
        command, [str(tmp_path / "old.png"), "--run", str(folder), "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0 and "photographs.csv" in done.stderr, done.output
    assert ",unknown," in (tmp_path / "out" / "colorize.csv").read_text()
