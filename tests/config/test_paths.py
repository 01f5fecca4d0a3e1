"""Paths and file names, on which existing runs rely."""

import subprocess
import sys
from pathlib import Path

from tiny import ROOT

from pipeline.config.paths import BaselineFiles, DatasetFiles, Paths, ResultFiles, RunFiles, SummaryFiles
from pipeline.config.schema import Config


def test_a_configuration_says_where_its_dataset_and_its_runs_lie():
    paths = Paths(Config(root="mine", data="stores"))
    assert paths.images.path == Path("stores/sample/images.zarr")
    assert paths.embeddings.path == Path("stores/sample/embeddings.zarr")
    assert paths.splits == Path("stores/sample/splits.csv")
    assert (paths.model("x"), paths.results, paths.logs) == (
        Path("mine/models/x"),
        Path("mine/results"),
        Path("mine/logs"),
    )


def test_names_in_a_folder_are_paths_of_an_object_and_names_of_its_class():
    assert RunFiles(Path("models/x")).history == Path("models/x/history.csv")
    assert ResultFiles.history.name == RunFiles.history.name == "history.csv"
    assert SummaryFiles(Path("results")).table == Path("results/summary.csv")


def test_files_of_the_baselines_lie_beside_their_scores():
    baselines = BaselineFiles(Path("a/other.csv"))
    assert baselines.manifest == Path("a/other.json") and baselines.per_image == Path("a/other_per_image.csv")
    assert baselines.pictures == Path("a/pictures")


def test_a_runs_dataset_is_looked_for_from_here_and_from_the_folder_of_its_results(tmp_path):
    record = {"configuration": {"data": "data", "dataset": "sample"}}
    places = ResultFiles(tmp_path / "results" / "x").datasets(record)
    assert places == [DatasetFiles(Path("data/sample")), DatasetFiles(tmp_path / "data" / "sample")]


def test_the_names_of_the_partitions_take_nothing_along():
    code = "import sys; before = set(sys.modules); import pipeline.config.partitions; print(*set(sys.modules) - before)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(found.split()) == {"pipeline", "pipeline.config", "pipeline.config.partitions"}
