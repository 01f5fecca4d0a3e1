"""The recipes for published sets of photographs: their commands are run on files of the names that these have."""

import re
import subprocess
from collections import Counter

import pytest
from tiny import ROOT

from pipeline.config.loading import load_config
from pipeline.dataset.sources.table import existing_files, read_partitions, read_table

PROTOCOLS = sorted((ROOT / "config" / "protocols").glob("*.yaml"))
IMAGENET = [f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 12_001)]


def touch(folder, names):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()


@pytest.fixture
def downloaded(tmp_path, monkeypatch):
    """Files of these names, and a list such as ctest10k.txt; labels and folders in it as in some copies."""
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "data" / "imagenet" / "val", IMAGENET)
    listed = [f"/n0{place % 7}/{name} {place}" for place, name in enumerate(IMAGENET[1:12_000:2])]
    (tmp_path / "data" / "imagenet" / "ctest10k.txt").write_text("\n".join(listed) + "\n")
    touch(tmp_path / "data" / "coco" / "val2017", [f"{number:012}.jpg" for number in range(1, 31)])
    touch(tmp_path / "data" / "coco" / "train2017", [f"{number:012}.jpg" for number in range(31, 1200)])


TESTED = {"imagenet-val5k": 5000, "imagenet-ctest10k": 6000, "coco-val2017": 30}


@pytest.mark.parametrize("path", PROTOCOLS, ids=lambda path: path.stem)
def test_a_recipe_makes_its_table_and_takes_all_its_photographs(path, downloaded, tmp_path):
    commands = re.findall(r"^#   \$ (.*)$", path.read_text(), re.MULTILINE)
    subprocess.run(["bash", "-euc", "\n".join(commands)], check=True, cwd=tmp_path)
    config = load_config([ROOT / "config" / "config.yaml", path])
    source = config.datasets[config.dataset]
    assert path.stem == config.dataset and config.root == f"data/{path.stem}"
    groups, partitions = read_table(source), read_partitions(source)
    assert existing_files(tmp_path / source.path, groups, source) == [*groups] == sorted(partitions)
    assert Counter(partitions.values()) == {"test": TESTED[path.stem], "train": 500, "validation": 500}
    assert (source.gray_below, source.toned_below) == (0, 0)
    assert source.crop == ("centre" if path.stem == "imagenet-val5k" else "squash")
    if path.stem == "imagenet-val5k":
        assert {name for name, partition in partitions.items() if partition == "test"} == {*IMAGENET[:5000]}
