"""The one reader of results: the same run for all that read it, and damage as a sentence."""

import math

import fake_results
import numpy as np
import pytest
import yaml

from pipeline.config.runs import DEFAULT_SEED
from pipeline.core import csv_files, files
from pipeline.core.errors import InputError
from pipeline.evaluation import per_image
from pipeline.results.image_scores import read_images
from pipeline.results.read import pictures, read_run, read_runs
from pipeline.results.tables import tables

EXPERIMENT = {
    "name": "mine", "architecture": "base", "learning_rate": "1e-3", "l2": "0", "batch_size": 5, "seed": 7,
    "embedding": True,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return fake_results.add_run(fake_results.Fake(tmp_path / "results", tmp_path / "data"), "base_lr1e-4", images=4)


def change(folder, **changes):
    record = yaml.safe_load((folder / "run.yaml").read_text())
    (folder / "run.yaml").write_text(yaml.safe_dump(record | changes))


def test_a_whole_run_has_no_problems(folder):
    run = read_run(folder, "base_lr1e-4")
    assert run.problems == {} and run.run.name == run.name and run.dataset == "sample"
    assert run.score("test", "rmse").low < run.score("test", "rmse").value < run.score("test", "rmse").high
    assert (run.images.rows, run.groups["test"], run.counts["test"]) == ([3, 5, 7, 9], 2, "4")
    assert run.pictures == {3, 5, 7, 9} and "metrics.csv" in run.files
    assert run.rows == csv_files.read(folder / "metrics.csv", [])
    assert read_run(folder, "base_lr1e-4", images=False).images.rows == []


@pytest.mark.parametrize("name", ["run.yaml", "metrics.csv", "differences.csv", "per_image.csv"])
def test_a_flipped_bit_is_found_in_every_file_and_costs_only_that_file(folder, name):
    files.write_listing(folder)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    run = read_run(folder, "base_lr1e-4")
    assert list(run.problems) == [name] and name in run.problems[name] and str(folder) not in run.problems[name]
    if name == "per_image.csv":
        with pytest.raises(InputError, match=r"per_image\.csv"):
            read_images(folder, {})


@pytest.mark.parametrize(
    ("best", "weights", "scored"), [(2, "best", True), (2, "last", False), (3, "best", False), (0, "best", False)]
)
def test_scores_that_an_earlier_version_gave_to_a_diverged_network_do_not_count(folder, best, weights, scored):
    change(folder, status="diverged in epoch 3", epochs=3, best_epoch=best, weights_evaluated=weights)
    run = read_run(folder, "base_lr1e-4")
    own = [run.score("test", metric).value for metric in ("rmse", "accuracy")]
    own += [float(row["value"]) for row in run.differences] + run.images.measures["ciede2000"]
    assert np.isfinite(own).all() == np.isfinite(own).any() == scored
    assert math.isfinite(run.score("test", "rmse", "gray").value) and run.problems == {}
    assert ({row["verdict"] for row in run.differences} == {"no interval"}) == (not scored)
    assert ("not numbers" in run.findings[0]) == (not scored)


@pytest.mark.parametrize("row", ["3", "-1"])
def test_images_twice_or_of_negative_rows_are_refused(folder, row):
    rows = csv_files.read(folder / "per_image.csv", per_image.COLUMNS)
    csv_files.write(folder / "per_image.csv", per_image.COLUMNS, [r | {"row": row} for r in rows if r["row"] in "35"])
    with pytest.raises(InputError, match=r"per_image\.csv"):
        read_images(folder, {})


def test_a_run_is_what_its_record_says_before_its_name(folder):
    change(folder, settings={"run": "mine", "experiment": EXPERIMENT})
    run = read_run(folder, "mine", images=False).run
    assert (run.experiment, run.learning_rate, run.seed) == ("mine", "1e-3", 7)
    change(folder, settings={"training": {}})
    assert read_run(folder, "base_lr1e-4", images=False).run.seed == DEFAULT_SEED
    assert read_run(folder, "my own folder", images=False).run is None


def test_only_names_as_written_are_pictures(tmp_path):
    for name in ("000003.jpg", "4.jpg", "1000000.jpg", "0000005.jpg", "other.jpg", "000006.png"):
        (tmp_path / name).touch()
    assert pictures(tmp_path) == {3, 1_000_000} and pictures(tmp_path / "none") == frozenset()


def test_tables_hold_runs_of_equal_images_and_those_without_scores_stand_in_the_first(tmp_path):
    fake = fake_results.Fake(tmp_path / "results", tmp_path / "data")
    for name, worse in (("base_lr1e-4", 0.9), ("base_lr1e-3", 0.8), ("base_lr1e-2", 0.7), ("base_lr1e-1", 1.0)):
        fake_results.add_run(fake, name, worse=worse, images=2)
    path = fake.results / "base_lr1e-2" / "metrics.csv"
    path.write_text(path.read_text().replace("gray,rmse,18", "gray,rmse,19"))
    (fake.results / "base_lr1e-1" / "metrics.csv").unlink()
    found = tables(read_runs(fake.results)[0])
    assert [[run.name for run in table.runs] for table in found] == [
        ["base_lr1e-3", "base_lr1e-4", "base_lr1e-1"], ["base_lr1e-2"],
    ]  # fmt: skip
    assert [table.another for table in found] == [False, True]
